"""Rows and messages: what travels through the graph, and to whom each part of it belongs.

A *row* is one entry of the leading axis of a tensor that travels: the relevance of one target on
its way down, or the share of one mask on its way up. A *member* is the number of that target or
mask among all that travel together; rows that carry nothing are left out on the way, so that row
3 may hold member 5. Several rows may belong to one image, whose activations they share.

Relevance that starts at one cell of a map is zero nearly everywhere in the first layers of a walk.
Such rows are *windows* of their maps, all of one size; the *origin* of each is the (y, x) in the
map where it begins. Windows become whole maps once they would cover more than half of them.

A *message* is the values together with their rows: it is what one node sends to the next.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch


class Rows:
    """Which target (or mask) of which image each row of a tensor (T, ...) belongs to.

    Attributes:
        images: image of each row, in ascending order, so that the rows of an image are neighbours
            and per-image tensors (B, ...) are applied to them without being copied.
        members: the number of each row's target or mask among all that travel, in ascending
            order.
        origins: (y, x) in the map where each row's window begins; None where rows are whole maps.
        groups: (first row, end, image) of each image.
    """

    def __init__(
        self,
        images: Sequence[int],
        members: Sequence[int] | None = None,
        origins: Sequence[tuple[int, int]] | None = None,
    ):
        self.images = list(images)
        self.members = tuple(range(len(self.images)) if members is None else members)
        self.origins = origins
        self.groups = []
        start = 0
        for stop in range(1, len(self.images) + 1):
            if stop == len(self.images) or self.images[stop] != self.images[start]:
                self.groups.append((start, stop, self.images[start]))
                start = stop
        sizes = {stop - start for start, stop, _ in self.groups}
        present = [image for _, _, image in self.groups]
        contiguous = present == list(range(present[0], present[0] + len(present)))
        self._regular = sizes.pop() if len(sizes) == 1 and contiguous else None

    def __len__(self):
        return len(self.images)

    def select(self, members: Sequence[int]) -> "Rows":
        """The rows of some members, all of which must be among these."""
        wanted = set(members)
        kept = [i for i, member in enumerate(self.members) if member in wanted]
        return Rows([self.images[i] for i in kept], [self.members[i] for i in kept])

    def union(self, other: "Rows") -> "Rows":
        """The rows of both."""
        images = dict(zip(self.members, self.images, strict=True))
        images.update(zip(other.members, other.images, strict=True))
        members = sorted(images)
        return Rows([images[member] for member in members], members)

    def places(self, other: "Rows") -> list[int]:
        """Which of these rows holds each member of `other`."""
        where = {member: i for i, member in enumerate(self.members)}
        return [where[member] for member in other.members]

    def paired(self, tensor: torch.Tensor, per_image: torch.Tensor) -> list[tuple]:
        """Pairs of views (rows of an image, tensor of that image) that broadcast.

        The views let the tensor of an image meet all of its rows without being repeated for
        each. There are as few pairs as the layout allows, since every pair costs a call: one where
        all images have equally many rows and follow each other, one per image otherwise, one per
        row where rows are windows, which lie elsewhere in each map.

        Args:
            tensor: (T, ...) rows.
            per_image: (B, ...), or (1, ...) where all images have the same.
        """
        if self.origins is not None:
            return [
                (tensor[i : i + 1], per_image[image : image + 1][there])
                for i, (image, there) in enumerate(
                    zip(self.images, self.slices(tensor), strict=True)
                )
            ]
        if per_image.shape[0] == 1:
            return [(tensor, per_image)]
        if self._regular == 1:
            first = self.images[0]
            return [(tensor, per_image[first : first + len(self)])]
        if self._regular is not None:
            # (T, ...) seen as (images, rows of each, ...) beside (images, 1, ...).
            first, count = self.images[0], len(self.groups)
            return [
                (
                    tensor.unflatten(0, (count, self._regular)),
                    per_image[first : first + count].unsqueeze(1),
                )
            ]
        return [
            (tensor[start:stop], per_image[image : image + 1]) for start, stop, image in self.groups
        ]

    def multiply_(self, tensor: torch.Tensor, per_image: torch.Tensor) -> torch.Tensor:
        """Multiply rows (T, ...) in place by their image's tensor (B, ...)."""
        for rows, image in self.paired(tensor, per_image):
            rows.mul_(image)
        return tensor

    def multiplied(
        self, tensor: torch.Tensor, per_image: torch.Tensor, product: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Rows (T, ...) times their image's tensor (B, ...), as a new tensor or in `product`."""
        product = torch.empty_like(tensor) if product is None else product
        pairs = zip(self.paired(tensor, per_image), self.paired(product, per_image), strict=True)
        for (rows, image), (into, _) in pairs:
            torch.mul(rows, image, out=into)
        return product

    def expanded(self, per_image: torch.Tensor) -> torch.Tensor:
        """Their image's tensor for each row: (T, ...)."""
        if per_image.shape[0] == 1:
            return per_image.expand(len(self), *per_image.shape[1:])
        index = torch.tensor(self.images, device=per_image.device)
        return per_image.index_select(0, index)

    def overlaps(
        self, total: torch.Tensor, message: "Messages", places: Sequence[int] | None = None
    ) -> Iterator[tuple]:
        """Where windows of these rows meet those of a message.

        Args:
            total: (T, C, H, W) windows of these rows.
            message: other windows.
            places: which of these rows each row of the message is; by default the same one.

        Yields:
            (row i of the message, where in its row of `total`, where in its own row), as indices
            of (C, H, W), for rows that overlap.
        """
        corners, size = self.corners(), message.values.shape[2:]
        for i, other in enumerate(message.rows.corners()):
            corner = corners[i if places is None else places[i]]
            found = meeting(corner, total.shape[2:], other, size)
            if found is not None:
                yield i, *found

    def corners(self) -> Sequence[tuple[int, int]]:
        """(y, x) in the map where each row begins."""
        return [(0, 0)] * len(self) if self.origins is None else self.origins

    def slices(self, values: torch.Tensor) -> list[tuple]:
        """Where in the map each row of (T, C, H, W) lies, as an index of its last axes."""
        height, width = values.shape[2:]
        return [(..., slice(y, y + height), slice(x, x + width)) for y, x in self.corners()]

    def positions(
        self, best: torch.Tensor, positions: torch.Tensor, width: int, map_width: int
    ) -> torch.Tensor | None:
        """Flat positions (T, C) in the map, from those in windows.

        Where the strongest value of a window is not positive, a zero outside of the window is as
        strong or stronger: then the position is that of the map's first zero, its first cell.

        Args:
            best: (T, C) values at the positions.
            positions: (T, C) flat positions in windows of `width` columns.
            width, map_width: columns of the windows and of the map.

        Returns:
            None where the window holds the map's first cell, so that the map's first zero
            cannot be told from the window.
        """
        if self.origins is None:
            return positions
        if any(origin == (0, 0) for origin in self.origins) and not bool((best > 0).all()):
            return None
        y, x = torch.tensor(self.origins, device=positions.device).T[:, :, None]
        there = (positions // width + y) * map_width + positions % width + x
        return there * (best > 0)


@dataclass(frozen=True, eq=False)
class Messages:
    """What travels, and the rows it belongs to.

    Attributes:
        values: (T, C, H, W) whole maps or windows, or (T, F).
        rows: to whom the T rows belong, and where their windows lie.
    """

    values: torch.Tensor
    rows: Rows

    def moved(self, origins, size) -> "Messages":
        """Windows of a size at other places.

        What the windows did not cover before is zero; what the new ones do not cover is left out.

        Args:
            origins: (y, x) of each, or None for whole maps of that size.
            size: (H, W) of the windows.
        """
        values, rows = self.values, Rows(self.rows.images, self.rows.members, origins)
        if origins == self.rows.origins and values.shape[2:] == tuple(size):
            return Messages(values, rows)
        moved = zeros(values, len(values), values.shape[1], size)
        for i, there, given in rows.overlaps(moved, self):
            moved[i][there] = values[i][given]
        return Messages(moved, rows)

    def whole(self, size) -> "Messages":
        """Whole maps of a size (H, W) instead of windows."""
        return self.moved(None, size)

    def fitted(self, starts, size) -> "Messages":
        """Windows that begin at `starts`, cut to maps of a size (H, W).

        Whole maps where windows would cover more than half of them.
        """
        there = Messages(self.values, Rows(self.rows.images, self.rows.members, starts))
        window = [min(n, most) for n, most in zip(self.values.shape[2:], size, strict=True)]
        if not _worthwhile(window, size):
            return there.whole(size)
        return there.moved(_within(starts, window, size), window)

    def aligned(self, factor, size) -> "Messages":
        """Windows widened to whole groups of `factor` pixels.

        size: (H, W) of the maps, a multiple of the factor.
        """
        window = [
            min(-(-(n + factor - 1) // factor) * factor, most)
            for n, most in zip(self.values.shape[2:], size, strict=True)
        ]
        starts = [tuple(n - n % factor for n in origin) for origin in self.rows.origins]
        return self.moved(_within(starts, window, size), window)

    def placed(self, per_image, product, there):
        """Write these rows times their image's tensor where they meet other windows.

        Args:
            per_image: (B, ...), or (1, ...) where all images have the same.
            product: (M, ...) zeros for windows of the same rows; it is written to.
            there: their Rows; the windows may lie beyond the borders of the map.
        """
        corners = self.rows.corners()
        for i, into, given in there.overlaps(product, self):
            inside = tuple(
                slice(part.start + corner, part.stop + corner)
                for part, corner in zip(given[1:], corners[i], strict=True)
            )
            own = per_image[self.rows.images[i] if len(per_image) > 1 else 0]
            torch.mul(self.values[i][given], own[(..., *inside)], out=product[i][into])

    def plus(self, other: "Messages", shape) -> "Messages":
        """The sum of two messages, which may carry other rows and other windows.

        shape: of the node's output, at which both arrive. These values may be overwritten.
        """
        (a, rows), (b, others) = (self.values, self.rows), (other.values, other.rows)
        same = (rows.members, rows.origins) == (others.members, others.origins)
        if same and a.shape == b.shape:
            expanded = 0 in a.stride()  # then several of its numbers share one place in memory
            return Messages(a + b if expanded else a.add_(b), rows)
        union = rows.union(others)
        if len(shape) == 4:
            return self._plus_windows(other, union, shape[2:])
        total = a.new_zeros(len(union), *a.shape[1:])
        for values, part in ((a, rows), (b, others)):
            total.index_add_(0, torch.tensor(union.places(part), device=a.device), values)
        return Messages(total, union)

    def _plus_windows(self, other, union, size):
        """The sum in windows around both, or in whole maps of a size (H, W)."""
        union, window = _around(union, (self, other), size)
        total = zeros(self.values, len(union), self.values.shape[1], window)
        for message in (self, other):
            places = union.places(message.rows)
            for i, there, given in union.overlaps(total, message, places):
                total[places[i]][there] += message.values[i][given]
        return Messages(total, union)


def meeting(corner, size, other, other_size):
    """Where windows of sizes (H, W) at places (y, x) of a map overlap; None if they do not.

    Returns an index of (C, H, W) into the one window, and one into the other.
    """
    here, there = [slice(None)], [slice(None)]
    for a, length, b, other_length in zip(corner, size, other, other_size, strict=True):
        low, high = max(a, b), min(a + length, b + other_length)
        if low >= high:
            return None
        here.append(slice(low - a, high - a))
        there.append(slice(low - b, high - b))
    return tuple(here), tuple(there)


def windows(extents, size):
    """(origins, window size) around extents (y1, x1, y2, x2) in maps of a size (H, W).

    Origins are None, the window the map, where windows would cover more than half of it.
    """
    window = [max(int(e[2 + axis]) - int(e[axis]) for e in extents) for axis in (0, 1)]
    if not _worthwhile(window, size):
        return None, tuple(size)
    return _within([extent[:2] for extent in extents], window, size), tuple(window)


def _around(union, messages, size):
    """Rows `union` with windows around those of the messages, and the windows' size."""
    if any(message.rows.origins is None for message in messages):
        return union, tuple(size)
    extents = {member: [] for member in union.members}
    for message in messages:
        (height, width), rows = message.values.shape[2:], message.rows
        for member, (y, x) in zip(rows.members, rows.origins, strict=True):
            extents[member].append((y, x, y + height, x + width))
    origins, window = windows([_hull(found) for found in extents.values()], size)
    return Rows(union.images, union.members, origins), window


def _hull(extents):
    tops, lefts, bottoms, rights = zip(*extents, strict=True)
    return min(tops), min(lefts), max(bottoms), max(rights)


def _worthwhile(window, size):
    return 2 * window[0] * window[1] <= size[0] * size[1]


def _within(starts, window, size):
    return [
        tuple(
            min(max(int(n), 0), whole - part)
            for n, part, whole in zip(start, window, size, strict=True)
        )
        for start in starts
    ]


def zeros(like, count, channels, size):
    """Zeros (count, channels, H, W), channels last, of the kind of another tensor."""
    return torch.empty(
        (count, channels, *size),
        dtype=like.dtype,
        device=like.device,
        memory_format=torch.channels_last,
    ).zero_()
