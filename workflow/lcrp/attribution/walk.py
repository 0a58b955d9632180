"""Walks of relevance down the graph, all targets at once.

Where relevance starts is a *seed*: a message at an output of the network, or at a layer. A
*visitor* is called with the message that has arrived at a node, before it is sent on.
"""

from collections.abc import Callable, Iterable, Mapping

import torch

from lcrp.attribution.forward import Record
from lcrp.attribution.rows import Messages


class Walk:
    """A walk down to the nodes where relevance is asked for, and no further."""

    def __init__(self, record: Record, needed: Iterable[int]):
        """Plan a walk.

        Args:
            record: the forward pass whose relevance it is.
            needed: the nodes at whose output relevance is asked for; 0 is the input.
        """
        self.record, self.program = record, record.program
        self.needed = self._above(set(needed))

    def _above(self, needed):
        """Nodes from which one of the needed nodes can be reached downwards, themselves too."""
        above = set()
        for i, node in enumerate(self.program.graph.nodes):
            if i in needed or any(source in above for source in node.inputs):
                above.add(i)
        return above

    @torch.no_grad()
    def run(
        self,
        seeds: Mapping[int, Messages],
        visitors: Mapping[int, Callable[[Messages], None]],
        whole: bool = True,
    ) -> None:
        """Propagate relevance from where it starts.

        Args:
            seeds: {node: message}; their values are overwritten.
            visitors: {node: f(message)}, called once with the relevance at the node's output,
                whose values are only valid during the call. Nodes that carry none are left out.
            whole: whether visitors get whole maps; else windows where relevance fills no more.
        """
        nodes, arrived = self.program.graph.nodes, dict(seeds)
        for i in range(len(nodes) - 1, -1, -1):
            message = arrived.pop(i, None)
            if message is None or i not in self.needed:
                continue
            if i in visitors:
                windowed = whole and message.rows.origins is not None
                visitors[i](message.whole(nodes[i].shape[2:]) if windowed else message)
            if not any(source in self.needed for source in nodes[i].inputs):
                continue
            sent = self.program.operations[i].send(message, self.record.state(i))
            for source, part in zip(nodes[i].inputs, sent, strict=True):
                if part is None or source not in self.needed:
                    continue
                before = arrived.get(source)
                shape = nodes[source].shape
                arrived[source] = part if before is None else before.plus(part, shape)
