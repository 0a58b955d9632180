"""The error that a user is meant to read."""

import difflib


class InputError(ValueError):
    """Something that the user gave cannot be used.

    The message is one line: which file or entry, what is wrong with it, what to do.
    Programs print it without a traceback and exit with a non-zero status.
    """


def nearest(given, names, count=3):
    """The names closest to what was given, for an error's remedy: 'a', 'b' or 'c'."""
    close = difflib.get_close_matches(str(given), [str(name) for name in names], count, 0.3)
    close = close or [str(name) for name in names][:count]
    quoted = [repr(name) for name in close]
    return " or ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]]))
