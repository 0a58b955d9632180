"""One layer of a concept store: lazy arrays."""

from collections.abc import Callable, Mapping
from typing import Any

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

    def __init__(self, name: str, attributes: Mapping[str, Any], group: Callable[[], Any]):
        self.name = name
        self.channels = attributes["channels"]
        self.shape = tuple(attributes["shape"]) if attributes["shape"] else None
        self._group = group

    @property
    def group(self) -> Any:
        """The zarr group of the layer."""
        return self._group()

    def __getattr__(self, name: str) -> Any:
        if name in RECORDED or name == "absolute_sum":
            if name in self.group:
                return self.group[name]
            raise InputError(f"layer {self.name}: the store holds no {name}; analyse the images")
        raise AttributeError(name)
