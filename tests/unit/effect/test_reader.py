"""What the reader sees, and what a switched-off concept is."""

import numpy as np
import pytest
import torch

import lcrp
from lcrp.effect.reader import Look, Reader
from lcrp.models import build_model

CLASSES = ("background", "boat", "car")


def random_looks(model, count=5):
    random = np.random.default_rng(0)
    height, width = model.input_size
    looks = []
    for _ in range(count):
        mask = np.zeros((height, width), bool)
        mask[10:20, 12:30] = True
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        looks.append(Look(pixels, mask, np.array([12.0, 10, 30, 20]), 1))
    return looks


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    options = {"encoder": "narrow", "encoder_channels": [4, 6, 8, 8], "input_size": [64, 64]}
    model = build_model("unet", CLASSES, **options)
    for module in model.network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.5, 0.5)
    return model


def test_segmentation_is_read_over_the_objects_pixels(model):
    looks = random_looks(model)
    found = list(Reader(lcrp.Explainer(model, device="cpu"), batch_size=2).read(looks))
    assert [look for look, _ in found] == looks
    for look, reading in found:
        with torch.no_grad():
            logits = model.network(model.pixels.apply(look.pixels)[None])[0][0]
        inside = logits[:, torch.from_numpy(look.mask)]
        assert reading.logit == pytest.approx(float(inside[1].mean()), abs=1e-4)
        assert reading.probability == pytest.approx(float(inside.softmax(0)[1].mean()), abs=1e-4)
        assert reading.said == bool((inside.argmax(0) == 1).float().mean() > 0.5)


def test_a_concept_is_off_when_its_merged_convolution_gives_zero(model):
    layer = lcrp.Explainer(model, device="cpu").select("default")[0]
    modules = dict(model.network.named_modules())
    names = list(modules)
    norm = next(
        modules[name]
        for name in names[names.index(layer) :]
        if isinstance(modules[name], torch.nn.BatchNorm2d)
    )
    looks = random_looks(model, 3)
    reader = Reader(lcrp.Explainer(model, device="cpu"))
    whole = [reading.logit for _, reading in reader.read(looks)]
    off = [reading.logit for _, reading in reader.read(looks, off={layer: (0, 2)})]
    assert reader.passes == 6
    kept = norm.weight.data.clone(), norm.bias.data.clone()
    norm.weight.data[[0, 2]] = 0
    norm.bias.data[[0, 2]] = 0
    wanted = [
        reading.logit for _, reading in Reader(lcrp.Explainer(model, device="cpu")).read(looks)
    ]
    norm.weight.data, norm.bias.data = kept
    assert off == pytest.approx(wanted, abs=1e-4)
    assert off != pytest.approx(whole, abs=1e-3)


def test_boxes_are_read_by_their_overlap(world):
    scene = world.samples(4)[0]
    reader = Reader(world.explainer(world.by_context, "detection"))
    boat = scene.things[0]

    def reading(box, index=1, place=None):
        look = Look(scene.image(), boat.mask(), np.array(box), index, place)
        ((_, found),) = reader.read([look])
        return found

    right = reading(boat.box)
    assert right.said and right.probability > 0.9
    assert right.logit == pytest.approx(6)
    x1, y1, x2, y2 = boat.box
    shifted = reading([x1 + 4, y1 + 4, x2 + 4, y2 + 4])  # IoU 1/7
    assert (shifted.said, shifted.probability, shifted.place) == (False, 0, None)
    assert np.isnan(shifted.logit)
    # Where a box was before, its logit can be read whatever became of it.
    assert reading([0, 0, 1, 1], place=right.place).logit == pytest.approx(6)
    assert reading(boat.box, index=2).probability == 0
