"""An experiment made of random numbers and small pictures, as the report finds it on disk."""

import json

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from lcrp.file_names import plain as file_name
from lcrp.joined_tables import context_tables
from lcrp.render import ConceptPart, Explanation, Marked, Reference, save_figure
from lcrp.render.atlas import TILE, strip
from lcrp.store import LayerRecords, ShardRecords, merge_shards, open_store, write_shard

CLASSES = ["boat", "car", "traffic light", "Boat", "vélo <b> & co", "empty class"]
LAYERS = {"model.0.conv": (6, (8, 12)), "model.8.cv3.conv": (24, (2, 3))}


def store_of(folder, images=12, classes=CLASSES, layers=None, seed=0, per_image=3):
    """Writes a merged store; two images are unreadable or without target."""
    random = np.random.default_rng(seed)
    layers = LAYERS if layers is None else layers
    status = ["ok"] * images
    if images > 3:
        status[2], status[3] = "unreadable", "no-target"
    usable = len(classes) - 1  # the last class has no target
    rows = [
        (image, int(c), 0)
        for image in range(images)
        if status[image] == "ok"
        for c in sorted(random.choice(usable, min(per_image, usable), replace=False))
    ]
    targets = pd.DataFrame(rows, columns=["image", "class", "instance"])
    number = len(targets)
    targets["score"] = random.random(number)
    targets["thing"] = [f"thing {i}" for i in range(number)]
    table = pd.DataFrame(
        {
            "id": [f"scene {i}" for i in range(images)],
            "file": [f"images/{i}.png" for i in range(images)],
            "height": 96,
            "width": 128,
            "status": status,
        }
    )
    recorded = {}
    for layer, (channels, shape) in layers.items():
        relevance = random.gamma(0.3, size=(number, channels)).astype(np.float32)
        inside = relevance * random.random((number, channels)).astype(np.float32)
        inside[targets["class"] == 1] = np.nan  # class without annotation
        recorded[layer] = LayerRecords(
            relevance,
            random.integers(0, 4, (number, channels)).astype(np.int32),
            inside,
            random.random((images, channels)).astype(np.float32),
            random.integers(0, 4, (images, channels)).astype(np.int32),
            shape,
        )
    attrs = {
        "experiment": "toy",
        "architecture": "yolov5n",
        "task": "detection",
        "classes": list(classes),
        "composite": "EpsilonPlusFlat",
        "target_mode": "class",
        "target_source": "annotated",
        "input_size": (96, 128),
        "weights_sha256": "0" * 64,
        "dataset_fingerprint": "1" * 64,
        "versions": {"torch": "2.9", "lcrp": "0.1.0"},
    }
    write_shard(folder / "0.zarr.zip", ShardRecords(attrs, table, targets, recorded))
    merge_shards([folder / "0.zarr.zip"], folder / "concepts.zarr.zip")
    return folder / "concepts.zarr.zip"


def scene(seed, size=(96, 128)):
    """A picture of strokes with a bright disc, and the disc's box."""
    random = np.random.default_rng(seed)
    height, width = size
    picture = np.full((height, width, 3), random.integers(60, 160, 3), np.uint8)
    for _ in range(25):
        a, b = (tuple(int(v) for v in random.integers(0, (width, height))) for _ in range(2))
        cv2.line(picture, a, b, tuple(int(v) for v in random.integers(0, 255, 3)), 1)
    x, y = int(random.integers(20, width - 20)), int(random.integers(20, height - 20))
    cv2.circle(picture, (x, y), 12, (240, 220, 60), -1)
    return picture, (float(x - 12), float(y - 12), float(x + 12), float(y + 12))


def explanation_of(image, class_index, layer, concepts, seed=0, name=None):
    """An explanation of a `scene`."""
    random = np.random.default_rng(seed)
    name = name or CLASSES[class_index]
    picture, box = scene(seed)
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    near = np.exp(-((columns - box[0] - 12) ** 2 + (rows - box[1] - 12) ** 2) / 300)
    heat = near * random.random(near.shape)
    x, y = int(box[0]), int(box[1])
    tile = Reference(
        image, name, 0.1, picture[y : y + 24, x : x + 24], heat[y : y + 24, x : x + 24],
        near[y : y + 24, x : x + 24] > 0.5, (x, y, x + 24, y + 24),
    )  # fmt: skip
    parts = [
        ConceptPart(layer, int(c), 0.2 / (n + 1), heat, 0.3, [("car", 0.1)], [tile] * 4)
        for n, c in enumerate(concepts)
    ]
    return Explanation(
        image, file_name(name), class_index, name, picture, heat,
        [Marked(name, box, score=0.8, explained=True)], [Marked(name, box, explained=True)],
        parts, 0.8, float(random.random()), "annotation", "yolov5n", "toy",
    )  # fmt: skip


