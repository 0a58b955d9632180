"""Measure what a lower precision changes: order of concepts and context scores.

    python benchmarks/precision.py [--images N] [--size PIXELS] [--precision bf16] [--json FILE]

The real images of YOLOv5n, each annotated class that a box carries a target, the same target in
both precisions. Per layer and target, against float32:

- Spearman's rank correlation of the concepts' relevance;
- how many of the ten most relevant concepts stay among the ten;
- the difference of the context scores of these ten: the share of a concept's relevance that
  lands outside of the target's box, by transported masks.

Reads the weights and images in ../shared.
"""

import argparse
import json
from pathlib import Path

import attribution
import floor
import numpy as np
import torch
from scipy.stats import spearmanr

from lcrp.attribution import Explainer, keep_freed_memory

TOP = 10


def explained(explainer, images, targets):
    """Result of the targets, their boxes as masks."""
    targets = floor.rebound(targets, explainer.predict(images))
    masks = torch.stack([targets.mask(i) for i in range(len(targets))]).float()
    return explainer.explain(targets, layers="all", masks=masks)


def compared(exact, lower, layer, row):
    """(rank correlation, share of the top concepts kept, differences of context scores)."""
    a, b = exact.relevance[layer][row], lower.relevance[layer][row]
    top = a.topk(min(TOP, len(a))).indices
    kept = len(set(top.tolist()) & set(b.topk(len(top)).indices.tolist())) / len(top)
    scores = [1 - r.inside[layer][row] / r.landed[layer][row] for r in (exact, lower)]
    return spearmanr(a, b).statistic, kept, (scores[0] - scores[1])[top].abs()


def measure(size, count, precision):
    """Percentiles over layers and targets."""
    attribution.CASES["precision"] = ("yolov5n", size)
    model, images, classes = attribution.prepared("precision", count)
    keep_freed_memory()
    plain = Explainer(model, device="cpu")
    other = Explainer(model, device="cpu", precision=precision)
    correlations, kept, differences = [], [], []
    for image, wanted in zip(images, classes, strict=True):
        targets = plain.predict(image[None]).targets(classes=[wanted])
        if not len(targets):
            continue
        exact, lower = (explained(e, image[None], targets) for e in (plain, other))
        for layer, relevance in exact.relevance.items():
            for row in range(len(targets)):
                # In the head most layers carry one class, or nothing.
                if (relevance[row] != 0).sum() < TOP:
                    continue
                correlation, share, difference = compared(exact, lower, layer, row)
                correlations.append(correlation)
                kept.append(share)
                differences += difference.tolist()
    return {
        "layers and targets": len(correlations),
        "rank correlation, median": float(np.median(correlations)),
        "rank correlation, 5 %": float(np.percentile(correlations, 5)),
        "top ten kept, mean": float(np.mean(kept)),
        "context score difference, median": float(np.median(differences)),
        "context score difference, 95 %": float(np.percentile(differences, 95)),
    }


def main():
    """Print the table; write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--precision", default="bf16", choices=("bf16", "float64"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(given.size, given.images, given.precision)
    for name, value in found.items():
        print(f"{name:36s} {value:.4g}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
