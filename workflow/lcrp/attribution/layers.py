"""Choosing layers by name or pattern."""

import fnmatch

from lcrp.errors import InputError, nearest


def select_layers(wanted, available, default=()):
    """Layer names in the order of `available`.

    wanted: "all", "default", a name, or a list of names and patterns such as "model.*.cv3.conv".
    Raises InputError with the nearest names for one that does not exist.
    """
    if wanted == "all":
        return list(available)
    if wanted == "default":
        wanted = list(default)
    patterns = [wanted] if isinstance(wanted, str) else list(wanted)
    chosen = set()
    for pattern in patterns:
        found = fnmatch.filter(available, pattern) or [n for n in available if n == pattern]
        if not found:
            raise InputError(
                f"layer {pattern!r}: the network has no such convolution; "
                f"use {nearest(pattern, available)}"
            )
        chosen.update(found)
    return [name for name in available if name in chosen]
