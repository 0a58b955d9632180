"""The embedded default keeps its promises: its models are good, and their bias is real.

Reads the results of `make demo` where they are there and up to date; else makes what is missing.
"""

import json

import pandas as pd
import pytest
import yaml

import lcrp
from lcrp.datasets import open_dataset
from lcrp.effect import measure_effects
from support.projects import Project

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


@pytest.mark.parametrize("task", TASKS)
def test_the_effect_flags_what_depends_on_its_context_and_nothing_else(root, demo, task):
    """On the demo's own model; tests/unit/effect/test_known_truth.py has seeds and a control."""
    settings = yaml.safe_load((root / f"config/experiments/demo-{task}.yaml").read_text())
    resources, name = demo.parent / "resources", f"demo-{task}"
    model = lcrp.load_model(
        settings["model"]["architecture"], resources / "training" / name / "model.safetensors"
    )
    scenes = resources / "scenes" / name
    source = {
        "format": "coco",
        "images": scenes / "test/images",
        "annotations": scenes / "test/annotations.json",
        "stuff": scenes / "test/stuff.json",
    }
    samples = list(open_dataset(source, classes=model.classes))
    explainer = lcrp.Explainer(model, device="cpu")
    chosen = settings["effect"] | {"things": 1}
    effects = measure_effects(explainer, samples, None, chosen).table
    truth = json.loads((scenes / "truth.json").read_text())["classes"]
    told = {name: facts for name, facts in truth.items() if facts["kind"] != "companion"}
    wanted = {name for name, facts in told.items() if facts["kind"] == "context-dependent"}
    backgrounds = effects[effects["intervention"] == "other-class"].set_index("class")
    assert (backgrounds["images"] == chosen["images"]).all()
    flagged = set(backgrounds.index[backgrounds["confirmed"]])
    assert flagged & set(told) == wanted, backgrounds.to_string()
    things = effects[(effects["kind"] == "thing") & effects["confirmed"]]
    named = set(zip(things["class"], things["thing"], strict=True))
    assert {pair for pair in named if pair[0] in told} <= {
        (name, truth[name]["context"]) for name in wanted
    }
