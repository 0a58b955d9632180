"""Measure the attribution engine beside zennit-crp, a plain backward pass and the floor.

    python benchmarks/attribution.py [--case NAME ...] [--images N ...] [--batch N] [--repeats N]
                                     [--precision P] [--clock C] [--json FILE]

Every case is measured with 4 and with 24 images (or those given): with few, the fixed costs of
zennit-crp weigh, with many they do not (the steady state). All rows of a case are interleaved
in one process, on the same images, weights and threads; medians of the repeats, in seconds per
explained target:

(a) zennit-crp's FeatureVisualization as L-CRP drives it (all convolutions, RelMax and ActMax);
(b) this engine doing the same, in batches of images as the analysis takes them;
(c) one plain forward and backward pass to the input, per image;
(d) the floor: the convolutions that the rules cannot avoid, each timed alone in its best memory
    format and the fastest of its formulations.

`passes` counts floating-point operations (as torch's FlopCounterMode does) per target, in forward
passes of an image; (b) stays below (d) where relevance fills small windows of the maps only.
Further rows, on the first batch: masks for all layers and concepts, conditional heatmaps, peak
memory.
The real weights and images of the YOLO cases are read from ../shared; without it these cases
run on deterministic weights and synthetic images.
"""

import argparse
import itertools
import json
import multiprocessing
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import reference
import torch
from floor import Floor, Operations, rebound
from timing import CLOCKS, timed, use_clock

from lcrp.attribution import Explainer, keep_freed_memory
from lcrp.configuration.analysis import Analysis
from lcrp.datasets import open_dataset
from lcrp.models import build_model, load_model

SHARED = Path(__file__).parents[2] / "shared" / "real"
CASES = {
    "yolov5n-320": ("yolov5n", 320),
    "yolov5n-640": ("yolov5n", 640),
    "yolov8n-640": ("yolov8n", 640),
    "yolo11n-640": ("yolo11n", 640),
    "unet-256": ("unet", 256),
    "deeplabv3plus-256": ("deeplabv3plus", 256),
}


def prepared(name, images):
    """Model, images (B, 3, H, W) and, per image, the classes to explain."""
    architecture, size = CASES[name]
    torch.manual_seed(0)
    weights = SHARED / f"{architecture}-coco.pt"
    if weights.is_file():
        model = load_model(architecture, weights, input_size=(size, size))
        folder = SHARED / "coco-mini"
        annotations = folder / "annotations" / "instances.json"
        spec = {"format": "coco", "images": folder / "images", "annotations": annotations}
        samples = list(open_dataset(spec))[:images]
        inputs = torch.stack([model.preprocess(sample.image())[0] for sample in samples])
        return model, inputs, [list(sample.classes_present) for sample in samples]
    model = build_model(architecture, input_size=(size, size))
    for parameter in model.network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter)
    inputs = torch.randn(images, 3, size, size)
    return model, inputs, None


def chosen(prediction, classes, most=4):
    """Targets of the annotated classes, or of the `most` largest predicted ones."""
    if classes is not None:
        return prediction.targets(classes=classes)
    found = prediction.targets()
    kept = []
    for image in range(len(prediction)):
        own = [i for i, t in enumerate(found) if t.image == image]
        kept += sorted(own, key=lambda i: -found[i].pixels)[:most]
    return found[sorted(kept)]


def ranked(results, k=40):
    """RelMax and ActMax of the results of all batches: {layer: (best targets, best images)}."""
    tables = {}
    for layer in results[0].relevance:
        relevance = torch.cat([result.relevance[layer] for result in results])
        activation = torch.cat([result.activation[layer] for result in results])
        normalised = relevance / (relevance.abs().sum(1, keepdim=True) + 1e-10)
        best = normalised.topk(min(k, len(normalised)), dim=0)
        tables[layer] = (best, activation.topk(min(k, len(activation)), dim=0))
    return tables


