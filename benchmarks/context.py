"""Measure what it costs to know, for every concept, where its relevance lies.

    python benchmarks/context.py --weights FILE --images FOLDER --annotations FILE
                                 [--architecture yolov5n] [--size 320] [--classes 8] [--most 16]

Analyses the images, one at a time, with and without what the score tables need (the relevance
inside the object and on every other thing, for every concept of every layer), alternately, and
prints seconds and their ratio by the number of annotated classes.
"""

import argparse
import time

import numpy as np
import torch

from lcrp.analysis import AnalysisSettings, _Analysis
from lcrp.attribution import Explainer
from lcrp.datasets import open_dataset
from lcrp.models import load_model


class _WithoutScores(_Analysis):
    """The analysis as it would be if nobody asked where relevance lies."""

    def _add_targets(self, targets, annotations, image_rows):
        self.explainer.explain(targets, layers=self.layers)
        self.explained = len(targets)


class _WithScores(_Analysis):
    def _parts(self, targets, annotations, found):
        parts, place = super()._parts(targets, annotations, found)
        self.parts = sum(len(own.masks) for own in parts.values())
        return parts, place


def measure(explainer, dataset, ids, repeats):
    """Rows (classes, targets, parts, seconds without, seconds with), one per image."""
    rows = []
    for name in ids:
        seconds = {kind: [] for kind in (_WithoutScores, _WithScores)}
        for _ in range(repeats):
            for kind in seconds:
                analysis = kind(explainer, dataset, AnalysisSettings(), explainer.select("all"))
                analysis.explained = analysis.parts = 0
                start = time.perf_counter()
                analysis.add([name])
                seconds[kind].append(time.perf_counter() - start)
                if kind is _WithoutScores:
                    explained = analysis.explained
        if explained:
            shortest = [float(np.median(taken)) for taken in seconds.values()]
            classes = len(dataset[name].classes_present)
            rows.append((classes, explained, analysis.parts, *shortest))
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
    explainer = Explainer(model, device="cpu")
    explainer.layers  # noqa: B018
    rows = []
    for count in sorted(by_count):
        rows += measure(explainer, dataset, by_count[count], args.repeats)
    print(f"{args.architecture}, {args.size} px, {torch.get_num_threads()} thread(s)")
    print("classes targets  parts  without s     with s  ratio")
    for classes, explained, parts, without, whole in rows:
        ratio = whole / without
        print(f"{classes:7} {explained:7} {parts:6} {without:10.3f} {whole:10.3f} {ratio:6.2f}")
    without, whole = (sum(row[i] for row in rows) for i in (3, 4))
    print(f"together: {without:.2f} s without, {whole:.2f} s with, ratio {whole / without:.2f}")


if __name__ == "__main__":
    main()
