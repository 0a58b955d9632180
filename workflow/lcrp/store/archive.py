"""Zarr v3 hierarchies in one zip file, written whole or not at all.

Only what the store needs of the format, written directly: regular chunks, numbers through
Blosc, text as `vlen-utf8` with Zstandard. That is several times faster than zarr-python for
the hundreds of small arrays of a shard, needs one chunk in memory at a time, and the same
arrays give the same bytes (entries carry a fixed date). Any Zarr v3 reader opens the result.
"""

import json
import math
import struct
import zipfile
import zlib
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import numpy as np
from numcodecs import Blosc, VLenUTF8, Zstd

from lcrp.errors import InputError
from lcrp.files import unwritable, whole

# Measured in benchmarks/store.py: on real relevances as small as zstd 5, at many times its speed.
COMPRESSOR = {"cname": "lz4", "clevel": 5, "shuffle": "bitshuffle"}
TEXT_LEVEL = 3
_DATE = (1980, 1, 1, 0, 0, 0)
_SHUFFLES = {"noshuffle": Blosc.NOSHUFFLE, "shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}


def _fill_to_json(fill, dtype):
    if dtype.kind == "f":
        return "NaN" if np.isnan(fill) else float(fill)
    return bool(fill) if dtype.kind == "b" else int(fill)


def _fill_from_json(fill):
    return np.nan if fill == "NaN" else fill


def _array_metadata(shape, dtype, dimensions, chunks, fill, attributes):
    text = dtype.kind == "O"
    if text:
        codecs = [
            {"name": "vlen-utf8", "configuration": {}},
            {"name": "zstd", "configuration": {"level": TEXT_LEVEL, "checksum": False}},
        ]
    else:
        codecs = [
            {"name": "bytes", "configuration": {"endian": "little"}}
            if dtype.itemsize > 1
            else {"name": "bytes"},
            {
                "name": "blosc",
                "configuration": COMPRESSOR | {"typesize": dtype.itemsize, "blocksize": 0},
            },
        ]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [int(n) for n in shape],
        "data_type": "string" if text else dtype.name,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [int(n) for n in chunks]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": "" if text else _fill_to_json(fill, dtype),
        "codecs": codecs,
        "dimension_names": list(dimensions),
        "attributes": attributes or {},
    }


def _encode(values, metadata):
    if metadata["data_type"] == "string":
        return Zstd(TEXT_LEVEL).encode(VLenUTF8().encode(np.asarray(values, object)))
    settings = metadata["codecs"][1]["configuration"]
    blosc = Blosc(settings["cname"], settings["clevel"], _SHUFFLES[settings["shuffle"]])
    return blosc.encode(np.ascontiguousarray(values))


def _decode(data, metadata):
    shape = metadata["chunk_grid"]["configuration"]["chunk_shape"]
    names = [codec["name"] for codec in metadata["codecs"]]
    if names == ["vlen-utf8", "zstd"]:
        return VLenUTF8().decode(Zstd().decode(data)).reshape(shape)
    if names == ["bytes", "blosc"]:
        return np.frombuffer(Blosc().decode(data), metadata["data_type"]).reshape(shape)
    raise ValueError(f"codecs {names} are not those of a concept store")


def _is_fill(values, fill):
    if values.dtype.kind == "f" and np.isnan(fill):
        return bool(np.isnan(values).all())
    return bool((values == fill).all())


