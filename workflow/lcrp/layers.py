"""Choosing layers: by name or pattern, and those that figures show."""

import fnmatch
from collections.abc import Iterable, Sequence

from lcrp.errors import InputError, nearest


def select_layers(
    wanted: str | Iterable[str],
    available: Sequence[str],
    default: Sequence[str] = (),
    where: str = "the network",
) -> list[str]:
    """Layer names in the order of `available`.

    Args:
        wanted: "all", "default", a name, or names and patterns such as "model.*.cv3.conv".
        available: names of the layers there are.
        default: the names that "default" stands for.
        where: whose layers these are, for the error.

    Raises:
        InputError: no layer is called so; it names the nearest ones.
    """
    if wanted == "all":
        return list(available)
    if wanted == "default":
        wanted = list(default)
    patterns = [wanted] if isinstance(wanted, str) else list(wanted)
    chosen = set()
    for pattern in patterns:
        # A name may hold the signs of a pattern.
        found = [pattern] if pattern in available else fnmatch.filter(available, pattern)
        if not found:
            raise InputError(
                f"{where}: no layer {pattern!r}; nearest: {nearest(pattern, available)}"
            )
        chosen.update(found)
    return [name for name in available if name in chosen]


def shown_layers(
    wanted: str | Iterable[str], recorded: Sequence[str], example: str
) -> tuple[str, ...]:
    """The layers that figures show, in the order in which they are named.

    Args:
        wanted: a name, several, or "default".
        recorded: those of the store.
        example: of the architecture; "default" stands for it where it is recorded, else for the
            last layer that is.
    """
    if wanted != "default":
        return (wanted,) if isinstance(wanted, str) else tuple(wanted)
    return (example if example in recorded else recorded[-1],)
