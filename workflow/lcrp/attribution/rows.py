"""Rows: which target (or mask) of which image each row of a batch belongs to.

Relevance that starts at one cell of a map is zero nearly everywhere for the first layers of the
walk. Such rows are windows of their maps, all of one size, each at a place of its own.
"""

import torch


class Rows:
    """Rows of a relevance tensor (T, ...), each belonging to one image of the batch.

    images: image of each row, in ascending order, so that an image's rows are neighbours and
        per-image tensors (B, ...) are applied to them without being copied.
    members: which of the walk's rows these are, in ascending order.
    origins: (y, x) in the map where each row's window begins; None where rows are whole maps.
    """

    def __init__(self, images, members=None, origins=None):
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

    def select(self, members):
        """The rows of these members, which must be among `self.members`."""
        wanted = set(members)
        kept = [i for i, member in enumerate(self.members) if member in wanted]
        return Rows([self.images[i] for i in kept], [self.members[i] for i in kept])

    def union(self, other):
        """The rows of both."""
        images = dict(zip(self.members, self.images, strict=True))
        images.update(zip(other.members, other.images, strict=True))
        members = sorted(images)
        return Rows([images[member] for member in members], members)

    def places(self, other):
        """Positions of the rows of `other` among these."""
        where = {member: i for i, member in enumerate(self.members)}
        return [where[member] for member in other.members]

    def paired(self, tensor, per_image):
        """Pairs of views (rows of an image, that image's tensor), broadcastable.

        tensor: (T, ...). per_image: (B, ...), or (1, ...) that holds for every image.
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

    def multiply_(self, tensor, per_image):
        """Multiply rows (T, ...) in place by their image's tensor (B, ...)."""
        for rows, image in self.paired(tensor, per_image):
            rows.mul_(image)
        return tensor

    def multiplied(self, tensor, per_image, product=None):
        """Rows (T, ...) times their image's tensor (B, ...), as a new tensor or in `product`."""
        product = torch.empty_like(tensor) if product is None else product
        pairs = zip(self.paired(tensor, per_image), self.paired(product, per_image), strict=True)
        for (rows, image), (into, _) in pairs:
            torch.mul(rows, image, out=into)
        return product

    def expanded(self, per_image):
        """Their image's tensor for each row: (T, ...)."""
        if per_image.shape[0] == 1:
            return per_image.expand(len(self), *per_image.shape[1:])
        index = torch.tensor(self.images, device=per_image.device)
        return per_image.index_select(0, index)

    def moved(self, relevance, origins, size):
        """Windows of a size (H, W) at other places: (relevance, rows).

        origins: (y, x) of each, or None for whole maps of that size. What the windows before did
        not cover is zero; what the new ones do not cover is left out.
        """
        rows = Rows(self.images, self.members, origins)
        if origins == self.origins and relevance.shape[2:] == tuple(size):
            return relevance, rows
        moved = zeros(relevance, len(relevance), relevance.shape[1], size)
        for i, there, given in rows.overlaps(moved, self, relevance):
            moved[i][there] = relevance[i][given]
        return moved, rows

    def placed(self, share, per_image, product, there):
        """Write rows `share` times their image's tensor (B, ...) where they meet other windows.

        product: (M, ...), windows of the same rows; it is zero elsewhere. there: its Rows, whose
        windows may lie beyond the borders of the map.
        """
        corners = self.corners()
        for i, into, given in there.overlaps(product, self, share):
            inside = tuple(
                slice(part.start + corner, part.stop + corner)
                for part, corner in zip(given[1:], corners[i], strict=True)
            )
            own = per_image[self.images[i] if len(per_image) > 1 else 0]
            torch.mul(share[i][given], own[(..., *inside)], out=product[i][into])
        return product

    def whole(self, relevance, size):
        """Whole maps of a size (H, W) instead of windows: (relevance, rows)."""
        return self.moved(relevance, None, size)

    def fitted(self, relevance, starts, size):
        """Windows that begin at `starts`, cut to maps of a size (H, W): (relevance, rows).

        Whole maps where windows would cover more than half of them.
        """
        there = Rows(self.images, self.members, starts)
        window = [min(n, most) for n, most in zip(relevance.shape[2:], size, strict=True)]
        if not _worthwhile(window, size):
            return there.whole(relevance, size)
        return there.moved(relevance, _within(starts, window, size), window)

    def aligned(self, relevance, factor, size):
        """Windows widened to whole groups of `factor` pixels: (relevance, rows).

        size: (H, W) of the maps, a multiple of the factor.
        """
        window = [
            min(-(-(n + factor - 1) // factor) * factor, most)
            for n, most in zip(relevance.shape[2:], size, strict=True)
        ]
        starts = [tuple(n - n % factor for n in origin) for origin in self.origins]
        return self.moved(relevance, _within(starts, window, size), window)

    def met(self, relevance, others, other, size):
        """The sum of two messages of maps of a size (H, W): (relevance, rows).

        others, other: rows and relevance of the second; they may be other rows, other windows.
        """
        union = self.union(others)
        union, window = _around(union, ((self, relevance), (others, other)), size)
        total = zeros(relevance, len(union), relevance.shape[1], window)
        for rows, part in ((self, relevance), (others, other)):
            union.add_windows_(total, part, rows)
        return total, union

    def add_windows_(self, total, part, rows):
        """Add rows and windows `part` to those of `total` where they overlap."""
        places = self.places(rows)
        for i, there, given in self.overlaps(total, rows, part, places):
            total[places[i]][there] += part[i][given]

    def overlaps(self, total, rows, part, places=None):
        """(i, where in the row of `total`, where in row i of `part`) of rows that overlap.

        total, part: windows of these and of the other rows. places: these rows' number of each of
        the others; by default they are the same rows.
        """
        corners = self.corners()
        for i, other in enumerate(rows.corners()):
            corner = corners[i if places is None else places[i]]
            found = meeting(corner, total.shape[2:], other, part.shape[2:])
            if found is not None:
                yield i, *found

    def corners(self):
        """(y, x) in the map where each row begins."""
        return [(0, 0)] * len(self) if self.origins is None else self.origins

    def slices(self, relevance):
        """Where in the map each row lies, as an index of its last axes."""
        height, width = relevance.shape[2:]
        return [(..., slice(y, y + height), slice(x, x + width)) for y, x in self.corners()]

    def positions(self, best, positions, width, map_width):
        """Flat positions (T, C) in the map, from those in windows of a width.

        best: the values there. Where they are not positive, a zero outside of the window is as
        strong or stronger; None if that cannot be told from the window.
        """
        if self.origins is None:
            return positions
        if any(origin == (0, 0) for origin in self.origins) and not bool((best > 0).all()):
            return None
        y, x = torch.tensor(self.origins, device=positions.device).T[:, :, None]
        there = (positions // width + y) * map_width + positions % width + x
        return there * (best > 0)


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
    if any(rows.origins is None for rows, _ in messages):
        return union, tuple(size)
    extents = {member: [] for member in union.members}
    for rows, part in messages:
        height, width = part.shape[2:]
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
