"""The explainer: predictions, relevance of concepts, heatmaps and masks for many targets."""

import logging
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from lcrp.attribution.engine import (
    Program,
    Record,
    Walk,
    check_finite,
    first_broken,
    strongest,
)
from lcrp.attribution.extents import arriving
from lcrp.attribution.landing import Fields, Landing
from lcrp.attribution.memory import exhausted, keep_freed_memory
from lcrp.attribution.rows import Rows, windows
from lcrp.attribution.targets import Prediction, Targets, extent, initial_relevance
from lcrp.errors import InputError
from lcrp.layers import select_layers

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "float64": torch.float64}
log = logging.getLogger(__name__)
# Masks that travel together: their windows are as large as the largest's.
MASKS = 8


@dataclass
class Result:
    """What is known of T targets; tensors on the CPU, float32.

    heatmaps: (T, H, W) input relevance, summed over colours; None unless asked for.
    relevance, positions: {layer: (T, channels)} relevance of every concept, and the flat
        index of its strongest neuron.
    inside: {layer: (T, channels) or (T, K, channels)} relevance that lands in the masks.
    landed: {layer: (T, channels)} relevance that lands anywhere in the input: less than
        `relevance` where biases absorb some. With masks only.
    parts: {layer: [(A, channels) of each target]} relevance that lands in each part of its image.
    activation, activation_positions: {layer: (B, channels)} of the images.
    """

    targets: Targets
    heatmaps: torch.Tensor | None = None
    relevance: dict[str, torch.Tensor] = field(default_factory=dict)
    positions: dict[str, torch.Tensor] = field(default_factory=dict)
    inside: dict[str, torch.Tensor] = field(default_factory=dict)
    landed: dict[str, torch.Tensor] = field(default_factory=dict)
    parts: dict[str, list] = field(default_factory=dict)
    activation: dict[str, torch.Tensor] = field(default_factory=dict)
    activation_positions: dict[str, torch.Tensor] = field(default_factory=dict)


class Forward(NamedTuple):
    """A forward pass that ended before the outputs. size: (H, W) of the images."""

    record: Record
    size: tuple[int, int]


