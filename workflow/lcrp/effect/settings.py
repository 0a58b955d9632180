"""What can be chosen about the measurement of effects."""

from dataclasses import dataclass, fields

from lcrp.errors import InputError


@dataclass(frozen=True)
class EffectSettings:
    """Settings of the interventions; see docs/context-bias.md for how they were chosen.

    Attributes:
        images: objects per class that are tested, each in another image.
        minimum_images: with fewer of them a test is listed, but not made.
        donors: backgrounds of each kind that an object is put into.
        things: things per class that are proposed as what it leans on.
        concepts: leading context concepts that are switched off together in a layer.
        passes: budget of forward passes, in images. Classes get fewer objects where it is short.
        margin: pixels of the input around an object that stay with it, so that its outline does.
        floor: least effect, in probability or detection rate, that is ever confirmed.
        alpha: chance of any false confirmation among backgrounds and things, and among concepts.
        threshold: confidence above which a box counts as found.
        draws: of the bootstrap and of the sign-flip test.
        confidence: of the intervals.
        examples: images before and after that are kept for every confirmed effect.
        seed: of all choices.
    """

    images: int = 24
    minimum_images: int = 8
    donors: int = 2
    things: int = 4
    concepts: int = 3
    passes: int = 10000
    margin: int = 4
    floor: float = 0.2
    alpha: float = 0.05
    threshold: float = 0.25
    draws: int = 20000
    confidence: float = 0.95
    examples: int = 3
    seed: int = 0

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            whole = field.type is int
            valid = type(value) is int if whole else isinstance(value, int | float)
            least = 0 if field.name in ("things", "concepts", "margin", "examples", "seed") else 1
            if not valid or (value < least if whole else not 0 < value < 1):
                wanted = f"a whole number from {least}" if whole else "a number between 0 and 1"
                raise InputError(
                    f"effect.{field.name}: {value!r} cannot be used; give {wanted}, "
                    f"such as {field.default}"
                )
        if self.minimum_images > self.images:
            raise InputError(
                f"effect.minimum_images: {self.minimum_images} is more than effect.images, "
                f"{self.images}; choose at most that"
            )
