"""The paper's five experiments, from the download of their public files to the report.

The networks have their full size and untrained weights; the datasets are miniatures, and so are
the inputs where a network takes them.
"""

import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from lcrp.checkpoints import read_checkpoint
from lcrp.store import open_store
from support.projects import Project
from support.publisher import PAIRS, ROOT, Publisher

# Of the six images of val2014, val2017 has four.
IMAGES = {"unet": 2, "deeplabv3plus": 3, "yolov5m": 4, "yolov6s": 4, "ssd512": 4}
INPUT = {
    "unet": [64, 128],
    "deeplabv3plus": [129, 129],
    "yolov5m": [160, 160],
    "yolov6s": [160, 160],
    "ssd512": [512, 512],
}


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    publisher = Publisher(tmp_path_factory.mktemp("public"))
    yield publisher
    publisher.close()


@pytest.fixture
def paper(publisher, tmp_path):
    """A project with the experiments as shipped, whose tables lead to the local server."""
    project = Project(tmp_path)
    shutil.copytree(ROOT / "config/experiments", tmp_path / "config/experiments")
    # Given to account holders only: the user has fetched these archives.
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip"):
        (mine / name).write_bytes(publisher.archives[name])
    project.write(
        "config/config.yaml", {"experiments": list(PAIRS), "already_downloaded": ["mine"]}
    )
    return project


def prepare(publisher, paper, name):
    """Publish the files of an experiment, and make it small."""
    publisher.publish(paper / "config", [name])
    # Untrained detectors are sure of nothing.
    paper.change(name, {
        "model.options.input_size": INPUT[PAIRS[name]],
        "analysis.targets.threshold": 1e-6,
        "explanations.images": 1,
        "explanations.concepts": 1,
        "explanations.references": 2,
    })  # fmt: skip
    publisher.server.requests.clear()


def test_from_download_to_store(publisher, paper):
    name = "unet-cityscapes"
    prepare(publisher, paper, name)
    results = paper / "results" / name
    paper.run(f"results/{name}/concepts.zarr.zip", f"results/{name}/quality/quality.json")
    check_acquisition(publisher, paper, name)
    check_weights(publisher, paper, name)
    check_store(paper, name, results)
    check_quality(name, results)


@pytest.mark.proof
@pytest.mark.parametrize("name", PAIRS)
def test_from_download_to_report(publisher, paper, name):
    prepare(publisher, paper, name)
    paper.run(name)
    results = paper / "results" / name
    check_acquisition(publisher, paper, name)
    check_weights(publisher, paper, name)
    check_store(paper, name, results)
    check_quality(name, results)
    gallery = pd.read_csv(results / "explanations/gallery.csv", dtype={"image": str})
    assert gallery["file"].notna().all(), gallery["problem"].tolist()
    assert paper.experiment(name)["title"] in (results / "report/index.html").read_text()
    assert not paper.plan(name)


def check_acquisition(publisher, paper, name):
    """Each file was asked for once; where no checksum is published, it was remembered."""
    asked = [path for path, _ in publisher.server.requests]
    assert len(set(asked)) == len(asked) >= 1
    seen = pd.read_csv(paper / "config/first-seen.csv").set_index("name")
    assert set(seen.index) == {name} | ({"cityscapes-val"} if "city" in name else set())
    manifest = json.loads((paper / f"resources/checkpoints/{name}/model.json").read_text())
    published = hashlib.sha256(publisher.checkpoints[name]).hexdigest()
    assert manifest["source_sha256"] == seen.loc[name, "sha256"] == published


def check_weights(publisher, paper, name):
    """What is explained is what was published, under the network's own keys."""
    folder = paper / f"resources/checkpoints/{name}"
    state, info = read_checkpoint(folder / "model.safetensors")
    expected = publisher.networks[name].state_dict()
    assert state.keys() == expected.keys()
    assert info["architecture"] == PAIRS[name]
    for key, value in expected.items():
        half = name == "yolov6s-coco2017" and value.is_floating_point()
        assert torch.equal(state[key], value.half().float() if half else value), key
    manifest = json.loads((folder / "model.json").read_text())
    assert len(manifest["renamed"]) == (len(state) if name == "ssd512-coco2014" else 0)
    assert len(manifest["classes"]) == {"unet": 20, "deeplabv3plus": 21, "ssd512": 81}.get(
        PAIRS[name], 80
    )


def check_store(paper, name, results):
    with open_store(results / "concepts.zarr.zip") as store:
        assert len(store.images) == IMAGES[PAIRS[name]]
        assert (store.images["status"] != "unreadable").all()
        assert store.layers == paper.experiment(name)["analysis"]["layers"]
        assert len(store.targets) > 1
        for layer in store.layers:
            relevance = store.read(layer, "relevance")
            assert np.isfinite(relevance).all() and (np.abs(relevance).sum(1) > 0).any()


def check_quality(name, results):
    quality = json.loads((results / "quality/quality.json").read_text())
    assert quality["images"] == IMAGES[PAIRS[name]] and quality["unreadable"] == 0


def test_cityscapes_without_an_account(paper, monkeypatch):
    for name in ("CITYSCAPES_USERNAME", "CITYSCAPES_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    paper.write("config/config.yaml", {"experiments": ["unet-cityscapes"]})
    shutil.copy(ROOT / "config/datasets.csv", paper / "config")
    run = paper.run("resources/downloads/datasets/cityscapes-val", check=False)
    assert run.code != 0 and not run.done
    assert "CITYSCAPES_USERNAME: not set" in run.text and "Traceback (most" not in run.text
    assert "register at https://www.cityscapes-dataset.com/register/" in run.text
    assert not (paper / "resources/downloads/datasets/cityscapes-val").exists()
