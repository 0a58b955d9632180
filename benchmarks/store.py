"""Measure how the store's numbers are best rounded, compressed and cut into chunks.

    python benchmarks/store.py [--store results/<experiment>/concepts.zarr.zip] [--json FILE]

Prints three tables: rounding and codec (bytes per number, writing and reading speed, largest
relative error); chunk shape of a merged array (size, time to write, to read one concept's column
and one target's row); and one shard against the same arrays as zennit-crp's .npy files. With
--store the relevances of a real store are used, which are already rounded to 11 bits; without,
synthetic ones.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from numcodecs import Blosc
from synthetic_records import Numbers, layer_table, shard_records

from lcrp.store import export_crp, merge_shards, open_store, read_shard, write_shard
from lcrp.store.archive import ArchiveReader, ArchiveWriter
from lcrp.store.rounding import round_mantissa

SHUFFLES = {"shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}


def seconds(action, least=0.2):
    """Shortest time of some runs that together take at least `least` seconds."""
    best, spent = np.inf, 0.0
    while True:
        start = time.perf_counter()
        action()
        last = time.perf_counter() - start
        best, spent = min(best, last), spent + last
        if spent >= least:
            return best


def real_values(path):
    """Relevances of a store, one array per layer."""
    with open_store(path) as store:
        return [store.read(layer, "relevance") for layer in store.layers]


def codec_table(arrays):
    """Rounding and codec."""
    values = np.concatenate([a.ravel() for a in arrays])[: 2**21]
    rows = []
    candidates = [(bits, None) for bits in (10, 11, 12, 23)] + [(None, "float16")]
    for bits, form in candidates:
        if form:
            scale = np.abs(values).max() or 1
            stored = (values / scale).astype(np.float16)
            back = stored.astype(np.float32) * scale
        else:
            stored = round_mantissa(values, bits) if bits < 23 else values
            back = stored
        known = values != 0
        error = np.abs(back[known] - values[known]) / np.abs(values[known])
        for name, level, shuffle in (
            ("lz4", 5, "shuffle"),
            ("lz4", 5, "bitshuffle"),
            ("zstd", 1, "shuffle"),
            ("zstd", 5, "shuffle"),
            ("zstd", 5, "bitshuffle"),
            ("zstd", 9, "shuffle"),
        ):
            codec = Blosc(name, level, SHUFFLES[shuffle])
            chunks = [stored[i : i + 2**17] for i in range(0, len(stored), 2**17)]
            coded = [codec.encode(chunk) for chunk in chunks]
            write = seconds(lambda c=codec, p=chunks: [c.encode(x) for x in p])
            read = seconds(lambda c=codec, p=coded: [c.decode(x) for x in p])
            rows.append(
                {
                    "rounding": form or f"{bits} bits",
                    "largest error": float(error.max()),
                    "codec": f"{name} {level} {shuffle}",
                    "bytes per number": sum(map(len, coded)) / len(values),
                    "write, million/s": len(values) / write / 1e6,
                    "read, million/s": len(values) / read / 1e6,
                }
            )
    return rows


def chunk_table(folder, rows=12_500, channels=512):
    """Chunk shape of an array of the size that 5,000 images with 2.5 targets each give."""
    values = round_mantissa(Numbers().relevance((rows, channels)))
    table = []
    for shape in ((64, 512), (256, 64), (256, 512), (1024, 64), (1024, 128), (4096, 32)):
        path = folder / "chunks.zarr.zip"

        def write(shape=shape, path=path):
            with ArchiveWriter(path) as archive:
                archive.array("a", values, ("target", "channel"), shape)

        took = seconds(write, 0)
        with ArchiveReader(path) as archive:
            table.append(
                {
                    "chunk": f"{shape[0]} x {shape[1]}",
                    "bytes per number": path.stat().st_size / values.size,
                    "write, s": took,
                    "column, ms": 1e3
                    * seconds(lambda a=archive: a.read("a", slice(None), slice(7, 8))),
                    "row, ms": 1e3 * seconds(lambda a=archive: a.read("a", slice(99, 100))),
                    "all, ms": 1e3 * seconds(lambda a=archive: a.read("a")),
                }
            )
    return table


def file_table(folder, images=48, concepts=9_500, classes=80):
    """One shard and its merged store against the .npy files of zennit-crp for the same rows."""
    records = shard_records(0, images, layer_table(concepts), classes, Numbers())
    recorded = sum(a.size for layer in records.layers.values() for a in layer.arrays().values())
    shard, store = folder / "shard.zarr.zip", folder / "store.zarr.zip"
    rows = []

    def row(what, action, size, numbers):
        took = seconds(action, 0)
        rows.append(
            {"file": what, "s": took, "MB": size() / 1e6, "bytes per number": size() / numbers}
        )

    row("write shard", lambda: write_shard(shard, records), lambda: shard.stat().st_size, recorded)
    row("read shard", lambda: read_shard(shard), lambda: shard.stat().st_size, recorded)
    merge = lambda: merge_shards([shard], store)  # noqa: E731
    merge()
    with ArchiveReader(store) as archive:
        entries = {
            name: int((archive.read(name) >= 0).sum())
            for name in archive.nodes
            if "max" in name and name.endswith(("/index", "/position"))
        }
    # Of the rankings only the entries that exist; a value comes with every overall position.
    overall = sum(n for name, n in entries.items() if name.endswith("max/position"))
    ranked = sum(entries.values()) + overall
    row("merge", merge, lambda: store.stat().st_size, recorded + ranked)
    npy = folder / "crp"
    with open_store(store) as opened:
        export = lambda: export_crp(opened, npy)  # noqa: E731
        export()
        files = list(npy.rglob("*.npy"))
        numbers = 3 * sum(n for name, n in entries.items() if name.endswith("/index"))
        size = lambda: sum(p.stat().st_size for p in files)  # noqa: E731
        row(f"zennit-crp, {len(files)} files", export, size, numbers)
    return rows


def show(title, rows):
    """Print dictionaries as a table."""
    print(f"\n{title}")
    names = list(rows[0])
    cells = [[f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    for line in [names, *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, help="a real store whose relevances are measured")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    args = parser.parse_args()
    arrays = real_values(args.store) if args.store else [Numbers().values]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        tables = {
            "Rounding and codec": codec_table(arrays),
            "Chunks of a 12,500 x 512 array": chunk_table(folder),
            "48 images, 9,500 concepts": file_table(folder),
        }
    for title, rows in tables.items():
        show(title, rows)
    if args.json:
        args.json.write_text(json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
