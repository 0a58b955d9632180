"""A slice of a dataset as the records of a shard, on images painted by hand."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lcrp.analysis import analyse
from lcrp.analysis.annotation import Annotation
from lcrp.attribution import Explainer
from lcrp.configuration import Analysis, Targets
from lcrp.datasets import open_dataset
from lcrp.errors import InputError
from lcrp.models.base import DetectionModel, SegmentationModel
from lcrp.models.predictions import Detections
from lcrp.models.preprocessing import UNIT, stretch
from lcrp.store.records import check

NAMES = ("background", "cat", "dog", "bird")
CAT, DOG, BIRD = 1, 2, 3
HEIGHT, WIDTH = 8, 12


def colour_logits():
    """Red is cat, green dog, blue bird: the logits are the colours, and minus their sum."""
    network = nn.Sequential()
    network.conv = nn.Conv2d(3, 4, 1)
    network.requires_grad_(False)
    network.conv.weight.zero_()
    network.conv.bias.zero_()
    for colour in range(3):
        network.conv.weight[colour + 1, colour] = 1
        network.conv.weight[0, colour] = -1
    network.forward = lambda x: (network.conv(x),)
    return network


class Painted:
    smallest_side = 1
    default_layers = ("conv",)
    example_layer = "conv"
    fit = staticmethod(stretch)
    pixels = UNIT

    def __init__(self):
        super().__init__("painted", colour_logits(), NAMES, (HEIGHT, WIDTH), {})


class PaintedRegions(Painted, SegmentationModel):
    """Segments by colour."""


class PaintedBoxes(Painted, DetectionModel):
    """Finds a box of 2 x 2 pixels at every pixel whose logit exceeds the threshold."""

    def _candidates(self, outputs, threshold):
        (logits,) = outputs
        scores = logits.flatten(1).T
        best, labels = scores[:, 1:].max(1)
        cells = (best > threshold).nonzero()[:, 0]
        y, x = cells // WIDTH, cells % WIDTH
        return Detections(
            boxes=torch.stack([x, y, x + 2, y + 2], dim=1).float(),
            scores=scores[cells],
            confidence=best[cells],
            labels=labels[cells] + 1,
            output=torch.zeros_like(cells),
            base=cells,
            stride=torch.full_like(cells, HEIGHT * WIDTH),
        )

    def _evaluated(self, outputs):
        return self._candidates(outputs, 0.01)


def paint(*spots):
    """An image black but for (rows, columns, colour, value)."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for rows, columns, colour, value in spots:
        image[rows, columns, colour - 1] = value
    return image


IMAGES = {
    "a-cat": paint((slice(0, 4), slice(0, 4), CAT, 255)),
    "b-both": paint(
        (slice(0, 2), slice(0, 2), CAT, 255),
        (slice(6, 8), slice(8, 12), CAT, 51),
        (slice(4, 5), slice(4, 8), DOG, 102),
    ),
    "c-nothing": paint(),
    "d-broken": None,
    "e-surprise": paint((slice(0, 2), slice(0, 2), BIRD, 255)),
}


@pytest.fixture
def segmented(tmp_path):
    """Masks: the cats of the first two images, half of the first one void; the dog elsewhere."""
    labels = {name: np.zeros((HEIGHT, WIDTH), np.uint8) for name in IMAGES}
    labels["a-cat"][0:4, 0:2] = CAT
    labels["a-cat"][0:4, 6:8] = CAT
    labels["a-cat"][0:4, 2] = 255
    labels["b-both"][0:2, 0:2] = CAT
    labels["b-both"][7, :] = DOG
    labels["c-nothing"][0, 0] = CAT
    labels["d-broken"][0, 0] = CAT
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for name, image in IMAGES.items():
        write(tmp_path / "images" / f"{name}.png", image)
        Image.fromarray(labels[name]).save(tmp_path / "masks" / f"{name}.png")
    return open_dataset(
        {
            "format": "masks",
            "images": str(tmp_path / "images"),
            "masks": str(tmp_path / "masks"),
            "classes": list(NAMES),
        }
    )


def write(path, image):
    if image is None:
        path.write_bytes(b"\x89PNG\r\n\x1a\n this is no picture")
    else:
        Image.fromarray(image).save(path)


