"""Measure how analysing, storing, merging, reading and aggregating grow with the number of images.

    python benchmarks/scale.py [--analysed 20 40 80] [--images 250 500 1000 2500 5000]
                               [--concepts 20000] [--classes 80] [--per-shard 10] [--json FILE]

First scenes are drawn and really analysed, by an untrained YOLOv5n whose 60 convolutions are all
recorded; "10 % more" is what a tenth more images cost, in a shard of their own.

Then shards are synthetic, for sizes at which the real thing would take too long. Every stage runs
in a process of its own, so that its peak memory is its own. Both tables have one column per number
of images, and the exponent of the growth of every row (1: proportional to the images, 0:
independent of them).
"""

import argparse
import json
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from synthetic_records import Numbers, layer_table, shard_records

from lcrp.context import aggregate, open_tables
from lcrp.store import merge_shards, open_store, write_shard


def analyse_scenes(folder, first, last, args):
    """Analyse drawn scenes `first` to `last` as one shard; returns (CPU seconds, targets)."""
    import torch

    from lcrp.analysis.recording import analyse
    from lcrp.attribution import Explainer, keep_freed_memory
    from lcrp.configuration import Analysis, Targets
    from lcrp.datasets import open_dataset
    from lcrp.models import build_model

    torch.set_num_threads(1)
    torch.manual_seed(0)
    source = {
        "format": "coco",
        "images": folder / "scenes/images",
        "annotations": folder / "scenes/annotations.json",
    }
    dataset = open_dataset(source)
    model = build_model("yolov5n", dataset.classes, input_size=(args.side, args.side))
    keep_freed_memory()
    explainer = Explainer(model, device="cpu")
    # Untrained, it is sure of nothing.
    settings = Analysis(layers="all", targets=Targets(threshold=1e-9))
    explainer.select("all")
    start = time.process_time()
    records = analyse(explainer, dataset, list(dataset.ids)[first:last], settings)
    write_shard(folder / f"{first}-{last}.zarr.zip", records)
    return time.process_time() - start, len(records.targets)


