"""What a swapped context does, for models whose answer is known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from lcrp.configuration import Scenes
from lcrp.datasets import open_dataset
from lcrp.models.geometry import Geometry
from lcrp.models.predictions import Detections, Segmentation
from lcrp.quality import measure_quality
from lcrp.scenes import truth, write_split
from lcrp.swaps import choose_examples, swap_following

OPTIONS = Scenes(size=64, test=24, plain=0.2, largest=18)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    datasets = []
    for split in ("test", "swapped"):
        write_split(OPTIONS, split, folder / split)
        datasets.append(
            open_dataset(
                {
                    "format": "coco",
                    "images": str(folder / split / "images"),
                    "annotations": str(folder / split / "annotations.json"),
                    "with_background": True,
                }
            )
        )
    return datasets


class Oracle:
    """A model that knows every object, and names it by a rule.

    It finds out which image it sees by comparing it with those of the datasets.
    """

    def __init__(self, datasets, task, rule):
        self.task, self.rule = task, rule
        self.classes = datasets[0].classes
        self.network = nn.Conv2d(3, 1, 1)
        self.network.forward = lambda inputs: (inputs,)
        self.known = {
            sample.image().tobytes(): (sample, dataset.entries[sample.number]["context"])
            for dataset in datasets
            for sample in dataset
        }

    def preprocess(self, image):
        height, width = image.shape[:2]
        geometry = Geometry((height, width), (height, width), (1.0, 1.0), (0.0, 0.0))
        return torch.from_numpy(image.transpose(2, 0, 1).copy()).float(), geometry

    def decode(self, outputs):
        return [self._say(image) for image in outputs[0]]

    detect = decode

    def _say(self, image):
        pixels = image.permute(1, 2, 0).to(torch.uint8).numpy()
        sample, context = self.known[np.ascontiguousarray(pixels).tobytes()]
        said = [(thing, self.rule(thing.class_name, context)) for thing in sample.things]
        if self.task == "segmentation":
            labels = torch.zeros(pixels.shape[:2], dtype=torch.int64)
            for thing, name in said:
                labels[torch.from_numpy(thing.mask())] = self.classes.index(name)
            return Segmentation(torch.zeros(1), labels)
        said = [(thing, name) for thing, name in said if name != "background"]
        empty = torch.zeros(len(said))
        return Detections(
            boxes=torch.tensor([thing.box for thing, _ in said]).reshape(-1, 4),
            scores=empty[:, None],
            confidence=torch.full((len(said),), 0.9),
            labels=torch.tensor([self.classes.index(name) for _, name in said]).long(),
            output=empty,
            base=empty,
            stride=empty,
        )


FACTS = truth(OPTIONS)
BY_CONTEXT = {e["context"]: name for name, e in FACTS["classes"].items() if e["context"]}


def by_context(name, context):
    return BY_CONTEXT[context] if FACTS["classes"][name]["context"] else name


def by_shape(name, context):
    return name


def blind(name, context):
    return "background"


def confused(name, context):
    return "star" if name == "heart" else name


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_model_that_reads_the_context_follows_it(scenes, task):
    model = Oracle(scenes, task, by_context)
    table, objects = swap_following(model, *scenes, FACTS)
    table = table[table["swap"] == "context"].set_index("class")
    twins = table["kind"] == "context-dependent"
    assert (table["objects"] > 0).all()
    assert (table.loc[twins, "follows"] == 1).all()
    assert (table.loc[~twins, "stays"] == 1).all()
    assert (table["recognised"] == 1).all()
    examples = choose_examples(objects)
    assert set(examples["class"]) == set(table.index)
    assert (examples["from"] != examples["to"]).all()


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_model_that_reads_the_shape_stays(scenes, task):
    # the scenes are annotated with the classes from before the swap
    table, _ = swap_following(Oracle(scenes, task, by_shape), *scenes, FACTS)
    assert (table["stays"] == 1).all()
    assert (table[["follows", "other", "missed"]] == 0).all(axis=None)


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_what_is_missed_or_mistaken_neither_follows_nor_stays(scenes, task):
    table, objects = swap_following(Oracle(scenes, task, blind), *scenes, FACTS)
    assert (table["missed"] == 1).all()
    assert (table["recognised"] == 0).all()
    assert (objects[["before", "after"]] == "").all(axis=None)
    assert choose_examples(objects).empty
    table, _ = swap_following(Oracle(scenes, task, confused), *scenes, FACTS)
    table = table.set_index("class")
    assert table.loc["heart", "other"] == 1
    assert table.loc["star", "stays"] == 1


def test_companions_are_listed_for_those_that_have_one(scenes):
    table, objects = swap_following(Oracle(scenes, "segmentation", by_shape), *scenes, FACTS)
    companions = table[table["swap"] == "companion"]
    assert companions["class"].tolist() == ["rider"]
    riders = objects[(objects["swap"] == "companion") & (objects["class"] == "rider")]
    assert companions["objects"].item() == len(riders) > 0
    assert (riders["from"] == riders["to"]).all()


@pytest.mark.parametrize(("task", "value"), [("segmentation", "mIoU"), ("detection", "mAP50")])
def test_right_and_blind_models_have_the_quality_they_should(scenes, task, value):
    right = measure_quality(Oracle(scenes, task, by_shape), scenes[0])
    assert right.summary["images"] == len(scenes[0])
    assert right.summary[value] == pytest.approx(1)
    wrong = measure_quality(Oracle(scenes, task, blind), scenes[0])
    assert wrong.summary[value] < 0.11


def test_unreadable_and_unannotated_images_are_counted(scenes):
    model = Oracle(scenes, "segmentation", by_shape)
    samples = scenes[0][:3]
    broken = SimpleNamespace(image=open_nothing, dataset=samples[0].dataset)
    bare = SimpleNamespace(image=samples[1].image, labels=lambda: None, dataset=samples[1].dataset)
    quality = measure_quality(model, [samples[0], broken, bare])
    counts = {key: quality.summary[key] for key in ("images", "unreadable", "unannotated")}
    assert counts == {"images": 1, "unreadable": 1, "unannotated": 1}


def open_nothing():
    from lcrp.errors import InputError

    raise InputError("image.png: not an image; replace it")