@pytest.fixture
def boxed(tmp_path):
    """Boxes of the cats; the bird is not annotated."""
    (tmp_path / "images").mkdir()
    boxes = [(1, CAT, [0, 0, 2, 2]), (1, CAT, [3, 3, 2, 2]), (2, CAT, [8, 6, 2, 2])]
    boxes += [(2, DOG, [4, 4, 3, 2]), (3, CAT, [0, 0, 3, 3])]
    content = {
        "images": [
            {"id": i, "file_name": f"{name}.png", "height": HEIGHT, "width": WIDTH}
            for i, name in enumerate(IMAGES, start=1)
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(NAMES) if i],
        "annotations": [
            {
                "id": 100 + i,
                "image_id": image,
                "category_id": c,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
            }
            for i, (image, c, box) in enumerate(boxes)
        ],
    }
    for name, image in IMAGES.items():
        write(tmp_path / "images" / f"{name}.png", image)
    (tmp_path / "instances.json").write_text(json.dumps(content))
    return open_dataset(
        {
            "format": "coco",
            "images": str(tmp_path / "images"),
            "annotations": str(tmp_path / "instances.json"),
        }
    )


def chosen(**settings):
    """Settings of an analysis, those of its targets among them by name."""
    targets = {name: settings.pop(name) for name in Targets.model_fields if name in settings}
    return Analysis(targets=Targets(**targets), **settings)


def analysed(model, dataset, ids=None, **settings):
    explainer = Explainer(model, device="cpu")
    records = analyse(explainer, dataset, ids or list(dataset.ids), chosen(**settings))
    check(records)
    return records


def rows(records, *columns):
    """Targets as tuples: name of the image, class, then these columns."""
    names = records.images["id"].tolist()
    return [
        (names[int(row["image"])], int(row["class"]), *(row[c] for c in columns))
        for _, row in records.targets.iterrows()
    ]


def test_every_image_has_a_row_with_its_status(segmented):
    records = analysed(PaintedRegions(), segmented)
    status = dict(zip(records.images["id"], records.images["status"], strict=True))
    assert status == {
        "a-cat": "ok",
        "b-both": "ok",
        "c-nothing": "no-target",
        "d-broken": "unreadable",
        "e-surprise": "ok",
    }
    broken = records.images.set_index("id").loc["d-broken"]
    assert (broken["height"], broken["width"]) == (0, 0)
    ok = records.images.set_index("id").loc["a-cat"]
    assert (ok["height"], ok["width"]) == (HEIGHT, WIDTH)
    assert ok["file"] == "a-cat.png"


def test_annotated_classes_are_explained_and_predicted_ones_where_none_are(segmented):
    records = analysed(PaintedRegions(), segmented)
    assert rows(records) == [("a-cat", CAT), ("b-both", CAT), ("b-both", DOG), ("e-surprise", BIRD)]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"source": "annotated"}, [("a-cat", CAT), ("b-both", CAT), ("b-both", DOG)]),
        (
            {"source": "predicted"},
            [("a-cat", CAT), ("b-both", CAT), ("b-both", DOG), ("e-surprise", BIRD)],
        ),
        ({"classes": ["dog"]}, [("b-both", DOG)]),
        ({"classes": [BIRD, "cat"]}, [("a-cat", CAT), ("b-both", CAT), ("e-surprise", BIRD)]),
    ],
    ids=["annotated", "predicted", "one-class", "two-classes"],
)
def test_source_and_classes_choose_the_targets(segmented, settings, expected):
    assert rows(analysed(PaintedRegions(), segmented, **settings)) == expected


def test_unknown_class_of_the_settings_is_refused(segmented):
    with pytest.raises(InputError, match="class 'cow': unknown to the model"):
        analysed(PaintedRegions(), segmented, classes=["cow"])


def test_overlap_with_the_annotation_leaves_void_out(segmented):
    found = {
        key[:2]: key[2:] for key in rows(analysed(PaintedRegions(), segmented), "iou", "thing")
    }
    # 4 x 4 predicted, 4 of them void; 4 x 4 annotated; 4 x 2 in common.
    assert found["a-cat", CAT] == (pytest.approx(8 / 20), "cat")
    assert found["b-both", CAT] == (pytest.approx(4 / 12), "cat")
    assert found["b-both", DOG] == (pytest.approx(0), "dog")
    iou, thing = found["e-surprise", BIRD]
    assert np.isnan(iou)
    assert thing == ""


