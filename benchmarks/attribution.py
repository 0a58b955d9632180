"""Measure the attribution engine beside zennit-crp, a plain backward pass and the floor.

    python benchmarks/attribution.py [--case NAME ...] [--repeats N] [--precision P] [--clock C]
                                     [--json FILE]

All rows of a case are interleaved in one process, on the same images, weights and threads;
medians of the repeats, in seconds per explained target:

(a) zennit-crp's FeatureVisualization as L-CRP drives it (all convolutions, RelMax and ActMax);
(b) this engine doing the same;
(c) one plain forward and backward pass to the input, per image;
(d) the floor: the convolutions that the rules cannot avoid, each timed alone in its best memory
    format and the fastest of its formulations.

`passes` counts floating-point operations (as torch's FlopCounterMode does) per target, in forward
passes of an image; (b) stays below (d) where relevance fills small windows of the maps only.
Further rows: masks for all layers and concepts, conditional heatmaps, peak memory.
The real weights and images of the YOLOv5n cases are read from ../shared; without it these cases
run on deterministic weights and synthetic images.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import reference
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from lcrp.attribution import Explainer, Targets, keep_freed_memory
from lcrp.attribution.seeds import seeds
from lcrp.attribution.sharing import UniformShares
from lcrp.attribution.walk import Walk
from lcrp.datasets import open_dataset
from lcrp.models import build_model, load_model

SHARED = Path(__file__).parents[2] / "shared" / "real"
CASES = {
    "yolov5n-320": ("yolov5n", 320),
    "yolov5n-640": ("yolov5n", 640),
    "unet-256": ("unet", 256),
    "deeplabv3plus-256": ("deeplabv3plus", 256),
}


def prepared(name, images):
    """Model, images (B, 3, H, W) and, per image, the classes to explain."""
    architecture, size = CASES[name]
    torch.manual_seed(0)
    if architecture == "yolov5n" and SHARED.is_dir():
        weights = SHARED / "yolov5n-coco.pt"
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


def rebound(targets, prediction):
    """The same targets of another forward pass over the same images."""
    return Targets(prediction, [replace(target, prediction=prediction) for target in targets])


def ranked(result, k=40):
    """RelMax and ActMax of a result: {layer: (best targets, best images)}."""
    tables = {}
    for layer, relevance in result.relevance.items():
        normalised = relevance / (relevance.abs().sum(1, keepdim=True) + 1e-10)
        best = normalised.topk(min(k, len(normalised)), dim=0)
        strongest = result.activation[layer].topk(min(k, len(result.activation[layer])), dim=0)
        tables[layer] = (best, strongest)
    return tables


class Operations(TorchDispatchMode):
    """Counts floating-point operations by the formulas of torch's FlopCounterMode.

    That mode itself follows modules by hooks, which a vector-Jacobian product cannot have.
    """

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        count = flop_registry.get(function.overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


class Bench:
    """One case: the same images, weights and targets for every row."""

    def __init__(self, name, images, precision):
        self.name = name
        self.model, self.images, self.classes = prepared(name, images)
        keep_freed_memory()
        self.explainer = Explainer(self.model, precision=precision)
        self.layers = list(self.explainer.layers)
        whole = self.explainer.predict(self.images)
        self.targets = chosen(whole, self.classes)
        self.network = reference.reference_network(self.model, size=self.images.shape[2:])
        self.plain = self.model.canonised().eval().requires_grad_(False).to(self.explainer.dtype)

    def engine(self):
        """(b): every image, its targets, every layer."""
        prediction = self.explainer.predict(self.images, activations=self.layers)
        targets = rebound(self.targets, prediction)
        return ranked(self.explainer.explain(targets, self.layers, activations=True))

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


class Floor:
    """(d): the convolutions that cannot be avoided, each alone at its best.

    For every image one forward pass and one pass for the denominators, for every target one
    transposed pass down to the shallowest layer; the last two over both signs of the input
    where it is not known to be non-negative. Nothing where no relevance arrives.
    """

    def __init__(self, bench):
        self.bench = bench
        self.fastest = {}
        self.needed = [call for part in self._calls() for call in part]

    def _calls(self):
        """(module, input shape, rows, direction, signs and terms) of every convolution."""
        explainer = self.bench.explainer
        prediction = explainer.predict(self.bench.images)
        targets = rebound(self.bench.targets, prediction)
        program, count = prediction.record.program, len(self.bench.images)
        nodes = {
            i: (node.module, node.sources[0].shape[1:])
            for i, node in enumerate(program.graph.nodes)
            if isinstance(node.module, torch.nn.Conv2d | torch.nn.ConvTranspose2d)
        }
        yield [(*node, count, "forward", 1) for node in nodes.values()]
        prepared, most = set(), explainer.batching.at_once(program)
        for start in range(0, len(targets), most):
            together = targets[start : start + most]
            for i, arrived in self._arrived(prediction, together, nodes).items():
                shares = program.operations[i].shares
                if isinstance(shares, UniformShares):
                    continue
                parts = len(shares.kinds) * len(shares.terms)
                if i not in prepared:
                    yield [(*nodes[i], count, "forward", parts)]
                prepared.add(i)
                yield [(*nodes[i], arrived, "transposed", parts)]

    def _arrived(self, prediction, targets, nodes):
        """{node: how many targets have relevance there} above the shallowest layer."""
        rows = {}
        visitors = {i: lambda sent, i=i: rows.setdefault(i, len(sent.rows)) for i in nodes}
        layers = prediction.record.program.layers.values()
        walk = Walk(prediction.record, needed=list(layers))
        walk.run(seeds(prediction, targets), visitors)
        rows.pop(min(layers), None)
        return rows

    def passes(self):
        """Forward passes' worth of operations per target."""
        total = sum(_flops(*call) for call in self.needed)
        return total / self.bench.forward_flops() / len(self.bench.targets)

    def seconds(self):
        """Seconds for all images and targets."""
        best = {}
        for module, shape, count, direction, parts in self.needed:
            key = (tuple(module.weight.shape), module.stride, shape, count, direction, parts)
            if key not in self.fastest:
                ways = list(formulations(module, shape, count, direction, parts))
                self.fastest[key] = min(ways, key=quickest)
            if key not in best:
                best[key] = [quickest(self.fastest[key]), 0]
            best[key][1] += 1
        return sum(seconds * times for seconds, times in best.values())


