"""What the engine can walk through: one class per kind of operation.

Each knows the relevance it passes down (`backward`) and the transpose of that (`adjoint`), by
which shares of the input travel up. Tensors of relevance or shares have a leading axis over
rows (targets or masks); what an image contributes is kept once per image.
"""

import math
import operator

import torch
import torch.nn.functional as F
from torch import nn
from zennit.layer import Sum as ZennitSum
from zennit.types import Activation

from lcrp.attribution import rules
from lcrp.attribution.composites import LIKE_BATCH_NORM
from lcrp.attribution.extents import Neighbourhood, Repetition
from lcrp.attribution.graph import Constant, Input
from lcrp.attribution.linear import MAPS, laid_out, linear_map, shares, stabilised
from lcrp.attribution.rows import Rows, zeros
from lcrp.errors import InputError

SAME_POSITION = Neighbourhood()


class Operation:
    """One node of the walk.

    reads: whether the input tensors, the output tensor are kept for the walk.
    neighbourhood: which positions of input and output see each other, see `extents`; None where
        all may.
    division: how the input is divided into parts, alike for all operations where it is equal;
        then `prepare_divided(divide(input), output)` stands for `prepare`.
    """

    reads_inputs = False
    reads_output = False
    neighbourhood = None
    division = None

    def __init__(self, node):
        self.node = node

    @property
    def positionwise(self):
        """Whether relevance stays at its position."""
        return self.neighbourhood is SAME_POSITION

    def forward(self, *inputs):
        """The network's own function."""

        def filled(argument):
            if isinstance(argument, Input):
                return inputs[argument.position]
            if isinstance(argument, list | tuple):
                return type(argument)(filled(part) for part in argument)
            return argument

        args = [filled(argument) for argument in self.node.args]
        kwargs = {name: filled(argument) for name, argument in self.node.kwargs.items()}
        return self.node.call(*args, **kwargs)

    def nonnegative(self, inputs):
        """Whether the output is known to be non-negative, given that of the inputs."""
        return False

    def widest(self):
        """Numbers of the largest tensor that a row needs here."""
        return math.prod(self.node.shape[1:]) if self.node.shape else 0

    def prepare(self, inputs, output):
        """What both directions need of the images; computed once per batch of images."""
        return None

    def backward(self, relevance, state, rows):
        """Relevance (T, ...) at the output, which may be overwritten, to a list per input."""
        raise NotImplementedError

    def send(self, relevance, state, rows):
        """`backward` of whole maps or windows: (relevance, rows) or None for each input."""
        if rows.origins is not None and not self.positionwise:
            relevance, rows = rows.whole(relevance, self.node.shape[2:])
        passed = self.backward(relevance, state, rows)
        return [None if share is None else (share, rows) for share in passed]

    def adjoint(self, shares, state, rows):
        """Shares (M, ...) of the inputs, one tensor each or None, to that of the output."""
        raise NotImplementedError

    def carry(self, shares, state, rows, size):
        """`adjoint` of whole maps or windows, to windows of a size (H, W) or whole maps.

        shares: (share, Rows) of each input, or None. rows: of the output.
        """
        if self.positionwise:
            moved = [
                None if given is None else given[1].moved(given[0], rows.origins, size)[0]
                for given in shares
            ]
            return self.adjoint(moved, state, rows)
        whole = rows if rows.origins is None else Rows(rows.images)
        given = [
            share
            and (
                share[0]
                if share[1].origins is None
                else share[1].whole(share[0], source.shape[2:])[0]
            )
            for share, source in zip(shares, self.node.sources, strict=True)
        ]
        found = self.adjoint(given, state, whole)
        return found if whole is rows else whole.moved(found, rows.origins, size)[0]


class Images(Operation):
    """The input of the network."""

    def backward(self, relevance, state, rows):
        return []


class Fixed(Operation):
    """A parameter or buffer: it takes part in no explanation."""

    def forward(self):
        return self.node.call.value

    def backward(self, relevance, state, rows):
        return []