def test_relevance_inside_the_annotation(segmented):
    """The convolution sees single pixels: relevance lands where it starts."""
    records = analysed(PaintedRegions(), segmented)
    layer = records.layers["conv"]
    shares = {"a-cat": 0.5, "b-both": 4 / (4 + 8 * 0.2)}
    for i, (image, c) in enumerate(rows(records)):
        np.testing.assert_allclose(layer.relevance[i], np.eye(4)[c], atol=1e-6)
        np.testing.assert_allclose(layer.landed[i], np.eye(4)[c], atol=1e-5)
        if c == CAT:
            np.testing.assert_allclose(layer.inside[i, c], shares[image], rtol=1e-5)
        if c == DOG:
            np.testing.assert_allclose(layer.inside[i, c], 0, atol=1e-6)
        if c == BIRD:
            assert np.isnan(layer.inside[i]).all()
    assert layer.shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("model", "annotated"), [(PaintedRegions, "segmented"), (PaintedBoxes, "boxed")]
)
def test_relevance_of_the_whole_prediction_around_the_object(model, annotated, request):
    records = analysed(model(), request.getfixturevalue(annotated))
    targets, layer = records.targets, records.layers["conv"]
    # The one layer is all that there is: every path passes it, and no bias absorbs any.
    np.testing.assert_allclose(targets["landed"], layer.landed.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(targets["started"], targets["landed"], rtol=1e-5)
    np.testing.assert_allclose(targets["landed_inside"], layer.inside.sum(axis=1), rtol=1e-5)
    on_thing = layer.on_thing.sum(axis=1)
    np.testing.assert_allclose(records.pairs["landed"], on_thing, rtol=1e-5, atol=1e-6)
    around = targets.filter(like="landed_").sum(axis=1)
    known = targets["landed_inside"].notna()
    assert known.any() and (around <= targets["landed"] * (1 + 1e-6))[known].all()


def pairs(records):
    """{(image, class of the target, class of the thing): row} of the pairs."""
    targets = rows(records)
    return {
        (*targets[int(pair["target"])], int(pair["thing"])): row
        for row, pair in records.pairs.iterrows()
    }


def test_relevance_on_the_other_things_of_the_image(segmented):
    """The dog's mask is the last row: half of the dim cat lies on it, outside the cat's mask."""
    records = analysed(PaintedRegions(), segmented)
    found, layer = pairs(records), records.layers["conv"]
    assert set(found) == {("b-both", CAT, DOG), ("b-both", DOG, CAT)}
    on_dog = layer.on_thing[found["b-both", CAT, DOG]]
    np.testing.assert_allclose(on_dog[CAT], 4 * 0.2 / (4 + 8 * 0.2), rtol=1e-5)
    np.testing.assert_allclose(np.delete(on_dog, CAT), 0, atol=1e-6)
    np.testing.assert_allclose(layer.on_thing[found["b-both", DOG, CAT]], 0, atol=1e-6)
    area = records.pairs["area"][found["b-both", CAT, DOG]]
    assert area == pytest.approx(WIDTH / (HEIGHT * WIDTH))
    cat = rows(records).index(("b-both", CAT))
    assert records.targets["background"][cat] == pytest.approx(1 - 4 / (HEIGHT * WIDTH))


def test_where_boxes_overlap_the_object_comes_first_and_then_the_smallest_thing(tmp_path, boxed):
    """Of the cat's 12 pixels the dog's box covers four and the smaller bird's two of these."""
    content = json.loads((tmp_path / "instances.json").read_text())
    content["annotations"] = [
        {"id": i, "image_id": 1, "category_id": c, "bbox": b, "area": b[2] * b[3], "iscrowd": crowd}
        for i, (c, b, crowd) in enumerate(
            [(CAT, [0, 0, 2, 2], 0), (DOG, [1, 0, 3, 4], 0), (BIRD, [2, 0, 2, 1], 1)]
        )
    ]
    (tmp_path / "instances.json").write_text(json.dumps(content))
    source = {"format": "coco", "images": str(tmp_path / "images")}
    dataset = open_dataset(source | {"annotations": str(tmp_path / "instances.json")})
    sample = dataset["a-cat"]
    _, geometry = PaintedBoxes().preprocess(sample.image())
    annotation = Annotation(sample, geometry, "detection", dataset.class_map.onto(NAMES), "class")
    cat = np.zeros((HEIGHT, WIDTH), bool)
    cat[0:2, 0:2] = True
    dog = np.zeros((HEIGHT, WIDTH), bool)
    dog[0:4, 1:4] = True
    parts = annotation.parts(np.stack([cat, dog]))
    assert (parts.masks.sum(axis=0) == 1).all() and parts.whole.all()
    sizes = parts.masks.sum(axis=(1, 2))
    whole = HEIGHT * WIDTH
    expected = [(4, {DOG: 8, BIRD: 2}), (12, {CAT: 2})]
    for own, background, things, (pixels, others) in zip(
        parts.object, parts.background, parts.things, expected, strict=True
    ):
        assert sizes[own].sum() == pixels and background == pytest.approx(1 - pixels / whole)
        assert {c: sizes[chosen].sum() for c, (chosen, _) in things.items()} == others
        for c, (_, area) in things.items():
            assert area == pytest.approx(others[c] / whole)
    alone = annotation.parts(np.stack([cat, dog, cat]), things=False)
    assert len(alone.masks) == 3 and alone.masks[alone.whole].all()
    for mask, chosen in zip((cat, dog, cat), alone.object, strict=True):
        assert (alone.masks[chosen] == mask).all()


def test_crowds_belong_to_the_object_of_a_class_and_are_no_instance(tmp_path, boxed):
    content = json.loads((tmp_path / "instances.json").read_text())
    for annotation in content["annotations"]:
        annotation["iscrowd"] = int(annotation["id"] == 100)
    (tmp_path / "instances.json").write_text(json.dumps(content))
    source = {"format": "coco", "images": str(tmp_path / "images")}
    dataset = open_dataset(source | {"annotations": str(tmp_path / "instances.json")})
    one = analysed(PaintedBoxes(), dataset, ids=["a-cat"])
    assert one.targets["object_share"][0] == pytest.approx(8 / (HEIGHT * WIDTH))
    assert one.targets["thing"][0] == "101" and one.targets["iou"][0] == 0
    each = analysed(PaintedBoxes(), dataset, ids=["a-cat"], mode="instance")
    assert set(each.targets["thing"]) == {"101"}
    assert set(each.pairs["thing"]) == {CAT}


@pytest.mark.parametrize("mode", ["class", "instance"])
@pytest.mark.parametrize("most", [1, 64])
def test_parts_are_the_same_however_many_travel_together(segmented, mode, most):
    model = PaintedRegions()
    settings = chosen(mode=mode, batch_size=3)
    whole = analyse(Explainer(model, device="cpu"), segmented, list(segmented.ids), settings)
    few = Explainer(model, device="cpu", rows=most)
    parts = analyse(few, segmented, list(segmented.ids), settings)
    assert parts.pairs.equals(whole.pairs) and len(whole.pairs)
    for name, values in whole.layers["conv"].arrays().items():
        found = getattr(parts.layers["conv"], name)
        np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-6, err_msg=name)


