"""Reading the configuration files."""

import re
from collections.abc import Collection
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from lcrp.configuration.entry import NAME, Entry
from lcrp.configuration.experiment import Experiment
from lcrp.configuration.messages import describe
from lcrp.configuration.workflow import Configuration
from lcrp.errors import InputError
from lcrp.file_names import plain

FOLDER = Path("config/experiments")
_NAMED = re.compile(NAME)
E = TypeVar("E", bound=Entry)


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: ids keep their leading zeros, no key is overwritten silently."""


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int | str:
    if node.value.startswith("0") and node.value.isdigit() and len(node.value) > 1:
        return node.value
    return loader.construct_yaml_int(node)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    # What is taken over from elsewhere (`<<: *anchor`) may be overwritten.
    own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
    keys = [loader.construct_object(key) for key in own]
    for number, key in enumerate(keys):
        if key in keys[:number]:
            line = own[number].start_mark.line + 1
            raise InputError(
                f"{loader.name}: line {line}: `{key}` is given twice; keep one of the two"
            )
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file.

    Raises:
        InputError: the file is missing or not YAML, or gives an entry twice.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return yaml.load(file, _Loader)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; create it or correct the name") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise InputError(f"{path}: {line}not valid YAML, {problem}; correct that line") from None


def parse_entries(kind: type[E], content: Any, source: str | Path) -> E:
    """The typed form of a file's content.

    Raises:
        InputError: every wrong entry of it, what is allowed, and a corrected example.
    """
    if isinstance(content, kind):
        return content
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise InputError(
            f"{source}: must hold `key: value` entries, not {type(content).__name__}; "
            f"start with `{next(iter(kind.model_fields))}:`"
        )
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise InputError(describe(kind, content, error, source)) from None


def read_configuration(path: str | Path = "config/config.yaml") -> Configuration:
    """Which experiments are run."""
    return parse_entries(Configuration, read_yaml(path), path)


def experiment_names(folder: str | Path = FOLDER) -> list[str]:
    """Names of the experiments that have a file, of those that can be asked for by name."""
    names = {path.stem for path in Path(folder).glob("*.yaml")}
    return sorted(name for name in names if _NAMED.fullmatch(name))


def misnamed_files(folder: str | Path = FOLDER, taken: Collection[str] = ()) -> list[str]:
    """One line for each file that looks like an experiment but cannot be asked for by its name.

    Args:
        folder: of the experiments.
        taken: names that mean something else.
    """
    lines = []
    for path in sorted(Path(folder).glob("*.y*ml")):
        if path.suffix == ".yml":
            lines.append(f"{path}: not read; rename it to {path.stem}.yaml")
        elif not _NAMED.fullmatch(path.stem):
            lines.append(
                f"{path}: not read; name it with letters, digits, `_`, `.` and `-` alone, as in "
                f"{plain(path.stem)}.yaml"
            )
        elif path.stem in taken:
            lines.append(
                f"{path}: not read; a step of the workflow is called {path.stem}: rename the file"
            )
    return lines


@cache
def read_experiment(name: str, folder: str | Path = FOLDER) -> Experiment:
    """The experiment that `folder/name.yaml` describes.

    Raises:
        InputError: there is no such file (names the nearest), or an entry of it is wrong.
    """
    path = Path(folder) / f"{name}.yaml"
    if not path.is_file():
        known = experiment_names(folder)
        near = get_close_matches(name, known, n=3) or known
        raise InputError(
            f"{path}: there is no experiment `{name}`; "
            + (f"did you mean {' or '.join(near)}?" if near else "create this file")
        )
    return parse_entries(Experiment, read_yaml(path), path)