class Linear(Operation):
    """Convolution, linear layer or batch norm under a rule for linear maps."""

    reads_inputs = True

    def __init__(self, node, rule, nonnegative):
        super().__init__(node)
        self.shares = shares(node.module, rule, nonnegative)
        self.division, self.divide = self.shares.division, self.shares.parts
        gated = any(t.gate != "always" or t.factor != 1 for t in rule.terms)
        self.reads_output = gated or self.shares.slopes is not None
        self.neighbourhood = self.shares.linear.neighbourhood

    def widest(self):
        below, above = self.node.sources[0].shape[1:], self.node.shape[1:]
        shares = self.shares
        return max(len(shares.kinds) * math.prod(below), len(shares.terms) * math.prod(above))

    def prepare(self, inputs, output):
        return self.prepare_divided(self.divide(inputs[0]), output)

    def prepare_divided(self, parts, output):
        return self.shares.prepare(parts, output)

    def backward(self, relevance, state, rows):
        return [self.shares.backward(relevance, state, rows)]

    def send(self, relevance, state, rows):
        if rows.origins is None or not self.shares.takes_windows:
            return super().send(relevance, state, rows)
        return [self.shares.backward_windows(relevance, state, rows)]

    def adjoint(self, shares, state, rows):
        return self.shares.adjoint(shares[0], state, rows)

    def carry(self, shares, state, rows, size):
        ((share, given),) = shares
        if not self.shares.takes_windows or (given.origins is None and rows.origins is None):
            return super().carry(shares, state, rows, size)
        return self.shares.adjoint_windows(share, given, state, rows, size)


class LinearGradient(Operation):
    """Convolution, linear layer or batch norm by gradient."""

    def __init__(self, node):
        super().__init__(node)
        self.linear = linear_map(node.module)
        self.neighbourhood = self.linear.neighbourhood
        self.weight = self.linear.block([[self.linear.weight]])
        self.turned = laid_out(self.linear.turned(self.weight))

    def prepare(self, inputs, output):
        return inputs[0].shape[2:]

    reads_inputs = True

    def backward(self, relevance, state, rows):
        return [self.linear.transpose(relevance, self.turned, state)]

    def adjoint(self, shares, state, rows):
        return self.linear.map(shares[0], self.weight)


class Normalisation(Operation):
    """Group, layer or instance norm under the epsilon rule, the statistics of its image fixed.

    It then is what a batch norm is, y = a x + b for every number alone: x gets the share
    a x / y of the relevance, and b and the stabiliser keep the rest.
    """

    reads_inputs = True
    reads_output = True

    def __init__(self, node, epsilon=None):
        super().__init__(node)
        self.epsilon = epsilon

    def prepare(self, inputs, output):
        x = inputs[0]
        share = stabilised(output, self.epsilon).reciprocal_()
        return share.mul_(x).mul_(_slope(self.node.module, x))

    def backward(self, relevance, state, rows):
        return [rows.multiply_(relevance, state)]

    def adjoint(self, shares, state, rows):
        return rows.multiplied(shares[0], state)


class Through(Operation):
    """The rule pass, and whatever else lets relevance through unchanged (dropout)."""

    neighbourhood = SAME_POSITION

    def nonnegative(self, inputs):
        kinds = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Hardsigmoid, nn.Softplus)
        if isinstance(self.node.module, kinds):
            return True
        functions = (F.relu, torch.relu, torch.Tensor.relu, F.relu6, torch.sigmoid, F.hardsigmoid)
        return self.node.call in functions or (not _is_activation(self.node) and inputs[0])

    def backward(self, relevance, state, rows):
        return [relevance]

    def adjoint(self, shares, state, rows):
        return shares[0]


class Elementwise(Through):
    """An activation by gradient: multiplied by its derivative."""

    reads_inputs = True

    def prepare(self, inputs, output):
        with torch.enable_grad():
            x = inputs[0].detach().requires_grad_()
            return torch.autograd.grad(Operation.forward(self, x).sum(), x)[0]

    def backward(self, relevance, state, rows):
        return [rows.multiply_(relevance, state)]

    def adjoint(self, shares, state, rows):
        return rows.multiplied(shares[0], state)


class Guided(Elementwise):
    """ReLU under guided backprop; not linear in the signal, so it has no transpose."""

    def backward(self, relevance, state, rows):
        return [rows.multiply_(relevance.clamp_(min=0), state)]

    def adjoint(self, shares, state, rows):
        raise InputError(
            f"{self.node.name}: guided backprop is not linear, so masks cannot be transported; "
            f"use conditional heatmaps, or another composite"
        )