def test_without_things_the_object_is_the_same(segmented):
    with_things = analysed(PaintedRegions(), segmented)
    without = analysed(PaintedRegions(), segmented, things=False)
    assert without.pairs.empty and without.layers["conv"].on_thing is None
    assert without.targets["background"].equals(with_things.targets["background"])
    for name in ("inside", "landed", "relevance"):
        found, expected = (getattr(r.layers["conv"], name) for r in (without, with_things))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_strongest_neurons_and_activations(segmented):
    records = analysed(PaintedRegions(), segmented)
    layer = records.layers["conv"]
    both = records.images["id"].tolist().index("b-both")
    assert layer.activation[both, CAT] == pytest.approx(1)
    assert layer.activation[both, DOG] == pytest.approx(0.4)
    assert layer.activation_position[both, DOG] == 4 * WIDTH + 4
    dog = rows(records).index(("b-both", DOG))
    assert 4 * WIDTH + 4 <= layer.position[dog, DOG] < 4 * WIDTH + 8
    broken = records.images["id"].tolist().index("d-broken")
    assert np.isnan(layer.activation[broken]).all()
    assert (layer.activation_position[broken] == -1).all()


def test_instances_are_matched_with_regions_of_their_own(segmented):
    records = analysed(PaintedRegions(), segmented, ids=["a-cat", "b-both"], mode="instance")
    found = rows(records, "instance", "pixels", "thing", "iou")
    cats = [row for row in found if row[:2] == ("b-both", CAT)]
    assert [row[2:4] for row in cats] == [(0, 4), (1, 8)]
    assert cats[0][4:] == ("cat-1", pytest.approx(1))
    (whole,) = [row for row in found if row[0] == "a-cat"]
    assert whole[4:] == ("cat-1", pytest.approx(8 / 12))


def test_detections_are_matched_with_the_nearest_box(boxed):
    records = analysed(PaintedBoxes(), boxed)
    found = {key[:2]: key[2:] for key in rows(records, "iou", "thing", "object_share")}
    names = list(records.attrs["classes"])
    assert names == list(NAMES)
    # The best box of a class is the first of those with the highest logit: pixel (0, 0).
    iou, thing, share = found["a-cat", CAT]
    assert (iou, thing) == (pytest.approx(1), "100")
    assert share == pytest.approx(8 / (HEIGHT * WIDTH))
    iou, thing, _ = found["b-both", DOG]
    assert (iou, thing) == (pytest.approx(4 / 6), "103")
    assert found["b-both", CAT][0] == 0
    assert ("c-nothing", CAT) not in found


