"""The error that a user is meant to read."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something that the user gave cannot be used.

    The message is one line: which file or entry, what is wrong with it, what to do.
    Programs print it without a traceback and exit with a non-zero status.
    """


def nearest(given: object, names: Iterable[object], count: int = 3) -> str:
    """The names closest to what was given, for an error's remedy: 'a', 'b' or 'c'."""
    known = [str(name) for name in names]
    close = difflib.get_close_matches(str(given), known, count, 0.3) or known[:count]
    quoted = [repr(name) for name in close]
    return " or ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]]))
