"""A script started without Snakemake does what the job did."""

import subprocess
import sys

import pytest

from job import mock_snakemake
from support.projects import ROOT


def started(project, *arguments):
    """Run a script in the project as one would in a debugger."""
    command = [sys.executable, str(ROOT / "scripts" / "job.py"), *arguments]
    process = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def test_a_mocked_job_names_the_files_of_the_real_one(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    mocked = mock_snakemake("measure_quality", experiment="segmentation")
    for path in (*mocked.input, *mocked.output, *mocked.log):
        assert (project / path).is_file()
    assert mocked.params.architecture == "unet"
    assert mocked.wildcards.experiment == "segmentation"
    assert mocked.threads == 1


@pytest.mark.parametrize("rule", ["measure_quality", "analyse_shard"])
def test_a_script_without_snakemake_makes_the_same_bytes(project, rule):
    shard = next((project / "results/detection/shards").glob("*.zarr.zip"))
    outputs, wildcards = {
        "measure_quality": (["quality.json", "classes.csv"], []),
        "analyse_shard": ([shard.name], [f"shard={shard.name.split('.')[0]}"]),
    }[rule]
    folder = project / "results/detection" / {"measure_quality": "quality"}.get(rule, "shards")
    before = {name: (folder / name).read_bytes() for name in outputs}
    for name in outputs:
        (folder / name).unlink()
    started(project, rule, "experiment=detection", *wildcards)
    assert {name: (folder / name).read_bytes() for name in outputs} == before
