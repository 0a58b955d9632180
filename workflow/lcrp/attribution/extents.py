"""Where in the maps of a network rows can differ from zero, known from its geometry alone.

Extents are (N, 4) integer arrays of (y1, x1, y2, x2), ends excluded, one per row; one that is
empty has its end at or before its start.
"""

import numpy as np

NOWHERE = (2**30, 2**30, -(2**30), -(2**30))


class Neighbourhood:
    """Which positions of an operation's input and output see each other, as in a convolution.

    kernel, stride, padding: (y, x); the kernel with its dilation, in pixels.
    """

    def __init__(self, kernel=(1, 1), stride=(1, 1), padding=(0, 0)):
        self.kernel, self.stride, self.padding = (
            np.array(pair) for pair in (kernel, stride, padding)
        )

    def below(self, extents):
        """Extents of the input that these of the output see; may lie beyond the borders."""
        first, last = extents[:, :2], extents[:, 2:] - 1
        start = first * self.stride - self.padding
        return np.hstack([start, last * self.stride - self.padding + self.kernel])

    def above(self, extents):
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


def arriving(program, starts, count):
    """{node: extents (T, 4)} of the relevance of T targets; nodes without any are left out.

    starts: {node: {target: (y1, x1, y2, x2)}}, where relevance starts.
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


def reaching(program, extents, last):
    """{node: extents (M, 4)} that masks with these extents of the input reach, up to a node."""
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


def filled(extents):
    """Which of them are not empty: (N,) bool."""
    return (extents[:, :2] < extents[:, 2:]).all(axis=1)


def hull(one, other):
    """The smallest extents around both."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    return np.hstack([low[:, :2], high[:, 2:]])


def overlap(one, other):
    """What both have in common."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    return np.hstack([high[:, :2], low[:, 2:]])


def around(masks):
    """Extents (M, 4) around what is not zero in masks (M, H, W), a tensor."""
    there = masks != 0
    found = np.full((len(masks), 4), NOWHERE)
    for axis in (0, 1):
        along = there.any(dim=2 - axis).cpu().numpy()
        some = along.any(axis=1)
        found[some, axis] = along[some].argmax(axis=1)
        found[some, 2 + axis] = along.shape[1] - along[some, ::-1].argmax(axis=1)
    return found
