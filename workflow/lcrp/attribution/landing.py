"""Where the relevance of targets lands: in which masks of the input, seen from every layer.

The relevance that a concept *lands* in a mask is the product of two maps of its layer, summed over
positions: the relevance of the target there, from the walk down, and the share of the mask, from
its way up (see `transport`). The *place* of a mask is its row in the result of a target.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from lcrp.attribution.extents import around
from lcrp.attribution.forward import Record
from lcrp.attribution.rows import Messages, meeting
from lcrp.attribution.transport import transport

STRIP = 2**17  # numbers


def landed_relevance(shares: torch.Tensor, relevance: torch.Tensor) -> torch.Tensor:
    """Relevance of a target that lands in each of A masks: (A, C), float32.

    Args:
        shares: (A, C, H, W) of each neuron's relevance.
        relevance: (C, H, W).
    """
    if relevance.device.type != "cpu" or shares.numel() <= STRIP:
        return (shares * relevance).sum(dim=(2, 3), dtype=torch.float32)
    # In strips whose products stay in the cache: half the time.
    lines = max(1, STRIP // shares[:, :, 0].numel())
    return sum(
        (part * own).sum(dim=(2, 3), dtype=torch.float32)
        for part, own in zip(shares.split(lines, dim=2), relevance.split(lines, dim=1), strict=True)
    )


class Fields(NamedTuple):
    """Masks of an image, whose targets ask where their relevance lands.

    Attributes:
        masks: (A, H, W) weights of the input's pixels.
        places: of each mask its row in the result of a target.
        readers: of each mask the targets that ask for it.
    """

    masks: torch.Tensor
    places: list
    readers: list


class Landing:
    """Relevance of some targets at layers, and which masks travel together to meet it."""

    def __init__(
        self,
        record: Record,
        arrived: Mapping[int, np.ndarray],
        fields: Mapping[int, Fields],
        kept: Mapping[int, Messages],
    ):
        """Order the masks of all images by size.

        Args:
            record: the forward pass.
            arrived: {node: extents (T, 4)} of the targets' relevance.
            fields: {image: its masks}.
            kept: {node: relevance (T', channels, H, W)} of the layers that carry some.
        """
        self.record, self.arrived, self.kept = record, arrived, kept
        images, masks, self._places, self._readers = [], [], [], []
        for image, own in sorted(fields.items()):
            masks.append(own.masks)
            self._places += own.places
            self._readers += [set(readers) for readers in own.readers]
            images += [image] * len(own.masks)
        self._masks, self._images = torch.cat(masks), images
        # Windows that travel together have the size of the largest.
        extents = around(self._masks)
        self._order = np.argsort((extents[:, 2:] - extents[:, :2]).max(axis=1), kind="stable")

    def __len__(self):
        return len(self._order)

    def land(self, start: int, stop: int, results: Mapping[int, torch.Tensor]) -> None:
        """Carry some of the masks up, and write down what lands in them.

        A mask is carried only to where relevance of the targets that ask for it can be.

        Args:
            start, stop: which of the masks, in their order.
            results: {node: (T, places, channels)}; written to.
        """
        chosen = np.sort(self._order[start:stop]).tolist()
        readers = [list(self._readers[mask]) for mask in chosen]
        wanted = {node: _around_each(own, readers) for node, own in self.arrived.items()}
        images = [self._images[mask] for mask in chosen]
        places = [self._places[mask] for mask in chosen]
        shares = transport(self.record, self._masks[chosen], images, list(self.kept), wanted)
        for node, share in shares:
            relevance = self.kept[node]
            members = relevance.rows.members
            asked = [
                (row, n)
                for row, target in enumerate(members)
                for n, mask in enumerate(chosen)
                if target in self._readers[mask]
            ]
            if asked:
                targets = [members[row] for row, _ in asked]
                found = _products(share, relevance, asked)
                results[node][targets, [places[n] for _, n in asked]] = found.cpu()


def _products(share, relevance, asked):
    """Relevance of targets that lands in masks: (len(asked), channels), float32.

    share, relevance: messages (A, C, h, w) and (T, C, h, w), windows or whole maps.
    asked: (row of the relevance, row of the share), in order.
    """
    values, rows = relevance.values, relevance.rows
    if share.rows.origins is None:
        found = []
        for row, there in enumerate(rows.slices(values)):
            own = [n for r, n in asked if r == row]
            # Neighbours at once, without copying them.
            for run in np.split(own, np.flatnonzero(np.diff(own) != 1) + 1) if own else ():
                some = share.values[run[0] : run[-1] + 1]
                found.append(landed_relevance(some[there], values[row]))
        return torch.cat(found)
    found = values.new_zeros((len(asked), values.shape[1]), dtype=torch.float32)
    origins, corners = share.rows.origins, rows.corners()
    sizes = share.values.shape[2:], values.shape[2:]
    for i, (row, n) in enumerate(asked):
        common = meeting(origins[n], sizes[0], corners[row], sizes[1])
        if common is not None:
            here, there = common
            found[i] = landed_relevance(share.values[n][here][None], values[row][there])[0]
    return found


def _around_each(extents, readers):
    """(M, 4) around the extents (T, 4) of the targets that ask for each mask."""
    return np.array(
        [
            [*extents[list(own), :2].min(axis=0), *extents[list(own), 2:].max(axis=0)]
            for own in readers
        ]
    )
