"""State dicts out of checkpoints of any known form."""

import json
import os
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file

from lcrp.checkpoints.other_files import other_kind
from lcrp.checkpoints.pickles import Refused, StandIn, check_archive, load_inert
from lcrp.checkpoints.recognition import recognise
from lcrp.errors import InputError

# What evaluation scripts read first comes first: the moving average, where there is one.
WRAPPERS = (
    "ema",
    "state_dict_ema",
    "ema_state_dict",
    "model_ema",
    "model_state",
    "model_state_dict",
    "model",
    "state_dict",
    "network",
    "net",
    "weights",
    "module",
)
TRAINING = ("optim", "sched", "scaler", "rng", "random", "callback", "loop")
PREFIXES = ("module.", "_orig_mod.")
NAMES = ("names", "class_names", "classes", "CLASSES")
MAX_ENTRIES = 100_000
MAX_WRAPPERS = 100
SMALL = 2**22
RESAVE = "save the weights alone with torch.save(model.state_dict(), file) or as safetensors"


def read_checkpoint(path: str | os.PathLike) -> tuple[dict[str, torch.Tensor], dict]:
    """The weights in a file, without executing anything that the file contains.

    Reads safetensors and torch files (zip and legacy format) holding a state dict, a dict around
    one, or a whole pickled model.

    Returns:
        The state dict, on the CPU, contiguous, floating-point entries as float32 and integer ones
        as stored; and a dict of facts: `format` ("safetensors", "torch"), `wrappers` (keys that
        led to the weights), `prefix` (removed from every key), `model_class` (of a whole model,
        else None), `classes` (tuple of names found, or None), `dtypes` (of the stored
        floating-point entries), `dropped` (what was left out and why), and of a converted file
        `architecture` and `options` (else None, {}).

    Raises:
        InputError: the file is missing, damaged, of another kind or without weights, its weights
            are NaN or infinite, or it asks for a call.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path of the checkpoint")
    info = {"wrappers": [], "prefix": "", "model_class": None, "classes": None, "dropped": {}}
    info |= {"architecture": None, "options": {}}
    if _is_safetensors(path):
        state, metadata = _read_safetensors(path)
        info |= {"format": "safetensors", **_own_metadata(path, metadata)}
    else:
        content = _read_torch(path)
        info["format"] = "torch"
        try:
            state = _find_weights(path, content, info)
        except InputError:
            raise
        except Exception as error:
            raise _unreadable(path, error) from error
    state = _unwrapped(_strip_prefixes(state, info), info)
    info["dtypes"] = sorted({_name(t.dtype) for t in state.values() if t.is_floating_point()})
    return _as_float32(path, state), info


def _is_safetensors(path):
    with path.open("rb") as file:
        head = file.read(9)
    return path.suffix == ".safetensors" or (len(head) == 9 and head[8:] == b"{")


def _read_safetensors(path):
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        return load_file(path), metadata
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"{path}: not a whole safetensors file ({_line(error)}); get the file again"
        ) from error


def _own_metadata(path, metadata):
    if "lcrp" not in metadata:
        return {}
    try:
        described = json.loads(metadata["lcrp"])
        return {
            "architecture": described["architecture"],
            "options": dict(described["options"]),
            "classes": tuple(described["classes"]),
        }
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: its metadata entry lcrp is not as written here; convert the checkpoint again"
        ) from error


def _read_torch(path):
    _refuse_other_kinds(path)
    try:
        if zipfile.is_zipfile(path):
            check_archive(path)
    except (ValueError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error
    with warnings.catch_warnings(), suppress(Exception):
        # Whatever it refuses, a whole model or a damaged file, the inert reading tells better.
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)
    try:
        return load_inert(path)
    except Refused as refusal:
        raise _refused(path, refusal) from refusal
    except Exception as error:
        raise _unreadable(path, error) from error


def _refused(path, refusal):
    return InputError(
        f"{path}: refused, it asks to call {refusal} and nothing of it was run; "
        f"if the file is yours, {RESAVE}, else do not trust it"
    )


def _unreadable(path, error):
    return InputError(
        f"{path}: not a readable checkpoint ({_line(error)}); get the file again, or {RESAVE}"
    )


def _refuse_other_kinds(path):
    other = other_kind(path)
    if other:
        raise InputError(f"{path}: it is {other[0]}; {other[1]}")


def _find_weights(path, content, info):
    """Follow the known wrappers down to a dict of tensors."""
    while True:
        if isinstance(content, StandIn) and "_modules" in content.state:
            info["model_class"] = type(content).path
            _note_classes(content.state, info)
            return _walk_modules(path, content)
        if isinstance(content, StandIn):
            content = content.entries or content.state
        if not isinstance(content, dict):
            raise InputError(
                f"{path}: it holds {_kind(content)}, not weights; {RESAVE}",
            )
        _note_classes(content, info)
        inside = next((key for key in WRAPPERS if _holds_weights(content.get(key))), None)
        if inside is None:
            inside = _only_one(path, content)
        if inside is None:
            return _tensors(path, content, info)
        for key in content:
            if key != inside:
                info["dropped"][".".join([*info["wrappers"], str(key)])] = "beside the weights"
        info["wrappers"].append(inside)
        content = content[inside]


def _only_one(path, content):
    """The one entry of another name that leads to weights; None where weights lie here.

    Raises InputError where several do, which then are as good as each other.
    """
    if any(torch.is_tensor(value) and value.ndim for value in content.values()):
        return None
    leading = [
        key for key, value in content.items() if not _of_training(key) and _holds_weights(value)
    ]
    if len(leading) > 1:
        raise InputError(
            f"{path}: it holds several sets of weights ({', '.join(map(str, leading[:8]))}); save "
            "the one to explain alone, with torch.save(checkpoint[NAME], file)"
        )
    return leading[0] if leading else None


def _holds_weights(content, seen=None):
    """Whether weights lie in it, directly or under any keys but those of the training's state."""
    seen = set() if seen is None else seen
    if isinstance(content, StandIn):
        if "_modules" in content.state:
            return True
        content = content.entries or content.state
    if not isinstance(content, dict) or id(content) in seen or len(seen) > MAX_WRAPPERS:
        return False
    seen.add(id(content))
    return any(torch.is_tensor(value) and value.ndim for value in content.values()) or any(
        _holds_weights(value, seen) for key, value in content.items() if not _of_training(key)
    )


