"""Runs a network on fake tensors of a concrete shape, and writes down what it calls.

Control flow that depends on shapes (and on nothing else) is followed as in a real run.
"""

import contextlib
import itertools
from collections.abc import Iterable

import torch
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from lcrp.attribution.graph.nodes import Constant, Graph, Input, Node, convolutions, link
from lcrp.attribution.graph.rewriting import rewrite
from lcrp.errors import InputError


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


def trace(
    network: nn.Module, example: torch.Tensor, leaves: Iterable[type[nn.Module]] = ()
) -> Graph:
    """Graph of a network for inputs of one shape.

    Args:
        network: in eval mode, nothing in place.
        example: (B, 3, H, W); only its shape, type and device count.
        leaves: module types that are one node although they contain code of their own.

    Raises:
        InputError: the network's path depends on values, or the input is too small.
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
    link(nodes)
    rewrite(nodes, dict(network.named_modules()))
    return Graph(nodes, outputs, convolutions(network, nodes))


def _place(node):
    """The name of a function's call, after the path of the module that makes it."""
    stack = [path for path, _ in node.meta.get("nn_module_stack", {}).values() if path]
    return f"{stack[-1]}.{node.name}" if stack else node.name
