"""Compare estimators of context dependence with the truth of the drawn scenes.

    python benchmarks/estimators.py --seeds 1 2 3 --folder DIR [--markdown FILE]

For each seed, task, and with twins apart and merged: draws the scenes, trains the demo's model (or
takes it from the folder, where an earlier run left it), lets every estimator judge every class, and
writes DIR/estimators.csv and a table of the areas under the ROC curve: twins against shape classes.
Where twins are merged nothing depends on the context, and a good estimator tells them no longer.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from estimator_scores import compare_estimators, ranking

import lcrp
from lcrp.configuration import Scenes, parse_entries
from lcrp.datasets import open_dataset
from lcrp.scenes import write_split
from lcrp.training import train_model

ROOT = Path(__file__).parents[1]
TASKS = ("segmentation", "detection")
# Told by their own shape, whatever surrounds them; the companion class is in neither group.
SHAPES = ("star", "heart", "cross", "bicycle")
TWINS = {False: ("boat", "car", "balloon", "tree"), True: ("hull", "globe")}


def world(task, seed, merged, folder):
    """(model, held-out samples) of a seed."""
    settings = yaml.safe_load((ROOT / f"config/experiments/demo-{task}.yaml").read_text())
    options = parse_entries(Scenes, settings["dataset"]["scenes"], "scenes")
    options = replace(options, seed=seed, merge_twins=merged)
    name = f"{task}-{seed}-{int(merged)}"
    weights = folder / f"{name}.safetensors"
    splits = ("test",) if weights.is_file() else ("train", "test")
    datasets = {}
    for split in splits:
        place = folder / "scenes" / f"{seed}-{int(merged)}" / split
        if not (place / "stuff.json").is_file():
            write_split(options, split, place, workers=2)
        source = {
            "format": "coco",
            "images": place / "images",
            "annotations": place / "annotations.json",
            "stuff": place / "stuff.json",
        }
        if task == "segmentation":
            source["with_background"] = True
        datasets[split] = open_dataset(source)
    architecture = settings["model"]["architecture"]
    if not weights.is_file():
        train_model(
            architecture,
            datasets["train"],
            weights,
            options=settings["model"]["options"],
            training=settings["model"]["training"] | {"seed": seed},
        )
    return lcrp.load_model(architecture, weights), list(datasets["test"]), settings["effect"]


def judge(task, seed, merged, folder, images):
    """One row per class with what the estimators say."""
    model, samples, settings = world(task, seed, merged, folder)
    # The verdict on a class is that on its backgrounds.
    settings = settings | {"things": 0, "concepts": 0}
    table = compare_estimators(model, samples, images=images, settings=settings)
    return table.assign(task=task, seed=seed, merged=merged)


def areas(table):
    """Rows: estimators; columns: task and twins apart or merged; mean and range over seeds."""
    names = [c for c in table if c not in ("class", "task", "seed", "merged", "confirmed")]
    rows = []
    for name in names:
        row = {"estimator": name}
        for task in TASKS:
            for merged, label in ((False, "twins"), (True, "control")):
                found = []
                part = table[(table["task"] == task) & (table["merged"] == merged)]
                for _, group in part.groupby("seed"):
                    group = group[group["class"].isin((*SHAPES, *TWINS[merged]))]
                    found.append(ranking(group[name], group["class"].isin(TWINS[merged])))
                row[f"{task}, {label}"] = (
                    f"{np.mean(found):.2f} ({min(found):.2f} to {max(found):.2f})" if found else ""
                )
        rows.append(row)
    return pd.DataFrame(rows)


def markdown(table):
    """A data frame as a table in Markdown."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in table.to_numpy()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--folder", type=Path, default=Path("results/estimators"))
    parser.add_argument("--images", type=int, default=12, help="per class, for attribution")
    parser.add_argument("--only-trained", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for seed in arguments.seeds:
        for task in arguments.tasks:
            for merged in (False, True):
                name = f"{task}-{seed}-{int(merged)}.safetensors"
                if arguments.only_trained and not (arguments.folder / name).is_file():
                    print(f"left out: {name} is not there", file=sys.stderr)
                    continue
                parts.append(judge(task, seed, merged, arguments.folder, arguments.images))
                print(parts[-1].round(3).to_string(), file=sys.stderr, flush=True)
    everything = pd.concat(parts, ignore_index=True)
    everything.to_csv(arguments.folder / "estimators.csv", index=False, float_format="%.6g")
    text = markdown(areas(everything))
    (arguments.folder / "estimators.md").write_text(text)
    print(text)
