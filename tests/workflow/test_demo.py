"""The embedded default keeps its promises: its models are good, and their bias is real.

Reads the results of `make demo` where they are there and up to date; else makes what is missing.
"""

import json

import pandas as pd
import pytest
from projects import Project

TASKS = {"segmentation": "mIoU", "detection": "mAP50"}


def wanted(task):
    """Files of an embedded experiment that say how good its model is, and how it is biased."""
    folder = f"results/demo-{task}"
    return [f"{folder}/quality/quality.json", f"{folder}/swaps/swaps.csv"]


@pytest.fixture(scope="module")
def demo(root, tmp_path_factory):
    """The results of the embedded experiments as they are shipped."""
    files = [file for task in TASKS for file in wanted(task)]
    if not Project(root).plan(*files):
        return root / "results"
    # Elsewhere: a test does not change what lies here. Both models are trained side by side.
    project = Project(tmp_path_factory.mktemp("demo"))
    (project / "config").symlink_to(root / "config")
    project.run(*files)
    return project / "results"


@pytest.fixture(params=TASKS)
def results(request, demo):
    """Quality and swapped contexts of one of them."""
    return demo / f"demo-{request.param}"


def test_the_model_is_good_enough_to_be_explained(results):
    quality = json.loads((results / "quality/quality.json").read_text())
    assert quality["images"] >= 200
    assert quality[TASKS[quality["task"]]] >= 0.85


def test_twins_follow_a_swapped_context_and_shapes_stay(results):
    swaps = pd.read_csv(results / "swaps/swaps.csv")
    swaps = swaps[swaps["swap"] == "context"]
    twins = swaps[swaps["kind"] == "context-dependent"]
    shapes = swaps[swaps["kind"] == "shape"]
    assert len(twins) >= 4 and len(shapes) >= 3
    assert (swaps["objects"] >= 10).all()
    assert (twins["follows"] >= 0.9).all(), twins.to_string()
    assert (shapes["stays"] >= 0.9).all(), shapes.to_string()