def _flops(module, shape, count, direction, parts):
    """Operations of a convolution: the same in both directions."""
    with Operations() as counter, torch.no_grad():
        module(torch.empty(1, *shape, dtype=module.weight.dtype))
    return counter.total * count * parts


def formulations(module, shape, count, direction, parts):
    """Ways to compute one direction of a convolution over `parts` modified weights."""
    turned = isinstance(module, torch.nn.ConvTranspose2d)
    options = (module.stride, module.padding)
    for layout in (torch.contiguous_format, torch.channels_last):
        with torch.no_grad():
            x = torch.rand(count, *shape).to(module.weight.dtype).contiguous(memory_format=layout)
            weight = module.weight.detach().contiguous(memory_format=layout)
            y = module(x[:1]).expand(count, -1, -1, -1).contiguous(memory_format=layout)
        if turned:
            forward, backward = F.conv_transpose2d, F.conv2d
        else:
            forward, backward = F.conv2d, F.conv_transpose2d
        axis = 0 if turned else 1
        if direction == "forward":
            run = [(forward, x, weight)]
            stacked = (forward, torch.cat([x] * parts, 1), torch.cat([weight] * parts, axis))
        else:
            run = [(backward, y, weight)]
            stacked = (backward, y, torch.cat([weight] * parts, axis))
        stacked = (*stacked[:1], *(t.contiguous(memory_format=layout) for t in stacked[1:]))
        extra = {}
        if (direction == "transposed") != turned:
            made = (backward if direction == "transposed" else forward)(
                run[0][1][:1],
                weight,
                None,
                *options,
                groups=module.groups,
                dilation=module.dilation,
            )
            want = shape[1:] if direction == "transposed" else y.shape[2:]
            extra = {"output_padding": [n - m for n, m in zip(want, made.shape[2:], strict=True)]}
        settings = {"groups": module.groups, "dilation": module.dilation} | extra

        def plain(run=run, settings=settings, parts=parts):
            for function, tensor, w in run * parts:
                function(tensor, w, None, *options, **settings)

        def packed(stacked=stacked, settings=settings):
            stacked[0](*stacked[1:], None, *options, **settings)

        yield plain
        if parts > 1 and module.groups == 1:
            yield packed
        if direction == "transposed" and not turned:
            yield from _as_convolution(module, y, weight, parts)

            def gradient(x=x, y=y, weight=weight, parts=parts):
                for _ in range(parts):
                    torch.ops.aten.convolution_backward(
                        y, x, weight, None, module.stride, module.padding, module.dilation,
                        False, [0, 0], module.groups, [True, False, False],
                    )  # fmt: skip

            yield gradient


