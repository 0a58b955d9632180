"""The workflow through the SLURM profile, on a real SLURM of one node."""

import shutil
import subprocess
import threading
import time

import cluster
import pytest
from projects import ROOT

PROFILE = [
    "--profile",
    str(ROOT / "workflow/profiles/slurm"),
    # The defaults of profile and plugin suit a cluster, where waiting costs nothing.
    "--slurm-init-seconds-before-status-checks",
    "2",
    "--latency-wait",
    "20",
]
STORE = "results/segmentation/concepts.zarr.zip"


@pytest.fixture(scope="module")
def slurm():
    """A running SLURM."""
    reason = cluster.obstacle()
    if reason:
        pytest.skip(reason)
    cluster.start()
    yield
    cluster.stop()


@pytest.fixture
def unanalysed(project, slurm):
    """The finished project before its analysis."""
    shutil.rmtree(project / "results")
    return project


def test_the_store_is_that_of_the_local_run(unanalysed, finished):
    run = unanalysed.snakemake(*PROFILE, STORE)
    assert run.done["analyse_shard"] == 2 and run.done["merge_shards"] == 1
    assert "slurm" in run.text.lower()
    assert (unanalysed / STORE).read_bytes() == (finished / STORE).read_bytes()


def test_a_cancelled_job_is_repeated(unanalysed, finished):
    cancelled = []

    def cancel_first():
        while not cancelled:
            time.sleep(0.3)
            states = subprocess.run(
                ["squeue", "-h", "-t", "RUNNING", "-o", "%A"], capture_output=True, text=True
            ).stdout.split()
            if states:
                time.sleep(1)
                subprocess.run(["scancel", states[0]], check=True)
                cancelled.append(states[0])

    thread = threading.Thread(target=cancel_first, daemon=True)
    thread.start()
    run = unanalysed.snakemake(*PROFILE, STORE)
    assert cancelled and "Trying to restart job" in run.text
    assert (unanalysed / STORE).read_bytes() == (finished / STORE).read_bytes()


def test_a_failing_job_says_why_in_its_log(unanalysed):
    unanalysed.change("segmentation", {"analysis.layers": ["encoder.stage.*"]})
    run = unanalysed.snakemake(*PROFILE, "--retries", "0", STORE, check=False)
    assert run.code != 0
    log = unanalysed / "logs/analyse_shard/segmentation/0.log"
    assert "encoder.stage" in log.read_text().splitlines()[-1]
    assert not (unanalysed / STORE).exists()
