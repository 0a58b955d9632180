"""The workflow through the SLURM profile, on a real SLURM of one node.

One run in which everything happens at once: a job is cancelled midway, another one fails on
purpose, and the store is the local run's all the same.
"""

import re
import shutil
import subprocess
import threading
import time

import pytest

from support import cluster
from support.projects import ROOT

PROFILE = [
    "--profile",
    str(ROOT / "workflow/profiles/slurm"),
    # The defaults of profile and plugin suit a cluster, where waiting costs nothing.
    "--slurm-init-seconds-before-status-checks",
    "2",
    "--latency-wait",
    "20",
    "--retries",
    "1",
]
STORE = "results/detection/concepts.zarr.zip"
FAILING = "results/segmentation/shards/0.zarr.zip"


@pytest.fixture(scope="module")
def slurm():
    """A running SLURM."""
    reason = cluster.obstacle()
    if reason:
        pytest.skip(reason)
    cluster.start()
    yield
    cluster.stop()


def cancel_midway(name, log, cancelled):
    """Cancel the job whose comment is `name` once its script has begun, and note its number."""
    while not cancelled:
        time.sleep(0.3)
        running = subprocess.run(
            ["squeue", "-h", "-t", "RUNNING", "-o", "%A %k"], capture_output=True, text=True
        ).stdout.splitlines()
        numbers = [line.split()[0] for line in running if line.endswith(f" {name}")]
        if numbers and log.exists():
            subprocess.run(["scancel", numbers[0]], check=True)
            cancelled.append(numbers[0])


@pytest.fixture(scope="module")
def run(finished, slurm, tmp_path_factory):
    """The finished project before its analysis, analysed through the profile."""
    project = finished.copy(tmp_path_factory.mktemp("slurm") / "project")
    for folder in ("results", "logs"):
        shutil.rmtree(project / folder)
    project.change("segmentation", {"analysis.layers": ["model.99.conv"]})
    cancelled = []
    watch = threading.Thread(
        target=cancel_midway,
        args=(
            "rule_analyse_shard_wildcards_detection_1",
            project / "logs/analyse_shard/detection/1.log",
            cancelled,
        ),
        daemon=True,
    )
    watch.start()
    run = project.snakemake(*PROFILE, STORE, FAILING, check=False)
    run.project, run.cancelled = project, cancelled
    text = subprocess.run(
        ["scontrol", "-o", "show", "jobs"], capture_output=True, text=True, check=True
    ).stdout
    run.jobs = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in text.splitlines()]
    return run


def jobs(run, name):
    """What SLURM says of the jobs with that comment, in the order in which they were sent."""
    found = [job for job in run.jobs if job["Comment"] == name]
    return sorted(found, key=lambda job: int(job["JobId"]))


def test_the_store_is_that_of_the_local_run(run, finished):
    assert run.done["merge_shards"] == 1, run.text[-4000:]
    assert (run.project / STORE).read_bytes() == (finished / STORE).read_bytes()


def test_a_cancelled_job_is_repeated(run):
    first, second = jobs(run, "rule_analyse_shard_wildcards_detection_1")
    assert [first["JobId"]] == run.cancelled and first["JobState"] == "CANCELLED"
    assert second["JobState"] == "COMPLETED" and "Trying to restart job" in run.text
    left = [path for path in run.project.folder.rglob("*.part*") if ".snakemake" not in path.parts]
    assert not left


def test_a_failing_job_says_why_in_its_log(run):
    assert run.code != 0
    assert len(jobs(run, "rule_analyse_shard_wildcards_segmentation_0")) == 2
    log = run.project / "logs/analyse_shard/segmentation/0.log"
    assert "model.99.conv" in log.read_text().splitlines()[-1]
    assert not (run.project / FAILING).exists()
    # What SLURM itself was told lies under the name of the rule.
    assert list((run.project / "logs/slurm/rule_analyse_shard/segmentation_0").glob("*.log"))


def test_an_analysis_has_a_gpu_and_asks_for_more_when_it_is_repeated(run):
    first, second = jobs(run, "rule_analyse_shard_wildcards_detection_1")
    (merge,) = jobs(run, "rule_merge_shards_wildcards_detection")
    for job in (first, second):
        assert job["Partition"] == "gpu" and "gpu:1" in job["TresPerJob"]
    assert merge["Partition"] == "main" and "TresPerJob" not in merge
    memory = [int(job["MinMemoryNode"].removesuffix("M")) for job in (first, second)]
    limits = [job["TimeLimit"] for job in (first, second)]
    assert memory[1] > memory[0] and limits[1] > limits[0]
