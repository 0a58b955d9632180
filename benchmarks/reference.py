"""What a user of zennit-crp does today, on the same networks: the yardstick and the reference.

The network keeps its modules and their names. Batch norm's eps is folded into the variance, so
that zennit's canonizer merges exactly; additions of two tensors become `zennit.layer.Sum`
modules; nothing works in place. Relevance starts at the raw outputs.
"""

import contextlib
import io
import types
from dataclasses import dataclass

import numpy as np
import torch
from crp.attribution import CondAttribution
from crp.concepts import ChannelConcept
from crp.visualization import FeatureVisualization
from torch import nn
from torch.overrides import TorchFunctionMode
from zennit import rules as zennit_rules
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.core import BasicHook, Composite, stabilize
from zennit.layer import Sum

from lcrp.attribution import composites
from lcrp.attribution.rules import LinearRule
from lcrp.models.ssd import L2Norm

ADDITIONS = (
    torch.add,
    torch.Tensor.add,
    torch.Tensor.add_,
    torch.Tensor.__add__,
    torch.Tensor.__iadd__,
    torch.Tensor.__radd__,
)
SOFTMAXES = (torch.softmax, torch.Tensor.softmax, nn.functional.softmax)
MATRIX_PRODUCTS = (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__)


class SignedGamma(BasicHook):
    """Generalised gamma rule for signed inputs and outputs, as a hook of zennit."""

    def __init__(self, gamma=0.25):
        def raised(param, sign):
            return param + gamma * (param.clamp(min=0) if sign > 0 else param.clamp(max=0))

        def biased(sign):
            return lambda param, name: raised(param, sign)

        def unbiased(sign):
            return lambda param, name: (
                torch.zeros_like(param) if name == "bias" else raised(param, sign)
            )

        def shared(out_grad, outputs):
            where_positive, where_negative = sum(outputs[:2]), sum(outputs[2:4])
            z = outputs[4]
            above = out_grad * (z > 0) / stabilize(where_positive)
            below = out_grad * (z < 0) / stabilize(where_negative)
            return [above, above, below, below, torch.zeros_like(out_grad)]

        super().__init__(
            input_modifiers=[
                lambda x: x.clamp(min=0),
                lambda x: x.clamp(max=0),
                lambda x: x.clamp(min=0),
                lambda x: x.clamp(max=0),
                lambda x: x,
            ],
            param_modifiers=[
                biased(1),
                unbiased(-1),
                biased(-1),
                unbiased(1),
                lambda param, name: param,
            ],
            output_modifiers=[lambda output: output] * 5,
            gradient_mapper=shared,
            reducer=lambda inputs, gradients: sum(
                x * gradient for x, gradient in zip(inputs[:4], gradients[:4], strict=True)
            ),
        )


class _EpsilonProduct(torch.autograd.Function):
    """A B, one factor of which is constant, under the epsilon rule for the other."""

    @staticmethod
    def forward(context, a, b):
        product = a @ b
        context.save_for_backward(a, b, product)
        return product

    @staticmethod
    def backward(context, relevance):
        a, b, product = context.saved_tensors
        shared = relevance / stabilize(product)
        return a * (shared @ b.mT), b * (a.mT @ shared)