class Deconv(Guided):
    """ReLU under DeconvNet."""

    def backward(self, relevance, state, rows):
        return [relevance.clamp_(min=0)]


class Smooth(Operation):
    """Any differentiable operation by gradient, through autograd."""

    reads_inputs = True

    def prepare(self, inputs, output):
        return inputs

    def backward(self, relevance, state, rows):
        _, pull = torch.func.vjp(super().forward, *(rows.expanded(x) for x in state))
        return list(pull(relevance))

    def adjoint(self, shares, state, rows):
        inputs = tuple(rows.expanded(x) for x in state)
        tangents = tuple(
            torch.zeros_like(x) if s is None else s for x, s in zip(inputs, shares, strict=True)
        )
        return torch.func.jvp(super().forward, inputs, tangents)[1]


class Sum(Operation):
    """Explicit sum under the norm rule: in proportion to each summand."""

    reads_inputs = True

    def __init__(self, node, epsilon, nonnegative):
        super().__init__(node)
        self.epsilon, self.positive = epsilon, all(nonnegative)
        if len({source.shape for source in node.sources}) == 1:
            self.neighbourhood = SAME_POSITION

    def nonnegative(self, inputs):
        return all(inputs)

    def prepare(self, inputs, output):
        total = inputs[0] + inputs[1]
        total = total.add_(self.epsilon) if self.positive else stabilised(total, self.epsilon)
        inverse = total.reciprocal_()
        return inputs[0] * inverse, inverse.mul_(inputs[1])

    def backward(self, relevance, state, rows):
        return [
            _fitted(rows.multiplied(relevance, state[0]), self.node, 0),
            _fitted(rows.multiply_(relevance, state[1]), self.node, 1),
        ]

    def adjoint(self, shares, state, rows):
        if not self.positionwise:
            spread = zip(shares, state, strict=True)
            shares = [None if s is None else _spread(s, ratio) for s, ratio in spread]
        weighted = [
            rows.multiplied(share, ratio)
            for share, ratio in zip(shares, state, strict=True)
            if share is not None
        ]
        return weighted[0] if len(weighted) == 1 else weighted[0].add_(weighted[1])


class SumGradient(Operation):
    """Sum by gradient: every summand gets it all."""

    def nonnegative(self, inputs):
        return all(inputs)

    def backward(self, relevance, state, rows):
        return [_fitted(relevance.clone(), self.node, 0), _fitted(relevance, self.node, 1)]

    def adjoint(self, shares, state, rows):
        return sum(share for share in shares if share is not None)


class Average(Operation):
    """Average pooling under the norm rule."""

    reads_inputs = True

    def __init__(self, node, epsilon):
        super().__init__(node)
        self.epsilon = epsilon

    def nonnegative(self, inputs):
        return inputs[0]

    def prepare(self, inputs, output):
        return inputs[0], stabilised(self.forward(inputs[0]), self.epsilon).reciprocal_()

    def _transpose(self, relevance, x):
        _, pull = torch.func.vjp(super().forward, x.new_zeros(relevance.shape[0], *x.shape[1:]))
        return laid_out(pull(relevance)[0])

    def backward(self, relevance, state, rows):
        x, inverse = state
        return [rows.multiply_(self._transpose(rows.multiply_(relevance, inverse), x), x)]

    def adjoint(self, shares, state, rows):
        x, inverse = state
        return rows.multiply_(self.forward(rows.multiplied(shares[0], x)), inverse)


