"""Sensitivity to the background, and the scores that are compared with it, on a small network."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from lcrp.analysis import analyse
from lcrp.attribution import Explainer
from lcrp.attribution.maps import feature_maps, relevance_maps
from lcrp.configuration import Analysis, Targets, Verification
from lcrp.datasets import open_dataset
from lcrp.errors import InputError
from lcrp.models.base import DetectionModel, SegmentationModel
from lcrp.models.predictions import Detections
from lcrp.models.preprocessing import UNIT, stretch
from lcrp.store import merge_shards, open_store, write_shard
from lcrp.verification.heatmap_scores import HEATMAP_COLUMNS, heatmap_scores
from lcrp.verification.sensitivity import (
    METHODS,
    POINT_COLUMNS,
    VERIFICATION_COLUMNS,
    choose_samples,
    relative_change,
    summary,
    verify,
)

NAMES = ("background", "red", "green")
SIDE = 24


def network(window):
    """Two convolutions: colours are seen where they are, in a window of so many pixels."""
    torch.manual_seed(0)
    layers = nn.Sequential()
    layers.first = nn.Conv2d(3, 8, window, padding=window // 2)
    layers.relu = nn.ReLU()
    layers.second = nn.Conv2d(8, 3, 1)
    with torch.no_grad():
        layers.first.weight.abs_()
        layers.first.weight[:4, 1:] *= 0.05
        layers.first.weight[4:, 0] *= 0.05
        layers.first.weight /= layers.first.weight.sum(dim=(1, 2, 3), keepdim=True)
        layers.first.bias.zero_()
        layers.second.weight.fill_(0.02)
        layers.second.weight[1, :4] = 1
        layers.second.weight[2, 4:] = 1
        layers.second.bias[:] = torch.tensor([1.2, 0, 0])
    layers.requires_grad_(False)
    whole = nn.Sequential()
    whole.body = layers
    whole.forward = lambda x: (whole.body(x),)
    return whole


class Small:
    smallest_side = 1
    default_layers = ("body.first",)
    example_layer = "body.first"
    fit = staticmethod(stretch)
    pixels = UNIT

    def __init__(self):
        super().__init__("yolov5-small", network(self.window), NAMES, (SIDE, SIDE), {})


class Regions(Small, SegmentationModel):
    window = 5


class Boxes(Small, DetectionModel):
    window = 11  # sees more than an object from anywhere

    def _candidates(self, outputs, threshold):
        scores = outputs[0].flatten(1).T
        best, labels = scores[:, 1:].max(1)
        cells = (best > threshold).nonzero()[:, 0]
        y, x = cells // SIDE, cells % SIDE
        return Detections(
            boxes=torch.stack([x - 5, y - 5, x + 5, y + 5], dim=1).float(),
            scores=scores[cells],
            confidence=best[cells],
            labels=labels[cells] + 1,
            output=torch.zeros_like(cells),
            base=cells,
            stride=torch.full_like(cells, SIDE * SIDE),
        )

    def _evaluated(self, outputs):
        return self._candidates(outputs, 0.01)


@pytest.fixture(scope="module", params=["segmentation", "detection"])
def world(request, tmp_path_factory):
    """Model, dataset and store: squares of 10 x 10, six of each colour, before a dull ground."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "images").mkdir()
    random = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(12):
        image = random.integers(0, 60, (SIDE, SIDE, 3)).astype(np.uint8)
        x, y = random.integers(1, SIDE - 11, 2)
        image[y : y + 10, x : x + 10, number % 2] = 255
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "height": SIDE, "width": SIDE})
        left, top = int(x), int(y)
        outline = [left, top, left + 10, top, left + 10, top + 10, left, top + 10]
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1 + number % 2, "iscrowd": 0}
            | {"bbox": [left, top, 10, 10], "area": 100, "segmentation": [outline]}
        )
    categories = [{"id": i, "name": name} for i, name in enumerate(NAMES) if i]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(content))
    paths = {"images": str(folder / "images"), "annotations": str(folder / "instances.json")}
    dataset = open_dataset({"format": "coco"} | paths)
    model = Regions() if request.param == "segmentation" else Boxes()
    settings = Analysis(layers="all")
    attrs = {"threshold": 0.25}
    records = analyse(Explainer(model, device="cpu"), dataset, list(dataset.ids), settings, attrs)
    write_shard(folder / "0.zarr.zip", records)
    merge_shards([folder / "0.zarr.zip"], folder / "store.zarr.zip")
    with open_store(folder / "store.zarr.zip") as store:
        yield model, dataset, store


SETTINGS = Verification(least_samples=4, least_pixels=50, concepts=4, references=3, samples=6)


def test_all_methods_are_compared_with_what_was_measured(world):
    model, dataset, store = world
    found, points = verify(model, dataset, store, ["body.first"], SETTINGS)
    assert list(found.columns) == list(VERIFICATION_COLUMNS) and list(points.columns) == list(
        POINT_COLUMNS
    )
    assert found["method"].tolist() == list(METHODS)
    assert len(points) == 8 and set(points["class"]) == {"red", "green"}
    assert points["sensitivity"].between(0, 1).all()
    scores = points[list(METHODS)].to_numpy()
    assert np.isfinite(scores).all() and (scores >= -1e-6).all() and (scores <= 1 + 1e-6).all()
    # z+ on a network of ReLUs: the transported score is the one by heatmaps.
    np.testing.assert_allclose(points["L-CRP"], points["transported L-CRP"], atol=1e-5)
    row = found.iloc[0]
    truth = points["sensitivity"]
    assert row["rmse"] == pytest.approx(np.sqrt(((points["L-CRP"] - truth) ** 2).mean()))
    assert row["correlation"] == pytest.approx(np.corrcoef(points["L-CRP"], truth)[0, 1])
    assert (row["classes"], row["concepts"]) == (2, 8)
    again, _ = verify(model, dataset, store, ["body.first"], SETTINGS, batch_size=3)
    np.testing.assert_allclose(again["rmse"], found["rmse"], rtol=1e-4)