def _of_training(key):
    """Whether a key leads to what training keeps beside the weights, as moments of an optimiser."""
    return not isinstance(key, str) or any(word in key.lower() for word in TRAINING)


def _tensors(path, content, info):
    state = {k: v for k, v in content.items() if isinstance(k, str) and torch.is_tensor(v)}
    if not state:
        keys = ", ".join(str(key) for key in list(content)[:8]) or "nothing"
        raise InputError(f"{path}: no weights found in it (it holds {keys}); {RESAVE}")
    for key in content:
        if key not in state:
            info["dropped"][str(key)] = "not a tensor"
    return state


def _note_classes(entries, info):
    for key in NAMES:
        names = entries.get(key)
        if isinstance(names, dict) and all(type(index) is int for index in names):
            names = [names[index] for index in sorted(names)]
        if isinstance(names, list | tuple) and names and all(isinstance(n, str) for n in names):
            info["classes"] = tuple(names)
            return


def _walk_modules(path, root):
    """What `state_dict()` of the pickled module would hold, in its order."""
    state = {}

    def walk(module, prefix, above):
        if id(module) in above or len(state) > MAX_ENTRIES or len(above) > 200:
            raise InputError(f"{path}: its modules contain themselves; {RESAVE}")
        if not isinstance(module, StandIn):
            return
        passing = module.state.get("_non_persistent_buffers_set") or ()
        for group in ("_parameters", "_buffers"):
            for name, tensor in _entries(module, group):
                if torch.is_tensor(tensor) and not (group == "_buffers" and name in passing):
                    state[f"{prefix}{name}"] = tensor
        for name, child in _entries(module, "_modules"):
            walk(child, f"{prefix}{name}.", above | {id(module)})

    walk(root, "", frozenset())
    if not state:
        raise InputError(f"{path}: the model in it has no weights; {RESAVE}")
    return state


def _entries(module, group):
    entries = module.state.get(group)
    return entries.items() if isinstance(entries, dict) else ()


def _strip_prefixes(state, info):
    """Without what training put before every key; counters beside the network are left out."""
    stripped = True
    while stripped:
        stripped = False
        for prefix in PREFIXES:
            weights = [key for key, tensor in state.items() if tensor.ndim]
            if weights and all(key.startswith(prefix) for key in weights):
                beside = [key for key in state if not key.startswith(prefix)]
                info["dropped"] |= dict.fromkeys(beside, "a counter beside the network")
                state = {
                    key.removeprefix(prefix): tensor
                    for key, tensor in state.items()
                    if key.startswith(prefix)
                }
                info["prefix"] += prefix
                stripped = True
    return state


def _unwrapped(state, info):
    """The network of a training module (as of Lightning), without what lies beside it there."""
    if recognise(state):
        return state
    for prefix in dict.fromkeys(key.partition(".")[0] + "." for key in state):
        inner = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        if recognise(inner):
            info["prefix"] += prefix
            beside = (key for key in state if not key.startswith(prefix))
            info["dropped"] |= {key: "beside the network" for key in beside}
            return inner
    return state


def _as_float32(path, state):
    # Tied weights repeat what is stored, but not endlessly.
    if sum(t.numel() for t in state.values()) > 8 * path.stat().st_size + SMALL:
        raise InputError(f"{path}: its weights are far larger than the file; {RESAVE}")
    result, broken = {}, []
    for key, tensor in state.items():
        tensor = tensor.detach()
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise InputError(f"{path}: {key} is sparse, quantised or without data; {RESAVE}")
        if tensor.is_floating_point():
            tensor = tensor.to(torch.float32)
            if not torch.isfinite(tensor).all():
                broken.append(key)
        result[key] = tensor.contiguous()
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise InputError(
            f"{path}: {broken[0]}{more} contains NaN or infinite weights; "
            "use another checkpoint, this one is damaged or its training diverged"
        )
    return result


def _name(dtype):
    return str(dtype).removeprefix("torch.")


def _kind(content):
    if isinstance(content, StandIn):
        return f"an object of {type(content).path}"
    return f"a {type(content).__name__}"


def _line(error):
    """The first sentence of an error's message, on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."