class Explainer:
    """Explains a model by its concepts (L-CRP, arXiv 2211.11426).

    model: an `lcrp.models.Model`.
    composite: a zennit composite, its name, or one of `composite_names()`; by default the
        model's own.
    device: "auto", "cpu", "cuda", ...
    precision: "float32" or "bf16".
    rows: how many targets (or concepts, or masks) walk together at most; halved when memory runs
        out. By default as many as need little memory beside that of the images.
    """

    def __init__(self, model, composite=None, device="auto", precision="float32", rows=None):
        if precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise InputError(f"precision: {precision!r} is unknown; use one of {known}")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model, self.device = model, torch.device(device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.composite = model.composite if composite is None else composite
        self.dtype = PRECISIONS[precision]
        self.rows = rows
        network = model.canonised().eval().requires_grad_(False)
        check_finite(network, torch.zeros(1))
        self.network = network.to(self.device, self.dtype, memory_format=torch.channels_last)
        self._programs, self._halved = {}, False

    @property
    def layers(self):
        """{name: channels} of every convolution that is run, in the order of the modules."""
        program = next(iter(self._programs.values()), None)
        program = program or self.program(self.model.input_size)
        return {name: program.graph.nodes[i].shape[1] for name, i in program.layers.items()}

    def select(self, layers):
        """Names of layers, from "all", "default", names or patterns."""
        return select_layers(layers, list(self.layers), self.model.default_layers)

    def program(self, size):
        """The traced network for inputs of a size (H, W)."""
        size = tuple(size)
        if size not in self._programs:
            self._programs[size] = Program(self.network, self.composite, size)
        return self._programs[size]

    def predict(self, images, activations=()):
        """One forward pass over images (B, 3, H, W), normalised as the model wants.

        activations: layers of which the maximal activations are recorded on the way.
        Raises InputError for images that the network cannot take.
        """
        size, record = self._forward(images, activations)
        return Prediction(self.model, record, size)

    def forward(self, images, layers):
        """A forward pass over images that ends with the deepest of some layers, for `neurons`.

        images: as for `predict`. layers: names. It takes less time, and predicts nothing.
        """
        names = self.select(layers)
        size, record = self._forward(images, until=names)
        return Forward(record, size)

    def _forward(self, images, activations=(), until=None):
        images = torch.as_tensor(images)
        self.model.check_input(images)
        if not torch.isfinite(images.sum()):
            check_finite(self.network, images)
        images = images.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)
        program = self.program(images.shape[2:])
        last = None if until is None else max(program.layers[name] for name in until)
        record = Record(program, images, activations, last)
        for output in record.outputs:
            if not torch.isfinite(output.sum(dtype=torch.float32)):
                raise InputError(
                    f"network: NaN or infinite values from {first_broken(program, images)} on; "
                    f"check the weights, and that images are normalised as the model wants"
                )
        return tuple(images.shape[2:]), record

    def explain(
        self, targets, layers="all", heatmaps=False, activations=False, masks=None, parts=None
    ):
        """Concept relevance of every target in every chosen layer, in one walk.

        layers: "all", "default", names or patterns; [] for none.
        heatmaps: input relevance as well. activations: of the images as well.
        masks: (T, H, W) or (T, K, H, W), input pixels; adds the relevance that lands inside.
        parts: {image: (A, H, W)}, input pixels, for every image with a target; adds the relevance
            that lands in each part. The parts of an image travel once, whatever its targets.
        """
        names = self.select(layers) if len(layers) else []
        result = Result(targets)
        if not len(targets):
            return self._empty(result, names, heatmaps)
        record = targets.prediction.record
        unknown = [name for name in names if name not in record.activation]
        if activations and unknown:
            raise InputError(
                f"activations: those of {unknown[0]} were not recorded; "
                f"name its layers in predict(images, activations=...)"
            )
        pieces = []
        for first, last in self._together(targets, parts):
            some = targets[first:last]
            pieces += self._in_batches(
                record.program,
                len(some),
                lambda start, stop, some=some, first=first: self._explained(
                    some[start:stop],
                    names,
                    heatmaps,
                    None if masks is None else torch.as_tensor(masks[first + start : first + stop]),
                    parts,
                ),
            )
        for name in names:
            result.relevance[name] = torch.cat([piece.relevance[name] for piece in pieces])
            result.positions[name] = torch.cat([piece.positions[name] for piece in pieces])
            if masks is not None:
                result.inside[name] = torch.cat([piece.inside[name] for piece in pieces])
                result.landed[name] = torch.cat([piece.landed[name] for piece in pieces])
            if parts is not None:
                result.parts[name] = [found for piece in pieces for found in piece.parts[name]]
        if heatmaps:
            result.heatmaps = torch.cat([piece.heatmaps for piece in pieces])
        if activations:
            for name in names:
                result.activation[name] = record.activation[name].float().cpu()
                result.activation_positions[name] = record.activation_position[name].cpu()
        return result

    def inside(self, targets, masks, layers="default"):
        """{layer: (T, channels) or (T, K, channels)} relevance that lands in the masks.

        masks: (T, H, W) or (T, K, H, W), one or several for each target, input pixels.
        """
        return self.explain(targets, layers=layers, masks=masks).inside

    def conditional(self, target, layer, concepts, positions=None):
        """Concept-conditional heatmaps (len(concepts), H, W) of one target.

        The input relevance that flowed through one concept of `layer` each; paths around the
        layer are left out. Their scale is that of the target's relevance.
        positions: flat index of a single neuron for each concept, else all of them.
        """
        (name,) = self.select([layer])
        self._check_concepts(name, concepts)
        prediction = target.prediction
        program = prediction.record.program
        node = program.layers[name]
        start, _ = self._relevance_at(prediction, [target], node)
        return self._conditional(prediction.record, node, start, target.image, concepts, positions)

    def neurons(self, seen, layer, images, concepts, positions):
        """Where single neurons see: (K, H, W) input relevance of a relevance of 1 at each.

        Relevance is linear in where it starts: of any target, the heatmap conditional on one
        neuron is this one times the relevance that the target has there. Paths around the layer
        are left out.
        seen: what `forward` or `predict` gave. images: which of its images, for each neuron.
        concepts, positions: its channel, and its flat index in the feature map.
        """
        (name,) = self.select([layer])
        self._check_concepts(name, concepts)
        record = seen.record
        node = record.program.layers[name]
        channels, _, width = record.program.graph.nodes[node].shape[1:]
        order = sorted(range(len(images)), key=lambda k: images[k])  # as `Rows` wants them
        heatmaps = torch.zeros(len(images), *seen.size)

        def some(begin, stop):
            chosen = order[begin:stop]
            seed = torch.zeros(
                (len(chosen), channels, 1, 1), dtype=self.dtype, device=self.device
            ).contiguous(memory_format=torch.channels_last)
            origins = [divmod(int(positions[k]), width) for k in chosen]
            for row, k in enumerate(chosen):
                seed[row, int(concepts[k])] = 1
            rows = Rows([int(images[k]) for k in chosen], origins=origins)
            Walk(record, needed=[0]).run({node: (seed, rows)}, {0: keep(chosen)})

        def keep(chosen):
            return lambda relevance, rows: heatmaps.index_copy_(
                0,
                torch.tensor([chosen[member] for member in rows.members]),
                relevance.float().sum(1).cpu(),
            )

        self._in_batches(record.program, len(order), some)
        return heatmaps

    def _conditional(self, record, node, start, image, concepts, positions):
        concepts = [int(concept) for concept in concepts]

        def some(begin, stop):
            chosen = concepts[begin:stop]
            seed = torch.zeros(
                (len(chosen), *start.shape[1:]), dtype=start.dtype, device=start.device
            ).contiguous(memory_format=torch.channels_last)
            for i, concept in enumerate(chosen):
                if positions is None:
                    seed[i, concept] = start[0, concept]
                else:
                    y, x = divmod(int(positions[begin + i]), start.shape[-1])
                    seed[i, concept, y, x] = start[0, concept, y, x]
            maps = []
            walk = Walk(record, needed=[0])
            rows = Rows([image] * len(chosen))
            walk.run({node: (seed, rows)}, {0: lambda r, _: maps.append(r.float().sum(1).cpu())})
            return maps[0]

        return torch.cat(self._in_batches(record.program, len(concepts), some))

    def _check_concepts(self, layer, concepts):
        channels = self.layers[layer]
        for concept in concepts:
            if not 0 <= int(concept) < channels:
                raise InputError(
                    f"concept {concept}: {layer} has {channels} of them, counted from 0"
                )

    def _relevance_at(self, prediction, targets, node):
        """Relevance (T, C, H, W) of targets at a layer's output, and its rows."""
        found = []
        walk = Walk(prediction.record, needed=[node])
        walk.run(
            self._seeds(prediction, targets),
            {node: lambda relevance, rows: found.append((relevance.clone(), rows))},
        )
        if not found:
            shape = prediction.record.program.graph.nodes[node].shape[1:]
            empty = prediction.outputs[0].new_zeros(len(targets), *shape)
            return empty, Rows([t.image for t in targets])
        return found[0]

    def _seeds(self, prediction, targets):
        """Initial relevance of targets, at the nodes where it starts."""
        images = [target.image for target in targets]
        everyone = Rows(images)
        graph = prediction.record.program.graph
        seeds = {}
        for output in dict.fromkeys(target.output for target in targets):
            members = [i for i, target in enumerate(targets) if target.output == output]
            raw, some = prediction.outputs[output], [targets[i] for i in members]
            rows, shape = everyone.select(members), tuple(raw.shape[1:])
            if len(shape) == 3:
                extents = [extent(target, shape) for target in some]
                rows.origins, window = windows(extents, shape[1:])
                shape = (shape[0], *window)
            relevance = initial_relevance(some, shape, raw, rows.origins)
            seeds[graph.outputs[output]] = (relevance, rows)
        return seeds

    def _together(self, targets, parts):
        """Borders between targets: with parts, those of an image are not torn apart if they fit."""
        if parts is None:
            return [(0, len(targets))]
        starts, most = [0], self.at_once(targets.prediction.record.program)
        for i in range(1, len(targets)):
            if targets[i].image == targets[i - 1].image:
                continue
            end = i
            while end < len(targets) and targets[end].image == targets[i].image:
                end += 1
            if end - starts[-1] > most:
                starts.append(i)
        return list(zip(starts, [*starts[1:], len(targets)], strict=True))

    @torch.no_grad()
    def _explained(self, targets, names, heatmaps, masks, parts=None):
        """Result of targets that walk together."""
        prediction = targets.prediction
        record = prediction.record
        layers = record.program.layers
        nodes = {layers[name]: name for name in names if name in layers}
        result, visitors = Result(targets), {}
        for name in names:
            channels = self.layers[name]
            result.relevance[name] = torch.zeros(len(targets), channels)
            result.positions[name] = torch.zeros(len(targets), channels, dtype=torch.int64)
        for node, name in nodes.items():
            visitors[node] = _recorder(result, name, record.program.graph.nodes[node].shape[2:])
        if heatmaps:
            result.heatmaps = torch.zeros(len(targets), *prediction.size)
            visitors[0] = lambda r, rows: result.heatmaps.index_copy_(
                0,
                torch.tensor(rows.members),
                rows.whole(r, prediction.size)[0].float().sum(1).cpu(),
            )
        kept = {}
        if masks is not None or parts is not None:
            for node in nodes:
                visitors[node] = _keeper(kept, node, visitors[node])
        seeds = self._seeds(prediction, targets)
        starts = {node: _extents(*seed) for node, seed in seeds.items()}
        walk = Walk(record, list(visitors) or [0])
        walk.run(seeds, visitors, whole=False)
        if parts is not None:
            fields = self._fields_of_parts(targets, parts)
            result.parts = self._land(targets, starts, nodes, kept, fields)
        if masks is not None:
            fields = self._fields_of_masks(targets, masks)
            for name, found in self._land(targets, starts, nodes, kept, fields).items():
                found = torch.stack(found)
                result.landed[name] = found[:, 0]
                result.inside[name] = found[:, 1:] if masks.ndim == 4 else found[:, 1]
        return result

    def _land(self, targets, starts, nodes, kept, fields):
        """What of the relevance kept lands in masks: {layer: [(places, channels) per target]}."""
        record = targets.prediction.record
        places = [1 + max(fields[target.image].places) for target in targets]
        found = {
            node: torch.zeros(len(targets), max(places), self.layers[name])
            for node, name in nodes.items()
        }
        arrived = arriving(record.program, starts, len(targets))
        landing = Landing(record, arrived, fields, kept)
        if kept:
            self._in_batches(
                record.program, len(landing), lambda i, j: landing.land(i, j, found), MASKS
            )
        return {
            name: [own[:count] for own, count in zip(found[node], places, strict=True)]
            for node, name in nodes.items()
        }

    def _fields_of_parts(self, targets, parts):
        """{image: Fields}: all targets of an image ask for all its parts."""
        fields = {}
        for n, target in enumerate(targets):
            if target.image not in fields:
                own = self._valid_parts(parts.get(target.image), target)
                own = own.to(self.device, self.dtype)
                fields[target.image] = Fields(own, list(range(len(own))), [[] for _ in own])
            for readers in fields[target.image].readers:
                readers.append(n)
        return fields

    def _fields_of_masks(self, targets, masks):
        """{image: Fields}: a target asks for the whole input and for its own masks."""
        masks, fields = self._valid_masks(masks, targets), {}
        for n, (target, own) in enumerate(zip(targets, masks, strict=True)):
            if target.image not in fields:
                fields[target.image] = Fields([torch.ones_like(own[:1])], [0], [[]])
            kept = fields[target.image]
            kept.readers[0].append(n)
            kept.masks.append(own)
            kept.places.extend(range(1, len(own) + 1))
            kept.readers.extend([n] for _ in own)
        return {image: own._replace(masks=torch.cat(own.masks)) for image, own in fields.items()}

    def _valid_parts(self, own, target):
        size = target.prediction.size
        if own is None or own.ndim != 3 or not len(own) or tuple(own.shape[1:]) != size:
            given = "none" if own is None else f"shape {tuple(own.shape)}"
            raise InputError(
                f"parts of image {target.image}: {given}; give (parts, {size[0]}, {size[1]})"
            )
        return torch.as_tensor(own)

    def _valid_masks(self, masks, targets):
        size = targets.prediction.size
        if masks.ndim not in (3, 4) or len(masks) != len(targets) or masks.shape[-2:] != size:
            raise InputError(
                f"masks: shape {tuple(masks.shape)}; give ({len(targets)}, {size[0]}, {size[1]}) "
                f"or ({len(targets)}, masks, {size[0]}, {size[1]})"
            )
        masks = masks if masks.ndim == 4 else masks.unsqueeze(1)
        return masks.to(self.device, self.dtype)

    def _empty(self, result, names, heatmaps):
        channels = self.layers
        for name in names:
            result.relevance[name] = torch.zeros(0, channels[name])
            result.positions[name] = torch.zeros(0, channels[name], dtype=torch.int64)
            result.inside[name] = torch.zeros(0, channels[name])
            result.landed[name] = torch.zeros(0, channels[name])
        if heatmaps:
            result.heatmaps = torch.zeros(0, *result.targets.prediction.size)
        return result

    def at_once(self, program):
        """How many rows walk together at most."""
        if self.rows is not None:
            return self.rows
        most, memory = (64, 2**30) if self.device.type == "cuda" else (16, 2**26)
        return min(most, max(1, memory // (program.widest * self.dtype.itemsize)))

    def _in_batches(self, program, count, work, most=None):
        """work(start, stop) over `count` rows; halves the batch when memory runs out."""
        parts, start = [], 0
        while start < count:
            together = self.at_once(program)
            stop = min(start + min(together, most or together), count)
            try:
                parts.append(work(start, stop))
                start = stop
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not exhausted(error) or stop - start == 1:
                    raise
                self.rows = max(1, (stop - start) // 2)
                if not self._halved:
                    log.warning("memory exhausted: going on with fewer targets at a time")
                self._halved = True
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
        return parts


def _extents(relevance, rows):
    """{target: (y1, x1, y2, x2)} of relevance (T, C, H, W) of some rows, or (T, C)."""
    height, width = relevance.shape[2:] if relevance.ndim == 4 else (1, 1)
    return {
        member: (y, x, y + height, x + width)
        for member, (y, x) in zip(rows.members, rows.corners(), strict=True)
    }


def _keeper(kept, node, first):
    """Visitor that keeps the relevance of a layer, after another one."""

    def keep(relevance, rows):
        first(relevance, rows)
        kept[node] = relevance.clone(memory_format=torch.channels_last), rows

    return keep


def _recorder(result, name, size):
    """Visitor that writes the summaries of a layer, whose maps have a size, into a result."""

    def record(relevance, rows):
        # All rows are written in one piece, which is the usual case.
        whole = len(rows) == len(result.targets)
        members = slice(None) if whole else torch.tensor(rows.members)
        positions = _positions(relevance, rows, size)
        result.relevance[name][members] = relevance.sum(dim=(2, 3), dtype=torch.float32).cpu()
        result.positions[name][members] = positions.cpu()

    return record


def _positions(relevance, rows, size):
    """Flat index (T, channels) of the strongest neuron in maps of a size (H, W)."""
    best, found = strongest(relevance)
    found = rows.positions(best, found, relevance.shape[3], size[1])
    return strongest(rows.whole(relevance, size)[0])[1] if found is None else found
