"""Images become what the published networks were trained on."""

import numpy as np
import pytest
import torch
from PIL import Image

from lcrp.errors import InputError
from lcrp.models import build_model
from lcrp.models.preprocessing import IMAGENET, UNIT, PixelScale, cover, letterbox, stretch


@pytest.mark.parametrize("name", ["landscape", "portrait", "small"])
@pytest.mark.parametrize(
    ("fit", "entry", "side"),
    [(letterbox, "yolo", 640), (stretch, "ssd", 512), (cover, "deeplab", 513)],
)
def test_agrees_with_the_reference_to_the_bit(name, fit, entry, side, golden_case, shared):
    case = golden_case(f"preprocess-{name}")
    path = shared / "real" / "coco-mini" / "images" / str(case["image"])
    image = np.asarray(Image.open(path).convert("RGB"))
    fitted, geometry = fit(image, (side, side))
    assert np.array_equal(fitted.transpose(2, 0, 1), case[entry])
    if entry == "yolo":
        assert geometry.offset == tuple(case["yolo_pad"])
        assert geometry.scale == pytest.approx((float(case["yolo_ratio"]),) * 2, abs=1e-3)


def test_letterbox_pads_evenly_with_grey():
    fitted, geometry = letterbox(np.full((10, 21, 3), 200, np.uint8), (21, 21))
    assert geometry.offset == (0, 5)
    assert (fitted[:5] == 114).all() and (fitted[15:] == 114).all() and (fitted[5:15] == 200).all()


def test_letterbox_makes_sides_whole_as_told():
    image = np.zeros((357, 500, 3), np.uint8)  # 456.96 rows at 640 columns
    assert letterbox(image, (640, 640))[1].scale[1] == pytest.approx(457 / 357)
    assert letterbox(image, (640, 640), int)[1].scale[1] == pytest.approx(456 / 357)
    for sides, rows in (("rounded", 457), ("truncated", 456)):
        model = build_model("yolov5n", sides=sides)
        assert model.preprocess(image)[1].scale[1] == pytest.approx(rows / 357)
        assert model.options["sides"] == sides


def test_letterbox_averages_areas_when_it_shrinks():
    image = np.zeros((8, 8, 3), np.uint8)
    image[::2, ::2] = 200
    assert (letterbox(image, (4, 4))[0] == 50).all()


def test_cover_crops_the_centre_of_either_side():
    wide = np.tile(np.arange(30, dtype=np.uint8)[:, None], (10, 1, 3))
    fitted, geometry = cover(wide, (10, 10))
    assert fitted[0, :, 0].tolist() == list(range(10, 20)) and geometry.offset == (-10, 0)
    fitted, geometry = cover(wide.transpose(1, 0, 2), (10, 10))
    assert fitted[:, 0, 0].tolist() == list(range(10, 20)) and geometry.offset == (0, -10)


@pytest.mark.parametrize("pixels", [IMAGENET, UNIT, PixelScale(mean=(123.0, 117.0, 104.0))])
def test_pixels_are_restored(pixels):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(pixels.invert(pixels.apply(image)), image)


def test_pixel_scales():
    image = np.full((1, 1, 3), (255, 0, 51), np.uint8)
    assert UNIT.apply(image).flatten().tolist() == pytest.approx([1, 0, 0.2])
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225]
    assert IMAGENET.apply(image).flatten().tolist() == pytest.approx(expected)
    with torch.device("meta"):
        ssd = build_model("ssd512").pixels
    assert ssd.apply(image).flatten().tolist() == [132, -117, -53]


@pytest.mark.parametrize(
    ("name", "size"),
    [("unet", (256, 512)), ("deeplabv3plus", (513, 513)), ("yolov5n", (640, 640))],
)
def test_default_sizes(name, size):
    with torch.device("meta"):
        model = build_model(name)
    tensor, geometry = model.preprocess(np.zeros((40, 30, 3), np.uint8))
    assert tuple(tensor.shape) == (3, *size)
    assert geometry.input == model.input_size == size
    assert model.restore(tensor).shape == (*size, 3)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_other_arrays_are_refused(image):
    with pytest.raises(InputError, match="give uint8 RGB"):
        build_model("yolov5n").preprocess(image)


def test_views_of_arrays_are_taken_as_they_look():
    model = build_model("yolov5n", input_size=(32, 32))
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    flipped = image[:, ::-1, ::-1]
    assert torch.equal(model.preprocess(flipped)[0], model.preprocess(flipped.copy())[0])
