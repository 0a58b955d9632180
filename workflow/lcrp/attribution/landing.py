"""Where the relevance of targets lands: in which masks of the input, seen from every layer."""

from typing import NamedTuple

import numpy as np
import torch

from lcrp.attribution.engine import transport
from lcrp.attribution.extents import around
from lcrp.attribution.rows import meeting

STRIP = 2**17  # numbers


def landed_relevance(shares, relevance):
    """Relevance of a target that lands in each of A masks: (A, C), float32.

    shares: (A, C, H, W), of each neuron's relevance. relevance: (C, H, W).
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

    masks: (A, H, W). places: of each mask its row in the result of a target. readers: of each
    mask the targets that ask for it.
    """

    masks: torch.Tensor
    places: list
    readers: list


class Landing:
    """Relevance of some targets at layers, and which masks travel together to meet it."""

    def __init__(self, record, arrived, fields, kept):
        """arrived: {node: extents (T, 4)} of the targets' relevance. fields: {image: Fields}.

        kept: {node: (relevance (T', channels, H, W), Rows)}, of the layers that carry some.
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

    def land(self, start, stop, results):
        """Carry some of the masks up, and write what lands: {node: (T, places, channels)}.

        A mask need only be known where relevance of the targets that ask for it can be.
        """
        chosen = np.sort(self._order[start:stop]).tolist()
        readers = [list(self._readers[mask]) for mask in chosen]
        wanted = {node: _around_each(own, readers) for node, own in self.arrived.items()}
        images = [self._images[mask] for mask in chosen]
        places = [self._places[mask] for mask in chosen]
        seen = transport(self.record, self._masks[chosen], images, list(self.kept), wanted)
        for node, share, fields in seen:
            relevance, rows = self.kept[node]
            asked = [
                (row, n)
                for row, target in enumerate(rows.members)
                for n, mask in enumerate(chosen)
                if target in self._readers[mask]
            ]
            if asked:
                found = _met(share, fields, relevance, rows, asked)
                targets = [rows.members[row] for row, _ in asked]
                results[node][targets, [places[n] for _, n in asked]] = found.cpu()


def _met(share, fields, relevance, rows, asked):
    """What of each target's relevance lands in masks: (len(asked), channels), float32.

    share (A, C, h, w), relevance (T, C, h, w): windows or whole maps, with their Rows.
    asked: (row of the relevance, row of the share), in order.
    """
    if fields.origins is None:
        found = []
        for row, there in enumerate(rows.slices(relevance)):
            own = [n for r, n in asked if r == row]
            # Neighbours at once, without copying them.
            for run in np.split(own, np.flatnonzero(np.diff(own) != 1) + 1) if own else ():
                some = share[run[0] : run[-1] + 1]
                found.append(landed_relevance(some[there], relevance[row]))
        return torch.cat(found)
    found = relevance.new_zeros((len(asked), share.shape[1]), dtype=torch.float32)
    corners = rows.corners()
    for i, (row, n) in enumerate(asked):
        common = meeting(fields.origins[n], share.shape[2:], corners[row], relevance.shape[2:])
        if common is not None:
            here, there = common
            found[i] = landed_relevance(share[n][here][None], relevance[row][there])[0]
    return found


def _around_each(extents, readers):
    """(M, 4) around the extents (T, 4) of the targets that ask for each mask."""
    return np.array(
        [
            [*extents[list(own), :2].min(axis=0), *extents[list(own), 2:].max(axis=0)]
            for own in readers
        ]
    )
