"""Where the relevance of targets lands, when the input of each image is cut into parts."""

import torch

from lcrp.attribution.engine import transport
from lcrp.attribution.rows import Rows

STRIP = 2**17  # numbers


def landed_relevance(shares, relevance):
    """Relevance of a target that lands in each of A parts: (A, C), float32.

    shares: (A, C, H, W), of each neuron's relevance. relevance: (C, H, W).
    """
    lines = relevance.shape[1]
    if relevance.device.type == "cpu":
        # In strips whose products stay in the cache: half the time.
        lines = max(1, STRIP // shares[:, :, 0].numel())
    return sum(
        (part * own).sum(dim=(2, 3), dtype=torch.float32)
        for part, own in zip(shares.split(lines, dim=2), relevance.split(lines, dim=1), strict=True)
    )


class PartLanding:
    """Some parts of some images, seen from each layer; shared by all targets of an image.

    shares: {node: (parts, channels, H, W)}, the share of each neuron's relevance that lands in a
    part; the parts of an image are neighbours.
    """

    def __init__(self, record, portion, parts, nodes, dtype):
        """portion: {image: slice of its parts}; parts: {image: (A, H, W)}."""
        self._portion, self._places, images, fields = portion, {}, [], []
        device = record.outputs[0].device
        for image in sorted(portion):
            own = parts[image][portion[image]]
            self._places[image] = slice(len(images), len(images) + len(own))
            images += [image] * len(own)
            fields.append(own.to(device, dtype))
        self.shares = dict(transport(record, torch.cat(fields), Rows(images), nodes))

    def recorder(self, node, results, first=None):
        """Visitor of a walk that writes what lands into `results`, one (A, channels) per target.

        It takes whole maps and windows. first: another visitor, which is called before.
        """

        def record(relevance, rows):
            if first is not None:
                first(relevance, rows)
            if node not in self.shares:
                return
            for member, image, own, there in zip(
                rows.members, rows.images, relevance, rows.slices(relevance), strict=True
            ):
                if image not in self._portion:
                    continue
                found = landed_relevance(self.shares[node][self._places[image]][there], own)
                results[member][self._portion[image]] = found.cpu()

        return record


def portions(parts, limit):
    """The parts of some images, in portions of at most `limit`: a list of {image: slice}.

    parts: {image: number of parts}. An image is spread over several portions only where it has
    more parts than one may hold.
    """
    made, room = [], 0
    for image, count in parts.items():
        for first in range(0, count, limit):
            size = min(limit, count - first)
            if size > room:
                made.append({})
                room = limit
            made[-1][image] = slice(first, first + size)
            room -= size
    return made