def _read(archive, present, path, metadata, selection):
    """Read a hyperrectangle of an array from an open zip file, chunk by chunk."""
    shape = metadata["shape"]
    chunks = metadata["chunk_grid"]["configuration"]["chunk_shape"]
    ranges = [range(n)[s] for n, s in zip(shape, selection, strict=True)]
    text = metadata["data_type"] == "string"
    fill = _fill_from_json(metadata["fill_value"])
    out = np.full([len(r) for r in ranges], fill, object if text else metadata["data_type"])
    if out.size == 0:
        return out
    grid = [range(r[0] // n, r[-1] // n + 1) for r, n in zip(ranges, chunks, strict=True)]
    for index in product(*grid):
        key = "/".join((path, "c", *map(str, index)))
        if key not in present:
            continue
        chunk = _decode(archive.read(key), metadata)
        source, target = [], []
        for i, n, r in zip(index, chunks, ranges, strict=True):
            first, last = max(i * n, r[0]), min((i + 1) * n, r[-1] + 1)
            source.append(slice(first - i * n, last - i * n))
            target.append(slice(first - r[0], last - r[0]))
        out[tuple(target)] = chunk[tuple(source)]
    return out


def _full(selection, shape):
    selection = tuple(selection)
    return selection + (slice(None),) * (len(shape) - len(selection))


class ArchiveWriter:
    """A Zarr v3 hierarchy under construction; a context manager.

    path: the file to make. Everything goes to a temporary file beside it, which takes its name
    when the block ends well and is removed when it does not.
    Raises InputError when the file cannot be written (folder missing or read-only, disk full).
    """

    def __init__(self, path):
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

    def group(self, path, attributes=None):
        """Declare the group `path` (and those above it) with JSON-able attributes."""
        parts = path.split("/") if path else []
        for depth in range(1, len(parts) + 1):
            above = "/".join(parts[:depth])
            empty = {"zarr_format": 3, "node_type": "group", "attributes": {}}
            self.nodes.setdefault(above, empty)
        if attributes:
            self.nodes[path]["attributes"] = attributes

    def declare(self, path, shape, dtype, dimensions, chunks, fill=0, attributes=None):
        """Declare an array whose chunks follow by `write`."""
        self.group(path.rpartition("/")[0])
        chunks = [max(1, int(n)) for n in chunks]
        self.nodes[path] = _array_metadata(
            shape, np.dtype(dtype), dimensions, chunks, fill, attributes
        )

    def write(self, path, values, start=None):
        """Write whole chunks of a declared array.

        values: an array whose first element lies at index `start` (default: the origin), which
        must be a multiple of the chunk shape; it may end within a chunk only where the array
        ends. Chunks that hold nothing but the fill value are left out, as Zarr allows.
        """
        metadata = self.nodes[path]
        chunks = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        start = start or (0,) * len(chunks)
        text = metadata["data_type"] == "string"
        fill = _fill_from_json(metadata["fill_value"])
        dtype = np.dtype(object if text else metadata["data_type"])
        values = np.asarray(values, dtype)
        if any(s % n for s, n in zip(start, chunks, strict=True)):
            raise ValueError(f"{path}: {start} is no chunk border of {chunks}")
        counts = [math.ceil(n / c) for n, c in zip(values.shape, chunks, strict=True)]
        for index in product(*map(range, counts)):
            piece = values[
                tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, chunks, strict=True))
            ]
            if not text and _is_fill(piece, fill):
                continue
            if list(piece.shape) != chunks:
                whole = np.full(chunks, fill, dtype)
                whole[tuple(slice(n) for n in piece.shape)] = piece
                piece = whole
            number = (s // n + i for s, n, i in zip(start, chunks, index, strict=True))
            self._put("/".join((path, "c", *map(str, number))), _encode(piece, metadata))

    def array(self, path, values, dimensions, chunks=None, fill=0, attributes=None):
        """Declare and write an array; `chunks` defaults to the whole of it."""
        values = np.asarray(values)
        self.declare(
            path, values.shape, values.dtype, dimensions, chunks or values.shape, fill, attributes
        )
        self.write(path, values)

    def shape(self, path):
        """Shape of a declared array."""
        return tuple(self.nodes[path]["shape"])

    def read(self, path, *selection):
        """Read back what has been written, like `ArchiveReader.read`."""
        metadata = self.nodes[path]
        return _read(self._zip, self._present, path, metadata, _full(selection, metadata["shape"]))


class ArchiveReader:
    """A Zarr hierarchy made by ArchiveWriter, read without zarr-python.

    path: the file. Raises InputError when it is missing, truncated or corrupt. Close after use;
    a context manager.
    """

    def __init__(self, path):
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

    def attributes(self, path=""):
        """The attributes of a group or array."""
        return (self.nodes[path] if path else self._root)["attributes"]

    def children(self, path):
        """Names directly below a group, in the order in which they were written."""
        prefix = f"{path}/" if path else ""
        names = (n[len(prefix) :] for n in self.nodes if n.startswith(prefix))
        return [name for name in names if name and "/" not in name]

    def metadata(self, path):
        """The array's metadata: `shape`, `data_type`, `dimension_names`, ..."""
        return self.nodes[path]

    def read(self, path, *selection):
        """Read an array, or the hyperrectangle given by slices (missing ones mean everything)."""
        with self._reported():
            metadata = self.nodes[path]
            return _read(
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
