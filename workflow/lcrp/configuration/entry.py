"""What all entries of the configuration have in common."""

import os
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


class Entry(BaseModel):
    """A mapping in a configuration file: unknown keys are errors, values keep their types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def settings(self) -> dict[str, Any]:
        """The entry as plain values, defaults filled in."""
        return self.model_dump(mode="json")


@dataclass(frozen=True)
class PartOf:
    """Stands at a setting: what is made again when it changes, and nothing else is."""

    results: frozenset[str]


def part_of(*results: str) -> PartOf:
    """The results that a setting is part of; without any, it only says how they are computed."""
    return PartOf(frozenset(results))


class Parted(Entry):
    """An entry whose settings are parts of different results: every one says of which.

    Raises:
        TypeError: on import, where a setting does not say it.
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, field in cls.model_fields.items():
            if not any(isinstance(mark, PartOf) for mark in field.metadata):
                raise TypeError(
                    f"{cls.__name__}.{name}: say what it is part of, as in "
                    f'`{name}: Annotated[..., part_of("shards")]`; `part_of()` is no result\'s'
                )

    def of(self, result: str) -> dict[str, Any]:
        """The settings that are part of a result, as plain values.

        Args:
            result: one that some setting names.
        """
        chosen = {
            name
            for name, field in type(self).model_fields.items()
            if any(isinstance(mark, PartOf) and result in mark.results for mark in field.metadata)
        }
        if not chosen:
            raise ValueError(f"{type(self).__name__}: no setting is part of {result!r}")
        return {name: value for name, value in self.settings().items() if name in chosen}


Text = Annotated[str, StringConstraints(min_length=1)]
# A file or folder; `~` and `$HOME` mean what they do in a shell.
Place = Annotated[Text, AfterValidator(lambda path: os.path.expanduser(os.path.expandvars(path)))]
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
Name = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
Count = Annotated[int, Field(ge=1)]
