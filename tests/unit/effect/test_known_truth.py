"""The effect tells what a model needs on scenes whose truth is known, and nothing in the control.

Scenes, interventions and thresholds were decided on seed 0 of models and scenes; these seeds were
used for nothing else.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import lcrp
from lcrp.configuration import Scenes, parse_entries
from lcrp.datasets import open_dataset
from lcrp.effect import measure_effects
from lcrp.scenes import truth, write_split
from lcrp.training import train_model


def trained(settings, options, seed, folder):
    """A demo model trained on scenes of its own seed, and the held-out samples.

    LCRP_TRAINED may name a folder of weights from an earlier run: <task>-<seed>-<control>.
    """
    task = "segmentation" if settings["model"]["architecture"] == "unet" else "detection"
    background = {"with_background": True} if task == "segmentation" else {}
    datasets = {}
    name = f"{task}-{seed}-{int(options.merge_twins)}.safetensors"
    kept = Path(os.environ.get("LCRP_TRAINED", folder)) / name
    for split in ("test",) if kept.is_file() else ("train", "test"):
        write_split(options, split, folder / split, workers=2)
        datasets[split] = open_dataset(
            {
                "format": "coco",
                "images": folder / split / "images",
                "annotations": folder / split / "annotations.json",
                "stuff": folder / split / "stuff.json",
                **background,
            }
        )
    if not kept.is_file():
        train_model(
            settings["model"]["architecture"],
            datasets["train"],
            kept,
            options=settings["model"]["options"],
            training=settings["model"]["training"] | {"seed": seed},
        )
    return lcrp.load_model(settings["model"]["architecture"], kept), list(datasets["test"])


@pytest.mark.proof
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("task", ["segmentation", "detection"])
@pytest.mark.parametrize("merged", [False, True], ids=["biased", "control"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_context_dependent_class_is_flagged_and_no_other(root, tmp_path, seed, merged, task):
    path = root / "config" / "experiments" / f"demo-{task}.yaml"
    settings = yaml.safe_load(path.read_text())
    options = parse_entries(Scenes, settings["dataset"]["scenes"], "scenes")
    options = replace(options, seed=seed, merge_twins=merged)
    model, samples = trained(settings, options, seed, tmp_path)
    effects = measure_effects(
        lcrp.Explainer(model, device="cpu"), samples, None, settings["effect"]
    )
    print(effects.table.drop(columns=["layer", "concepts"]).round(3).to_string())
    facts = truth(options)["classes"]
    table = effects.table.set_index("class")
    backgrounds = table[table["intervention"] == "other-class"]
    assert set(backgrounds.index) == set(facts)
    # Every class was tested: none goes without a flag for want of recognised objects.
    assert (backgrounds["images"] >= settings["effect"]["images"]).all()
    told = {name for name in facts if facts[name]["kind"] != "companion"}
    wanted = {name for name in told if facts[name]["kind"] == "context-dependent"}
    assert len(wanted) == (0 if merged else 4)
    assert set(backgrounds.index[backgrounds["confirmed"]]) & told == wanted
    # What is named as the thing that a class needs is what it does need.
    things = table[(table["kind"] == "thing") & table["confirmed"]]
    things = things.loc[things.index.isin(told)]
    assert {(name, row["thing"]) for name, row in things.iterrows()} <= {
        (name, facts[name]["context"]) for name in wanted
    }
    if not merged:
        assert len(things)
