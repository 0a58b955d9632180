"""The JSON schemas of the configuration files, for editors and other programs."""

import json
from pathlib import Path

from lcrp.configuration.experiment import Experiment
from lcrp.configuration.workflow import Configuration

SCHEMAS = {"config": Configuration, "experiment": Experiment}


def schema_text(name: str) -> str:
    """The JSON schema of `config` or `experiment`, as it stands in the file."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **SCHEMAS[name].model_json_schema(),
    }
    return json.dumps(schema, indent=2) + "\n"


def write_schemas(folder: str | Path) -> list[Path]:
    """Write `NAME.schema.json` for each of the schemas; gives their paths."""
    paths = []
    for name in SCHEMAS:
        path = Path(folder) / f"{name}.schema.json"
        path.write_text(schema_text(name), encoding="utf-8")
        paths.append(path)
    return paths
