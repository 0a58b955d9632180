"""Small untrained models with the images, annotations and store that explanations need."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from lcrp.analysis import analyse
from lcrp.attribution import Explainer
from lcrp.configuration import Analysis, Targets
from lcrp.datasets import open_dataset
from lcrp.models import build_model
from lcrp.render import Composer
from lcrp.store import merge_shards, open_store, write_shard

CLASSES = ("background", "disc", "traffic light")
SIZE = 64


@dataclass
class World:
    """Model, explainer, dataset and store that belong together, and where they lie."""

    folder: Path
    model: object
    explainer: object
    dataset: object
    store: object

    def composer(self, references=None, pictures=()):
        return Composer(
            self.explainer, self.model, self.dataset, self.store,
            references=references, experiment="toy", pictures=pictures,
        )  # fmt: skip


def segmentation_world(folder):
    torch.manual_seed(0)
    model = build_model(
        "unet", CLASSES, input_size=(SIZE, SIZE), encoder="narrow", encoder_channels=[4, 6, 8]
    )
    return world(folder, model, "class")


def detection_world(folder, mode="class"):
    torch.manual_seed(0)
    model = build_model("yolov5n", CLASSES, input_size=(SIZE, SIZE))
    head = [m for m in model.network.modules() if isinstance(m, torch.nn.Conv2d)][-3:]
    for convolution in head:  # so that an untrained network is sure of what it sees
        bias = convolution.bias.data.view(3, -1)
        bias[:, 4], bias[:, 5:] = 4, torch.tensor([-2.0, 2.0, 1.0])
    return world(folder, model, mode)


def world(folder, model, mode):
    draw(folder)
    dataset = open_dataset(
        {"format": "masks", "images": folder / "images", "masks": folder / "masks",
         "classes": list(CLASSES)}
    )  # fmt: skip
    explainer = Explainer(model)
    settings = Analysis(targets=Targets(mode=mode, source="predicted"))
    records = analyse(explainer, dataset, list(dataset.ids), settings, {"experiment": "toy"})
    write_shard(folder / "0.zarr.zip", records)
    merge_shards([folder / "0.zarr.zip"], folder / "concepts.zarr.zip")
    return World(folder, model, explainer, dataset, open_store(folder / "concepts.zarr.zip"))


def draw(folder, count=5):
    """Images of two sizes with a disc each, and their masks."""
    random = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        height, width = (60, 90) if number % 2 else (80, 64)
        picture = random.integers(0, 120, (height, width, 3), dtype=np.uint8)
        mask = np.zeros((height, width), np.uint8)
        centre = tuple(int(v) for v in random.integers(20, (width - 20, height - 20)))
        cv2.circle(picture, centre, 12, (250, 230, 40), -1)
        cv2.circle(mask, centre, 12, 1, -1)
        mask[:6, :6] = 2
        Image.fromarray(picture).save(folder / "images" / f"scene{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"scene{number}.png")
