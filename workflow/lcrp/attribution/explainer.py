"""The explainer: predictions, relevance of concepts, heatmaps and masks for many targets."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from zennit.core import Composite

from lcrp.attribution.batching import Batching
from lcrp.attribution.conditional import check_concepts, concept_heatmaps, neuron_heatmaps
from lcrp.attribution.explaining import Request, explained
from lcrp.attribution.forward import Record, check_finite, first_broken
from lcrp.attribution.maps import relevance_at
from lcrp.attribution.parts import checked_masks
from lcrp.attribution.program import Program
from lcrp.attribution.result import Result, blank, reordered
from lcrp.attribution.targets import Prediction, Target, Targets
from lcrp.errors import InputError
from lcrp.layers import select_layers
from lcrp.models.base import Model

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "float64": torch.float64}


class PartialPass(NamedTuple):
    """A forward pass that ended before the outputs, for `Explainer.neurons`.

    Attributes:
        record: what it left behind.
        size: (H, W) of the images.
    """

    record: Record
    size: tuple[int, int]


class Explainer:
    """Explains a model by its concepts (L-CRP, Dreyer et al., arXiv 2211.11426).

    Attributes:
        model: what is explained.
        network: its network in eval mode, on the device and in the precision of the explainer.
        device: where everything is computed.
        dtype: in which precision.
    """

    def __init__(
        self,
        model: Model,
        composite: Composite | str | None = None,
        device: str = "auto",
        precision: str = "float32",
        rows: int | None = None,
    ):
        """Prepare a model.

        Args:
            model: an `lcrp.models.Model`.
            composite: a zennit composite, its name, or one of `composite_names()`; by default
                the model's own.
            device: "auto", "cpu", "cuda", ...
            precision: "float32", "bf16" or "float64".
            rows: how many targets (or concepts, or masks) walk together at most; halved when
                memory runs out. By default as many as need little memory beside that of the
                images.

        Raises:
            InputError: an unknown precision, or weights that are not finite.
        """
        if precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise InputError(f"precision: {precision!r} is unknown; use one of {known}")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model, self.device = model, torch.device(device)
        self.composite = model.composite if composite is None else composite
        self.dtype = PRECISIONS[precision]
        self.batching = Batching(self.device, self.dtype, rows)
        network = model.canonised().eval().requires_grad_(False)
        check_finite(network, torch.zeros(1))
        network = network.to(self.device, self.dtype)
        self.network = network.to(memory_format=torch.channels_last)
        self._programs: dict[tuple[int, int], Program] = {}

    @property
    def layers(self) -> dict[str, int]:
        """{name: channels} of every convolution that is run, in the order of the modules."""
        program = next(iter(self._programs.values()), None)
        program = program or self.program(self.model.input_size)
        shapes = {name: program.graph.nodes[i].shape for name, i in program.layers.items()}
        return {name: shape[1] for name, shape in shapes.items() if shape}

    def select(self, layers: str | Iterable[str]) -> list[str]:
        """Names of layers, from "all", "default", names or patterns."""
        return select_layers(layers, list(self.layers), self.model.default_layers)

    def program(self, size: Sequence[int]) -> Program:
        """The traced network for inputs of a size (H, W)."""
        height, width = size
        key = (height, width)
        if key not in self._programs:
            declared = self.model.operations
            self._programs[key] = Program(self.network, self.composite, key, declared)
        return self._programs[key]

    def predict(self, images: torch.Tensor, activations: Iterable[str] = ()) -> Prediction:
        """One forward pass over images.

        Args:
            images: (B, 3, H, W), normalised as the model wants.
            activations: layers of which the maximal activations are recorded on the way.

        Raises:
            InputError: images that the network cannot take, or that make it say NaN.
        """
        size, record = self._forward(images, activations)
        return Prediction(self.model, record, size)

    def forward(self, images: torch.Tensor, layers: str | Iterable[str]) -> PartialPass:
        """A forward pass over images that ends with the deepest of some layers, for `neurons`.

        It takes less time than `predict`, and predicts nothing.

        Args:
            images: as for `predict`.
            layers: "all", "default", names or patterns.
        """
        size, record = self._forward(images, until=self.select(layers))
        return PartialPass(record, size)

    def _forward(
        self,
        images: torch.Tensor,
        activations: Iterable[str] = (),
        until: Iterable[str] | None = None,
    ) -> tuple[tuple[int, int], Record]:
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
        return (images.shape[2], images.shape[3]), record

    def explain(
        self,
        targets: Iterable[Target],
        layers: str | Sequence[str] = "all",
        heatmaps: bool = False,
        activations: bool = False,
        masks: torch.Tensor | None = None,
        parts: Mapping[int, torch.Tensor] | None = None,
    ) -> Result:
        """Concept relevance of every target in every chosen layer, in one walk.

        Args:
            targets: `Targets`, or any targets of one prediction; the rows of the result are in
                their order.
            layers: "all", "default", names or patterns; [] for none.
            heatmaps: whether input relevance is wanted as well.
            activations: whether activations of the images are, which `predict` recorded.
            masks: (T, H, W) or (T, K, H, W), one or several for each target, input pixels; adds
                the relevance that lands inside.
            parts: {image: (A, H, W)}, input pixels, for every image with a target; adds the
                relevance that lands in each part. The parts of an image travel once, whatever
                its targets.

        Raises:
            InputError: targets of different predictions, an unknown layer, activations that were
                not recorded, masks or parts of the wrong shape.
        """
        targets = Targets.of(targets)
        known = self.layers
        names = self.select(layers) if len(layers) else []
        channels = {name: known[name] for name in names}
        if targets.prediction is None or not len(targets):
            return self._nothing(targets, channels, heatmaps)
        masks = None if masks is None else checked_masks(torch.as_tensor(masks), targets)
        order = targets.by_image()
        if order != list(range(len(targets))):
            masks = None if masks is None else masks[order]
            result = self.explain(targets[order], names, heatmaps, activations, masks, parts)
            return reordered(result, targets, sorted(range(len(order)), key=order.__getitem__))
        record = targets.prediction.record
        unknown = [name for name in names if name not in record.activation]
        if activations and unknown:
            raise InputError(
                f"activations: those of {unknown[0]} were not recorded; "
                f"name its layers in predict(images, activations=...)"
            )
        like = next(self.network.parameters())
        request = Request(channels, heatmaps, masks, parts)
        result = explained(targets, request, like, self.batching)
        for name in names if activations else ():
            result.activation[name] = record.activation[name].float().cpu()
            result.activation_positions[name] = record.activation_position[name].cpu()
        return result

    def _nothing(self, targets: Targets, channels: dict[str, int], heatmaps: bool) -> Result:
        """The result of no targets."""
        size = targets.prediction.size if targets.prediction else self.model.input_size
        result = blank(targets, channels, size, heatmaps)
        for name, count in channels.items():
            result.inside[name] = torch.zeros(0, count)
            result.landed[name] = torch.zeros(0, count)
        return result

    def inside(
        self,
        targets: Iterable[Target],
        masks: torch.Tensor,
        layers: str | Sequence[str] = "default",
    ) -> dict[str, torch.Tensor]:
        """Relevance that lands in masks; arguments as for `explain`.

        Returns:
            {layer: (T, channels) or (T, K, channels)}.
        """
        return self.explain(targets, layers=layers, masks=masks).inside

    def conditional(
        self,
        target: Target,
        layer: str,
        concepts: Sequence[int],
        positions: Sequence[int] | None = None,
    ) -> torch.Tensor:
        """Concept-conditional heatmaps of one target.

        The input relevance that flowed through one concept of `layer` each; paths around the
        layer are left out. Their scale is that of the target's relevance.

        Args:
            layer: the name of a convolution.
            concepts: its channels.
            positions: flat index of a single neuron for each concept; None for all of them.

        Returns:
            (len(concepts), H, W).

        Raises:
            InputError: an unknown layer or concept.
        """
        (name,) = self.select([layer])
        check_concepts(name, self.layers[name], concepts)
        prediction = target.prediction
        node = prediction.record.program.layers[name]
        (relevance,) = relevance_at(prediction, [target], [node])[node]
        start = node, target.image, relevance
        return concept_heatmaps(
            prediction.record, prediction.size, start, concepts, positions, self.batching
        )

    def neurons(
        self,
        seen: PartialPass | Prediction,
        layer: str,
        images: Sequence[int],
        concepts: Sequence[int],
        positions: Sequence[int],
    ) -> torch.Tensor:
        """Where single neurons see: input relevance of a relevance of 1 at each.

        Relevance is linear in where it starts: of any target, the heatmap conditional on one
        neuron is this one times the relevance that the target has there. Paths around the layer
        are left out.

        Args:
            seen: what `forward` or `predict` gave.
            layer: the name of a convolution.
            images: which of the images, for each neuron.
            concepts: the channel of each.
            positions: its flat index in the feature map.

        Returns:
            (K, H, W).

        Raises:
            InputError: an unknown layer or concept.
        """
        (name,) = self.select([layer])
        check_concepts(name, self.layers[name], concepts)
        neurons = [
            (int(image), int(concept), int(position))
            for image, concept, position in zip(images, concepts, positions, strict=True)
        ]
        node = seen.record.program.layers[name]
        like = next(self.network.parameters())
        return neuron_heatmaps(seen.record, seen.size, node, neurons, like, self.batching)
