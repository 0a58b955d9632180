"""The classes of a dataset, mapped by name onto those of a model: the one table of both."""

from collections.abc import Sequence

from lcrp.errors import InputError, nearest

# What tools call the class of everything that is no object; case and underscores do not count.
_BACKGROUND_NAMES = {"background", "bg", "unlabeled", "unlabelled"}


class ClassMap:
    """From a dataset's own class indices to those used.

    Names match when they are equal, or when only case, `_` and `-` tell them apart.

    Attributes:
        own: names by the dataset's index.
        classes: names by the index used.
        indices: the index used by the dataset's index; None for a class that is not in `classes`.
        source: the file or entry that errors name.
        unknown: "error" or "ignore": what happens to annotations of a class not in `classes`.
    """

    def __init__(
        self,
        own: Sequence[str],
        classes: Sequence[str] | None = None,
        *,
        source: object,
        unknown: str = "error",
    ):
        """Match the names.

        Args:
            own: names by the dataset's index.
            classes: names to map them onto; None keeps the dataset's own.
            source: the file or entry that errors name.
            unknown: "error" or "ignore".

        Raises:
            InputError: a name stands twice, or no class of the dataset is in `classes`.
        """
        self.own = _checked(own, source)
        self.classes = _checked(classes or own, source)
        self.source, self.unknown = source, unknown
        if unknown not in ("error", "ignore"):
            raise InputError(f"dataset.unknown: {unknown!r}; allowed are error and ignore")
        self.indices = _matched(self.own, self.classes)
        if self.own and all(index is None for index in self.indices):
            raise InputError(
                f"{source}: none of its classes ({_some(self.own)}) is one of the model's "
                f"({_some(self.classes)}); give the model's `classes`, or rename the dataset's"
            )

    def onto(self, classes: Sequence[str]) -> "ClassMap":
        """From the indices used here to those of other names, as a model's, by the same rule.

        A dataset that was opened with the classes of a model maps onto them one to one.
        """
        return ClassMap(self.classes, classes, source=self.source, unknown=self.unknown)

    @property
    def background(self) -> frozenset[int]:
        """Indices of classes that stand for everything else, not for objects."""
        return background_classes(self.classes)

    @property
    def fill(self) -> int:
        """Index of pixels without annotation: the background where there is one, else void."""
        return min(self.background, default=255)

    def index(self, own: int, where: object) -> int | None:
        """The index used for the dataset's index, or None if the class is ignored.

        Args:
            own: the dataset's index.
            where: what holds the class, for the error ("file: annotation 3").

        Raises:
            InputError: the class is not in `classes`, and `unknown` is "error".
        """
        index = self.indices[own]
        if index is None and self.unknown == "error":
            raise InputError(
                f"{where}: its class {self.own[own]!r} is unknown to the model, which has "
                f"{nearest(self.own[own], self.classes)}; rename it, remove it, or set "
                "`unknown: ignore`"
            )
        return index


def background_classes(names: Sequence[str]) -> frozenset[int]:
    """Indices of the names that stand for everything else, not for objects.

    A class `ground` is an object like others, but for Cityscapes: there it holds all labels that
    are not evaluated.
    """
    names = [str(name) for name in names]
    cityscapes = len(names) == 20 and names[0] == "road" and names[-1] == "ground"
    return frozenset(
        index
        for index, name in enumerate(names)
        if _plain(name).strip() in _BACKGROUND_NAMES or (cityscapes and name == "ground")
    )


def _checked(names, source):
    names = tuple(str(name) for name in names)
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise InputError(f"{source}: the class {twice!r} is named twice; give each its own name")
    return names


def _matched(own, classes):
    """The index of each own name among the classes; two names never share one."""
    found = [_find(name, classes) for name in own]
    exact = {index for name, index in zip(own, found, strict=True) if name in classes}
    return tuple(
        index if name in classes or (index not in exact and found.count(index) == 1) else None
        for name, index in zip(own, found, strict=True)
    )


def _find(name, classes):
    if name in classes:
        return classes.index(name)
    plain = [_plain(other) for other in classes]
    return plain.index(_plain(name)) if plain.count(_plain(name)) == 1 else None


def _plain(name):
    return name.casefold().replace("_", " ").replace("-", " ").strip()


def _some(names):
    return ", ".join(names[:5]) + (f", ... {len(names)} in all" if len(names) > 5 else "")
