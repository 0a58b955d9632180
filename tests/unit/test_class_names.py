"""Names that differ between dataset and model: tables, figures and the report all come out."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from lcrp.analysis import analyse
from lcrp.attribution import Explainer
from lcrp.configuration import Analysis, Targets
from lcrp.context import aggregate, open_tables
from lcrp.datasets import open_dataset
from lcrp.errors import InputError
from lcrp.joined_tables import write_csv
from lcrp.models import build_model
from lcrp.quality import measure_quality
from lcrp.render import Composer, Settings, chosen_targets, draw_explanations
from lcrp.report import ReportInputs, build_report
from lcrp.store import merge_shards, open_store, write_shard
from lcrp.verification.replay import Replay

MODEL_CLASSES = ("background", "disc", "traffic light")
SIZE = 32
CASES = {
    "another spelling": (["disc", "Traffic_Light"], "error"),
    "a class that the model lacks": (["disc", "traffic light", "unicorn"], "ignore"),
}


def annotated(folder, names, unknown, classes):
    """Three random images with one square of each category, as COCO has it."""
    random = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    content = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": i, "name": name} for i, name in enumerate(names, start=1)]
    for image in range(3):
        pixels = random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"images/{image}.png")
        size = {"height": SIZE, "width": SIZE}
        content["images"].append({"id": image, "file_name": f"{image}.png", **size})
        for number in range(len(names)):
            x, y = 10 * number, 4 + 8 * image
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": image,
                    "category_id": number + 1,
                    "bbox": [x, y, 8, 8],
                    "segmentation": [[x, y, x + 8, y, x + 8, y + 8, x, y + 8]],
                    "area": 64,
                    "iscrowd": 0,
                }
            )
    (folder / "annotations.json").write_text(json.dumps(content))
    return open_dataset(
        {
            "format": "coco",
            "images": folder / "images",
            "annotations": folder / "annotations.json",
            "unknown": unknown,
        },
        classes,
    )


@pytest.fixture(scope="module")
def explainer():
    """Of a UNet without training that predicts every class somewhere."""
    torch.manual_seed(0)
    size = (SIZE, SIZE)
    options = {"encoder": "narrow", "encoder_channels": [4, 6, 8]}
    return Explainer(build_model("unet", MODEL_CLASSES, input_size=size, **options), device="cpu")


@pytest.fixture(params=CASES)
def case(request):
    """(names in the dataset, what happens to unknown ones)."""
    return CASES[request.param]


@pytest.fixture(params=[MODEL_CLASSES, None], ids=["as the scripts open it", "with its own names"])
def dataset(request, case, tmp_path):
    """A dataset of the case, opened in either way."""
    return annotated(tmp_path / "data", *case, request.param)


def test_all_that_is_made_of_a_store_comes_out(dataset, explainer, tmp_path):
    settings = Analysis(targets=Targets(source="annotated"))
    attrs = {"experiment": "names", "threshold": 0.25}
    records = analyse(explainer, dataset, list(dataset.ids), settings, attrs)
    write_shard(tmp_path / "0.zarr.zip", records)
    merge_shards([tmp_path / "0.zarr.zip"], tmp_path / "concepts.zarr.zip")
    with open_store(tmp_path / "concepts.zarr.zip") as store:
        explained = {store.classes[index] for index in store.targets["class"]}
        assert explained == {"disc", "traffic light"}
        paths = {name: tmp_path / f"{name}.csv" for name in ("classes", "pairs", "instances")}
        aggregate(store, tmp_path / "context.zarr.zip", minimum_targets=1, minimum_iou=0)
        with open_tables(tmp_path / "context.zarr.zip", store) as tables:
            write_csv(tables, **paths)
        again = list(Replay(explainer, dataset, store).of(range(len(store.targets))))
        assert len(again) == len(store.targets)
        composer = Composer(explainer, explainer.model, dataset, store)
        figures = Settings(layers=(store.layers[0],), concepts=1, references=1)
        wanted = chosen_targets(store, 2)
        gallery = draw_explanations(composer, wanted, tmp_path / "gallery", figures, width=400)
        for image, target in wanted:
            explanation = composer.without_references(image, target, figures)
            assert explanation.object_from == "annotation"
            assert len(explanation.truth) == 1 and explanation.truth[0].mask.sum() == 64
    assert (gallery["problem"] == "").all() and len(gallery) == len(wanted)
    gallery.to_csv(tmp_path / "gallery/gallery.csv", index=False)
    pairs = pd.read_csv(paths["pairs"])
    assert set(pairs["thing"]) == {"disc", "traffic light", "unlabelled"}
    inputs = ReportInputs.read(
        store=tmp_path / "concepts.zarr.zip",
        title="names",
        tables=paths,
        gallery=tmp_path / "gallery",
    )
    page = build_report(tmp_path / "report", inputs)
    pages = "".join(path.read_text() for path in page.parent.rglob("*.html"))
    assert all(file in pages for file in gallery["file"])


def test_quality_counts_the_classes_of_the_model(case, explainer, tmp_path):
    dataset = annotated(tmp_path / "data", *case, MODEL_CLASSES)
    quality = measure_quality(explainer.model, list(dataset))
    pixels = quality.classes.set_index("class")["pixels"]
    assert pixels["disc"] == pixels["traffic light"] == 3 * 64


def test_a_class_that_the_model_lacks_is_an_error_unless_it_may_be_ignored(explainer, tmp_path):
    dataset = annotated(tmp_path / "data", ["disc", "unicorn"], "error", None)
    with pytest.raises(InputError, match=r"'unicorn' is unknown to the model.*unknown: ignore"):
        analyse(explainer, dataset, list(dataset.ids), Analysis())
