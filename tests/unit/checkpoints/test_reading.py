"""Every form in which weights are found gives the same state dict."""

import sys
import tempfile
import zipfile
from collections import OrderedDict
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from lcrp import InputError
from lcrp.checkpoints import read_checkpoint
from lcrp.models import build_model


class Block(nn.Module):
    """Stands for a class of the authors' code, which readers of the file do not have."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.register_buffer("grid", torch.arange(4.0))
        self.register_buffer("passing", torch.zeros(2), persistent=False)
        self.layers = nn.Sequential(nn.Conv2d(4, 2, 1), nn.ReLU())
        self.layers[0].weight.requires_grad_(False)
        self.names = ["ship", "car"]
        self.stride = torch.tensor([8.0])


@pytest.fixture
def foreign(monkeypatch):
    """A model whose class lies in a module that is gone when the file is read."""
    module = ModuleType("authors_code.models")
    monkeypatch.setitem(sys.modules, "authors_code", ModuleType("authors_code"))
    monkeypatch.setitem(sys.modules, "authors_code.models", module)
    monkeypatch.setattr(Block, "__module__", "authors_code.models")
    module.Block = Block
    torch.manual_seed(0)
    return Block().half()


def forget_authors(monkeypatch):
    monkeypatch.delitem(sys.modules, "authors_code.models")
    monkeypatch.delitem(sys.modules, "authors_code")


def same(state, expected):
    assert list(state) == list(expected)
    for key, value in expected.items():
        wanted = value.float() if value.is_floating_point() else value
        assert state[key].dtype == wanted.dtype
        assert state[key].is_contiguous() and not state[key].requires_grad
        assert torch.equal(state[key], wanted)
    return True


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrapper", ["ema", "model", None])
def test_a_whole_model(tmp_path, monkeypatch, foreign, wrapper, zipped):
    path = tmp_path / "model.pt"
    content = {"epoch": 3, wrapper: foreign, "optimizer": None} if wrapper else foreign
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    expected = foreign.state_dict()
    forget_authors(monkeypatch)
    state, info = read_checkpoint(path)
    assert same(state, expected)
    assert "passing" not in state
    assert info["classes"] == ("ship", "car")
    assert info["model_class"] == "authors_code.models.Block"
    assert info["dtypes"] == ["float16"]
    assert info["wrappers"] == ([wrapper] if wrapper else [])
    assert set(info["dropped"]) == ({"epoch", "optimizer"} if wrapper else set())
    assert "authors_code" not in sys.modules


def test_the_moving_average_comes_first(tmp_path, foreign):
    average = Block()
    torch.save({"model": foreign, "ema": average}, tmp_path / "both.pt")
    state, info = read_checkpoint(tmp_path / "both.pt")
    assert same(state, average.state_dict())
    assert info["wrappers"] == ["ema"]
    torch.save({"model": foreign, "ema": None}, tmp_path / "one.pt")
    assert read_checkpoint(tmp_path / "one.pt")[1]["wrappers"] == ["model"]


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    ("wrap", "wrappers", "prefix"),
    [
        (lambda s: s, [], ""),
        (lambda s: {"model_state": s, "cur_itrs": 1, "best_score": 0.7}, ["model_state"], ""),
        (lambda s: {"model": s, "iteration": 7}, ["model"], ""),
        (lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}}, ["state_dict"],
         "module."),
        (lambda s: {"model": {"state_dict": s}}, ["model", "state_dict"], ""),
        (lambda s: {f"module._orig_mod.{k}": v for k, v in s.items()}, [], "module._orig_mod."),
        (lambda s: {**s, "note": "by hand"}, [], ""),
        (lambda s: {"model": s, "args": SimpleNamespace(lr=0.1)}, ["model"], ""),
    ],
)  # fmt: skip
def test_a_state_dict_and_what_is_wrapped_around_it(tmp_path, wrap, wrappers, prefix, zipped):
    expected = Block().state_dict()
    path = tmp_path / "weights.pth"
    torch.save(wrap(expected), path, _use_new_zipfile_serialization=zipped)
    state, info = read_checkpoint(path)
    assert same(state, expected)
    assert (info["wrappers"], info["prefix"]) == (wrappers, prefix)


def test_a_network_inside_a_training_module(tmp_path):
    expected = build_model("unet", 2, encoder="narrow", encoder_channels=[4, 8]).network
    inside = {f"net.{key}": value for key, value in expected.state_dict().items()}
    beside = {"mean": torch.zeros(3), "loss.weight": torch.ones(2)}
    torch.save({"state_dict": {**beside, **inside}, "epoch": 3}, tmp_path / "last.ckpt")
    state, info = read_checkpoint(tmp_path / "last.ckpt")
    assert same(state, expected.state_dict())
    assert info["prefix"] == "net."
    assert info["dropped"] == {
        "epoch": "beside the weights",
        "mean": "beside the network",
        "loss.weight": "beside the network",
    }


def test_settings_under_the_name_of_weights_are_passed_over(tmp_path):
    expected = Block().state_dict()
    content = {
        "ema": {"decay": 0.99, "updates": torch.tensor(7)},
        "model": {"name": "block", "depth": 3},
        "state_dict": expected,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]},
    }
    torch.save(content, tmp_path / "w.pt")
    state, info = read_checkpoint(tmp_path / "w.pt")
    assert same(state, expected)
    assert info["wrappers"] == ["state_dict"]
    assert set(info["dropped"]) == {"ema", "model", "optimizer"}


def test_a_model_in_data_parallel(tmp_path, foreign):
    torch.save({"model": nn.DataParallel(foreign)}, tmp_path / "parallel.pt")
    state, info = read_checkpoint(tmp_path / "parallel.pt")
    assert same(state, foreign.state_dict())
    assert info["prefix"] == "module."


def test_numbers_of_numpy_beside_the_weights(tmp_path, foreign):
    content = {"model": foreign, "best": np.float64(0.3), "history": np.arange(3)}
    for zipped in (True, False):
        torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
        assert same(read_checkpoint(tmp_path / "w.pt")[0], foreign.state_dict())


def big_endian(path, content):
    """Writes what torch.save does on a machine that stores the high byte first."""
    torch.save(content, path.with_suffix(".little"))
    with zipfile.ZipFile(path.with_suffix(".little")) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = b"big" if name.endswith("byteorder") else old.read(name)
            if "/data/" in name:
                data = np.frombuffer(data, np.uint16).byteswap().tobytes()
            new.writestr(name, data)


def test_numbers_with_the_high_byte_first(tmp_path, foreign):
    expected = {"w": torch.randn(12).half()}
    big_endian(tmp_path / "big.pt", expected)
    assert same(read_checkpoint(tmp_path / "big.pt")[0], expected)
    big_endian(tmp_path / "whole.pt", foreign)
    with pytest.raises(InputError, match=r"whole\.pt: .*stored in big-endian order"):
        read_checkpoint(tmp_path / "whole.pt")


def test_class_names_beside_the_weights(tmp_path):
    content = {"model": Block().state_dict(), "names": {1: "car", 0: "ship"}}
    torch.save(content, tmp_path / "w.pt")
    assert read_checkpoint(tmp_path / "w.pt")[1]["classes"] == ("ship", "car")


def test_kinds_of_numbers_and_views(tmp_path, foreign):
    base = torch.arange(12.0, dtype=torch.float64)
    tensors = OrderedDict(
        double=base,
        view=base.view(3, 4).t(),
        part=base[5:7],
        half=torch.ones(2, dtype=torch.bfloat16),
        count=torch.tensor(7),
        flag=torch.tensor([True, False]),
        nothing=torch.zeros(0, 3),
        expanded=torch.ones(1).expand(5),
        parameter=nn.Parameter(torch.ones(2)),
    )
    for zipped in (True, False):
        # The model beside them forces the inert reading.
        content = {"model": tensors, "extra": foreign}
        torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
        assert same(read_checkpoint(tmp_path / "w.pt")[0], tensors)


def test_a_tied_module_is_found_under_both_names(tmp_path, foreign):
    foreign.again = foreign.layers
    torch.save(foreign, tmp_path / "tied.pt")
    state, _ = read_checkpoint(tmp_path / "tied.pt")
    assert same(state, foreign.state_dict())


def test_safetensors(tmp_path):
    expected = Block().half().state_dict()
    save_file(expected, tmp_path / "w.safetensors")
    state, info = read_checkpoint(tmp_path / "w.safetensors")
    # The format orders by size of number and name.
    assert same(dict(sorted(state.items())), dict(sorted(expected.items())))
    assert info["format"] == "safetensors"
    (tmp_path / "w.safetensors").rename(tmp_path / "w.bin")
    assert read_checkpoint(tmp_path / "w.bin")[1]["format"] == "safetensors"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_no_numbers(tmp_path, value):
    state = Block().double().state_dict()
    state["bn.weight"][1] = value
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"w\.pt: bn\.weight contains NaN or infinite"):
        read_checkpoint(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><p>Not found", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"\x08\x08\x12\x07pytorch\x1a\x05", "an ONNX network; give the checkpoint"),
        (b"\x89HDF\r\n\x1a\n" + bytes(8), "an HDF5 file"),
        (b"ftrt" + bytes(20), "a TensorRT engine; give the checkpoint"),
        (b"\x1c\0\0\0TFL3" + bytes(20), "a TensorFlow Lite network"),
        (b'<?xml version="1.0"?>\n<net name="a">', "an OpenVINO network"),
        (b"random bytes " * 20, "not a readable checkpoint"),
        (b"PK\x03\x04" + bytes(100), "not a readable checkpoint"),
        (b"\x10" + bytes(7) + b'{"a":1}', "not a whole safetensors file"),
    ],
)
def test_other_files(tmp_path, content, message):
    path = tmp_path / "w.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"w\.pt: .*{message}") as error:
        read_checkpoint(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_file_that_is_cut_off(tmp_path, foreign, zipped, share):
    for content in (foreign.state_dict(), foreign):
        torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
        whole = (tmp_path / "w.pt").read_bytes()
        (tmp_path / "w.pt").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match=r"w\.pt: not a readable checkpoint"):
            read_checkpoint(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3, "lr": 0.1}, "no weights found in it .it holds epoch, lr"),
        (torch.zeros(3), "it holds a Tensor, not weights"),
        ([1, 2], "it holds a list, not weights"),
        (nn.ReLU(), "no weights"),
    ],
)
def test_files_without_weights(tmp_path, content, message):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(InputError, match=rf"w\.pt: .*{message}"):
        read_checkpoint(tmp_path / "w.pt")


def test_modules_that_contain_themselves(tmp_path, foreign):
    foreign.layers[0].above = [foreign]
    foreign.layers[0]._modules["above"] = foreign
    torch.save(foreign, tmp_path / "loop.pt")
    with pytest.raises(InputError, match=r"loop\.pt: its modules contain themselves"):
        read_checkpoint(tmp_path / "loop.pt")


def test_a_program_is_not_a_checkpoint(tmp_path):
    script = torch.jit.trace(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2))
    script.save(str(tmp_path / "script.pt"))
    with pytest.raises(InputError, match="TorchScript"):
        read_checkpoint(tmp_path / "script.pt")


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.pt: no such file"):
        read_checkpoint(tmp_path / "nowhere.pt")


def test_the_public_yolov5n(shared):
    path = shared / "real" / "yolov5n-coco.pt"
    if not path.is_file():
        pytest.skip("the public checkpoint is not there")
    state, info = read_checkpoint(path)
    lines = (shared / "golden" / "keys" / "yolov5n.tsv").read_text().splitlines()
    shapes = {key: shape for key, shape, *_ in (line.split("\t") for line in lines)}
    extra = {"model.24.anchor_grid"}
    assert set(state) == set(shapes) | extra
    for key, shape in shapes.items():
        assert "x".join(map(str, state[key].shape)) == shape or not state[key].shape
    assert len(info["classes"]) == 80 and info["classes"][:2] == ("person", "bicycle")
    assert info["model_class"] == "models.yolo.Model"
    assert info["dtypes"] == ["float16"]


LAYER = {"conv.weight": torch.ones(2, 3, 1, 1), "conv.bias": torch.zeros(2)}
AVERAGED = {"n_averaged": torch.tensor(3)} | {f"module.{k}": v for k, v in LAYER.items()}


@pytest.mark.parametrize(
    "content",
    [
        AVERAGED,
        {"model_ema": AVERAGED, "epoch": 3},
        {"model": LAYER, "model_ema": AVERAGED},
        {"student": {"backbone": LAYER}, "epoch": 3},
        {"checkpoint": {"state_dict": {"module.": 0} | LAYER}},
    ],
    ids=["average", "average in a file", "average beside", "foreign names", "deep"],
)
def test_wrappers_of_any_name_and_depth(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    state, info = read_checkpoint(tmp_path / "a.pt")
    assert {k: v.tolist() for k, v in state.items()} == {k: v.tolist() for k, v in LAYER.items()}
    if "n_averaged" in str(content):
        assert info["dropped"]["n_averaged"] == "a counter beside the network"


wrappers = st.lists(
    st.sampled_from(["model", "ema", "state_dict", "student", "x", "net", "module"]), max_size=5
)


@given(wrappers, st.booleans())
def test_any_nesting_of_wrappers_leads_to_the_weights(names, averaged):
    content = AVERAGED if averaged else LAYER
    for name in names:
        content = {"epoch": 3, name: content, "optimizer": {"lr": 0.1}}
    with tempfile.TemporaryDirectory() as folder:
        torch.save(content, f"{folder}/a.pt")
        state, _ = read_checkpoint(f"{folder}/a.pt")
    assert state.keys() == LAYER.keys()


def test_several_sets_of_weights_are_named(tmp_path):
    torch.save({"teacher": LAYER, "student": LAYER}, tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"several sets of weights \(teacher, student\)"):
        read_checkpoint(tmp_path / "a.pt")
