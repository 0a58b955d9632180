"""What the user gives is wrong: one line that says so, or a row with a status; nothing half-done.

The images are drawn scenes, in a folder as a user would have them.
"""

import json
import os
import shutil
import time

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from lcrp.store import open_store


@pytest.fixture
def mine(finished, tmp_path):
    """A project with a user's folder of images, annotations and checkpoint."""
    project = type(finished)(tmp_path / "project")
    project.configure("mine")
    scenes = finished / "resources/scenes/detection/test"
    shutil.copytree(scenes / "images", project / "photos")
    shutil.copyfile(scenes / "annotations.json", project / "photos.json")
    save_weights(finished, "detection", project / "model.pt")
    experiment = finished.experiment("detection")
    experiment["model"] = {
        "architecture": "yolov5",
        "checkpoint": "model.pt",
        "options": experiment["model"]["options"],
        "classes": [entry["name"] for entry in annotations(project)["categories"]],
    }
    experiment["dataset"] = {"format": "coco", "images": "photos", "annotations": "photos.json"}
    project.write("config/experiments/mine.yaml", experiment)
    return project


def save_weights(finished, task, path, logits=None):
    """Save the weights of a trained model as people do, without anything about it.

    logits: of objects and classes, to make a detector sure that everything is everywhere.
    """
    weights = load_file(finished / f"resources/training/{task}/model.safetensors")
    for name, value in weights.items():
        if logits is not None and name.startswith("model.24.m.") and name.endswith(".bias"):
            value.view(3, -1)[:, 4:] = logits
    torch.save({"state_dict": weights}, path)


def annotations(project):
    """The user's annotations."""
    return json.loads((project / "photos.json").read_text())


def annotate(project, change):
    """Change the annotations."""
    path = project / "photos.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def complaint(project, rule, *targets):
    """The one line that a failing job leaves when targets are asked for."""
    return project.complaint(project.run(*targets, check=False), rule)


INDEX = "resources/datasets/mine/index.csv"
MODEL = "resources/checkpoints/mine/model.safetensors"
QUALITY = "results/mine/quality/quality.json"


def test_an_image_that_is_missing(mine):
    (mine / "photos/000003.png").unlink()
    line = complaint(mine, "index_dataset", INDEX)
    assert line.startswith("photos/000003.png: no such image") and "1 of 8" in line


def test_annotations_that_are_cut_off(mine):
    text = (mine / "photos.json").read_text()
    (mine / "photos.json").write_text(text[: len(text) // 2])
    assert complaint(mine, "index_dataset", INDEX).startswith("photos.json: not a whole JSON file")


def test_an_annotation_of_an_unknown_class(mine):
    def rename(content):
        content["categories"][0]["name"] = "boot"

    annotate(mine, rename)
    line = complaint(mine, "measure_quality", QUALITY)
    assert "'boot'" in line and "boat" in line and "photos.json" in line
    mine.change("mine", {"dataset.unknown": "ignore"})
    gallery = "results/mine/explanations/gallery.csv"
    assert mine.run(QUALITY, gallery).done["measure_quality"] == 1
    figures = pd.read_csv(mine / gallery, dtype=str)
    assert len(figures) and figures["problem"].isna().all()
    assert all((mine / "results/mine/explanations" / name).is_file() for name in figures["file"])


def test_a_checkpoint_of_another_architecture(mine, finished):
    save_weights(finished, "segmentation", mine / "model.pt")
    line = complaint(mine, "convert_checkpoint", MODEL)
    assert line.startswith("model.pt: does not fit yolov5")
    assert "look like unet" in line


def test_a_checkpoint_with_another_number_of_classes(mine):
    mine.change("mine", {"model.classes": ["boat", "car"]})
    line = complaint(mine, "convert_checkpoint", MODEL)
    assert "its head has 9 classes, not 2" in line


def test_a_file_that_is_no_checkpoint(mine):
    (mine / "model.pt").write_text("not weights")
    assert complaint(mine, "convert_checkpoint", MODEL).startswith("model.pt: ")


def test_odd_images_are_rows_with_a_status_and_the_rest_is_explained(mine):
    (mine / "photos/000001.png").write_bytes(b"not an image")

    def forget(content):
        (image,) = [i for i in content["images"] if i["file_name"] == "000002.png"]
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] != image["id"]]

    annotate(mine, forget)
    names = {category["id"]: category["name"] for category in annotations(mine)["categories"]}
    wanted = names[annotations(mine)["annotations"][0]["category_id"]]
    mine.change("mine", {"analysis.targets.classes": [wanted]})
    mine.change("mine", {"explanations.images": ["000000", "000001", "000002"]})
    mine.run()

    index = pd.read_csv(mine / INDEX, dtype=str).set_index("id")
    assert index.loc["000001", "status"] == "unreadable"
    with open_store(mine / "results/mine/concepts.zarr.zip") as store:
        status = store.images.set_index("id")["status"]
        assert status["000001"] == "unreadable"
        assert status["000000"] == "ok"
        assert (status == "no-target").any()
        assert set(store.targets["class"]) == {store.class_index(wanted)}
    gallery = pd.read_csv(mine / "results/mine/explanations/gallery.csv", dtype=str)
    problems = gallery.set_index("image")["problem"]
    assert pd.isna(problems["000000"]) and "000001" in problems["000001"]
    assert json.loads((mine / QUALITY).read_text())["unreadable"] == 1
    assert (mine / "results/mine/report/index.html").is_file()

    # The report was built; a class that is not in the picture is another matter.
    line = complaint(mine, "render_explanation", "results/mine/explanations/000000/boot.png")
    assert "class boot" in line and "boat" in line


def test_unreadable_images_stop_the_run_where_a_limit_says_so(mine):
    (mine / "photos/000001.png").write_bytes(b"not an image")
    mine.change("mine", {"analysis.limits": {"unreadable": 0.1}})
    line = complaint(mine, "plan_shards", "results/mine/concepts.zarr.zip")
    assert "1 of 8 images cannot be read (000001)" in line
    assert "analysis.limits.unreadable: 0.1" in line


def test_images_without_annotations_are_explained_by_what_is_predicted(mine, finished):
    save_weights(finished, "detection", mine / "model.pt", logits=3.0)
    mine.change("mine", {"dataset": {"format": "folder", "images": "photos"}})
    mine.run(QUALITY, "results/mine/concepts.zarr.zip")
    with open_store(mine / "results/mine/concepts.zarr.zip") as store:
        assert len(store.targets) and not store.targets["thing"].any()
    assert json.loads((mine / QUALITY).read_text())["unannotated"] == 8


def test_touched_images_annotations_and_checkpoint_change_nothing(mine):
    mine.run(QUALITY, "results/mine/concepts.zarr.zip")
    # Not in the future: Snakemake refuses an output that is older than its inputs.
    later = time.time()
    for path in (mine / "photos", *(mine / "photos").iterdir(), mine / "photos.json"):
        os.utime(path, (later, later))
    os.utime(mine / "model.pt", (later, later))
    assert not mine.plan(QUALITY, "results/mine/concepts.zarr.zip")

    # One that is really another one concerns its shard alone.
    shutil.copyfile(mine / "photos/000000.png", mine / "photos/000005.png")
    done = mine.run("results/mine/concepts.zarr.zip").done
    assert done["analyse_shard"] == done["merge_shards"] == 1
