"""What to tell a person whose configuration is wrong: the entry, what is allowed, an example."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from lcrp.configuration.dataset import FORMATS, TableDataset

_TAGS = {**FORMATS, "table": TableDataset}
_PROBLEMS = {
    "string_type": "must be text (put it in quotes)",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list, [a, b, ...]",
    "dict_type": "must hold `key: value` entries",
    "model_type": "must hold `key: value` entries",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}


class _Place:
    """Where in the configuration an error is: its keys, its model and its field."""

    def __init__(self, kind: type[BaseModel], location: Iterable[int | str]):
        self.keys: list[str | int] = []
        self.kind: type[BaseModel] | None = kind
        self.holder: type[BaseModel] = kind
        self.field: FieldInfo | None = None
        for step in location:
            if self.kind is None:
                # Inside of a list; what else follows names the members of a union.
                if isinstance(step, int):
                    self.keys.append(step)
                continue
            if self.field is not None and step in _TAGS and "Tag" in repr(self.field):
                self.kind = _TAGS[step]
                continue
            self.field = self.kind.model_fields.get(str(step))
            self.keys.append(step)
            self.holder, self.kind = self.kind, _model_of(self.field)

    def __str__(self):
        return ".".join(str(key) for key in self.keys)


def _model_of(field: FieldInfo | None) -> type[BaseModel] | None:
    """The model that describes a field's entries; any of them for a union of models."""
    if field is None:
        return None
    waiting = [field.annotation]
    while waiting:
        annotation = waiting.pop(0)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
        if get_origin(annotation) is not list:
            waiting.extend(get_args(annotation))
    return None


def _choices(field: FieldInfo | None) -> list[str]:
    """The words that a field accepts."""
    if field is None:
        return []
    words: list[str] = []
    waiting = [field.annotation]
    while waiting:
        annotation = waiting.pop(0)
        if get_origin(annotation) is Literal:
            words.extend(get_args(annotation))
        elif get_origin(annotation) is not list:
            waiting.extend(get_args(annotation))
    return words


def _example(field: FieldInfo | None, keys: list[str | int] = ()) -> Any:
    if field is None:
        return "..."
    if field.examples:
        # An error inside of a list is answered with a list.
        return field.examples[-1 if any(isinstance(key, int) for key in keys) else 0]
    if _choices(field):
        return _choices(field)[0]
    model = _model_of(field)
    if model is not None:
        return {
            name: _example(inner)
            for name, inner in model.model_fields.items()
            if inner.is_required()
        }
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _nearest(word: Any, words: Iterable[str]) -> str | None:
    near = get_close_matches(str(word).lower(), [str(w) for w in words], n=1, cutoff=0.5)
    return near[0] if near else None


def _snippet(keys: list[str | int], value: Any) -> str:
    names = [key for key in keys if isinstance(key, str)]
    for name in reversed(names):
        value = {name: value}
    style = None if len(names) > 1 or isinstance(value[names[0]], dict) else False
    text = yaml.safe_dump(value, sort_keys=False, default_flow_style=style, allow_unicode=True)
    return "".join(f"    {line}\n" for line in text.splitlines())


def _problem(place: _Place, error: dict) -> tuple[str, Any, list[str | int]]:
    """What is wrong, a value that would be right, and the keys that lead to it."""
    given, form, keys = error["input"], error["type"], place.keys
    if form == "missing":
        about = place.field.description if place.field is not None else None
        return "is missing" + (f" ({about})" if about else ""), _example(place.field, keys), keys
    if form == "extra_forbidden":
        allowed = list(place.holder.model_fields)
        name = _nearest(keys[-1], allowed)
        text = f"is no known entry; allowed here: {', '.join(allowed)}"
        if name is None:
            name = allowed[0]
            return text, _example(place.holder.model_fields[name]), [*keys[:-1], name]
        return f"{text}; did you mean `{name}`?", given, [*keys[:-1], name]
    if form in ("union_tag_invalid", "union_tag_not_found"):
        tag = given.get("format") if isinstance(given, dict) else given
        name = _nearest(tag, FORMATS) or "coco"
        text = f"`format: {tag}` is not allowed; allowed: {', '.join(FORMATS)}, or `name:` alone"
        fields = FORMATS[name].model_fields
        example = {n: _example(f) for n, f in fields.items() if f.is_required()}
        return text, {**example, "format": name}, keys
    if form == "value_error":
        return str(error["ctx"]["error"]), _example(place.field, keys), keys
    words = _choices(place.field)
    if words:
        text = f"`{given}` is not allowed; allowed: {', '.join(words)}"
        if any(get_origin(a) is list for a in get_args(place.field.annotation)):
            text += ", or a list"
        name = _nearest(given, words)
        if name:
            return f"{text}; did you mean `{name}`?", name, keys
        return text, _example(place.field, keys), keys
    if form == "string_pattern_mismatch" and place.field is not None:
        return (
            f"`{given}` is not allowed ({place.field.description})",
            _example(place.field, keys),
            keys,
        )
    message = _PROBLEMS.get(form, error["msg"][0].lower() + error["msg"][1:])
    return f"`{given}`: {message}", _example(place.field, keys), keys


def describe(
    kind: type[BaseModel], content: dict, error: ValidationError, source: str | Path
) -> str:
    """One paragraph per wrong entry: file and entry, what is allowed, a corrected example."""
    paragraphs: dict[str, str] = {}
    # Every member of a union complains: the deepest complaint about an entry is the clearest.
    for details in sorted(error.errors(), key=lambda details: -len(details["loc"])):
        place = _Place(kind, details["loc"])
        if any(known == str(place) or known.startswith(f"{place}.") for known in paragraphs):
            continue
        text, example, keys = _problem(place, details)
        where = f"{source}: {place}: " if place.keys else f"{source}: "
        snippet = f"; for example:\n{_snippet(keys, example)}" if keys else ""
        paragraphs[str(place) or "."] = f"{where}{text}{snippet}".rstrip("\n")
    return "\n".join(paragraphs.values())
