"""Masks that travel from the input up to the layers, by the transposes of the rules.

With the activations fixed, every rule is linear in the relevance: what a layer's relevance R sends
into a mask m of the input is <m, B R> = <B' m, R>, with B the walk from the layer to the input
and B' its transpose. So one journey of the mask, B' m, tells for every neuron on its way which
*share* of its relevance lands inside the mask, whatever the targets. The *field* of a mask at a
node is where in the map its shares are computed: where the mask can be seen from, and relevance
that asks for it can be; beyond it they are zero, or nobody asks for them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import torch

from lcrp.attribution.extents import around, filled, overlap, reaching
from lcrp.attribution.forward import Record
from lcrp.attribution.rows import Messages, Rows, windows


@torch.no_grad()
def transport(
    record: Record,
    masks: torch.Tensor,
    images: Sequence[int],
    layers: Collection[int],
    wanted: Mapping[int, np.ndarray] | None = None,
) -> Iterator[tuple[int, Messages]]:
    """Share of each neuron's relevance that lands inside a mask.

    Args:
        record: the forward pass.
        masks: (M, H, W) weights of the input's pixels.
        images: of each mask, in ascending order.
        layers: nodes at whose output the shares are wanted.
        wanted: {node: extents (M, 4)} outside of which no relevance arrives, so that shares need
            not be known; nodes that are not in it are left out.

    Yields:
        (node, message with shares (M, C, H', W')) from the input upwards. Node outputs that see
        nothing of the masks are left out.
    """
    program, layers = record.program, set(layers)
    last = max(layers)
    fields = _fields(program, masks, images, wanted, _towards(program.graph, layers), last)
    left = list(program.reads)
    arrived = {}
    for i, node in enumerate(program.graph.nodes[: last + 1]):
        if i in fields:
            rows, size = fields[i]
            if node.call is None:
                # Every colour of a pixel belongs to the mask alike.
                shares = Messages(masks.unsqueeze(1).expand(-1, 3, -1, -1), Rows(images))
                arrived[i] = shares.moved(rows.origins, size)
            else:
                given = [arrived.get(source) for source in node.inputs]
                if any(message is not None for message in given):
                    state = record.state(i)
                    arrived[i] = program.operations[i].carry(given, state, rows, size)
        if i in layers and i in arrived:
            yield i, arrived[i]
        # A message is dropped once all nodes that read this output have been passed.
        for source in node.inputs:
            left[source] -= 1
            if not left[source]:
                arrived.pop(source, None)


def _fields(program, masks, images, wanted, reach, last):
    """{node: (Rows, size of their windows or None)} where shares are computed.

    reach: nodes that lead to a layer that is asked for.
    """
    whole = Rows(images)
    reached = reaching(program, around(masks), last)
    fields = {}
    for i, extents in reached.items():
        shape = program.graph.nodes[i].shape
        if i not in reach or (wanted is not None and i not in wanted):
            continue
        if wanted is not None:
            extents = overlap(extents, wanted[i])
        some = filled(extents)
        if not some.any():
            continue
        fields[i] = whole, shape and shape[2:]
        if shape and len(shape) == 4:
            extents = np.where(some[:, None], extents, 0)
            origins, size = windows(extents.tolist(), shape[2:])
            fields[i] = Rows(images, origins=origins), size
    return fields


def _towards(graph, wanted):
    """Nodes from which one of the wanted nodes can be reached upwards, themselves too."""
    reach = set(wanted)
    for i in range(len(graph.nodes) - 1, -1, -1):
        if i in reach:
            reach.update(graph.nodes[i].inputs)
    return reach
