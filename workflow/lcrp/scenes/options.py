"""What can be chosen about the drawn dataset."""

from dataclasses import dataclass, fields

from lcrp.errors import InputError


@dataclass(frozen=True)
class SceneOptions:
    """Settings of the scenes; everything that is drawn follows from them.

    Attributes:
        seed: start of all random numbers. A scene depends on it, its split and its index alone.
        size: side of the square images, pixels, at least 48.
        train: number of scenes to learn from.
        test: number of held-out scenes, of which the swapped ones are made.
        plain: share of the scenes without strokes; only classes with a shape of their own
            appear in those.
        smallest: smallest object size, pixels; every class has the same area at a given size.
        largest: largest object size, pixels.
        gap: how far strokes stay off the objects, pixels.
        companion: how often a rider comes with its bicycle.
        merge_twins: the control: the same images, the labels of twins merged into one, so that
            no class needs its context.
    """

    seed: int = 0
    size: int = 96
    train: int = 1600
    test: int = 240
    plain: float = 0.25
    smallest: int = 15
    largest: int = 21
    gap: int = 4
    companion: float = 0.95
    merge_twins: bool = False

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            wanted = (int, float) if field.type in (float, "float") else field.type
            if not isinstance(value, wanted) or (field.type is int and isinstance(value, bool)):
                raise InputError(
                    f"scenes.{field.name}: {value!r} is not of type {field.type.__name__}; "
                    f"write for instance {field.name}: {field.default!r}"
                )
        self._require("seed", self.seed >= 0, "a seed is at least 0")
        self._require("size", 48 <= self.size <= 1024, "choose 48 to 1024 pixels")
        self._require("train", self.train >= 0, "a count is at least 0")
        self._require("test", self.test >= 0, "a count is at least 0")
        self._require("plain", 0 <= self.plain <= 1, "choose a share from 0 to 1")
        self._require("companion", 0 <= self.companion <= 1, "choose a share from 0 to 1")
        self._require("smallest", self.smallest >= 8, "below 8 pixels no shape can be seen")
        self._require(
            "largest",
            self.smallest <= self.largest <= self.size // 3,
            f"choose {self.smallest} (smallest) to {self.size // 3} (a third of the image)",
        )
        self._require("gap", 0 <= self.gap <= self.size // 8, "strokes need room")

    def _require(self, name, holds, remedy):
        if not holds:
            raise InputError(f"scenes.{name}: {getattr(self, name)} cannot be used; {remedy}")

    @classmethod
    def from_config(cls, config):
        """Options from a dict (a `SceneOptions` is returned as it is).

        Raises:
            InputError: for an unknown name or a value that cannot be used.
        """
        if isinstance(config, cls):
            return config
        names = [field.name for field in fields(cls)]
        for name in config:
            if name not in names:
                raise InputError(f"scenes.{name}: no such setting; choose from {', '.join(names)}")
        return cls(**config)
