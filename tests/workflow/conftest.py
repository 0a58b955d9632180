"""What the tests of the workflow share."""

import json

import pytest
from filelock import FileLock

from support.projects import Project, Run

SCENES = {"train": 24, "test": 8, "size": 64}
MODELS = {
    "segmentation": (
        "unet",
        {"encoder": "narrow", "encoder_channels": [4, 8, 8], "decoder_channels": [8, 4]},
    ),
    "detection": ("yolov5", {"depth": 0.33, "width": 0.125}),
}


def experiment(task):
    """A small experiment on scenes, with a model that has hardly been trained."""
    architecture, options = MODELS[task]
    return {
        "title": f"A small {architecture}",
        "model": {
            "architecture": architecture,
            "options": {"input_size": [SCENES["size"]] * 2, **options},
            "training": {"seed": 0, "steps": 30, "batch_size": 8},
        },
        "dataset": {"format": "scenes", "scenes": SCENES},
        # A model that has hardly been trained is sure of nothing.
        "analysis": {"images_per_shard": 4, "targets": {"threshold": 1e-6}},
        "effect": {"images": 4, "minimum_images": 2, "things": 1},
        "explanations": {"concepts": 2, "references": 3, "images": 2, "width": 800},
    }


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id):
    """A project with a small segmentation and a small detection, after a complete run.

    Processes that test side by side share one: the first makes it, the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "small" / "project"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.parent / "lock"):
        project, said = Project(folder), folder.parent / "first_run.json"
        if not said.exists():
            project.configure(*MODELS)
            for task in MODELS:
                project.write(f"config/experiments/{task}.yaml", experiment(task))
            first = project.snakemake("--cores", "2")
            said.write_text(json.dumps(first.text))
        project.first_run = Run(0, json.loads(said.read_text()))
    return project


@pytest.fixture
def project(finished, tmp_path):
    """A copy of the finished project, to change."""
    return finished.copy(tmp_path / "project")
