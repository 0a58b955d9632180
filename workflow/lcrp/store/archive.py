"""Zarr v3 hierarchies in one zip file, written whole or not at all.

Only what the store needs of the format, written directly (`chunks.py` has the arrays). That is
several times faster than zarr-python for the hundreds of small arrays of a shard, needs one chunk
in memory at a time, and the same arrays give the same bytes (entries carry a fixed date). Any
Zarr v3 reader opens the result.
"""

import json
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lcrp.errors import InputError
from lcrp.files import unwritable, whole
from lcrp.store.chunks import array_metadata, encode, fill_from_json, is_fill, read_chunks

_DATE = (1980, 1, 1, 0, 0, 0)


def _full(selection, shape):
    selection = tuple(selection)
    return selection + (slice(None),) * (len(shape) - len(selection))


class ArchiveWriter:
    """A Zarr v3 hierarchy under construction; a context manager.

    Everything goes to a temporary file, which takes its name when the block ends well and is
    removed when it does not.

    Args:
        path: the file to make.

    Raises:
        InputError: at the beginning or end of the block, if the file cannot be written (the
            folder is read-only, the disk full).
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.nodes = {"": {"zarr_format": 3, "node_type": "group", "attributes": {}}}
        self._present = set()

    def __enter__(self):
        self._open = self._opened()
        self._open.__enter__()
        return self

    def __exit__(self, *error):
        return self._open.__exit__(*error)

    @contextmanager
    def _opened(self):
        try:
            with whole(self.path, durable=True) as part:
                self._zip = zipfile.ZipFile(part, "x", zipfile.ZIP_STORED)
                try:
                    yield
                    self._finish()
                except BaseException:
                    self._abandon()
                    raise
        except OSError as error:
            raise unwritable(self.path, error) from error

    def _finish(self):
        for path, node in self.nodes.items():
            if node["node_type"] == "group":
                node = node | {"consolidated_metadata": self._below(path)}
            text = json.dumps(node, separators=(",", ":"))
            self._put(f"{path}/zarr.json".lstrip("/"), text.encode(), zipfile.ZIP_DEFLATED)
        self._zip.close()

    def _below(self, path):
        # xarray looks for consolidated metadata in the group that it opens, and warns without.
        # zarr-python loses members of a group whose entries do not follow one another.
        prefix = f"{path}/" if path else ""
        names = [name for name in self.nodes if name and name.startswith(prefix)]
        names.sort(key=lambda name: name.rpartition("/")[0])
        below = {name[len(prefix) :]: self.nodes[name] for name in names}
        return {"kind": "inline", "must_understand": False, "metadata": below}

    def _abandon(self):
        # A zip file that is closed in the ordinary way writes its list of entries first.
        try:
            self._zip.fp.close()
            self._zip.fp = None
        except (OSError, AttributeError):
            pass

    def _put(self, key, data, compression=zipfile.ZIP_STORED):
        entry = zipfile.ZipInfo(key, _DATE)
        entry.compress_type = compression
        entry.external_attr = 0o644 << 16
        self._zip.writestr(entry, data)
        self._present.add(key)

    def group(self, path: str, attributes: dict | None = None) -> None:
        """Declare the group `path` (and those above it) with JSON-able attributes."""
        parts = path.split("/") if path else []
        for depth in range(1, len(parts) + 1):
            above = "/".join(parts[:depth])
            empty = {"zarr_format": 3, "node_type": "group", "attributes": {}}
            self.nodes.setdefault(above, empty)
        if attributes:
            self.nodes[path]["attributes"] = attributes

    def declare(
        self,
        path: str,
        shape: Sequence[int],
        dtype: npt.DTypeLike,
        dimensions: Sequence[str],
        chunks: Sequence[int],
        fill: float = 0,
        attributes: dict | None = None,
    ) -> None:
        """Declare an array whose chunks follow by `write`.

        Args:
            path: its name below the root, with those of its groups.
            shape: of the array.
            dtype: of its numbers; object for text.
            dimensions: names of the axes.
            chunks: shape of a chunk.
            fill: the value of chunks that are not written.
            attributes: what JSON can hold.
        """
        self.group(path.rpartition("/")[0])
        chunks = [max(1, int(n)) for n in chunks]
        self.nodes[path] = array_metadata(
            shape, np.dtype(dtype), dimensions, chunks, fill, attributes
        )

    def write(self, path: str, values: npt.ArrayLike, start: Sequence[int] | None = None) -> None:
        """Write whole chunks of a declared array.

        Chunks that hold nothing but the fill value are left out, as Zarr allows.

        Args:
            path: of the array.
            values: an array; it may end within a chunk only where the declared one ends.
            start: index of its first element, a multiple of the chunk shape; by default 0.
        """
        metadata = self.nodes[path]
        chunks = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        start = start or (0,) * len(chunks)
        text = metadata["data_type"] == "string"
        fill = fill_from_json(metadata["fill_value"])
        dtype = np.dtype(object if text else metadata["data_type"])
        values = np.asarray(values, dtype)
        if any(s % n for s, n in zip(start, chunks, strict=True)):
            raise ValueError(f"{path}: {start} is no chunk border of {chunks}")
        counts = [math.ceil(n / c) for n, c in zip(values.shape, chunks, strict=True)]
        for index in product(*map(range, counts)):
            piece = values[
                tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, chunks, strict=True))
            ]
            if not text and is_fill(piece, fill):
                continue
            if list(piece.shape) != chunks:
                whole = np.full(chunks, fill, dtype)
                whole[tuple(slice(n) for n in piece.shape)] = piece
                piece = whole
            number = (s // n + i for s, n, i in zip(start, chunks, index, strict=True))
            self._put("/".join((path, "c", *map(str, number))), encode(piece, metadata))

    def array(
        self,
        path: str,
        values: npt.ArrayLike,
        dimensions: Sequence[str],
        chunks: Sequence[int] | None = None,
        fill: float = 0,
        attributes: dict | None = None,
    ) -> None:
        """Declare and write an array; `chunks` defaults to the whole of it."""
        values = np.asarray(values)
        self.declare(
            path, values.shape, values.dtype, dimensions, chunks or values.shape, fill, attributes
        )
        self.write(path, values)

    def shape(self, path: str) -> tuple[int, ...]:
        """Shape of a declared array."""
        return tuple(self.nodes[path]["shape"])

    def read(self, path: str, *selection: slice) -> np.ndarray:
        """Read back what has been written, like `ArchiveReader.read`."""
        metadata = self.nodes[path]
        return read_chunks(
            self._zip, self._present, path, metadata, _full(selection, metadata["shape"])
        )


class ArchiveReader:
    """A Zarr hierarchy made by ArchiveWriter, read without zarr-python; a context manager.

    Args:
        path: the file.

    Raises:
        InputError: the file is missing, truncated or corrupt.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        with self._reported():
            if not self.path.is_file():
                raise InputError(f"{self.path}: no such file; run the step that makes it")
            self._zip = zipfile.ZipFile(self.path)
            self._present = set(self._zip.namelist())
            self._root = json.loads(self._zip.read("zarr.json"))
            self.nodes = self._root["consolidated_metadata"]["metadata"]

    def _reported(self):
        return _Damage(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the file."""
        self._zip.close()

    def __contains__(self, path):
        return path in self.nodes

    def attributes(self, path: str = "") -> dict:
        """The attributes of a group or array."""
        return (self.nodes[path] if path else self._root)["attributes"]

    def children(self, path: str) -> list[str]:
        """Names directly below a group, in the order in which they were written."""
        prefix = f"{path}/" if path else ""
        names = (n[len(prefix) :] for n in self.nodes if n.startswith(prefix))
        return [name for name in names if name and "/" not in name]

    def metadata(self, path: str) -> dict:
        """The array's metadata: `shape`, `data_type`, `dimension_names`, ..."""
        return self.nodes[path]

    def read(self, path: str, *selection: slice) -> np.ndarray:
        """Read an array, or the hyperrectangle given by slices (missing ones mean everything)."""
        with self._reported():
            metadata = self.nodes[path]
            return read_chunks(
                self._zip, self._present, path, metadata, _full(selection, metadata["shape"])
            )


class _Damage:
    """Turns whatever a damaged file provokes into one line that names it."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if isinstance(error, InputError) or kind is None:
            return False
        damage = (zipfile.BadZipFile, KeyError, ValueError, RuntimeError, EOFError, OSError)
        damage += (zlib.error, struct.error, TypeError, NotImplementedError)
        if isinstance(error, PermissionError):
            raise InputError(f"{self.path}: may not be read; check its permissions") from error
        if isinstance(error, damage):
            detail = str(error).strip("'\"") or kind.__name__
            raise InputError(
                f"{self.path}: truncated, corrupt or no concept store ({detail}); "
                "delete it and run again, so that it is computed anew"
            ) from error
        return False
