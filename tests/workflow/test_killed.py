"""No work is lost: whatever is killed, full, read-only or damaged, running again gives the same.

Each time the store is compared, byte by byte, with that of a run that nothing disturbed.
"""

import os
import random
import shutil
import signal
import subprocess
import time

import psutil
import pytest

from support.projects import SNAKEMAKE

RESULTS = "results/detection"
STORE = f"{RESULTS}/concepts.zarr.zip"
SHARDS = f"{RESULTS}/shards"


@pytest.fixture
def unanalysed(project):
    """The finished project before its images were indexed, and analysed."""
    for folder in ("results", "logs", "resources/datasets"):
        shutil.rmtree(project / folder)
    return project


def scripts_of(process):
    """The scripts that a Snakemake is running."""
    running = process.children(recursive=True)
    return [p for p in running if ".snakemake/scripts" in "".join(p.cmdline()[1:2])]


def kill(process, what, seconds):
    """After some seconds kill a job, Snakemake alone, or everything: the processes left over.

    Does nothing where the run ends before.
    """
    process = psutil.Process(process.pid)
    until = time.monotonic() + seconds
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        try:
            jobs = scripts_of(process)
            if time.monotonic() >= until and (jobs or what != "job"):
                everything = [process, *process.children(recursive=True)]
                victims = {"job": jobs[:1], "snakemake": [process], "everything": everything}[what]
                for victim in victims:
                    victim.send_signal(signal.SIGKILL)
                return [p for p in everything if p not in victims]
        except psutil.NoSuchProcess:
            continue
        time.sleep(0.02)
    return []


def compare_shards(project, finished):
    """What has a shard's name is a whole shard."""
    for shard in (project / SHARDS).glob("*.zarr.zip"):
        assert shard.read_bytes() == (finished / SHARDS / shard.name).read_bytes()


def disturbed_rounds(project, finished, rounds, seed):
    """Run and kill `rounds` times, each in the state that the last one left."""
    chance, orphans = random.Random(seed), []
    for number in range(rounds):
        if (project / STORE).exists():
            assert (project / STORE).read_bytes() == (finished / STORE).read_bytes()
            shutil.rmtree(project / RESULTS)
        what = ("job", "everything", "snakemake")[number % 3]
        # Snakemake takes some seconds to begin.
        seconds = chance.uniform(0, 6) + (4 if what != "job" else 0)
        command = [*SNAKEMAKE, "--directory", str(project.folder), "--cores", "2", STORE]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        orphans += kill(process, what, seconds)
        process.wait(300)
        project.snakemake("--unlock")
        compare_shards(project, finished)
    project.run(STORE)
    assert (project / STORE).read_bytes() == (finished / STORE).read_bytes()
    # A job that outlived its Snakemake does not spoil what another one has made since.
    psutil.wait_procs(orphans, timeout=120)
    compare_shards(project, finished)
    assert not project.plan(STORE)


def test_killed_at_random_moments(unanalysed, finished):
    disturbed_rounds(unanalysed, finished, 3, seed=0)


@pytest.mark.proof
def test_killed_at_many_random_moments(unanalysed, finished):
    disturbed_rounds(unanalysed, finished, 20, seed=1)


def complaint(project, rule, *targets):
    """The last line that a failing job leaves in its log."""
    run = project.run(*targets, check=False)
    assert run.code != 0 and not run.done[rule]
    (log,) = (project / "logs" / rule).rglob("*.log")
    line = log.read_text().splitlines()[-1]
    assert line in run.text
    return line


def test_a_damaged_shard_is_named_and_heals(project, finished):
    (project / STORE).unlink()
    shutil.rmtree(project / "logs")
    shard = project / SHARDS / "1.zarr.zip"
    shard.write_bytes(shard.read_bytes()[:-1000])
    line = complaint(project, "merge_shards", STORE)
    assert line.startswith(f"{SHARDS}/1.zarr.zip: truncated") and "delete it" in line
    assert not (project / STORE).exists()
    shard.unlink()
    done = project.run(STORE).done
    assert done["analyse_shard"] == done["merge_shards"] == 1
    assert (project / STORE).read_bytes() == (finished / STORE).read_bytes()


@pytest.fixture
def small_disk(unanalysed):
    """A function that gives the project's results a disk of their own, with mount options."""
    folder = unanalysed / RESULTS
    (folder / "shards").mkdir(parents=True)

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder / "shards")]
        process = subprocess.run(command, capture_output=True, text=True)
        if process.returncode:
            pytest.skip(f"no disk of a given size without mount: {process.stderr.strip()}")

    if os.geteuid() != 0:
        pytest.skip("mounting a disk of a given size needs root")
    yield mount
    subprocess.run(["umount", str(folder / "shards")], check=False)


def test_a_full_and_a_read_only_disk(unanalysed, finished, small_disk):
    shard = f"{SHARDS}/0.zarr.zip"
    small_disk("size=16k")
    line = complaint(unanalysed, "analyse_shard", shard)
    assert line.startswith(f"{shard}: cannot be written (No space left on device); free space")
    assert not os.listdir(unanalysed / SHARDS)
    small_disk("remount,ro")
    # Snakemake notices before it starts the job.
    run = unanalysed.run(shard, check=False)
    assert run.code != 0 and f"Read-only file system: '{shard}'" in run.text
    small_disk("remount,rw,size=64m")
    unanalysed.run(STORE)
    assert (unanalysed / STORE).read_bytes() == (finished / STORE).read_bytes()
