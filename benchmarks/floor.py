"""The floor: the convolutions that the rules cannot avoid, each alone at its best."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from timing import quickest
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from lcrp.attribution import Targets
from lcrp.attribution.seeds import seeds
from lcrp.attribution.sharing import UniformShares
from lcrp.attribution.walk import Walk


def rebound(targets, prediction):
    """The same targets of another forward pass over the same images."""
    return Targets(prediction, [replace(target, prediction=prediction) for target in targets])


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
        for images, targets in self.bench.batches:
            yield from self._calls_of_batch(images, targets)

    def _calls_of_batch(self, images, targets):
        explainer = self.bench.explainer
        prediction = explainer.predict(images)
        targets = rebound(targets, prediction)
        program, count = prediction.record.program, len(images)
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
