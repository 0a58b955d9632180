"""File names for names of any text: classes, layers and images as people call them."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from lcrp.errors import InputError, nearest

# A file name has 255 bytes on most file systems; ranks, suffixes and marks need some of them.
LONGEST = 80


def plain(name: str) -> str:
    """A name with `_` in place of everything but letters a to z, digits, `.`, `+` and `-`."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", str(name)).strip("_") or "_"


class FileNames(Mapping):
    """A file name for each of a list of names, and the way back.

    File names hold ASCII letters, digits, `.`, `+`, `-`, `_` and `~` only, so that they mean the
    same in a URL, in a shell and on every file system, and differ also where case is ignored. A
    name that is told apart by `plain` alone is called so; the others, among them names in other
    scripts, names that differ in case or signs only, very long ones and those that look like the
    second target of another name (`boat-2`), get a mark made from all of the name: `Boat~4f1a09c2`.

    Args:
        names: all names that lie side by side, each once.
    """

    def __init__(self, names: Sequence[str]):
        names = [str(name) for name in names]
        short = {name: plain(name) for name in names}
        taken = Counter(text.casefold() for text in short.values())
        self._files = {
            name: text if _tells(name, text, taken) else _marked(text, name)
            for name, text in short.items()
        }
        self._names = {file.casefold(): name for name, file in self._files.items()}

    def __getitem__(self, name: str) -> str:
        return self._files[str(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def name(self, file: str) -> str:
        """The name that a file name stands for; names themselves are understood as well.

        Raises:
            InputError: no name, or more than one, is meant; it says which are near.
        """
        if file.casefold() in self._names:
            return self._names[file.casefold()]
        if file in self._files:
            return file
        meant = [name for name in self._files if plain(name).casefold() == file.casefold()]
        if len(meant) == 1:
            return meant[0]
        known = [self._files[name] for name in meant] or list(self._files.values())
        raise InputError(f"{file}: no name is written so in file names; use {nearest(file, known)}")


def _tells(name: str, text: str, taken: Mapping[str, int]) -> bool:
    """Whether the short text alone says which name is meant.

    Of names that only case or signs tell apart, the one that is its own short text is called so.
    """
    stem, dash, rank = text.casefold().rpartition("-")
    return (
        (taken[text.casefold()] == 1 or name == text.casefold())
        and len(text) <= LONGEST
        and any(letter.isalnum() for letter in text)
        and not text.startswith(".")
        and not text.endswith(".")
        and not (dash and rank.isdigit() and stem in taken)
    )


def _marked(text: str, name: str) -> str:
    mark = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{text[:LONGEST].lstrip('.') or '_'}~{mark}"
