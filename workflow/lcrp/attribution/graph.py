"""A network as an explicit graph: one node per module or function that is called.

The tracer runs the network on fake tensors of a concrete shape, so that control flow which
depends on shapes (and on nothing else) is followed as in a real run.
"""

import contextlib
import itertools
import operator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from lcrp.errors import InputError


@dataclass
class Node:
    """One call of the network.

    name: the module's path, or a name made from the function's.
    call: the module that is called, or the function.
    args, kwargs: its arguments; tensors computed in the graph appear as `Input`.
    inputs: indices of the nodes whose tensors it reads, in the order of their `Input`.
    sources: those nodes.
    shape: shape of its output (None where it returns several tensors).
    """

    name: str
    call: object
    args: tuple
    kwargs: dict
    inputs: tuple[int, ...]
    shape: tuple[int, ...] | None
    sources: tuple["Node", ...] = ()

    @property
    def module(self):
        return self.call if isinstance(self.call, nn.Module) else None


@dataclass(frozen=True)
class Input:
    """Stands in a node's arguments for its n-th input."""

    position: int


@dataclass
class Graph:
    """Nodes in the order of execution; node 0 is the images.

    outputs: indices of the nodes that the network returns, in its order.
    layers: node index of every convolution, by module path, in the order of the modules.
    """

    nodes: list[Node]
    outputs: tuple[int, ...]
    layers: dict[str, int] = field(default_factory=dict)


