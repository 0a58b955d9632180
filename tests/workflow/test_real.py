"""A user's folder: 80 real images, their COCO annotations, and public checkpoints."""

import json

import pandas as pd
import pytest

from lcrp.store import open_store
from support.projects import Project


def real_experiment(shared, architecture="yolov5n", **more):
    """An experiment on the real images."""
    real = shared / "real"
    if not real.is_dir():
        pytest.skip("no real images at ../shared/real")
    return {
        "title": "YOLOv5n on 80 images of COCO",
        "model": {
            "architecture": architecture,
            "checkpoint": str(real / f"{architecture}-coco.pt"),
        },
        "dataset": {
            "format": "coco",
            "images": str(real / "coco-mini/images"),
            "annotations": str(real / "coco-mini/annotations/instances.json"),
        },
        **more,
    }


def check(project, images):
    results = project / "results/real"
    with open_store(results / "concepts.zarr.zip") as store:
        assert len(store.images) == images
        assert len(store.targets) > images
        assert store.layers == ["model.6.cv3.conv", "model.8.cv3.conv", "model.10.conv"]
        # The best box of a class that is annotated is mostly one of the annotated objects.
        assert (store.targets["iou"] > 0.5).mean() > 0.7
    gallery = pd.read_csv(results / "explanations/gallery.csv", dtype={"image": str})
    assert gallery["file"].notna().all(), gallery["problem"].tolist()
    assert all((results / "explanations" / file).is_file() for file in gallery["file"])
    assert len(pd.read_csv(results / "context/concepts.csv")) > 1000
    assert "YOLOv5n on 80 images" in (results / "report/index.html").read_text()


@pytest.mark.parametrize(
    ("architecture", "precision", "at_half"),
    [("yolov5n", 0.307, 0.460), ("yolov8n", 0.390, 0.545), ("yolo11n", 0.423, 0.566)],
)
def test_the_checkpoint_performs_as_known(shared, tmp_path, architecture, precision, at_half):
    project = Project(tmp_path)
    project.configure("real")
    project.write("config/experiments/real.yaml", real_experiment(shared, architecture))
    project.run("results/real/quality/quality.json")
    quality = json.loads((project / "results/real/quality/quality.json").read_text())
    assert quality["images"] == 80
    assert quality["mAP"] == pytest.approx(precision, abs=0.01)
    assert quality["mAP50"] == pytest.approx(at_half, abs=0.01)


def test_a_folder_of_real_images_becomes_a_report(shared, tmp_path):
    project = Project(tmp_path)
    project.configure("real")
    experiment = real_experiment(shared, explanations={"images": 1, "references": 4})
    experiment["dataset"]["limit"] = 10
    project.write("config/experiments/real.yaml", experiment)
    project.run()
    check(project, 10)


@pytest.mark.proof
def test_all_real_images_become_a_report(shared, tmp_path):
    project = Project(tmp_path)
    project.configure("real")
    project.write("config/experiments/real.yaml", real_experiment(shared))
    project.run()
    check(project, 80)
