"""Rows: which target (or mask) of which image each row of a batch belongs to."""

import torch


class Rows:
    """Rows of a relevance tensor (T, ...), each belonging to one image of the batch.

    images: image of each row, in ascending order, so that an image's rows are neighbours and
        per-image tensors (B, ...) are applied to them without being copied.
    members: which of the walk's rows these are, in ascending order.
    """

    def __init__(self, images, members=None):
        self.images = list(images)
        self.members = tuple(range(len(self.images)) if members is None else members)
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

    def multiplied(self, tensor, per_image):
        """Rows (T, ...) times their image's tensor (B, ...), as a new tensor."""
        product = torch.empty_like(tensor)
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