class Pooling(Operation):
    """Max pooling by gradient: all to the strongest of the window."""

    reads_inputs = True

    def __init__(self, node):
        super().__init__(node)
        settings = self._settings()
        if settings["stride"] is None:
            settings["stride"] = settings["kernel_size"]
        self.settings = {
            name: (value, value) if type(value) is int else value
            for name, value in settings.items()
        }
        kernel, dilation = self.settings["kernel_size"], self.settings["dilation"]
        self.neighbourhood = Neighbourhood(
            [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)],
            self.settings["stride"],
            self.settings["padding"],
        )

    def nonnegative(self, inputs):
        return inputs[0]

    def _settings(self):
        settings = dict(stride=None, padding=0, dilation=1, ceil_mode=False)
        if self.node.module is not None:
            names = ("kernel_size", *settings)
            return {name: getattr(self.node.module, name) for name in names}
        names = ("kernel_size", *settings)
        given = dict(zip(names, self.node.args[1:], strict=False))
        given.update({k: v for k, v in self.node.kwargs.items() if k in names})
        return {**settings, **given}

    def prepare(self, inputs, output):
        winner = F.max_pool2d(inputs[0], **self.settings, return_indices=True)[1]
        return inputs[0].shape[2:], _positions_first(winner), winner.shape[2:]

    def backward(self, relevance, state, rows):
        (height, width), winner, _ = state
        given = _positions_first(relevance)
        passed = given.new_zeros(len(given), height * width, given.shape[2])
        pairs = zip(rows.paired(given, winner), rows.paired(passed, winner), strict=True)
        for (one, place), (into, _) in pairs:
            into.scatter_add_(-2, place.expand_as(one), one)
        return [passed.transpose(1, 2).unflatten(2, (height, width))]

    def adjoint(self, shares, state, rows):
        _, winner, size = state
        share = _positions_first(shares[0])
        index = rows.expanded(winner)
        return share.gather(1, index).transpose(1, 2).unflatten(2, size)


class Structural(Operation):
    """A map that is linear and the same for every image, by gradient: resizing, averaging."""

    reads_inputs = True

    def nonnegative(self, inputs):
        return all(inputs)

    def prepare(self, inputs, output):
        return [x.shape[1:] for x in inputs]

    def backward(self, relevance, state, rows):
        zeros = [relevance.new_zeros(len(relevance), *shape) for shape in state]
        _, pull = torch.func.vjp(self.forward, *zeros)
        return list(pull(relevance))

    def adjoint(self, shares, state, rows):
        return self.forward(*_completed(shares, state))


