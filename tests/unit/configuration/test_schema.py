"""The JSON schemas and the typed configuration say the same."""

import json

import jsonschema
import pytest
import yaml

from lcrp.configuration.schema import SCHEMAS, schema_text


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_files_are_in_step_with_the_types(root, name):
    written = (root / f"workflow/schemas/{name}.schema.json").read_text()
    assert written == schema_text(name), "run `make schemas`"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schemas_are_valid(name):
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text(name)))


def test_the_shipped_configuration_fits_the_schemas(root):
    def check(path, name):
        content = yaml.safe_load(path.read_text())
        jsonschema.validate(content, json.loads(schema_text(name)))

    check(root / "config/config.yaml", "config")
    experiments = sorted((root / "config/experiments").glob("*.yaml"))
    assert len(experiments) >= 2
    for path in experiments:
        check(path, "experiment")


@pytest.mark.parametrize(
    "wrong",
    [
        {"dataset": {"format": "coco", "images": "a"}},
        {"analysis": {"targets": {"mode": "instances"}}},
        {"explanations": {"concepts": 0}},
        {"colour": "red"},
    ],
)
def test_the_schema_refuses_what_the_types_refuse(wrong):
    right = {
        "title": "t",
        "model": {"architecture": "yolov5n", "checkpoint": "a.pt"},
        "dataset": {"format": "coco", "images": "a", "annotations": "b"},
    }
    schema = json.loads(schema_text("experiment"))
    jsonschema.validate(right, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**right, **wrong}, schema)