def _as_convolution(module, y, weight, parts):
    """With stride 1 the transpose is a convolution with the kernel turned."""
    sides = zip(module.dilation, module.kernel_size, module.padding, strict=True)
    margin = [d * (k - 1) - p for d, k, p in sides]
    if set(module.stride) != {1} or module.groups > 1 or min(margin) < 0:
        return
    layout = torch.channels_last if y.is_contiguous(memory_format=torch.channels_last) else None
    kernel = torch.cat([weight.flip(2, 3).transpose(0, 1)] * parts)
    kernel = kernel.contiguous(memory_format=layout or torch.contiguous_format)
    yield lambda: F.conv2d(y, kernel, None, 1, margin, module.dilation)


@torch.no_grad()
def quickest(run, repeats=3):
    """Median seconds of a call that was warmed up."""
    run()
    return statistics.median(timed(run) for _ in range(repeats))


CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
clock = time.perf_counter


def timed(run):
    """Seconds of one call."""
    start = clock()
    run()
    return clock() - start


def extras(bench, repeats):
    """Masks and conditional heatmaps against zennit-crp."""
    explainer, layer = bench.explainer, bench.model.example_layer
    prediction = explainer.predict(bench.images)
    everything = rebound(bench.targets, prediction)
    masks = bench.masks(everything)
    first = [target for target in everything if target.image == everything[0].image]
    image = bench.images[first[0].image][None]
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
    """Peak resident memory in MiB that a row adds, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_peak, (name, images, precision, which))


def _peak(name, images, precision, which):
    bench = Bench(name, images, precision)
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


def measure(name, images, repeats, precision):
    """All rows of a case."""
    bench = Bench(name, images, precision)
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
            which: peak(name, images, precision, which) for which in ("plain", "engine")
        },
    }


def main():
    """Print the table; write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", default="float32", choices=("float32", "bf16"))
    parser.add_argument(
        "--clock", default="wall", choices=CLOCKS, help="processor: where other work runs as well"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    global clock
    clock = CLOCKS[given.clock]
    table = []
    print(f"threads: {torch.get_num_threads()}, precision: {given.precision}, clock: {given.clock}")
    print(
        "case                targets     (a)      (b)      (c)      (d)    a/b   b/d  passes a/b/d "
        " masks  50x  3maps  memory"
    )
    for name in given.case:
        row = measure(name, given.images, given.repeats, given.precision)
        table.append(row)
        seconds = "".join(f" {row['seconds'][key]:8.4f}" for key in "abcd")
        memory = row["memory MiB"]["engine"] / row["memory MiB"]["plain"]
        print(
            f"{name:20s} {row['targets']:6d} {seconds} {row['a/b']:6.2f} {row['b/d']:5.2f}"
            f"  {row['passes']['a']:4.1f}/{row['passes']['b']:4.2f}/{row['passes']['d']:4.2f}"
            f"  {row['masks / walk']:5.2f} {row['50 heatmaps one by one / mask']:5.0f}"
            f" {row['3 heatmaps / one zennit-crp call']:5.2f}  {memory:5.2f}",
            flush=True,
        )
    if given.json:
        given.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
