"""The classes of a dataset, mapped by name onto those of a model."""

from difflib import get_close_matches

from lcrp.errors import InputError

BACKGROUND_NAMES = {"background", "__background__", "ground"}


class ClassMap:
    """From a dataset's own class indices to those used.

    own : names by the dataset's index.
    classes : names by the index used, or None for the dataset's own.
    source : the file or entry that errors name.
    unknown : "error" or "ignore": what to do with annotations of a class that is not in `classes`.
    """

    def __init__(self, own, classes=None, *, source, unknown="error"):
        self.own = _checked(own, source)
        self.classes = _checked(classes or own, source)
        self.source, self.unknown = source, unknown
        if unknown not in ("error", "ignore"):
            raise InputError(f"dataset.unknown: {unknown!r}; allowed are error and ignore")
        self.indices = tuple(_find(name, self.classes) for name in self.own)
        if self.own and all(index is None for index in self.indices):
            raise InputError(
                f"{source}: none of its classes ({_some(self.own)}) is one of the model's "
                f"({_some(self.classes)}); give the model's `classes`, or rename the dataset's"
            )

    @property
    def background(self):
        """Indices of classes that stand for everything else, not for objects."""
        return frozenset(i for i, name in enumerate(self.classes) if name in BACKGROUND_NAMES)

    @property
    def fill(self):
        """Index of pixels without annotation: the background where there is one, else void."""
        return min(self.background, default=255)

    def index(self, own, where):
        """The index used for the dataset's index, or None if it is ignored; InputError if unknown.

        where : what holds the class, for the error ("file: annotation 3").
        """
        index = self.indices[own]
        if index is None and self.unknown == "error":
            raise InputError(
                f"{where}: its class {self.own[own]!r} is unknown to the model{self._hint(own)}; "
                "rename it, remove it, or set `unknown: ignore`"
            )
        return index

    def _hint(self, own):
        near = get_close_matches(self.own[own], self.classes, 1)
        return f", which has {near[0]!r}" if near else f", which has {_some(self.classes)}"


def _checked(names, source):
    names = tuple(str(name) for name in names)
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise InputError(f"{source}: the class {twice!r} is named twice; give each its own name")
    if len(names) > 255:
        raise InputError(f"{source}: {len(names)} classes; at most 255 can be told apart")
    return names


def _find(name, classes):
    if name in classes:
        return classes.index(name)
    plain = [_plain(other) for other in classes]
    return plain.index(_plain(name)) if plain.count(_plain(name)) == 1 else None


def _plain(name):
    return name.casefold().replace("_", " ").replace("-", " ").strip()


def _some(names):
    return ", ".join(names[:5]) + (f", ... {len(names)} in all" if len(names) > 5 else "")