def experiment_of(folder):
    """Everything that `build_report` takes; returns its arguments without the destination."""
    store = store_of(folder)
    layer = "model.8.cv3.conv"
    gallery = folder / "explanations"
    listed = []
    with open_store(store) as opened:
        for _, target in opened.targets.iloc[:10].iterrows():
            image, index = f"scene {target['image']}", int(target["class"])
            best = opened.top_concepts(layer, class_index=index, k=3)["concept"]
            name = file_name(CLASSES[index])
            explanation = explanation_of(image, index, layer, best, seed=len(listed))
            save_figure(explanation, gallery / image / f"{name}.png", 800)
            listed.append({"image": image, "target": name, "problem": ""})
        atlas = atlas_of(folder / "atlas", opened, layer)
    listed.append({"image": "scene 2", "target": "", "problem": "images/2.png: unreadable; fix it"})
    pd.DataFrame(listed).to_csv(gallery / "gallery.csv", index=False)
    quality = folder / "quality.json"
    quality.write_text(json.dumps({"mAP": 0.61, "mAP50": 0.9123, "images": 12}))
    (folder / "quality.csv").write_text("class,ap,ap50\nboat,0.5,0.9\ncar,0.7,0.93\n")
    return {
        "store": store,
        "title": "Toy experiment",
        "caption": "Random numbers & small pictures <of discs>.",
        "layer": layer,
        "quality": quality,
        "quality_classes": folder / "quality.csv",
        "tables": context_of(folder, store) | {"effects": effects_of(folder)},
        "effect_examples": folder / "effect",
        "verification": verification_of(folder),
        "gallery": gallery,
        "atlas": atlas,
        **swaps_of(folder),
        "benchmarks": {"analyse_shard": [benchmark_of(folder, 12.5), benchmark_of(folder, 2.5)]},
    }


def atlas_of(folder, store, layer):
    """Strips of the layer's first concepts."""
    (folder / file_name(layer)).mkdir(parents=True)
    strips = {}
    for name in ("0", "1", "2", "3-0", "3"):
        tiles = explanation_of("scene 1", 0, layer, [0], seed=len(name)).concepts[0].references
        strip(tiles).save(folder / file_name(layer) / f"{name}.webp")
        strips[name] = [["scene 0", "boat"], ["scene 1", "Boat"], ["scene 9", "car"], ["x", "car"]]
    (folder / "atlas.json").write_text(json.dumps({"tile": TILE, "strips": {layer: strips}}))
    return folder


def context_of(folder, store):
    """Context tables as CSV files."""
    names = ("concepts", "classes", "instances")
    with open_store(store) as opened:
        for name, table in context_tables(opened, minimum_targets=2, draws=20).items():
            if name == "classes":
                table = table.astype({"confirmed": object})
                table["effect"] = np.where(table["layer"] == "all", 0.1, np.nan)
                for place, (effect, low, high, confirmed) in enumerate(
                    [(0.62, 0.5, 0.71, True), (0.02, -0.04, 0.06, False)]
                ):
                    row = table.index[table["layer"] == "all"][place]
                    table.loc[row, ["effect", "effect_low", "effect_high"]] = effect, low, high
                    table.loc[row, "confirmed"] = confirmed
            table.to_csv(folder / f"{name}.csv", index=False)
    (folder / "pairs.csv").write_text(PAIRS)
    return {name: folder / f"{name}.csv" for name in (*names, "pairs")}


PAIRS = """\
class,thing,targets,images,share,low,high,expected,lift,p,effect,effect_low,effect_high,control,\
difference,p_adjusted,confirmed,note
boat,car,4,3,0.125,0.1,0.15,0.05,2.5,0.001,0.55,0.4,0.7,0.03,0.52,0.004,true,
boat,traffic light,3,2,0.03,0.01,0.05,0.04,0.7,0.4,0.01,-0.02,0.03,0.02,-0.01,0.8,false,
Boat,car,2,1,0.4,,,0.36,1.1,,,,,,,,,fewer targets than the minimum
boat,unlabelled,6,6,0.31,0.2,0.4,0.35,0.9,0.3,0.12,0.02,0.2,0.11,0.01,0.7,false,
"""