class Resize(Structural):
    """Nearest and bilinear resizing."""

    def __init__(self, node):
        super().__init__(node)
        module = node.module
        names = ("size", "scale_factor", "mode", "align_corners")
        values = (None, None, "nearest", None)
        given = dict(zip(names, node.args[1:], strict=False)) | node.kwargs
        self.settings = dict(zip(names, values, strict=True)) | {
            k: given[k] for k in names if k in given
        }
        if module is not None:
            self.settings = {name: getattr(module, name) for name in names}
        if self.settings["mode"] not in ("nearest", "bilinear"):
            raise InputError(
                f"{node.name}: resizing by {self.settings['mode']!r} has no rule; "
                f"use nearest or bilinear"
            )
        self.neighbourhood = self._repetition()

    def backward(self, relevance, state, rows):
        size = [len(relevance), *state[0]]
        factor = self.settings["scale_factor"]
        factors = [None, None]
        if factor is not None:
            factors = [
                float(f) for f in (factor if isinstance(factor, list | tuple) else [factor] * 2)
            ]
        if self.settings["mode"] == "nearest":
            down = torch.ops.aten.upsample_nearest2d_backward
            return [down(relevance, relevance.shape[2:], size, *factors)]
        down = torch.ops.aten.upsample_bilinear2d_backward
        aligned = bool(self.settings["align_corners"])
        return [down(relevance, relevance.shape[2:], size, aligned, *factors)]

    def _repetition(self):
        """How often a position is repeated, the same along both axes; None where it is not."""
        size, small = self.node.shape[2:], self.node.sources[0].shape[2:]
        factor = size[0] // small[0]
        exact = tuple(size) == tuple(factor * n for n in small)
        return Repetition(factor) if self.settings["mode"] == "nearest" and exact else None

    def send(self, relevance, state, rows):
        """Repeated pixels add up: windows are widened to whole groups of them."""
        if rows.origins is None or self.neighbourhood is None:
            return super().send(relevance, state, rows)
        size, small, factor = self.node.shape[2:], state[0][1:], self.neighbourhood.factor
        relevance, rows = rows.aligned(relevance, factor, size)
        summed = F.avg_pool2d(relevance, factor, divisor_override=1)
        starts = [tuple(n // factor for n in origin) for origin in rows.origins]
        return [rows.fitted(summed, starts, small)]

    def carry(self, shares, state, rows, size):
        ((share, given),) = shares
        if given.origins is None or self.neighbourhood is None:
            return super().carry(shares, state, rows, size)
        factor = self.neighbourhood.factor
        repeated = F.interpolate(share, scale_factor=factor, mode="nearest")
        corners = [tuple(factor * n for n in origin) for origin in given.origins]
        return Rows(given.images, origins=corners).moved(repeated, rows.origins, size)[0]


class Reshape(Structural):
    """Flattening, reshaping, permuting, slicing; the leading axis stays where it is."""

    def forward(self, x):
        if self.node.call not in (torch.reshape, torch.Tensor.reshape, torch.Tensor.view):
            return super().forward(x)
        sizes = self.node.args[1:]
        sizes = sizes[0] if isinstance(sizes[0], list | tuple) else sizes
        if sizes[0] not in (self.node.sources[0].shape[0], -1):
            raise InputError(f"{self.node.name}: moves the batch axis; it has no rule")
        return x.reshape(len(x), *sizes[1:])


class Concatenation(Operation):
    """Concatenation by gradient: each input gets its channels."""

    def __init__(self, node):
        super().__init__(node)
        if self._axis() == 1:
            self.neighbourhood = SAME_POSITION

    def nonnegative(self, inputs):
        return all(inputs)

    reads_inputs = True

    def _axis(self):
        axis = self.node.kwargs.get("dim", self.node.args[1] if len(self.node.args) > 1 else 0)
        return axis % len(self.node.shape)

    def prepare(self, inputs, output):
        if self._axis() == 0:
            raise InputError(f"{self.node.name}: concatenates images of a batch; it has no rule")
        return [x.shape[1:] for x in inputs]

    def backward(self, relevance, state, rows):
        axis = self._axis()
        return list(relevance.split([shape[axis - 1] for shape in state], dim=axis))

    def adjoint(self, shares, state, rows):
        return torch.cat(_completed(shares, state), dim=self._axis())

    def carry(self, shares, state, rows, size):
        if not self.positionwise:
            return super().carry(shares, state, rows, size)
        like = next(share for share, _ in filter(None, shares))
        counts = [shape[0] for shape in state]
        joined = zeros(like, len(rows), sum(counts), size)
        for given, into in zip(shares, joined.split(counts, dim=1), strict=True):
            if given is not None:
                for i, there, here in rows.overlaps(into, given[1], given[0]):
                    into[i][there] = given[0][i][here]
        return joined


class Scaling(Operation):
    """Multiplication by a constant: relevance passes."""

    neighbourhood = SAME_POSITION

    def backward(self, relevance, state, rows):
        return [
            None if isinstance(source.call, Constant) else relevance for source in self.node.sources
        ]

    def adjoint(self, shares, state, rows):
        return next(share for share in shares if share is not None)


class Gate(Operation):
    """A signal times its gate (squeeze-and-excitation, LR-ASPP): all relevance to the signal."""

    def __init__(self, node, signal):
        super().__init__(node)
        self.signal = signal

    def backward(self, relevance, state, rows):
        return [relevance if i == self.signal else None for i in range(2)]

    def adjoint(self, shares, state, rows):
        return shares[self.signal]


def _completed(shares, shapes):
    """Shares with zeros where an input has none."""
    given = next(share for share in shares if share is not None)
    return [
        given.new_zeros(len(given), *shape) if share is None else share
        for share, shape in zip(shares, shapes, strict=True)
    ]


def _positions_first(maps):
    """(N, H * W, C) of maps (N, C, H, W): a view where channels are last."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2)


def _spread(share, ratio):
    shape = torch.broadcast_shapes(share.shape[1:], ratio.shape[1:])
    return share.expand(share.shape[0], *shape).contiguous()


def _fitted(relevance, node, position):
    """Summed over the axes along which this input was broadcast."""
    shape = node.sources[position].shape[1:]
    axes = [i + 1 for i, n in enumerate(shape) if n == 1 and relevance.shape[i + 1] != 1]
    return relevance.sum(dim=axes, keepdim=True) if axes else relevance


def _slope(norm, x):
    """The factor by which a norm multiplies x (B, ...) once its statistics are fixed."""
    if isinstance(norm, nn.LayerNorm):
        axes = tuple(range(-len(norm.normalized_shape), 0))
        slope = (x.var(dim=axes, correction=0, keepdim=True) + norm.eps).rsqrt_()
        return slope if norm.weight is None else slope * norm.weight
    spread = (-1, *[1] * (x.ndim - 2))
    if isinstance(norm, nn.GroupNorm):
        variance = x.reshape(len(x), norm.num_groups, -1).var(dim=2, correction=0)
        variance = variance.repeat_interleave(x.shape[1] // norm.num_groups, dim=1)
    elif norm.running_var is not None:
        variance = norm.running_var[None]
    else:
        variance = x.flatten(2).var(dim=2, correction=0)
    slope = (variance + norm.eps).rsqrt_()
    slope = slope if norm.weight is None else slope * norm.weight
    return slope.unflatten(1, spread)


ADDITIONS = (operator.add, operator.iadd, torch.add, torch.Tensor.add, torch.Tensor.add_)
PRODUCTS = (operator.mul, operator.imul, torch.mul, torch.Tensor.mul, torch.Tensor.mul_)
QUOTIENTS = (operator.truediv, torch.div, torch.Tensor.div)
CONCATENATIONS = (torch.cat, torch.concat)
POOLINGS = (F.max_pool2d, torch.max_pool2d, torch.nn.functional.max_pool2d)
RESHAPINGS = (
    torch.flatten, torch.Tensor.flatten, torch.reshape, torch.Tensor.reshape, torch.Tensor.view,
    torch.permute, torch.Tensor.permute, torch.Tensor.contiguous, torch.squeeze,
    torch.Tensor.squeeze, torch.unsqueeze, torch.Tensor.unsqueeze, torch.Tensor.transpose,
    torch.transpose, operator.getitem,
)  # fmt: skip
FUNCTIONAL_RELU = (F.relu, torch.relu, torch.Tensor.relu, torch.Tensor.relu_)
FUNCTIONAL_ACTIVATIONS = {
    F.silu: nn.SiLU(), torch.sigmoid: nn.Sigmoid(), torch.Tensor.sigmoid: nn.Sigmoid(),
    F.hardswish: nn.Hardswish(), F.hardsigmoid: nn.Hardsigmoid(), F.gelu: nn.GELU(),
    F.leaky_relu: nn.LeakyReLU(), F.relu6: nn.ReLU6(), F.elu: nn.ELU(), torch.tanh: nn.Tanh(),
}  # fmt: skip
AVERAGES = (F.avg_pool2d, F.adaptive_avg_pool2d)
DROPOUTS = (F.dropout, F.dropout2d)
AVERAGE_MODULES = (nn.AvgPool2d, nn.AdaptiveAvgPool2d)
PADDING_MODULES = (nn.ZeroPad1d, nn.ZeroPad2d)
DROPOUT_MODULES = (nn.Dropout, nn.Dropout2d, nn.Identity)


def _is_activation(node):
    return isinstance(node.module, Activation) or node.call in (
        *FUNCTIONAL_RELU, *FUNCTIONAL_ACTIVATIONS
    )  # fmt: skip


def stand_in(node):
    """The module by which a composite decides over a function, or None."""
    if node.call in ADDITIONS:
        return ZennitSum()
    if node.call in AVERAGES:
        return nn.AvgPool2d(1)
    try:
        return FUNCTIONAL_ACTIVATIONS.get(node.call)
    except TypeError:
        return None


REGISTERED = {}


def register_operation(module_type, make):
    """Teach the engine a module.

    module_type: the class; it becomes one node of the graph, whatever code it contains.
    make(node, rule): an Operation; rule is the composite's, or None where it names none.
    """
    REGISTERED[module_type] = make


def operation_for(node, rule, nonnegative):
    """The operation of a node under a rule (None: the composite names none).

    nonnegative: whether each input is known to be non-negative.
    Raises InputError for what is not on the closed list of operations.
    """
    module, gradient = node.module, isinstance(rule, rules.Gradient)
    for kind, make in REGISTERED.items():
        if isinstance(module, kind):
            return make(node, rule)
    if node.call is None:
        return Images(node)
    if isinstance(node.call, Constant):
        return Fixed(node)
    if isinstance(module, tuple(MAPS)):
        return _linear(node, rule, nonnegative)
    if isinstance(module, LIKE_BATCH_NORM):
        return _normalisation(node, rule)
    if isinstance(module, AVERAGE_MODULES) or node.call in AVERAGES:
        return _average(node, rule)
    if _is_activation(node):
        return _activation(node, rule)
    if isinstance(module, nn.MaxPool2d) or node.call in POOLINGS:
        return Pooling(node)
    if isinstance(module, nn.Upsample) or node.call is F.interpolate:
        return Resize(node)
    if isinstance(module, DROPOUT_MODULES) or node.call in DROPOUTS or _adds_nothing(node):
        return Through(node)
    if isinstance(module, nn.Flatten) or node.call in RESHAPINGS:
        return Reshape(node)
    if isinstance(module, PADDING_MODULES) or _pads_zeros(node):
        return Structural(node)
    if node.call in CONCATENATIONS:
        return Concatenation(node)
    if node.call in ADDITIONS and len(node.inputs) == 2:
        return _sum(node, rule, nonnegative)
    if node.call in PRODUCTS or node.call in QUOTIENTS:
        return _product(node, gradient)
    raise _unknown(node)


def _adds_nothing(node):
    """A sum that begins with the number 0."""
    return node.call in ADDITIONS and len(node.inputs) == 1 and any(a == 0 for a in node.args)


def _pads_zeros(node):
    given = dict(zip(("mode", "value"), node.args[2:], strict=False)) | node.kwargs
    zeros = given.get("mode", "constant") == "constant" and not given.get("value")
    return node.call is F.pad and zeros


def _linear(node, rule, nonnegative):
    if isinstance(rule, rules.LinearRule):
        return Linear(node, rule, nonnegative[0])
    if isinstance(rule, rules.Gradient):
        return LinearGradient(node)
    if isinstance(rule, rules.Pass) and isinstance(node.module, nn.BatchNorm2d | nn.BatchNorm1d):
        return Through(node)
    raise _unknown(node)


def _normalisation(node, rule):
    if isinstance(rule, rules.LinearRule) and rule.name == "epsilon":
        return Normalisation(node, rule.epsilon)
    if isinstance(rule, rules.Gradient):
        return Smooth(node)
    raise _unknown(node)


def _average(node, rule):
    if isinstance(rule, rules.Norm):
        return Average(node, rule.epsilon)
    if isinstance(rule, rules.Gradient):
        return Structural(node)
    raise _unknown(node)


def _activation(node, rule):
    if isinstance(rule, rules.Pass):
        return Through(node)
    if isinstance(rule, rules.GuidedBackprop):
        return Guided(node)
    if isinstance(rule, rules.DeconvNet):
        return Deconv(node)
    relu = isinstance(node.module, nn.ReLU) or node.call in FUNCTIONAL_RELU
    if isinstance(rule, rules.Gradient) or relu:
        return Elementwise(node)
    raise _unknown(node)


def _sum(node, rule, nonnegative):
    if isinstance(rule, rules.Norm):
        return Sum(node, rule.epsilon, nonnegative)
    if isinstance(rule, rules.Gradient):
        return SumGradient(node)
    raise _unknown(node)


def _product(node, gradient):
    if gradient:
        return Smooth(node)
    varying = [source for source in node.sources if not isinstance(source.call, Constant)]
    if len(varying) == 1:
        return Scaling(node)
    gates = [position for position in range(2) if _is_gate(node, position)]
    if len(gates) == 1 and node.call in PRODUCTS:
        return Gate(node, 1 - gates[0])
    raise InputError(
        f"{node.name}: a product in which neither factor is recognised as the gate; "
        f"register its module with lcrp.attribution.register_operation"
    )


def _is_gate(node, position):
    """A factor that comes from a sigmoid, or is spread over the positions of the other."""
    source, other = node.sources[position], node.sources[1 - position]
    sigmoids = (nn.Sigmoid, nn.Hardsigmoid)
    functions = (torch.sigmoid, torch.Tensor.sigmoid, F.hardsigmoid)
    squashed = isinstance(source.module, sigmoids) or source.call in functions
    spread = source.shape != other.shape and source.shape[2:] == (1, 1)
    return squashed or spread


def _unknown(node):
    kind = (
        type(node.module).__name__
        if node.module is not None
        else getattr(node.call, "__name__", str(node.call))
    )
    return InputError(
        f"{node.name}: {kind} has no rule under this composite; teach it with "
        f"lcrp.attribution.register_operation({kind}, make)"
    )
