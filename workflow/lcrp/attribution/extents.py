"""Where in the maps of a network rows can differ from zero, known from its geometry alone.

Extents are (N, 4) integer arrays of (y1, x1, y2, x2), ends excluded, one per row (see `rows`); an
extent whose end is at or before its start is empty.
"""

from collections.abc import Mapping

import numpy as np
import torch

NOWHERE = (2**30, 2**30, -(2**30), -(2**30))


class Neighbourhood:
    """Which positions of an operation's input and output see each other, as in a convolution.

    Attributes:
        kernel, stride, padding: (y, x) in pixels; the kernel with its dilation.
    """

    def __init__(self, kernel=(1, 1), stride=(1, 1), padding=(0, 0)):
        self.kernel, self.stride, self.padding = (
            np.array(pair) for pair in (kernel, stride, padding)
        )

    def below(self, extents: np.ndarray) -> np.ndarray:
        """Extents of the input that these of the output see; may lie beyond the borders."""
        first, last = extents[:, :2], extents[:, 2:] - 1
        start = first * self.stride - self.padding
        return np.hstack([start, last * self.stride - self.padding + self.kernel])

    def above(self, extents: np.ndarray) -> np.ndarray:
        """Extents of the output that see these of the input."""
        first, last = extents[:, :2] + self.padding, extents[:, 2:] - 1 + self.padding
        start = -((self.kernel - 1 - first) // self.stride)
        return np.hstack([start, last // self.stride + 1])


class Repetition:
    """Every position of the input is repeated `factor` times along both axes."""

    def __init__(self, factor):
        self.factor = factor

    def below(self, extents):
        return np.hstack([extents[:, :2] // self.factor, -(-extents[:, 2:] // self.factor)])

    def above(self, extents):
        return extents * self.factor


def arriving(
    program, starts: Mapping[int, Mapping[int, tuple]], count: int
) -> dict[int, np.ndarray]:
    """{node: extents (T, 4)} of the relevance of T targets; nodes without any are left out.

    Args:
        program: the `Program` that is walked.
        starts: {node: {target: (y1, x1, y2, x2)}}, where relevance starts.
        count: T.
    """
    nodes, found = program.graph.nodes, {}
    for node, own in starts.items():
        found[node] = np.full((count, 4), NOWHERE)
        found[node][list(own)] = list(own.values())
    for i in range(len(nodes) - 1, -1, -1):
        if i not in found:
            continue
        for source in nodes[i].inputs:
            sent = _through(program.operations[i], "below", found[i], nodes[source].shape)
            found[source] = sent if source not in found else hull(found[source], sent)
    return found


def reaching(program, extents: np.ndarray, last: int) -> dict[int, np.ndarray]:
    """{node: extents (M, 4)} from which masks of the input can be seen.

    Args:
        program: the `Program` that is walked.
        extents: (M, 4) of the masks.
        last: the last node that is asked for.
    """
    nodes = program.graph.nodes
    found = {0: extents}
    for i in range(1, last + 1):
        sent = [
            _through(program.operations[i], "above", found[source], nodes[i].shape)
            for source in nodes[i].inputs
            if source in found
        ]
        for own in sent:
            found[i] = own if i not in found else hull(found[i], own)
    return found


def _through(operation, direction, extents, shape):
    """Extents one operation further, within maps of a shape (..., H, W)."""
    size = shape[2:] if shape is not None and len(shape) == 4 else (1, 1)
    if operation.neighbourhood is None:
        sent = np.tile((0, 0, *size), (len(extents), 1))
    else:
        sent = getattr(operation.neighbourhood, direction)(extents)
        sent = np.clip(sent, 0, (*size, *size))
    sent[~(filled(extents) & filled(sent))] = NOWHERE
    return sent


def filled(extents: np.ndarray) -> np.ndarray:
    """Which extents are not empty: (N,) bool."""
    return (extents[:, :2] < extents[:, 2:]).all(axis=1)


def hull(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The smallest extents around both."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    return np.hstack([low[:, :2], high[:, 2:]])


def overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The extents that both have in common."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    return np.hstack([high[:, :2], low[:, 2:]])


def around(masks: torch.Tensor) -> np.ndarray:
    """Extents (M, 4) around what is not zero in masks (M, H, W)."""
    there = masks != 0
    found = np.full((len(masks), 4), NOWHERE)
    for axis in (0, 1):
        along = there.any(dim=2 - axis).cpu().numpy()
        some = along.any(axis=1)
        found[some, axis] = along[some].argmax(axis=1)
        found[some, 2 + axis] = along.shape[1] - along[some, ::-1].argmax(axis=1)
    return found
