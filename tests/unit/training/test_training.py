"""Trainings: they learn, repeat to the bit, and leave files that load."""

import json

import pandas as pd
import pytest
import safetensors
import torch

from lcrp.configuration import Training, parse_entries
from lcrp.datasets import open_dataset
from lcrp.errors import InputError
from lcrp.models import build_model, load_model
from lcrp.scenes import write_split
from lcrp.training import train_model
from lcrp.training.batches import RUN, batches, load_examples
from lcrp.training.segmentation_loss import segmentation_loss

ANCHORS = [[[19, 12], [14, 17], [18, 18]], [[23, 15], [16, 21], [22, 22]], [[90, 90]] * 3]
MODELS = {
    "unet": {"encoder": "narrow", "encoder_channels": [4, 8], "input_size": [64, 64]},
    "yolov5": {"depth": 0.1, "width": 0.0625, "anchors": ANCHORS, "input_size": [64, 64]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenes") / "train"
    write_split({"size": 64, "train": 8, "plain": 0.0}, "train", path)
    return path


def scenes(folder, architecture):
    spec = {
        "format": "coco",
        "images": str(folder / "images"),
        "annotations": str(folder / "annotations.json"),
    }
    if architecture == "unet":
        spec |= {"masks": str(folder / "masks"), "with_background": True}
    return open_dataset(spec)


def train(folder, architecture, path, **training):
    return train_model(
        architecture,
        scenes(folder, architecture),
        path / "model.safetensors",
        options=MODELS[architecture],
        training={"batch_size": 4} | training,
        threads=1,
    )


@pytest.mark.parametrize("architecture", MODELS)
def test_loss_falls(folder, tmp_path, architecture):
    train(folder, architecture, tmp_path, steps=30, learning_rate=0.01)
    log = pd.read_csv(tmp_path / "model.csv")
    assert log["step"].tolist() == list(range(30))
    assert log["loss"].iloc[-5:].mean() < 0.8 * log["loss"].iloc[:3].mean()


@pytest.mark.parametrize("architecture", MODELS)
def test_same_seed_same_bits_whatever_happened_before(folder, tmp_path, architecture):
    first = train(folder, architecture, tmp_path / "a", steps=2)
    torch.rand(5)
    second = train(folder, architecture, tmp_path / "b", steps=2)
    other = train(folder, architecture, tmp_path / "c", steps=2, seed=1)
    first, second, other = (m.network.state_dict() for m in (first, second, other))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    paths = [tmp_path / name / "model.safetensors" for name in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("architecture", MODELS)
def test_training_leaves_random_numbers_and_threads_alone(folder, tmp_path, architecture):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    threads = torch.get_num_threads()
    train(folder, architecture, tmp_path, steps=1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("architecture", MODELS)
def test_saved_model_loads_and_says_the_same(folder, tmp_path, architecture):
    model = train(folder, architecture, tmp_path, steps=2)
    path = tmp_path / "model.safetensors"
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["model.csv", "model.safetensors"]
    with safetensors.safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["lcrp"])
    assert facts["architecture"] == architecture
    assert facts["training"]["steps"] == 2
    loaded = load_model(architecture, path)
    assert loaded.classes == model.classes == tuple(facts["classes"])
    assert loaded.options == model.options
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for a, b in zip(loaded.network(image), model.network(image), strict=True):
            assert torch.equal(a, b)


def test_mirroring_takes_the_annotation_along(folder):
    for architecture in MODELS:
        dataset = scenes(folder, architecture)
        examples = load_examples(
            build_model(architecture, dataset.classes, **MODELS[architecture]), dataset
        )
        indices = torch.tensor([2, 0])
        (inputs, targets), (mirrored, mirrored_targets) = (
            examples.batch(indices, flag) for flag in (False, True)
        )
        assert torch.equal(mirrored, inputs.flip(3))
        if architecture == "unet":
            assert torch.equal(mirrored_targets, targets.flip(2))
            assert targets.unique().numel() > 1
        else:
            assert torch.allclose(mirrored_targets[:, 2], 64 - targets[:, 2])
            assert torch.equal(mirrored_targets[:, [0, 1, 3, 4, 5]], targets[:, [0, 1, 3, 4, 5]])
            boxes = dataset[2].things
            assert (targets[:, 0] == 0).sum() == len(boxes)
            x1, y1, x2, y2 = boxes[0].box
            assert targets[0, 2:].tolist() == [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]


@pytest.mark.parametrize(("count", "size"), [(40, 8), (42, 8), (10, 4), (3, 5), (1, 2), (9, 3)])
def test_batches_take_every_sample_once_before_any_again(count, size):
    taken = []
    chosen = batches(count, size, torch.Generator().manual_seed(0))
    while len(taken) < 3 * count:
        batch = next(chosen).tolist()
        assert len(batch) == size
        taken += batch
    for start in (0, count):
        assert sorted(taken[start : start + count]) == list(range(count))
    if count >= size >= RUN and count % RUN == 0:
        assert all(taken[i] + 1 == taken[i + 1] for i in range(0, count, 2))


def test_background_weighs_less_at_first():
    class Stub:
        classes = ("background", "a")

    logits = torch.zeros(1, 2, 2, 2)
    logits[:, 0] = 2.0
    labels = torch.tensor([[[0, 0], [0, 1]]])
    first, last = (float(segmentation_loss(Stub, (logits,), labels, p)["loss"]) for p in (0.0, 1.0))
    right, wrong = 0.126928, 2.126928  # log(1 + e^-2), and that plus 2
    assert first == pytest.approx((0.3 * right + wrong) / 1.3, rel=1e-4)
    assert last == pytest.approx((3 * right + wrong) / 4, rel=1e-4)
    labels[0, 1, 1] = 255
    assert float(segmentation_loss(Stub, (logits,), labels, 1.0)["loss"]) == pytest.approx(
        right, rel=1e-4
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"epochs": 3}, "training: epochs: is no known entry"),
        ({"steps": 0}, "training: steps: `0`"),
        ({"steps": 2.5}, "training: steps: `2.5`: must be a whole number"),
        ({"seed": -1}, "training: seed: `-1`"),
        ({"learning_rate": 3}, "training: learning_rate: `3`"),
    ],
)
def test_wrong_options_are_named(config, message):
    with pytest.raises(InputError, match="^" + message):
        parse_entries(Training, config, "training")


def test_what_is_not_given_has_a_default_per_task():
    given = {"seed": 4, "steps": None}
    segmentation = Training(**given).of_task("segmentation")
    detection = Training(**given).of_task("detection")
    assert segmentation.seed == detection.seed == 4
    assert segmentation.steps > 1
    assert segmentation != detection


def test_architecture_that_cannot_be_trained_is_named(folder, tmp_path):
    with pytest.raises(InputError, match="ssd512 cannot be trained here"):
        train_model("ssd512", scenes(folder, "yolov5"), tmp_path / "model.safetensors")


def test_diverging_training_stops_before_it_writes(folder, tmp_path, monkeypatch):
    def diverged(*_):
        return {"loss": torch.tensor(float("nan"), requires_grad=True)}

    monkeypatch.setattr("lcrp.training.training.segmentation_loss", diverged)
    with pytest.raises(InputError, match="the loss is not finite at step 0"):
        train(folder, "unet", tmp_path, steps=2)
    assert not list(tmp_path.iterdir())


def test_classes_must_be_the_models(folder):
    dataset = scenes(folder, "unet")
    model = build_model("unet", 3, **MODELS["unet"])
    with pytest.raises(InputError, match="make them the same"):
        load_examples(model, dataset)
