"""Rewrites traced nodes into the few forms that the operations know.

What works in place makes a new tensor, functions with parameters become modules, and what reads
parameters alone becomes one more parameter.
"""

import operator

import torch
import torch.nn.functional as F
from torch import nn

from lcrp.attribution.graph.nodes import Constant, Entry, Input, Node
from lcrp.errors import InputError

# Functions that work in place, and those that leave their input as the rules need to read it.
IN_PLACE = {
    operator.iadd: operator.add,
    operator.imul: operator.mul,
    torch.Tensor.add_: torch.Tensor.add,
    torch.Tensor.mul_: torch.Tensor.mul,
    torch.Tensor.relu_: torch.Tensor.relu,
}


def rewrite(nodes, modules):
    """Bring nodes, in their order of execution, into the forms that the operations know.

    Args:
        nodes: linked nodes; they are changed.
        modules: {path: module} of the network.
    """
    for node in nodes:
        _copy_instead(node)
        _fold(node)
        _drop_empty(node)
        _make_module(node, modules)
        _take_entry(node)
    read = {source for node in nodes for source in node.inputs}
    for number, node in enumerate(nodes):
        if number not in read and permutation(node) and permutation(node)[0] != 0:
            node.call, node.args, node.inputs, node.sources = Constant(torch.empty(0)), (), (), ()


def _copy_instead(node):
    """Let a function that works in place make a new tensor."""
    if node.module is not None or isinstance(node.call, Constant):
        return
    node.call = IN_PLACE.get(node.call, node.call)
    if node.kwargs.get("inplace"):
        node.kwargs["inplace"] = False
    if node.call in (F.relu, F.relu6, F.silu, F.hardswish, F.hardsigmoid):
        node.args = node.args[:1]


# Functions that are treated as modules, and the names of their arguments after the input.
FUNCTIONS = {
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


def permutation(node: Node) -> tuple[int, ...] | None:
    """The axes of a node that permutes them, counted from the front; None for other nodes."""
    if node.shape is None or node.call not in (
        torch.permute,
        torch.Tensor.permute,
        torch.transpose,
        torch.Tensor.transpose,
    ):
        return None
    count, given = len(node.shape), node.args[1:]
    if node.call in (torch.transpose, torch.Tensor.transpose):
        axes = list(range(count))
        one, other = (axis % count for axis in given)
        axes[one], axes[other] = other, one
        return tuple(axes)
    given = given[0] if isinstance(given[0], list | tuple) else given
    return tuple(axis % count for axis in given)


def _take_entry(node):
    """Read one entry of a permuted tensor from the tensor itself, where images stay in front.

    Attention of other libraries makes queries, keys and values as one tensor and brings the axis
    that tells them apart before that of the images.
    """
    if node.call is not operator.getitem or not isinstance(node.args[1], int):
        return
    axes = permutation(node.sources[0])
    if axes is None or axes[0] == 0 or axes[1] != 0:
        return
    node.call, node.args = Entry(axes, node.args[1]), (Input(0),)
    node.inputs, node.sources = node.sources[0].inputs, node.sources[0].sources


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
