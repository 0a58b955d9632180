"""Directories of zennit-crp's FeatureVisualization.

Such a directory holds, per kind of maximisation, `<layer>_data.npy` (k, C) with sample numbers,
`_rel.npy` with values and `_rf.npy` with flat positions (RelMax_*, ActMax_*), and the same per
class under `<layer>/<class>_*.npy` (RelStats_*, ActStats_*) beside `targets.npy`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lcrp.errors import InputError
from lcrp.files import whole

RELEVANCE = ("RelMax_sum_normed", "RelStats_sum_normed")
ACTIVATION = ("ActMax_max_normed", "ActStats_max_normed")
PARTS = {"data": "index", "rel": "value", "rf": "position"}
RANKED_BY = {
    "sum_normed": "sum over positions divided by the absolute sum over channels",
    "max_normed": "maximum over positions divided by the absolute sum over channels",
    "sum_unnormed": "sum over positions",
    "max_unnormed": "maximum over positions",
}


@dataclass
class Best:
    """Best samples of every channel.

    Attributes:
        index: (k, C) int, numbers of samples.
        value: (k, C) float, by what they are ranked.
        position: (k, C) int, flat index of the strongest neuron.
    """

    index: np.ndarray
    value: np.ndarray
    position: np.ndarray


def save(prefix: Path, best: Best) -> None:
    """Write the three files that begin with `prefix`."""
    for suffix, part in PARTS.items():
        save_array(prefix.with_name(f"{prefix.name}_{suffix}.npy"), getattr(best, part))


def save_array(path: Path, values: np.ndarray) -> None:
    """Write a .npy file, whole or not at all."""
    with whole(path) as part:
        np.save(part, values)


def load(prefix: Path, samples: int) -> Best:
    """Read the three files that begin with `prefix`.

    Args:
        prefix: folder and start of the names.
        samples: how many images there are.

    Raises:
        InputError: a file is missing or damaged, or names an image that is not there.
    """
    parts = {}
    for suffix, part in PARTS.items():
        path = prefix.with_name(f"{prefix.name}_{suffix}.npy")
        try:
            parts[part] = np.load(path, allow_pickle=False)
        except FileNotFoundError as error:
            raise InputError(f"{path}: no such file; complete the directory") from error
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path}: no NumPy array ({error}); copy the file again") from error
        if parts[part].ndim != 2 or parts[part].shape != parts["index"].shape:
            raise InputError(
                f"{path}: shape {parts[part].shape} does not fit; it must be (k, channels), the "
                "same for data, rel and rf"
            )
    index = parts["index"]
    if index.size and (index.min() < 0 or index.max() >= samples):
        raise InputError(
            f"{prefix}_data.npy: sample {index.max()} of {samples} images; give all images of the "
            "dataset in the order in which zennit-crp numbered them"
        )
    return Best(**parts)
