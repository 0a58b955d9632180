"""Building models by name, and giving them their weights."""

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from lcrp.checkpoints import read_checkpoint
from lcrp.checkpoints.neighbours import neighbour
from lcrp.checkpoints.recognition import recognise
from lcrp.configuration.architectures import ARCHITECTURES
from lcrp.errors import InputError, nearest
from lcrp.models.base import Model


def architectures() -> tuple[str, ...]:
    """The names that `load_model` and `build_model` know."""
    return tuple(ARCHITECTURES)


def build_model(name: str, classes: Sequence[str] | int | None = None, **options: Any) -> Model:
    """A model without training.

    Args:
        name: one of `architectures()`.
        classes: names by class index, or how many there are; by default those of the data
            that the published weights were trained on.
        **options: see the architecture's class.

    Raises:
        InputError: the name or an option is unknown.
    """
    family = _family(name)
    known = [
        parameter.name
        for parameter in inspect.signature(family).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InputError(f"{unknown[0]}: {name} has no such option; it has {', '.join(known)}")
    return family(name, _class_names(family, name, classes), **options)


def load_model(
    name: str,
    weights: str | os.PathLike | Mapping[str, torch.Tensor],
    *,
    classes: Sequence[str] | int | None = None,
    **options: Any,
) -> Model:
    """A model with weights.

    Args:
        name: one of `architectures()`.
        weights: a checkpoint file in any known form, or a state dict. A converted file brings
            options and classes, which the arguments override.
        classes: names by class index; by default those of the file or of the architecture.
        **options: see the architecture's class.

    Raises:
        InputError: weights and architecture do not fit.
    """
    if isinstance(weights, Mapping):
        source, state = "state dict", weights
    else:
        source = Path(weights).name
        state, info = read_checkpoint(weights)
        held = info.get("architecture")
        if held not in (None, name):
            raise InputError(
                f"{source}: holds the weights of {held}, not {name}; load it as {held}"
            )
        options = {**(info.get("options") or {}), **options}
        classes = (info.get("classes") or None) if classes is None else classes
    family = _family(name)
    state = family.adapted(_plain(state))
    with _Uninitialised():
        model = build_model(name, classes, **options)
    _check(source, model, state)
    model.network.load_state_dict(state)
    return model


class _Uninitialised(TorchFunctionMode):
    """Leaves out random initial values, which for VGG take longer than all the rest.

    For a network all of whose values are about to be replaced.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function.__name__ in ("normal_", "uniform_", "trunc_normal_", "kaiming_uniform_"):
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def _family(name: str) -> Any:
    if name not in ARCHITECTURES:
        raise InputError(f"{name}: no such architecture; nearest: {nearest(name, ARCHITECTURES)}")
    module, attribute = ARCHITECTURES[name]
    return getattr(import_module(f"lcrp.models.{module}"), attribute)


def _class_names(
    family: type[Model], name: str, classes: Sequence[str] | int | None
) -> tuple[str, ...]:
    if classes is None:
        classes = family.usual_classes(name)
        if classes is None:
            raise InputError(f"classes: {name} has none of its own; give one name per class")
    if isinstance(classes, int):
        classes = [f"class {index}" for index in range(classes)]
    if not classes or isinstance(classes, str):
        raise InputError(f"classes: {classes!r} is no list of names; give one name per class")
    if len(set(classes)) < len(classes):
        twice = next(c for i, c in enumerate(classes) if c in classes[:i])
        raise InputError(f"classes: {twice!r} is named twice; give every class its own name")
    return tuple(str(c) for c in classes)


def _plain(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Keys without the prefix of data-parallel training, and values in float32."""
    keys = list(state)
    prefix = "module." if keys and all(key.startswith("module.") for key in keys) else ""
    plain = {}
    for key, value in state.items():
        value = torch.as_tensor(value)
        plain[key.removeprefix(prefix)] = value.float() if value.is_floating_point() else value
    return plain


def _check(source: str, model: Model, state: dict[str, torch.Tensor]) -> None:
    """Raise InputError unless the state dict has exactly what the network needs.

    Counts of seen batches, which nothing reads, are filled in where they are missing.
    """
    expected = model.network.state_dict()
    for key, value in expected.items():
        if key.endswith(".num_batches_tracked"):
            state.setdefault(key, value)
    missing = [key for key in expected if key not in state]
    surplus = [key for key in state if key not in expected]
    differing = [
        key for key, value in expected.items() if key in state and state[key].shape != value.shape
    ]
    if missing or surplus or differing:
        raise InputError(_mismatch(source, model, state, expected, missing, surplus, differing))
    for key, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise InputError(f"{source}: {key} holds NaN or infinite values; use another file")


def _mismatch(
    source: str,
    model: Model,
    state: Mapping[str, torch.Tensor],
    expected: Mapping[str, torch.Tensor],
    missing: Sequence[str],
    surplus: Sequence[str],
    differing: Sequence[str],
) -> str:
    name = model.architecture
    near = neighbour(state)
    if near:
        return f"{source}: it holds {near.what}, not {name}; {near.remedy}"
    found = recognise(state)
    count = type(model).class_count(state)
    other = count is not None and count != len(model.classes)
    another = found not in (None, name)
    remedies = [
        f"load it as {found}" if another else "",
        f"give the names of its {count} classes as `classes`" if other else "",
    ]
    remedy = " and ".join(filter(None, remedies)) or "check the architecture and its options"
    facts = [
        f"the keys look like {found}, not {name}" if another else "",
        f"its head has {count} classes, not {len(model.classes)}" if other else "",
        _some(missing, "missing", lambda key: key),
        _some(surplus, "not part of the network", lambda key: key),
        _some(
            differing,
            "of another shape",
            lambda key: f"{key} {_shape(state[key])} instead of {_shape(expected[key])}",
        ),
    ]
    return f"{source}: does not fit {name}: {', '.join(filter(None, facts))}; {remedy}"


def _some(keys: Sequence[str], what: str, describe: Callable[[str], str]) -> str:
    if not keys:
        return ""
    return f"{len(keys)} keys {what} ({describe(keys[0])}{', ...' if len(keys) > 1 else ''})"


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(str(side) for side in tensor.shape) or "scalar"