def test_paper_scores_agree_with_transport_where_no_relevance_is_negative(world):
    model, dataset, store = world
    explainer = Explainer(model, store.attrs["composite"], device="cpu")
    table = heatmap_scores(explainer, dataset, store, ["body.first"], concepts=3, references=4)
    assert list(table.columns) == list(HEATMAP_COLUMNS)
    assert (table["kind"] == "exact").all() and (table["targets"] == 4).all()
    np.testing.assert_allclose(table["difference"], 0, atol=1e-5)
    row = table.iloc[0]
    best = store.best("body.first", row["concept"], class_index=row["class"], k=4)
    slow = []
    for name in best["image_id"]:
        image, _ = model.preprocess(dataset[name].image())
        target = explainer.predict(image[None]).target(row["class"])
        heatmap = explainer.conditional(target, "body.first", [row["concept"]])[0].clamp(min=0)
        (thing,) = dataset[name].things
        x1, y1, x2, y2 = map(int, thing.box)
        slow.append(1 - float(heatmap[y1:y2, x1:x2].sum() / heatmap.sum()))
    assert row["context_score"] == pytest.approx(np.mean(slow), abs=1e-5)
    gamma = Explainer(model, "EpsilonGammaFlat", device="cpu")
    other = heatmap_scores(gamma, dataset, store, ["body.first"], ["red"], 2, 4)
    assert set(other["class"]) == {"red"} and len(other) == 2


def test_paper_scores_without_a_scored_target_say_so(world, monkeypatch):
    model, dataset, store = world
    monkeypatch.setitem(store.__dict__, "targets", store.targets.assign(iou=0.0))
    explainer = Explainer(model, device="cpu")
    table = heatmap_scores(explainer, dataset, store, ["body.first"], concepts=2)
    assert len(table) == 4 and table["context_score"].isna().all()
    assert set(table["note"]) == {"no scored target with positive relevance"}


def test_too_few_samples_are_refused(world):
    _, _, store = world
    with pytest.raises(InputError, match=r"no class has 20 annotated samples.* the most are 6"):
        choose_samples(store, Verification(least_pixels=50))
    with pytest.raises(InputError, match="at least 500 pixels"):
        choose_samples(store, Verification(least_samples=2))
    settings = Verification(least_samples=2, least_pixels=50, budget=6)
    assert [len(rows) for rows in choose_samples(store, settings).values()] == [3, 3]


def test_a_store_without_targets_has_no_scores(world, tmp_path, caplog):
    model, dataset, _ = world
    explainer = Explainer(model, device="cpu")
    settings = Analysis(layers="all", targets=Targets(classes=["background"]))
    records = analyse(explainer, dataset, list(dataset.ids), settings, {"threshold": 0.25})
    write_shard(tmp_path / "0.zarr.zip", records)
    merge_shards([tmp_path / "0.zarr.zip"], tmp_path / "store.zarr.zip")
    with open_store(tmp_path / "store.zarr.zip") as store:
        assert not len(store.targets)
        with pytest.raises(InputError, match=r"no class has 4 annotated samples.* the most are 0"):
            verify(model, dataset, store, ["body.first"], SETTINGS)
        table = heatmap_scores(explainer, dataset, store)
        assert list(table.columns) == list(HEATMAP_COLUMNS) and not len(table)
        assert not caplog.messages
        heatmap_scores(explainer, dataset, store, classes=["green"])
    assert caplog.messages == ["no target of green was analysed: it has no scores"]


def test_relevance_and_feature_maps_are_those_of_the_walk(world):
    model, dataset, _ = world
    explainer = Explainer(model, device="cpu")
    image, _ = model.preprocess(dataset[0].image())
    targets = explainer.predict(image[None]).targets(["red"])
    maps = relevance_maps(explainer, targets, ["body.first"])["body.first"]
    sums = explainer.explain(targets, layers=["body.first"]).relevance["body.first"]
    torch.testing.assert_close(maps.sum(dim=(2, 3)), sums)
    features = feature_maps(explainer, image[None], ["body.first", "body.second"])
    own = model.network.body
    torch.testing.assert_close(features["body.first"], own.first(image[None]))
    torch.testing.assert_close(features["body.second"], own(image[None]))


def test_relative_change():
    before, after = np.array([0.2, 0.0, -0.1, 0.4]), np.array([0.1, 0.0, 0.1, 0.4])
    np.testing.assert_allclose(relative_change(before, after), [0.5, 0, 1, 0])


def test_summary_of_perfect_and_of_missing_scores():
    truth = np.linspace(0, 1, 5)
    points = pd.DataFrame(
        {"layer": "a", "class": "x", "sensitivity": truth}
        | dict.fromkeys(METHODS, np.nan)
        | {"L-CRP": truth}
    )
    table = summary(points, "unet").set_index("method")
    assert table.loc["L-CRP", "rmse"] == 0 and table.loc["L-CRP", "correlation"] > 0.999
    assert np.isnan(table.loc["GradCAM", "rmse"]) and table.loc["GradCAM", "concepts"] == 0
