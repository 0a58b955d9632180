"""What every operation offers the walks.

An operation is one node of the graph under its rule. It knows the relevance that it passes down
(`backward`) and the transpose of that (`adjoint`), by which shares of the input travel up. Tensors
of relevance or shares have a leading axis over rows (targets or masks, see `rows`); what an image
contributes, the operation's *state*, is made once per image.

`send` and `carry` are the same two directions for messages, whose rows may be windows. By default
they take windows where relevance stays at its position, and make whole maps elsewhere.
"""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lcrp.attribution.extents import Neighbourhood
from lcrp.attribution.graph import Input
from lcrp.attribution.rows import Messages, Rows

SAME_POSITION = Neighbourhood()


class Operation:
    """One node of the graph under its rule.

    Attributes:
        node: the `Node`.
        reads_inputs: whether `prepare` needs the node's inputs.
        reads_output: whether it needs its output.
        neighbourhood: which positions of input and output see each other, see `extents`; None
            where all may.
        division: how the input is divided into parts, alike for all operations where it is
            equal; then `prepare_divided(divide(input), output)` stands for `prepare`.
    """

    reads_inputs = False
    reads_output = False
    neighbourhood = None
    division = None

    def __init__(self, node):
        self.node = node

    @property
    def positionwise(self) -> bool:
        """Whether relevance stays at its position."""
        return self.neighbourhood is SAME_POSITION

    def forward(self, *inputs: Tensor) -> Any:
        """The network's own function."""

        def filled(argument):
            if isinstance(argument, Input):
                return inputs[argument.position]
            if isinstance(argument, list | tuple):
                return type(argument)(filled(part) for part in argument)
            return argument

        args = [filled(argument) for argument in self.node.args]
        kwargs = {name: filled(argument) for name, argument in self.node.kwargs.items()}
        return self.node.call(*args, **kwargs)

    def nonnegative(self, inputs: Sequence[bool]) -> bool:
        """Whether the output is known to be non-negative, given whether each input is."""
        return False

    def widest(self) -> int:
        """Numbers of the largest tensor that a row needs here."""
        return math.prod(self.node.shape[1:]) if self.node.shape else 0

    def prepare(self, inputs: Sequence[Tensor | None], output: Tensor | None) -> Any:
        """What both directions need of the images; made once per batch of images.

        Args:
            inputs: (B, ...) each; None unless `reads_inputs`.
            output: (B, ...); None unless `reads_output`.
        """
        return None

    def backward(self, relevance: Tensor, state: Any, rows: Rows) -> list[Tensor | None]:
        """Pass relevance down.

        Args:
            relevance: (T, ...) at the output; it may be overwritten.
            state: what `prepare` returned.
            rows: the image of each of the T rows.

        Returns:
            A list of (T, ...), one for each input; None for an input that gets nothing.
        """
        raise NotImplementedError

    def adjoint(self, shares: Sequence[Tensor | None], state: Any, rows: Rows) -> Tensor:
        """Carry shares up: the transpose of `backward`.

        Args:
            shares: (M, ...) of each input; None for an input that has none.
            state: what `prepare` returned.
            rows: the image of each of the M rows.

        Returns:
            (M, ...) at the output.
        """
        raise NotImplementedError

    def send(self, message: Messages, state: Any) -> list[Messages | None]:
        """`backward` of a message: one for each input, or None."""
        if message.rows.origins is not None and not self.positionwise:
            message = message.whole(self.node.shape[2:])
        passed = self.backward(message.values, state, message.rows)
        return [None if values is None else Messages(values, message.rows) for values in passed]

    def carry(
        self,
        messages: Sequence[Messages | None],
        state: Any,
        rows: Rows,
        size: Sequence[int],
    ) -> Messages:
        """`adjoint` of messages, one of each input or None, to windows or whole maps.

        Args:
            rows: of the message that is wanted.
            size: (H, W) of its windows, or of the maps.
        """
        if self.positionwise:
            moved = [m and m.moved(rows.origins, size).values for m in messages]
            return Messages(self.adjoint(moved, state, rows), rows)
        sources = zip(messages, self.node.sources, strict=True)
        given = [message and _on_whole_maps(message, source) for message, source in sources]
        whole = rows if rows.origins is None else Rows(rows.images)
        found = Messages(self.adjoint(given, state, whole), whole)
        return found if whole is rows else found.moved(rows.origins, size)


def _on_whole_maps(message, node):
    """The values of a message at a node's output, on whole maps."""
    windowed = message.rows.origins is not None
    return message.whole(node.shape[2:]).values if windowed else message.values


class Images(Operation):
    """The input of the network."""

    def backward(self, relevance, state, rows):
        return []


class Fixed(Operation):
    """A parameter or buffer: it takes part in no explanation."""

    def forward(self):
        return self.node.call.value

    def backward(self, relevance, state, rows):
        return []
