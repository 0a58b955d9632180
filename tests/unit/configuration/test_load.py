"""Reading configuration files."""

from pathlib import Path

import pytest

from lcrp.configuration import experiment_names, read_configuration, read_experiment
from lcrp.configuration.load import read_yaml
from lcrp.errors import InputError

ROOT = Path(__file__).parents[3]
EXPERIMENT = """
title: Mine
model: {architecture: yolov5n, checkpoint: weights.pt}
dataset: {format: coco, images: images, annotations: instances.json}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.yaml").write_text(EXPERIMENT)
    (tmp_path / "yours.yaml").write_text(EXPERIMENT)
    return tmp_path


def test_defaults_are_filled_in(folder):
    experiment = read_experiment("mine", folder)
    assert experiment.analysis.layers == "default"
    assert experiment.analysis.targets.settings() == {
        "source": "auto",
        "mode": "class",
        "classes": "all",
        "threshold": 0.25,
    }
    assert experiment.dataset.settings()["annotations"] == "instances.json"
    assert not experiment.scenes


def test_classes_by_name_or_index_and_layers_by_name_or_pattern(folder):
    (folder / "mine.yaml").write_text(
        EXPERIMENT
        + "analysis: {layers: [model.8.*, model.10.conv], targets: {classes: [person, 17]}}\n"
    )
    analysis = read_experiment("mine", folder).analysis
    assert analysis.layers == ["model.8.*", "model.10.conv"]
    assert analysis.targets.classes == ["person", 17]


def test_names_are_those_of_the_files(folder):
    assert experiment_names(folder) == ["mine", "yours"]


def test_an_unknown_experiment_names_the_nearest(folder):
    with pytest.raises(InputError, match=r"no experiment `mines`; did you mean mine\?"):
        read_experiment("mines", folder)


def test_the_shipped_configuration_needs_no_download(root):
    names = read_configuration(root / "config/config.yaml").experiments
    assert names == ["demo-segmentation", "demo-detection"]
    for name in names:
        experiment = read_experiment(name, root / "config/experiments")
        assert experiment.scenes and experiment.model.training


def test_image_ids_keep_their_leading_zeros(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("ids: [000000000127, 000000000139, 12, 0, 0x10]\n")
    assert read_yaml(path) == {"ids": ["000000000127", "000000000139", 12, 0, 16]}


def test_entries_can_be_taken_over_and_changed(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: &one {x: 1, y: 2}\nb: {<<: *one, y: 3}\n")
    assert read_yaml(path) == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}
    path.write_text("a: &one {x: 1}\nb: {<<: *one, y: 3, y: 4}\n")
    with pytest.raises(InputError, match="line 2: `y` is given twice"):
        read_yaml(path)


@pytest.mark.parametrize("name", experiment_names(ROOT / "config/experiments"))
def test_the_shipped_experiments_are_valid(name):
    assert read_experiment(name, ROOT / "config/experiments").title


def test_an_entry_that_is_given_twice_is_refused(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\nb: {c: 1}\na: 2\n")
    with pytest.raises(InputError, match=r"a\.yaml: line 3: `a` is given twice"):
        read_yaml(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1, 2\n", r"a\.yaml: line 2: not valid YAML"),
        (b"a: 'x\n", r"a\.yaml: line 2: not valid YAML"),
        (b"a: \xff\n", r"a\.yaml: is not UTF-8"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(tmp_path, content, message):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_yaml(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"config\.yaml: no such file"):
        read_configuration(tmp_path / "config.yaml")


@pytest.mark.parametrize("content", ["", "- a\n", "word\n", "experiments: []\n"])
def test_a_configuration_without_experiments_is_refused(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=r"config\.yaml: .*experiments"):
        read_configuration(path)
