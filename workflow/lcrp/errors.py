"""The error that a user is meant to read."""


class InputError(ValueError):
    """Something that the user gave cannot be used.

    The message is one line: which file or entry, what is wrong with it, what to do.
    Programs print it without a traceback and exit with a non-zero status.
    """