class Bench:
    """One case: the same images, weights and targets for every row.

    Attributes:
        targets: all of them; `image` counts through all images.
        batches: (images (b, 3, H, W), their targets; `image` counts in the batch).
    """

    def __init__(self, name, images, precision, batch):
        self.name = name
        self.model, self.images, self.classes = prepared(name, images)
        keep_freed_memory()
        self.explainer = Explainer(self.model, precision=precision)
        self.layers = list(self.explainer.layers)
        self.batches, self.targets = [], []
        for first in range(0, len(self.images), batch):
            part = self.images[first : first + batch]
            classes = self.classes and self.classes[first : first + batch]
            targets = chosen(self.explainer.predict(part), classes)
            self.batches.append((part, targets))
            self.targets += [replace(t, image=first + t.image) for t in targets]
        self.network = reference.reference_network(self.model, size=self.images.shape[2:])
        self.plain = self.model.canonised().eval().requires_grad_(False).to(self.explainer.dtype)

    def engine(self):
        """(b): every image, its targets, every layer."""
        results = []
        for images, targets in self.batches:
            prediction = self.explainer.predict(images, activations=self.layers)
            targets = rebound(targets, prediction)
            results.append(self.explainer.explain(targets, self.layers, activations=True))
        return ranked(results)

    def masks(self, targets):
        height, width = self.images.shape[2:]
        masks = torch.zeros(len(targets), height, width)
        masks[:, : height // 2] = 1
        return masks

    def reference(self):
        """(a)."""
        composite = self.model.composite
        with tempfile.TemporaryDirectory() as directory:
            reference.feature_visualization(
                self.network, composite, self.images, self.targets, directory
            )

    def plain_pass(self):
        """(c): per image."""
        for image in self.images:
            x = image[None].to(self.explainer.dtype).requires_grad_()
            sum(output.float().sum() for output in self.plain(x)).backward()

    def forward_flops(self):
        """Operations of one forward pass of one image."""
        with Operations() as counter, torch.no_grad():
            self.plain(self.images[:1].to(self.explainer.dtype))
        return counter.total

    def passes(self, action):
        """Forward passes' worth of operations per target."""
        with Operations() as counter:
            action()
        return counter.total / self.forward_flops() / len(self.targets)


def extras(bench, repeats):
    """Masks and conditional heatmaps against zennit-crp."""
    explainer, layer = bench.explainer, bench.model.example_layer
    images, targets = bench.batches[0]
    everything = rebound(targets, explainer.predict(images))
    masks = bench.masks(everything)
    first = [target for target in everything if target.image == everything[0].image]
    image = images[first[0].image][None]
    targets = [replace(target, image=0) for target in first]
    targets = rebound(targets, explainer.predict(image))
    explained = explainer.explain(targets, [layer])
    top = explained.relevance[layer][0].argsort(descending=True)[:50].tolist()
    composite = bench.model.composite

    def walk():
        explainer.explain(everything, bench.layers)

    def with_masks():
        explainer.explain(everything, bench.layers, masks=masks)

    # As the reference does, these two begin with a forward pass.

    def one_mask():
        target = rebound(targets[:1], explainer.predict(image))
        explainer.explain(target, [layer], masks=masks[:1])

    def three():
        (target,) = rebound(targets[:1], explainer.predict(image))
        explainer.conditional(target, layer, top[:3])

    def reference_one():
        reference.reference_conditional(bench.network, composite, image, targets[0], layer, top[:1])

    times = {f.__name__: [] for f in (walk, with_masks, one_mask, three, reference_one)}
    for function in (walk, with_masks, one_mask, three, reference_one):
        function()
    for _ in range(repeats):
        for function in (walk, with_masks, one_mask, three, reference_one):
            times[function.__name__].append(timed(function))
    median = {name: statistics.median(values) for name, values in times.items()}
    return {
        "masks / walk": (median["with_masks"] - median["walk"]) / median["walk"],
        "50 heatmaps one by one / mask": 50 * median["reference_one"] / median["one_mask"],
        "3 heatmaps / one zennit-crp call": median["three"] / median["reference_one"],
    }


def peak(name, images, precision, which):
    """Peak resident memory in MiB that a batch of images adds, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_peak, (name, images, precision, which))


def _peak(name, images, precision, which):
    bench = Bench(name, images, precision, images)
    x = bench.images.to(bench.explainer.dtype)

    def together():
        if which == "plain":
            inputs = x.clone().requires_grad_()
            sum(output.float().sum() for output in bench.plain(inputs)).backward()
        else:
            prediction = bench.explainer.predict(x, activations=bench.layers)
            targets = chosen(prediction, bench.classes)
            bench.explainer.explain(targets, bench.layers, activations=True)

    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    together()
    return (_resident("VmHWM") - before) / 1024


def _resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def measure(name, images, batch, repeats, precision):
    """All rows of a case."""
    bench = Bench(name, images, precision, batch)
    images = len(bench.images)
    count = len(bench.targets)
    rows = {"a": bench.reference, "b": bench.engine, "c": bench.plain_pass}
    for run in rows.values():
        run()
    floor = Floor(bench)
    floor.seconds()
    times = {row: [] for row in (*rows, "d")}
    for _ in range(repeats):
        for row, run in rows.items():
            times[row].append(timed(run))
        times["d"].append(floor.seconds())
    median = {row: statistics.median(values) for row, values in times.items()}
    per = {row: median[row] / (images if row == "c" else count) for row in median}
    return {
        "case": name,
        "images": images,
        "batch": batch,
        "targets": count,
        "seconds": per,
        "a/b": median["a"] / median["b"],
        "b/d": median["b"] / median["d"],
        "passes": {
            "a": bench.passes(bench.reference),
            "b": bench.passes(bench.engine),
            "d": floor.passes(),
        },
        **extras(bench, repeats),
        "memory MiB": {
            which: peak(name, min(images, batch), precision, which) for which in ("plain", "engine")
        },
    }


def main():
    """Print the table; write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--images", type=int, nargs="+", default=[4, 24])
    batch = Analysis.model_fields["batch_size"].default
    parser.add_argument("--batch", type=int, default=batch, help="images in one forward pass")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", default="float32", choices=("float32", "bf16"))
    parser.add_argument(
        "--clock", default="wall", choices=CLOCKS, help="processor: where other work runs as well"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    use_clock(given.clock)
    table = []
    print(f"threads: {torch.get_num_threads()}, precision: {given.precision}, clock: {given.clock}")
    print(
        "case                images targets     (a)      (b)      (c)      (d)    a/b   b/d"
        "  passes a/b/d  masks  50x  3maps  memory"
    )
    for name, images in itertools.product(given.case, given.images):
        row = measure(name, images, given.batch, given.repeats, given.precision)
        table.append(row)
        seconds = "".join(f" {row['seconds'][key]:8.4f}" for key in "abcd")
        memory = row["memory MiB"]["engine"] / row["memory MiB"]["plain"]
        print(
            f"{name:20s} {row['images']:5d} {row['targets']:7d} {seconds}"
            f" {row['a/b']:6.2f} {row['b/d']:5.2f}"
            f"  {row['passes']['a']:4.1f}/{row['passes']['b']:4.2f}/{row['passes']['d']:4.2f}"
            f"  {row['masks / walk']:5.2f} {row['50 heatmaps one by one / mask']:5.0f}"
            f" {row['3 heatmaps / one zennit-crp call']:5.2f}  {memory:5.2f}",
            flush=True,
        )
    if given.json:
        given.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
