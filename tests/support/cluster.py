"""A SLURM of one node on this machine, with two stand-ins for GPUs."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

NAME = "lcrptest"
ETC = Path("/etc/slurm")
STATE = Path("/var/lib") / NAME
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo", "munged", "setpriv")
PID_FILES = {
    "slurmd": Path("/run/slurmd.pid"),
    "slurmctld": Path("/run/slurmctld.pid"),
    "munged": Path("/run/munge/munged.pid"),
}
GRES = "NodeName={host} Name=gpu File=/dev/null\nNodeName={host} Name=gpu File=/dev/zero\n"
CONF = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={state}/ctld
SlurmdSpoolDir={state}/spool
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
MinJobAge=3600
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
GresTypes=gpu
# Jobs that are repeated ask for more memory each time: a node that can promise it.
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=64000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=1-00:00:00 State=UP
PartitionName=gpu Nodes={host} MaxTime=1-00:00:00 State=UP
"""


def obstacle():
    """Why SLURM cannot be started here, or None."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        return f"{missing[0]} is not installed; apt-get install slurmctld slurmd slurm-client munge"
    if os.geteuid() != 0:
        return "starting SLURM needs root"
    conf = ETC / "slurm.conf"
    if conf.exists() and f"ClusterName={NAME}\n" not in conf.read_text():
        return f"{conf} belongs to another cluster"
    return None


def start():
    """Start the three daemons, and wait until the node is idle."""
    host = subprocess.check_output(["hostname", "-s"], text=True).strip()
    found = subprocess.check_output(["slurmd", "-C"], text=True).split()
    facts = dict(word.split("=", 1) for word in found if "=" in word)
    ETC.mkdir(exist_ok=True)
    shutil.rmtree(STATE, ignore_errors=True)
    for folder in ("ctld", "spool"):
        (STATE / folder).mkdir(parents=True)
    (ETC / "gres.conf").write_text(GRES.format(host=host))
    (ETC / "slurm.conf").write_text(
        CONF.format(
            name=NAME,
            host=host,
            state=STATE,
            cpus=facts["CPUs"],
        )
    )
    munge = ["--reuid=munge", "--regid=munge", "--clear-groups"]
    _run("install", "-d", "-o", "munge", "-g", "munge", "-m755", "/run/munge")
    _run("setpriv", *munge, "munged", "--force")
    _run("slurmctld")
    _run("slurmd")
    for _ in range(60):
        state = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True).stdout
        if state.split() and set(state.split()) == {"idle"}:
            return
        time.sleep(1)
    raise RuntimeError(f"the node did not become idle: {state}")


def stop():
    """End the daemons, by their pid files."""
    for path in PID_FILES.values():
        if path.exists():
            pid = int(path.read_text())
            os.kill(pid, signal.SIGTERM)
            for _ in range(100):
                if not Path(f"/proc/{pid}").exists():
                    break
                time.sleep(0.1)
    (ETC / "slurm.conf").unlink(missing_ok=True)
    (ETC / "gres.conf").unlink(missing_ok=True)


def _run(*command):
    subprocess.run(command, check=True, capture_output=True, timeout=60)
