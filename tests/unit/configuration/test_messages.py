"""A wrong entry is shown with what is allowed and a corrected example."""

import copy
import textwrap

import pytest
import yaml

from lcrp.configuration import Experiment, parse_entries
from lcrp.errors import InputError

RIGHT = {
    "title": "t",
    "model": {"architecture": "yolov5n", "checkpoint": "a.pt"},
    "dataset": {"format": "coco", "images": "a", "annotations": "b"},
}


def message(changes, without=()):
    """What is said about the right experiment with some entries changed, by dotted path."""
    content = copy.deepcopy(RIGHT)
    for path, value in changes.items():
        *parents, last = path.split(".")
        entry = content
        for parent in parents:
            entry = entry.setdefault(parent, {})
        entry[last] = value
    for path in without:
        *parents, last = path.split(".")
        entry = content
        for parent in parents:
            entry = entry[parent]
        del entry[last]
    with pytest.raises(InputError) as caught:
        parse_entries(Experiment, content, "x.yaml")
    return str(caught.value)


def example(text):
    """The YAML that a message proposes."""
    return yaml.safe_load(textwrap.dedent(text.split("for example:\n")[1]))


def test_the_right_one_is_accepted():
    assert parse_entries(Experiment, RIGHT, "x.yaml").title == "t"


def test_an_unknown_word():
    text = message({"analysis.targets.mode": "instances"})
    assert text.startswith("x.yaml: analysis.targets.mode: `instances` is not allowed")
    assert "allowed: class, instance" in text and "did you mean `instance`?" in text
    assert example(text) == {"analysis": {"targets": {"mode": "instance"}}}


def test_an_unknown_entry():
    text = message({"explanations.concept": 5})
    assert "x.yaml: explanations.concept: is no known entry" in text
    assert "allowed here: layer, concepts, references" in text
    assert example(text) == {"explanations": {"concepts": 5}}


def test_a_missing_entry():
    text = message({}, without=["dataset.annotations"])
    assert text.startswith("x.yaml: dataset.annotations: is missing (COCO JSON file.)")
    assert example(text) == {"dataset": {"annotations": "path/to/annotations/instances.json"}}


def test_an_unknown_dataset_format():
    text = message({"dataset": {"format": "cocoo", "images": "a"}})
    assert "`format: cocoo` is not allowed; allowed: scenes, coco, folder" in text
    assert example(text)["dataset"].keys() == {"format", "images", "annotations"}


def test_an_unknown_architecture_names_the_nearest():
    text = message({"model.architecture": "yolov5nn"})
    assert "model.architecture: `yolov5nn` is no known architecture" in text
    assert "did you mean yolov5n" in text


@pytest.mark.parametrize("training", [None, {"steps": 3}])
def test_weights_have_one_source(training):
    model = {"architecture": "yolov5n"}
    if training:
        model |= {"checkpoint": "a.pt", "training": training}
    text = message({"model": model})
    assert "either `checkpoint` or `training`" in text
    assert example(text)["model"].keys() == {"architecture", "checkpoint"}


def test_training_needs_scenes():
    model = {"architecture": "yolov5n", "training": {"steps": 3}}
    assert "needs `dataset: {format: scenes}`" in message({"model": model})


def test_an_error_inside_of_a_list_is_told_once_with_a_list():
    text = message({"explanations.images": ["a", 139]})
    assert text.startswith("x.yaml: explanations.images.1: `139`: must be text")
    assert text.count("x.yaml") == 1
    assert isinstance(example(text)["explanations"]["images"], list)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("title", 3, "must be text"),
        ("analysis.images_per_shard", 0, "greater than or equal to 1"),
        ("analysis.targets.threshold", 7, "less than or equal to 1"),
        ("analysis.targets.classes", 3, "allowed: all, or a list"),
        ("analysis.layers", "alll", "did you mean `all`?"),
        ("analysis.device", "tpu", "not allowed"),
        ("analysis", [3], "must hold `key: value` entries"),
        ("explanations.width", 10, "greater than or equal to 200"),
    ],
)
def test_every_wrong_value_is_shown_and_its_example_is_right(path, value, words):
    text = message({path: value})
    assert f"x.yaml: {path}: `{value}`" in text and words in text
    proposed = copy.deepcopy(RIGHT) | example(text)
    assert parse_entries(Experiment, proposed, "x.yaml")


def test_all_errors_are_told_at_once():
    text = message({"title": 3, "analysis.top_k": 0, "report.captions": ""})
    assert [line.split(": ")[1] for line in text.splitlines() if line.startswith("x.yaml")] == [
        "analysis.top_k",
        "report.captions",
        "title",
    ]