def analysis_rows(args, folder):
    """One row per number of images that are really analysed."""
    from lcrp.scenes import write_split

    most = max(args.analysed)
    options = {"size": args.side, "test": most + -(-most // 10)}
    write_split(options, "test", folder / "scenes")
    rows = []
    for images in args.analysed:
        (seconds, targets), memory = alone("analyse_scenes", folder, 0, images, args)
        more = max(1, images // 10)
        (again, _), _ = alone("analyse_scenes", folder, images, images + more, args)
        rows.append(
            {
                "images": images,
                "targets": targets,
                "analysis, CPU s": seconds,
                "analysis, peak MB": memory,
                "CPU s per target": seconds / targets,
                "10 % more, CPU s": again,
                "10 % more, share": again / seconds,
            }
        )
    return rows


def write_shards(folder, images, args):
    """Write the shards; returns (seconds in write_shard, recorded numbers)."""
    layers, numbers = layer_table(args.concepts), Numbers(images)
    spent, recorded = 0.0, 0
    borders = [*range(0, images, args.per_shard), images]
    for number, (first, last) in enumerate(pairwise(borders)):
        records = shard_records(first, last - first, layers, args.classes, numbers)
        recorded += sum(a.size for r in records.layers.values() for a in r.arrays().values())
        start = time.perf_counter()
        write_shard(folder / f"{number}.zarr.zip", records)
        spent += time.perf_counter() - start
    return spent, recorded


def merge(folder, args):
    """Merge; returns seconds."""
    start = time.perf_counter()
    merge_shards(sorted(folder.glob("*.zarr.zip")), folder / "concepts.store")
    return time.perf_counter() - start


def tabulate(folder, args):
    """Aggregate the context tables; returns seconds."""
    start = time.perf_counter()
    with open_store(folder / "concepts.store") as store:
        aggregate(store, folder / "context.store")
    return time.perf_counter() - start


def read(folder, args):
    """Milliseconds to open the store and to read what figures and report ask for."""

    def milliseconds(action):
        start = time.perf_counter()
        result = action()
        return 1e3 * (time.perf_counter() - start), result

    opened, store = milliseconds(lambda: open_store(folder / "concepts.store"))
    tables, _ = milliseconds(lambda: (store.targets, store.images))
    layer = store.layers[len(store.layers) // 2]
    result = {"open, ms": opened + tables}
    for name, action in {
        "target row, ms": lambda n: store.profile(n, layer),
        "concept column, ms": lambda n: store.normalised(layer, None, slice(n, n + 1)),
        "best of class, ms": lambda n: store.best(layer, n, class_index=5),
        "top concepts, ms": lambda n: store.top_concepts(layer, n),
    }.items():
        # The first call pays for what is read once; another row, concept or class is measured.
        action(3)
        result[name] = milliseconds(lambda a=action: a(7))[0]
    with open_tables(folder / "context.store", store) as tables:
        result["class of tables, ms"] = milliseconds(lambda: tables.concepts(5))[0]
    return result


def _stage(name, given, pipe):
    value = globals()[name](*given)
    unit = 1 if sys.platform == "darwin" else 1024
    pipe.send((value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6))


def alone(name, *given):
    """Run a function of this file in a fresh process: its result, and its peak memory in MB."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_stage, args=(name, given, send))
    process.start()
    send.close()
    try:
        return receive.recv()
    finally:
        process.join()


def measure(images, args, folder):
    """One row of the table."""
    (written, recorded), writing_memory = alone("write_shards", folder, images, args)
    merged, merging_memory = alone("merge", folder, args)
    tabulated, tables_memory = alone("tabulate", folder, args)
    reading, _ = alone("read", folder, args)
    size = (folder / "concepts.store").stat().st_size
    shards = sum(p.stat().st_size for p in folder.glob("*.zarr.zip"))
    return {
        "images": images,
        "write shards, s": written,
        "one shard, peak MB": writing_memory,
        "merge, s": merged,
        "merge, peak MB": merging_memory,
        "tables, s": tabulated,
        "tables, peak MB": tables_memory,
        "shards, MB": shards / 1e6,
        "store, MB": size / 1e6,
        "shard bytes per number": shards / recorded,
        "store bytes per number": size / recorded,
        **reading,
    }


def exponents(rows):
    """Slope of every column against the images, both logarithmic."""
    x = np.log([row["images"] for row in rows])
    return {
        name: float(np.polyfit(x, np.log([row[name] for row in rows]), 1)[0]) for name in rows[0]
    }


def show(rows, growth):
    """Print the table, one line per quantity."""
    for name in rows[0]:
        cells = "".join(f"{row[name]:>11.4g}" for row in rows)
        print(f"{name:<24}{cells}" + (f"   ^{growth[name]:.2f}" if growth else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[250, 500, 1000, 2500, 5000])
    parser.add_argument("--concepts", type=int, default=20_000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--per-shard", type=int, default=10, help="images in a shard")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--analysed", type=int, nargs="*", default=[20, 40, 80])
    parser.add_argument("--side", type=int, default=320, help="of the analysed scenes, pixels")
    args = parser.parse_args()
    analysed = []
    if args.analysed:
        with tempfile.TemporaryDirectory(prefix="lcrp-scale-") as folder:
            analysed = analysis_rows(args, Path(folder))
        show(analysed, exponents(analysed) if len(analysed) > 1 else {})
        print()
    rows = []
    for images in args.images:
        folder = Path(tempfile.mkdtemp(prefix="lcrp-scale-"))
        try:
            rows.append(measure(images, args, folder))
        finally:
            shutil.rmtree(folder)
        print(f"{images} images done", file=sys.stderr)
    growth = exponents(rows) if len(rows) > 1 else {}
    show(rows, growth)
    if args.json:
        options = {k: v for k, v in vars(args).items() if k != "json"}
        report = {"options": options, "analysed": analysed, "rows": rows, "exponents": growth}
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
