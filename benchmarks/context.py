"""Measure what it costs to know, for every concept, where its relevance lies.

    python benchmarks/context.py --weights FILE --images FOLDER --annotations FILE
                                 [--architecture yolov5n] [--size 320] [--classes 8] [--most 16]

Analyses the images, one at a time, without what the score tables need, with the relevance inside
the object, and with that on every other thing as well, for every concept of every layer,
alternately, and prints seconds and their ratio by the number of annotated classes.
"""

import argparse
import time

import numpy as np
import torch

from lcrp.analysis.recording import _Analysis
from lcrp.attribution import Explainer, keep_freed_memory
from lcrp.configuration import Analysis
from lcrp.datasets import open_dataset
from lcrp.models import load_model


class _WithoutScores(_Analysis):
    """The analysis as it would be if nobody asked where relevance lies."""

    def _add_targets(self, targets, annotations, image_rows):
        self.explainer.explain(targets, layers=self.layers)
        self.explained = len(targets)


class _Counting(_Analysis):
    def _parts(self, targets, annotations, found):
        parts = super()._parts(targets, annotations, found)
        self.parts = len(parts[0].masks)
        return parts


SETTINGS = {
    "none": (_WithoutScores, Analysis()),
    "object": (_Counting, Analysis(things=False)),
    "things": (_Counting, Analysis()),
}


def measure(explainer, dataset, ids, repeats):
    """Rows (classes, targets, parts, seconds for each of SETTINGS), one per image."""
    rows = []
    for name in ids:
        seconds = {kind: [] for kind in SETTINGS}
        for _ in range(repeats):
            for kind, (analysis_class, settings) in SETTINGS.items():
                analysis = analysis_class(explainer, dataset, settings, explainer.select("all"))
                analysis.explained = analysis.parts = 0
                start = time.perf_counter()
                analysis.add([name])
                seconds[kind].append(time.perf_counter() - start)
                if kind == "none":
                    explained = analysis.explained
        if explained:
            medians = [float(np.median(taken)) for taken in seconds.values()]
            classes = len(dataset[name].classes_present)
            rows.append((classes, explained, analysis.parts, *medians))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--images", required=True)
    parser.add_argument("--annotations", required=True)
    parser.add_argument("--architecture", default="yolov5n")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--classes", type=int, default=8, help="most annotated classes")
    parser.add_argument("--most", type=int, default=2, help="images per number of classes")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    size = (args.size, args.size)
    model = load_model(args.architecture, args.weights, input_size=size)
    source = {"format": "coco", "images": args.images, "annotations": args.annotations}
    dataset = open_dataset(source, classes=model.classes)
    by_count = {}
    for sample in dataset:
        count = len(sample.classes_present)
        if 0 < count <= args.classes and len(by_count.setdefault(count, [])) < args.most:
            by_count[count].append(sample.id)
    keep_freed_memory()
    explainer = Explainer(model, device="cpu")
    explainer.layers  # noqa: B018
    rows = []
    for count in sorted(by_count):
        rows += measure(explainer, dataset, by_count[count], args.repeats)
    print(f"{args.architecture}, {args.size} px, {torch.get_num_threads()} thread(s)")
    print("classes targets  parts   none, s  object, s  things, s   object  things")
    for classes, explained, parts, none, inside, things in rows:
        print(
            f"{classes:7} {explained:7} {parts:6} {none:9.3f} {inside:10.3f} {things:10.3f}"
            f" {inside / none:7.2f}x {things / none:6.2f}x"
        )
    none, inside, things = (sum(row[i] for row in rows) for i in (3, 4, 5))
    print(
        f"together: {inside / none:.2f}x with the object, {things / none:.2f}x with things as well"
    )


if __name__ == "__main__":
    main()
