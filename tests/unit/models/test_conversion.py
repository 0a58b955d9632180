"""Converted weights and their manifests."""

import hashlib
import json

import pytest
import torch
from safetensors import safe_open

from lcrp import InputError, load_model
from lcrp.checkpoints import read_checkpoint
from lcrp.models import convert, manifest_of
from lcrp.models.conversion import compare_keys
from lcrp.models.loading import build_model

NAMES = ("ship", "car", "kite")


@pytest.fixture
def source(tmp_path):
    """A half-precision checkpoint of a small YOLOv5, with what v6.0 leaves in such files."""
    torch.manual_seed(0)
    state = build_model("yolov5n", NAMES).network.state_dict()
    state = {f"module.{key}": value.half() if value.is_floating_point() else value
             for key, value in state.items()}  # fmt: skip
    state["module.model.24.anchor_grid"] = torch.zeros(3, 1, 3, 1, 1, 2)
    path = tmp_path / "wild.pt"
    torch.save({"model": state, "names": list(NAMES), "epoch": 9}, path)
    return path


def test_what_is_written(tmp_path, source):
    destination = tmp_path / "made" / "model.safetensors"
    manifest = convert(source, destination, "yolov5n")
    assert manifest == json.loads(manifest_of(destination).read_text())
    assert sorted(file.name for file in destination.parent.iterdir()) == [
        "model.json",
        "model.safetensors",
    ]
    assert manifest["source"] == "wild.pt"
    for key, file in (("source_sha256", source), ("sha256", destination)):
        assert manifest[key] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert manifest["architecture"] == "yolov5n"
    assert manifest["task"] == "detection"
    assert manifest["classes"] == manifest["classes_found"] == list(NAMES)
    assert manifest["wrappers"] == ["model"] and manifest["prefix"] == "module."
    assert manifest["dtypes"] == ["float16", "float32"]
    assert set(manifest["dropped"]) == {"names", "epoch", "model.24.anchor_grid"}
    assert set(manifest["why"]) == {"prefix"} and not manifest["renamed"]
    with safe_open(destination, framework="pt") as file:
        description = json.loads(file.metadata()["lcrp"])
    assert description == {key: manifest[key] for key in ("architecture", "options", "classes")}


def test_keys_that_were_renamed_and_dropped():
    one, two = torch.ones(1), torch.ones(2)
    state = {"a.weight": one, "b.weight": two, "c.weight": one, "d": one, "same": two}
    weights = {"net.a.weight": one, "net.b.weight": one, "x.c.weight": one, "y.c.weight": one}
    renamed, dropped = compare_keys(state, weights | {"same": two})
    assert renamed == {"a.weight": "net.a.weight"}
    # Another shape, two possible places, and no place at all.
    assert set(dropped) == {"b.weight", "c.weight", "d"}


def test_folded_batch_norms_are_told(tmp_path):
    with torch.device("meta"):
        keys = build_model("yolov8n", list(NAMES)).network.state_dict()
    state = {
        key.replace(".bn.bias", ".conv.bias"): torch.zeros(value.shape)
        for key, value in keys.items()
        if ".bn." not in key or key.endswith(".bn.bias")
    }
    torch.save(state, tmp_path / "fused.pt")
    manifest = convert(tmp_path / "fused.pt", tmp_path / "model.safetensors", "yolov8n", NAMES)
    assert manifest["renamed"]["model.0.conv.bias"] == "model.0.bn.bias"
    assert set(manifest["why"]) == {"folded"} and not manifest["dropped"]


def test_what_is_read_back(tmp_path, source):
    destination = tmp_path / "model.safetensors"
    convert(source, destination, "yolov5n")
    state, info = read_checkpoint(destination)
    original, _ = read_checkpoint(source)
    assert info["architecture"] == "yolov5n" and info["classes"] == NAMES
    assert all(tensor.dtype != torch.float16 for tensor in state.values())
    shared = [key for key in state if key in original]
    assert len(shared) > 300
    # Anchors are defined by the architecture and may be restored to their full precision.
    assert all(torch.equal(state[k], original[k]) for k in shared if "anchors" not in k)
    assert load_model("yolov5n", destination).classes == NAMES


def test_converting_again_gives_the_same_bits(tmp_path, source):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    convert(source, first, "yolov5n")
    convert(first, second, "yolov5n")
    assert first.read_bytes() == second.read_bytes()


def test_names_given_by_the_user_win(tmp_path, source):
    names = ["boot", "auto", "drachen"]
    manifest = convert(source, tmp_path / "m.safetensors", "yolov5n", classes=names)
    assert manifest["classes"] == names and manifest["classes_found"] == list(NAMES)


@pytest.mark.parametrize(
    ("architecture", "classes"), [("unet", None), ("yolov5n", ["a", "b"]), ("yolov5s", None)]
)
def test_nothing_is_written_for_weights_that_do_not_fit(tmp_path, source, architecture, classes):
    destination = tmp_path / "made" / "model.safetensors"
    with pytest.raises(InputError, match=r"wild\.pt: (?!.*state dict:)"):
        convert(source, destination, architecture, classes=classes)
    assert not destination.parent.exists() or not list(destination.parent.iterdir())


def test_the_destination_is_safetensors(tmp_path, source):
    with pytest.raises(InputError, match=r"model\.pt: converted weights end in \.safetensors"):
        convert(source, tmp_path / "model.pt", "yolov5n")


def test_the_public_yolov5n(tmp_path, shared):
    path = shared / "real" / "yolov5n-coco.pt"
    if not path.is_file():
        pytest.skip("the public checkpoint is not there")
    manifest = convert(path, tmp_path / "n.safetensors", "yolov5n")
    assert len(manifest["classes"]) == 80
    assert "model.24.anchor_grid" in manifest["dropped"]
    assert not manifest["renamed"]