def test_object_of_a_detection_is_the_union_of_boxes_in_class_mode_alone(boxed):
    for mode, area in (("class", 8), ("instance", 4)):
        records = analysed(PaintedBoxes(), boxed, ids=["a-cat"], mode=mode)
        shares = records.targets["object_share"] * HEIGHT * WIDTH
        assert shares.round().unique().tolist() == [area]


def test_what_is_explained_is_noted_where_it_is_no_class_logit(boxed):
    model = PaintedBoxes()
    assert "explained" not in analysed(model, boxed).attrs
    model.explained = "objectness"
    assert analysed(model, boxed).attrs["explained"] == "objectness"


def test_threshold_decides_which_boxes_are_explained(boxed):
    low = rows(analysed(PaintedBoxes(), boxed, threshold=0.3))
    high = rows(analysed(PaintedBoxes(), boxed, threshold=0.5))
    assert ("b-both", DOG) in low
    assert ("b-both", DOG) not in high


@pytest.mark.parametrize("mode", ["class", "instance"])
def test_batch_size_makes_no_difference(segmented, mode):
    whole = analysed(PaintedRegions(), segmented, mode=mode, batch_size=8)
    for batch_size in (1, 2, 3):
        parts = analysed(PaintedRegions(), segmented, mode=mode, batch_size=batch_size)
        assert parts.images.equals(whole.images)
        assert rows(parts, "instance", "thing") == rows(whole, "instance", "thing")
        for name, values in whole.layers["conv"].arrays().items():
            found = getattr(parts.layers["conv"], name)
            np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("where", ["predict", "explain"])
def test_exhausted_memory_halves_the_images_and_says_so_once(segmented, monkeypatch, caplog, where):
    """More than one image at a time does not fit: the records are the same."""
    whole = analysed(PaintedRegions(), segmented, batch_size=4)
    plain, sizes = getattr(Explainer, where), []

    def limited(self, given, *args, **options):
        images = given if where == "predict" else {target.image for target in given}
        sizes.append(len(images))
        if len(images) > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return plain(self, given, *args, **options)

    monkeypatch.setattr(Explainer, where, limited)
    with caplog.at_level("WARNING"):
        halved = analysed(PaintedRegions(), segmented, batch_size=4)
    assert max(sizes) > 1
    assert len([r for r in caplog.records if "memory exhausted" in r.message]) == 1
    assert halved.images.equals(whole.images)
    assert halved.targets.equals(whole.targets)
    for layer, found in halved.layers.items():
        np.testing.assert_allclose(found.relevance, whole.layers[layer].relevance, rtol=1e-6)
        np.testing.assert_array_equal(found.position, whole.layers[layer].position)


@pytest.mark.parametrize("ids", [["c-nothing"], ["d-broken"], ["c-nothing", "d-broken"]])
def test_slice_without_targets_is_a_shard_all_the_same(segmented, ids):
    records = analysed(PaintedRegions(), segmented, ids=ids, source="annotated")
    assert records.images["id"].tolist() == ids
    assert len(records.targets) == 0
    assert records.layers["conv"].relevance.shape == (0, 4)
    assert records.layers["conv"].activation.shape == (len(ids), 4)


def test_attributes_say_what_was_done(segmented):
    explainer = Explainer(PaintedRegions(), device="cpu")
    settings = chosen(mode="instance", source="annotated")
    records = analyse(explainer, segmented, ["a-cat"], settings, attrs={"experiment": "demo"})
    assert records.attrs["experiment"] == "demo"
    assert records.attrs["architecture"] == "painted"
    assert records.attrs["task"] == "segmentation"
    assert records.attrs["classes"] == list(NAMES)
    assert records.attrs["composite"] == "EpsilonPlusFlat"
    assert (records.attrs["target_mode"], records.attrs["target_source"]) == (
        "instance",
        "annotated",
    )
    assert records.attrs["input_size"] == [HEIGHT, WIDTH]


def test_progress_sees_every_batch(segmented):
    explainer, seen = Explainer(PaintedRegions(), device="cpu"), []

    def progress(batches):
        for batch in batches:
            seen.append(list(batch))
            yield batch

    settings = chosen(batch_size=2)
    analyse(explainer, segmented, list(segmented.ids), settings, progress=progress)
    assert seen == [["a-cat", "b-both"], ["c-nothing", "d-broken"], ["e-surprise"]]