class _Proxy(fx.Proxy):
    """A proxy that knows the shape of what it stands for."""

    @property
    def _value(self):
        if "value" not in self.node.meta:
            self.node.meta["value"] = self.tracer._evaluate(self.node)
        return self.node.meta["value"]

    @property
    def shape(self):
        return self._value.shape

    @property
    def ndim(self):
        return self._value.ndim

    @property
    def dtype(self):
        return self._value.dtype

    @property
    def device(self):
        return self._value.device

    def size(self, dim=None):
        return self._value.size() if dim is None else self._value.size(dim)

    def dim(self):
        return self._value.dim()

    def numel(self):
        return self._value.numel()

    def split(self, size, dim=0):
        """Parts along an axis as slices, each a tensor of its own."""
        length, axis = self.shape[dim], dim % self.ndim
        sizes = size
        if isinstance(size, int):
            sizes = [min(size, length - start) for start in range(0, length, size)]
        ends = list(itertools.accumulate(sizes))
        before = (slice(None),) * axis
        pairs = zip([0, *ends], ends, strict=False)
        return tuple(self[(*before, slice(start, end))] for start, end in pairs)

    def chunk(self, chunks, dim=0):
        return self.split(-(-self.shape[dim] // chunks), dim)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (torch.split, torch.chunk):
            return getattr(args[0], function.__name__)(*args[1:], **(kwargs or {}))
        return super().__torch_function__(function, types, args, kwargs)

    def __len__(self):
        return len(self._value)

    def __iter__(self):
        return (self[position] for position in range(len(self._value)))

    def __bool__(self):
        raise InputError(
            f"network: its control flow depends on the values of {self.node.name}; "
            f"a relevance graph needs a network whose path depends on shapes alone"
        )


class _Tracer(fx.Tracer):
    def __init__(self, example, leaves):
        super().__init__()
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        self._example = example
        self._leaves = leaves
        self._evaluating = False

    # While a call is evaluated, modules run and parameters are read as they are.

    def call_module(self, module, forward, args, kwargs):
        if self._evaluating:
            return forward(*args, **kwargs)
        try:
            self.path_of_module(module)
        except NameError:  # a container made on the way; what it contains has its place
            return forward(*args, **kwargs)
        return super().call_module(module, forward, args, kwargs)

    def getattr(self, name, value, parameter_proxies):
        if self._evaluating:
            return value
        return super().getattr(name, value, parameter_proxies)

    def is_leaf_module(self, module, qualified_name):
        return isinstance(module, self._leaves) or super().is_leaf_module(module, qualified_name)

    def proxy(self, node):
        return _Proxy(node, self)

    def create_proxy(self, kind, target, args, kwargs, *rest, **options):
        proxy = super().create_proxy(kind, target, args, kwargs, *rest, **options)
        if kind == "output":
            return proxy
        value = self._evaluate(proxy.node)
        proxy.node.meta["value"] = value
        parts = value if isinstance(value, tuple | list) else (value,)
        return proxy if any(isinstance(part, torch.Tensor) for part in parts) else value

    def _evaluate(self, node):
        def known(other):
            if "value" not in other.meta:
                other.meta["value"] = self._evaluate(other)
            return other.meta["value"]

        def value(argument):
            return fx.node.map_arg(argument, known)

        args, kwargs = value(node.args), value(node.kwargs)
        with self._untraced(), self._fake, torch.no_grad():
            if node.op == "placeholder":
                return self._fake.from_tensor(self._example)
            if node.op == "get_attr":
                held = self.root
                for part in node.target.split("."):
                    held = getattr(held, part)
                return self._fake.from_tensor(held.detach())
            if node.op == "call_module":
                return self.root.get_submodule(node.target)(*args, **kwargs)
            if node.op == "call_method":
                return getattr(args[0], node.target)(*args[1:], **kwargs)
            return node.target(*args, **kwargs)

    @contextlib.contextmanager
    def _untraced(self):
        self._evaluating, before = True, self._evaluating
        try:
            yield
        finally:
            self._evaluating = before


def trace(network, example, leaves=()):
    """Graph of `network` for inputs of the shape of `example` (B, 3, H, W).

    leaves: module types that are one node although they contain code of their own.
    Raises InputError where the network's path depends on values, or the input is too small.
    """
    tracer = _Tracer(example, tuple(leaves))
    try:
        traced = tracer.trace(network)
    except InputError:
        raise
    except Exception as error:
        height, width = example.shape[-2:]
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"network: cannot be traced at {height} x {width} pixels ({reason}); "
            f"use a larger input, or a network without control flow on values"
        ) from error
    return _convert(network, traced)


def _convert(network, traced):
    traced.eliminate_dead_code(is_impure_node=lambda node: node.op in ("placeholder", "output"))
    index, nodes, outputs = {}, [], ()
    for node in traced.nodes:
        if node.op == "output":
            returned = []
            fx.node.map_arg(node.args, lambda other, held=returned: held.append(index[other]))
            outputs = tuple(returned)
            continue
        inputs = []

        def convert(other, inputs=inputs):
            inputs.append(index[other])
            return Input(len(inputs) - 1)

        args = fx.node.map_arg(node.args, convert)
        kwargs = fx.node.map_arg(node.kwargs, convert)
        name, call = _place(node), node.target
        if node.op == "call_module":
            name, call = node.target, network.get_submodule(node.target)
        elif node.op == "call_method":
            call = getattr(torch.Tensor, node.target)
        elif node.op == "get_attr":
            held = network
            for part in node.target.split("."):
                held = getattr(held, part)
            call, args = Constant(held.detach()), ()
        elif node.op == "placeholder":
            call = None
        value = node.meta.get("value", getattr(call, "value", None))
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else None
        index[node] = len(nodes)
        nodes.append(Node(name, call, tuple(args), dict(kwargs), tuple(inputs), shape))
    _link(nodes)
    modules = dict(network.named_modules())
    for node in nodes:
        _copy_instead(node)
        _fold(node)
        _drop_empty(node)
        _make_module(node, modules)
    return Graph(nodes, outputs, _convolutions(network, nodes))


IN_PLACE = {  # and what leaves the input, which the rules read, as it was
    operator.iadd: operator.add,
    operator.imul: operator.mul,
    torch.Tensor.add_: torch.Tensor.add,
    torch.Tensor.mul_: torch.Tensor.mul,
    torch.Tensor.relu_: torch.Tensor.relu,
}


def _copy_instead(node):
    """Let a function that works in place make a new tensor."""
    if node.module is not None or isinstance(node.call, Constant):
        return
    node.call = IN_PLACE.get(node.call, node.call)
    if node.kwargs.get("inplace"):
        node.kwargs["inplace"] = False
    if node.call in (F.relu, F.relu6, F.silu, F.hardswish, F.hardsigmoid):
        node.args = node.args[:1]


FUNCTIONS = {  # that are treated as modules, and their arguments after the input
    F.conv2d: ("weight", "bias", "stride", "padding", "dilation", "groups"),
    F.batch_norm: ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    F.group_norm: ("num_groups", "weight", "bias", "eps"),
    F.layer_norm: ("normalized_shape", "weight", "bias", "eps"),
    torch.mean: ("dim", "keepdim"),
    torch.Tensor.mean: ("dim", "keepdim"),
}


def _make_module(node, modules):
    """Turn a function with parameters, as modules of other libraries call it, into a module."""
    if node.module is not None or node.call not in FUNCTIONS:
        return
    given = dict(zip(FUNCTIONS[node.call], node.args[1:], strict=False)) | node.kwargs
    for name, value in given.items():
        if isinstance(value, Input):
            source = node.sources[value.position].call
            if not isinstance(source, Constant):
                raise InputError(f"{node.name}: its {name} is computed; it has no rule")
            given[name] = source.value
    module = _built(node, given)
    if module is None:
        return
    for name in ("weight", "bias"):
        value = given.pop(name, None)
        if value is not None:
            setattr(module, name, nn.Parameter(value, requires_grad=False))
    node.call, node.args, node.kwargs = module.eval(), (Input(0),), {}
    node.inputs, node.sources = node.inputs[:1], node.sources[:1]
    owner = node.name.rpartition(".")[0]
    if isinstance(module, nn.Conv2d) and isinstance(modules.get(owner), nn.Conv2d):
        node.name = owner


def _built(node, given):
    """The module, still without weight and bias, or None for a call that no module stands for."""
    shape, eps = node.sources[0].shape, given.get("eps", 1e-5)
    if node.call is F.conv2d:
        settings = ("stride", "padding", "dilation", "groups")
        settings = {name: given[name] for name in settings if name in given}
        inner, kernel = given["weight"].shape[:2], tuple(given["weight"].shape[2:])
        with torch.device("meta"):
            module = nn.Conv2d(shape[1], inner[0], kernel, bias=False, **settings)
        module.bias = None
        return module
    if node.call is F.layer_norm:
        return nn.LayerNorm(given["normalized_shape"], eps, elementwise_affine=False)
    if node.call is F.group_norm:
        return nn.GroupNorm(given["num_groups"], shape[1], eps, affine=False)
    if node.call is F.batch_norm:
        if given.get("training"):
            raise InputError(f"{node.name}: a batch norm in training; switch the network to eval")
        module = nn.BatchNorm2d(shape[1], eps, affine=False)
        module.running_mean, module.running_var = given["running_mean"], given["running_var"]
        return module
    axes = given.get("dim")
    axes = {axis % len(shape) for axis in axes} if isinstance(axes, list | tuple) else set()
    over_positions = len(shape) == 4 and axes == {2, 3} and given.get("keepdim")
    return nn.AdaptiveAvgPool2d(1) if over_positions else None


def _drop_empty(node):
    """Leave out of a concatenation what has no channels, as of stages that an encoder lacks."""
    if node.call not in (torch.cat, torch.concat) or not isinstance(node.args[0], list | tuple):
        return

    def empty(part):
        source = node.sources[part.position].call
        return isinstance(source, Constant) and not source.value.numel()

    kept = [part for part in node.args[0] if not empty(part)]
    node.inputs = tuple(node.inputs[part.position] for part in kept)
    node.sources = tuple(node.sources[part.position] for part in kept)
    node.args = ([Input(position) for position in range(len(kept))], *node.args[1:])


def _place(node):
    """The name of a function's call, after the path of the module that makes it."""
    stack = [path for path, _ in node.meta.get("nn_module_stack", {}).values() if path]
    return f"{stack[-1]}.{node.name}" if stack else node.name


def _fold(node):
    """Turn a call that reads parameters alone into one more parameter."""
    if not node.sources or not all(isinstance(s.call, Constant) for s in node.sources):
        return
    if node.shape is None:
        return

    def filled(argument):
        if isinstance(argument, Input):
            return node.sources[argument.position].call.value
        if isinstance(argument, list | tuple):
            return type(argument)(filled(part) for part in argument)
        return argument

    kwargs = {name: filled(value) for name, value in node.kwargs.items()}
    with torch.no_grad():
        node.call = Constant(node.call(*filled(node.args), **kwargs))
    node.args, node.kwargs, node.inputs, node.sources = (), {}, (), ()


def _link(nodes):
    for node in nodes:
        node.sources = tuple(nodes[i] for i in node.inputs)


@dataclass(frozen=True)
class Constant:
    """A parameter or buffer that the network reads directly."""

    value: torch.Tensor


def _convolutions(network, nodes):
    called = {node.name: i for i, node in enumerate(nodes) if node.module is not None}
    return {
        name: called[name]
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and name in called
    }


def merge_batch_norms(graph):
    """Merge every batch norm into the convolution or linear layer that alone feeds it.

    Exact: the running variance takes the batch norm's eps with it (the merged layer computes
    the same outputs). Weights are folded in float64. Returns a graph in which those batch
    norms are gone and the convolutions carry new weights and a bias.
    """
    readers = {}
    for position, node in enumerate(graph.nodes):
        for source in node.inputs:
            readers.setdefault(source, []).append(position)
    replaced = {}
    for position, node in enumerate(graph.nodes):
        if not isinstance(node.module, nn.BatchNorm2d | nn.BatchNorm1d):
            continue
        source = node.inputs[0]
        module = graph.nodes[source].module
        mergeable = isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        if mergeable and len(readers[source]) == 1 and source not in graph.outputs:
            graph.nodes[source].call = _merged(module, node.module)
            replaced[position] = source
    kept = [i for i in range(len(graph.nodes)) if i not in replaced]
    renumbered = {old: new for new, old in enumerate(kept)}
    for old, source in replaced.items():
        renumbered[old] = renumbered[source]
    nodes = [graph.nodes[i] for i in kept]
    for node in nodes:
        node.inputs = tuple(renumbered[i] for i in node.inputs)
    _link(nodes)
    return Graph(
        nodes,
        tuple(renumbered[i] for i in graph.outputs),
        {name: renumbered[i] for name, i in graph.layers.items()},
    )


def affine(norm):
    """Scale and shift (float64, per channel) of a batch norm in eval mode."""
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.detach().double()
    return scale, shift


@torch.no_grad()
def _merged(module, norm):
    scale, shift = affine(norm)
    weight = module.weight.detach().double()
    if isinstance(module, nn.ConvTranspose2d):
        inputs, per_group = weight.shape[:2]
        grouped = weight.view(module.groups, inputs // module.groups, per_group, *weight.shape[2:])
        weight = (grouped * scale.view(module.groups, 1, per_group, 1, 1)).view_as(weight)
    else:
        weight = weight * scale.view(-1, *[1] * (weight.ndim - 1))
    if module.bias is not None:
        shift = shift + module.bias.detach().double() * scale
    merged = _without_parameters(module)
    merged.weight = nn.Parameter(weight.to(module.weight), requires_grad=False)
    merged.bias = nn.Parameter(shift.to(module.weight), requires_grad=False)
    return merged


def _without_parameters(module):
    copied = module.__class__.__new__(module.__class__)
    copied.__dict__.update(module.__dict__)
    copied._parameters = dict(module._parameters)
    return copied
