"""One safetensors file and one manifest from any checkpoint; everything downstream reads these."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors.torch import save_file

from lcrp.checkpoints.reading import read_checkpoint
from lcrp.errors import InputError
from lcrp.files import sha256, whole
from lcrp.models.loading import load_model


def manifest_of(weights: str | os.PathLike) -> Path:
    """Where the manifest of a converted file lies."""
    return Path(weights).with_suffix(".json")


def convert(
    source: str | os.PathLike,
    destination: str | os.PathLike,
    architecture: str,
    classes: Sequence[str] | None = None,
    options: Mapping | None = None,
) -> dict:
    """Write the weights of `source` as safetensors, with a manifest beside.

    The network of the architecture is built and loaded first, so that nothing is written for
    weights that do not fit.

    The file carries the metadata entry "lcrp": JSON with architecture, options, classes. The
    manifest `<stem>.json` holds these and: source (name), source_sha256, sha256 (of the written
    file), task, format, wrappers, prefix, model_class, classes_found, renamed (keys), dropped
    (keys, with reasons), why (reasons of prefix, renamed and folded).
    Both files appear whole or not at all.

    Args:
        source: a checkpoint in any known form.
        destination: the .safetensors to write.
        architecture: a name that `load_model` knows.
        classes: names that replace those found in the file.
        options: of the architecture.

    Returns:
        The manifest.

    Raises:
        InputError: the source cannot be read or does not fit.
    """
    source, destination = Path(source), Path(destination)
    if destination.suffix != ".safetensors":
        raise InputError(f"{destination}: converted weights end in .safetensors; rename it")
    state, info = read_checkpoint(source)
    found = info["classes"]
    try:
        model = load_model(
            architecture,
            state,
            classes=classes or found,
            **{**info["options"], **(options or {})},
        )
    except InputError as error:
        raise InputError(_naming(source, error)) from error
    weights = {key: tensor.contiguous() for key, tensor in model.network.state_dict().items()}
    description = {
        "architecture": architecture,
        "options": model.options,
        "classes": list(model.classes),
    }
    renamed, dropped = compare_keys(state, weights)
    with whole(destination) as part, whole(manifest_of(destination)) as part_manifest:
        save_file(_separate(weights), part, metadata={"lcrp": json.dumps(description)})
        manifest = {
            "source": source.name,
            "source_sha256": sha256(source),
            "sha256": sha256(part),
            "task": model.task,
            **description,
            "classes_found": list(found) if found else None,
            "format": info["format"],
            "wrappers": info["wrappers"],
            "prefix": info["prefix"],
            "model_class": info["model_class"],
            "dtypes": info["dtypes"],
            "renamed": renamed,
            "dropped": info["dropped"] | dropped,
            "why": _reasons(info["prefix"], renamed),
        }
        part_manifest.write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def compare_keys(state: Mapping, weights: Mapping) -> tuple[dict, dict]:
    """How the keys of a checkpoint became those of the network: (renamed, dropped), with reasons.

    A dropped key is one whose values the network computes itself or does not use. The bias of a
    convolution into which a batch norm was folded is renamed to that of a batch norm.
    """
    renamed, dropped = {}, {}
    for key in state:
        if key in weights:
            continue
        norm = f"{key.removesuffix('conv.bias')}bn.bias"
        if key.endswith(".conv.bias") and norm in weights and norm not in state:
            renamed[key] = norm
            continue
        longer = [name for name in weights if name.endswith(f".{key}") and name not in state]
        if len(longer) == 1 and weights[longer[0]].shape == state[key].shape:
            renamed[key] = longer[0]
        else:
            dropped[key] = "not part of the network; nothing it computes depends on it"
    return renamed, dropped


def _reasons(prefix, renamed):
    reasons = {}
    if prefix:
        reasons["prefix"] = f"training wrapped the network in a module, which put {prefix} before"
    folded = [key for key, name in renamed.items() if not name.endswith(key)]
    if folded:
        reasons["folded"] = (
            "its batch norms were folded into the convolutions; neutral ones hold the biases"
        )
    if len(renamed) > len(folded):
        reasons["renamed"] = "the file holds the network without the modules around it"
    return reasons


def _separate(weights):
    # safetensors refuses tensors that share memory (tied weights).
    seen, separate = set(), {}
    for key, tensor in weights.items():
        pointer = tensor.data_ptr()
        separate[key] = tensor.clone() if pointer in seen else tensor
        seen.add(pointer)
    return separate


def _naming(source, error):
    return f"{source}: {str(error).removeprefix('state dict: ')}"