EFFECTS = """\
kind,intervention,class,thing,layer,concepts,images,probability_before,probability_after,\
logit_change,detected_after,effect,low,high,control,difference,size,p,p_adjusted,confirmed,note
background,other-class,boat,,,,9,0.9,0.28,-3.1,0.3,0.62,0.5,0.71,0.05,0.57,1.9,0.001,0.004,true,
thing,removed,boat,car,,,3,0.91,0.36,-2.9,0.4,0.55,0.4,0.7,0.03,0.52,1.7,0.001,0.004,true,
thing,removed,boat,traffic light,,,2,0.9,0.89,-0.1,1,0.01,-0.02,0.03,0.02,-0.01,0.1,0.6,0.8,false,
concepts,switched-off,boat,,model.8.cv3.conv,3 7 11,9,0.9,0.8,-0.5,1,0.1,0.05,0.2,0.09,0.01,\
0.2,0.5,0.7,false,too few of low score
"""


def effects_of(folder):
    """A table of interventions, with pictures before and after one of them."""
    (folder / "effects.csv").write_text(EFFECTS)
    (folder / "effect").mkdir()
    for name, seed in (("before", 5), ("after", 6)):
        Image.fromarray(scene(seed)[0]).save(folder / "effect" / f"boat-car-0-{name}.png")
    (folder / "effect" / "index.csv").write_text(
        "class,thing,intervention,image,before,after,probability_before,probability_after\n"
        "boat,car,removed,scene 1,boat-car-0-before.png,boat-car-0-after.png,0.95,0.21\n"
        "boat,,other-class,scene 1,boat-car-0-before.png,boat-car-0-after.png,0.95,0.21\n"
        "boat,traffic light,removed,scene 1,gone.png,gone.png,0.95,0.21\n"
    )
    return folder / "effects.csv"


def verification_of(folder):
    """A verification of the score with its plot."""
    folder = folder / "verification"
    folder.mkdir()
    (folder / "verification.csv").write_text(
        "layer,method,classes,concepts,rmse,correlation,paper_rmse,paper_correlation\n"
        "model.8.cv3.conv,L-CRP,5,24,0.18,0.7,0.176,0.826\n"
        "model.8.cv3.conv,activation,5,24,0.41,0.6,0.388,0.78\n"
    )
    (folder / "points.csv").write_text("layer,method,class,concept,score,sensitivity\n")
    Image.fromarray(scene(8)[0]).save(folder / "density.png")
    return folder


def large_tables(folder, classes, layers, concepts=500):
    """Tables with a row for every class, layer and concept, and for every class and thing."""
    random = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([layers, classes, range(concepts)])
    rows = index.to_frame(index=False, name=["layer", "class", "concept"])
    score = random.random(len(rows)).round(4)
    rows = rows[["class", "layer", "concept"]].assign(
        rank=random.integers(1, concepts, len(rows)), targets=12, scored=11, images=10,
        relevance=0.01, share=score / 50, context_score=score, context_low=score / 2,
        context_high=score, context_score_relmax=score, relmax_targets=9, kind="exact", note="",
        references="1 2 3 4", reference_images="000001;000002;000003",
    )  # fmt: skip
    rows.to_csv(folder / "concepts.csv", index=False)
    pairs = pd.MultiIndex.from_product([classes, [*classes, "unlabelled"]]).to_frame(index=False)
    pairs.columns = ["class", "thing"]
    value = random.random(len(pairs)).round(3)
    pairs = pairs.assign(
        targets=30, images=20, share=value, lift=3 * value, effect=value / 2, control=0.02,
        difference=value / 2 - 0.02, confirmed=value > 0.99,
    )  # fmt: skip
    pairs.to_csv(folder / "pairs.csv", index=False)
    return {name: folder / f"{name}.csv" for name in ("concepts", "pairs")}


def swaps_of(folder):
    """A table of swapped contexts with one picture."""
    (folder / "swaps.csv").write_text(
        "class,kind,swap,objects,recognised,follows,stays,other,missed\n"
        "boat,twin,context,40,1,0.975,0.025,0,0\ncar,shape,context,38,1,0,1,0,0\n"
    )
    (folder / "examples").mkdir()
    Image.fromarray(scene(3)[0]).save(folder / "examples" / "boat_on_road.png")
    return {"swaps": folder / "swaps.csv", "swap_examples": folder / "examples"}


def benchmark_of(folder, seconds):
    """A benchmark file as Snakemake writes it."""
    path = folder / f"{seconds}.tsv"
    path.write_text(f"s\th:m:s\tmax_rss\tmax_vms\n{seconds}\t0:00:12\t512.5\t-\n")
    return path