class _ConstantAttention(TorchFunctionMode):
    """Holds attention weights constant, and leads relevance through the values (CP-LRP)."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in SOFTMAXES:
            return function(*args, **(kwargs or {})).detach()
        if function in MATRIX_PRODUCTS and args[0].requires_grad != args[1].requires_grad:
            return _EpsilonProduct.apply(*args)
        return function(*args, **(kwargs or {}))


class _ExplicitSums(TorchFunctionMode):
    """Sends every addition of two tensors of images through a Sum module of its own."""

    def __init__(self, module_of):
        super().__init__()
        self.module_of, self.count = module_of, 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = len(args) == 2 and not kwargs and all(map(_varies, args))
        if function not in ADDITIONS or not tensors:
            return function(*args, **kwargs)
        self.count += 1
        stacked = torch.stack(torch.broadcast_tensors(*args), dim=-1)
        return self.module_of(self.count - 1)(stacked)


def _varies(value):
    return isinstance(value, torch.Tensor) and value.ndim > 1


def reference_network(model, size=None, drop_merged=False, dtype=torch.float32):
    """A model's network as zennit-crp takes it; returns (B, N): all raw outputs, flattened.

    size: (H, W) of the inputs, by default the model's own.
    drop_merged: whether the batch norms that merging has left as identities are taken out.
        They stay with zennit, and a composite with the epsilon rule for batch norms multiplies
        the relevance there by x / (x + sign(x) 1e-6).
    Additions are modules `sums.0`, `sums.1`, ... in the order of execution.
    """
    network = model.canonised().eval().requires_grad_(False).to(dtype)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.running_var += module.eps
            module.eps = 0.0
    merged = SequentialMergeBatchNorm().apply(network)
    if drop_merged:
        _drop(network, {instance.batch_norm for instance in merged})
    plain = network.forward
    like = next(network.parameters())
    with torch.no_grad(), _ExplicitSums(lambda _: Sum(-1)) as counter:
        plain(like.new_zeros(1, 3, *(size or model.input_size)))
    network.sums = nn.ModuleList(Sum(-1) for _ in range(counter.count))

    def forward(self, images):
        with _ExplicitSums(lambda n: self.sums[n]):
            outputs = plain(images)
        return torch.cat([output.flatten(1) for output in outputs], dim=1)

    network.forward = types.MethodType(forward, network)
    return network.requires_grad_(False)


def _drop(network, modules):
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child in modules:
                setattr(parent, name, nn.Identity())


def reference_composite(composite):
    """The zennit composite of a name or instance, with hooks for what zennit does not know."""
    resolved, gradients = composites.resolve(composite), _by_gradient(composite)

    def module_map(context, name, module):
        hook = resolved.module_map(context, name, module)
        if isinstance(hook, composites._Marker):
            if not isinstance(hook.rule, LinearRule):
                return None  # of attention, see `_ConstantAttention`
            favoured = hook.rule.terms[0].parts[0].weight(torch.ones(()))
            return SignedGamma(float(favoured) - 1)
        if isinstance(module, L2Norm) and not gradients:
            return zennit_rules.Pass()
        return hook

    return Composite(module_map)


def _by_gradient(composite):
    return composites.resolve(composite).module_map({}, "", nn.Conv2d(1, 1, 1)) is None


def _attention(composite):
    """In which attention is treated as a composite says."""
    return contextlib.nullcontext() if _by_gradient(composite) else _ConstantAttention()


@dataclass
class Reference:
    """What the reference gives for T targets; tensors on the CPU.

    outputs: (T, N) raw outputs, flattened. heatmaps: (T, H, W).
    relevance, positions: {layer: (T, channels)}.
    """

    outputs: torch.Tensor
    heatmaps: torch.Tensor
    relevance: dict[str, torch.Tensor]
    positions: dict[str, torch.Tensor]


def initial_relevance(targets):
    """Relevance (T, N) of targets at the flattened outputs."""
    outputs = targets[0].prediction.outputs
    sizes = [output[0].numel() for output in outputs]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    relevance = outputs[0].new_zeros(len(targets), int(offsets[-1]))
    for row, target in zip(relevance, targets, strict=True):
        row[target.index + int(offsets[target.output])] = target.value.to(row)
    return relevance


def reference_explain(network, composite, images, targets, layers):
    """Heatmaps, concept relevances and strongest neurons, by one call of CondAttribution.

    network: from `reference_network`. composite: a name or a zennit composite.
    images: (B, 3, H, W). targets: `lcrp.attribution.Targets` of these images.
    """
    chosen = images[[target.image for target in targets]].clone().requires_grad_()
    with _attention(composite):
        found = CondAttribution(network)(
            chosen,
            [{} for _ in targets],
            reference_composite(composite),
            record_layer=list(layers),
            init_rel=initial_relevance(targets),
        )
    flat = {name: found.relevances[name].flatten(2) for name in layers}
    return Reference(
        outputs=found.prediction.detach(),
        heatmaps=found.heatmap,
        relevance={name: relevance.sum(dim=2) for name, relevance in flat.items()},
        positions={name: relevance.argmax(dim=2) for name, relevance in flat.items()},
    )


def reference_conditional(network, composite, images, target, layer, concepts, neurons=None):
    """Concept-conditional heatmaps (K, H, W) of one target, parallel paths excluded.

    neurons: flat index of one neuron per concept, else whole concepts.
    """
    image = images[[target.image]].clone().requires_grad_()
    concept = ChannelConcept()
    if neurons is None:
        conditions, mask = [{layer: [int(c)]} for c in concepts], concept.mask
    else:
        pairs = zip(concepts, neurons, strict=True)
        conditions, mask = [{layer: {int(c): [int(n)]}} for c, n in pairs], concept.mask_rf
    relevance = initial_relevance([target])
    with _attention(composite):
        found = CondAttribution(network)(
            image,
            conditions,
            reference_composite(composite),
            mask_map=mask,
            init_rel=relevance.expand(len(conditions), -1),
            exclude_parallel=True,
        )
    return found.heatmap


class _MultiTargetAttribution(CondAttribution):
    """Starts each row with the relevance of the next target in the queue."""

    def __init__(self, network, targets):
        super().__init__(network)
        self.targets, self.queue = targets, []

    def relevance_init(self, prediction, target_list, init_rel):
        rows, self.queue = self.queue, []
        return initial_relevance([self.targets[n] for n in rows])


class _MultiTargetVisualization(FeatureVisualization):
    """FeatureVisualization of a dataset whose samples have any number of targets."""

    def get_data_concurrently(self, indices, preprocessing=False):
        samples = [self.get_data_sample(index, preprocessing) for index in indices]
        labels = np.empty(len(samples), dtype=object)
        labels[:] = [numbers for _, numbers in samples]
        return torch.cat([image for image, _ in samples]), labels

    def multitarget_to_single(self, numbers):
        self.attribution.queue += numbers
        return [self.attribution.targets[n].class_index for n in numbers]


class _Samples:
    """Images that carry targets, with their numbers.

    zennit-crp stops with an error where the last batch has no target.
    """

    def __init__(self, images, targets):
        self.images, self.numbers = images, {}
        for number, target in enumerate(targets):
            self.numbers.setdefault(target.image, []).append(number)
        self.places = sorted(self.numbers)

    def __len__(self):
        return len(self.places)

    def __getitem__(self, index):
        place = self.places[index]
        return self.images[place], self.numbers[place]


def feature_visualization(network, composite, images, targets, directory, batch_size=1):
    """FeatureVisualization over all convolutions, RelMax and ActMax, as L-CRP drives it.

    One forward and backward pass per target; the targets of `batch_size` images go together.
    Samples are counted among the images that carry a target.
    Which relevance a target starts with is known beforehand: unlike in L-CRP, the decoding of
    boxes is not repeated in each pass. Results are written to `directory`.
    """
    layers = {
        name: ChannelConcept()
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
    }
    attribution = _MultiTargetAttribution(network, targets)
    samples = _Samples(images, targets)
    visualization = _MultiTargetVisualization(attribution, samples, layers, path=str(directory))
    silence = io.StringIO()
    quiet = contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence)
    with quiet[0], quiet[1], _attention(composite):
        return visualization.run(
            reference_composite(composite), 0, len(samples), batch_size=batch_size
        )
