"""The arrays of Zarr v3 as a concept store uses them: their metadata, and their chunks as bytes.

Regular chunks, numbers through Blosc, text as `vlen-utf8` with Zstandard.
"""

import zipfile
from collections.abc import Container, Sequence
from itertools import product

import numpy as np
from numcodecs import Blosc, VLenUTF8, Zstd

# Measured in benchmarks/store.py: on real relevances as small as zstd 5, at many times its speed.
COMPRESSOR = {"cname": "lz4", "clevel": 5, "shuffle": "bitshuffle"}
TEXT_LEVEL = 3
_SHUFFLES = {"noshuffle": Blosc.NOSHUFFLE, "shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}


def _fill_to_json(fill, dtype):
    if dtype.kind == "f":
        return "NaN" if np.isnan(fill) else float(fill)
    return bool(fill) if dtype.kind == "b" else int(fill)


def fill_from_json(fill: float | str) -> float | str:
    """The fill value that an array's metadata name."""
    return np.nan if fill == "NaN" else fill


def array_metadata(
    shape: Sequence[int],
    dtype: np.dtype,
    dimensions: Sequence[str],
    chunks: Sequence[int],
    fill: float,
    attributes: dict | None,
) -> dict:
    """The metadata of an array as they stand in its `zarr.json`.

    Args:
        shape: of the array.
        dtype: of its numbers; object for text.
        dimensions: names of the axes.
        chunks: shape of a chunk.
        fill: the value of chunks that are not there.
        attributes: what JSON can hold.
    """
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


def encode(values: np.ndarray, metadata: dict) -> bytes:
    """A chunk of the array that the metadata describe, as bytes."""
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


def is_fill(values: np.ndarray, fill: float) -> bool:
    """Whether values are all the fill value, so that their chunk may be left out."""
    if values.dtype.kind == "f" and np.isnan(fill):
        return bool(np.isnan(values).all())
    return bool((values == fill).all())


def read_chunks(
    archive: zipfile.ZipFile,
    present: Container[str],
    path: str,
    metadata: dict,
    selection: Sequence[slice],
) -> np.ndarray:
    """Read a hyperrectangle of an array, chunk by chunk.

    Args:
        archive: an open zip file.
        present: the names of its entries.
        path: of the array in it.
        metadata: of the array.
        selection: a slice with step 1 for each axis.
    """
    shape = metadata["shape"]
    chunks = metadata["chunk_grid"]["configuration"]["chunk_shape"]
    ranges = [range(n)[s] for n, s in zip(shape, selection, strict=True)]
    text = metadata["data_type"] == "string"
    fill = fill_from_json(metadata["fill_value"])
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
