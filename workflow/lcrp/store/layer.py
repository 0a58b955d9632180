"""One layer of a concept store: lazy arrays."""

from lcrp.errors import InputError
from lcrp.store.format import RECORDED


class Layer:
    """One layer of a store.

    The arrays `relevance`, `position`, `inside`, `landed` (T, C), `on_thing` (P, C), `activation`,
    `activation_position` (B, C) and `absolute_sum` (T,) are zarr arrays, read when sliced.

    Attributes:
        name: as in the network.
        channels: number of concepts.
        shape: (height, width) of the feature map, or None.
    """

    def __init__(self, name, attributes, group):
        self.name = name
        self.channels = attributes["channels"]
        self.shape = tuple(attributes["shape"]) if attributes["shape"] else None
        self._group = group

    @property
    def group(self):
        """The zarr group of the layer."""
        return self._group()

    def __getattr__(self, name):
        if name in RECORDED or name == "absolute_sum":
            if name in self.group:
                return self.group[name]
            raise InputError(f"layer {self.name}: the store holds no {name}; analyse the images")
        raise AttributeError(name)
