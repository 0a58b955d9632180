"""Composites: which rule each module gets.

A composite is zennit's: an instance, its name in zennit, or one of the names below. It says which
module gets which hook (special first layer, name maps); each hook becomes a rule. Canonizers of a
zennit composite are not run: batch norms are merged exactly and sums are explicit in the graph
already.
"""

from collections.abc import Iterable

import torch
from torch import nn
from zennit import rules as zennit_rules
from zennit.composites import COMPOSITES, LayerMapComposite, SpecialFirstLayerMapComposite
from zennit.core import BasicHook, Composite, Hook
from zennit.layer import Sum
from zennit.types import Activation, AvgPool, BatchNorm, Convolution, Linear

from lcrp.attribution import rules
from lcrp.errors import InputError, nearest

# Where a composite leaves these unnamed, they get the rule that it has for batch norms.
LIKE_BATCH_NORM = (
    nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
)  # fmt: skip


class MatrixProduct(nn.Module):
    """Stands for products of matrices, by which a composite decides over them."""


class Product(nn.Module):
    """Stands for products of numbers."""


class _Marker(Hook):
    """A hook that carries a rule which zennit does not have."""

    def __init__(self, rule):
        super().__init__()
        self.rule = rule


# Attention weights are constants (CP-LRP), or explained through queries and keys (AttnLRP).
THROUGH_VALUES = [
    (nn.Softmax, rules.ConstantOutput()),
    (MatrixProduct, rules.ValuesOnly()),
]
THROUGH_ALL = [
    (nn.Softmax, rules.Taylor()),
    (MatrixProduct, rules.SharedEvenly()),
    (Product, rules.SharedEvenly()),
]


def _base(convolution, first=(), attention=THROUGH_VALUES):
    layers = [
        (Activation, zennit_rules.Pass()),
        (Sum, zennit_rules.Norm()),
        (AvgPool, zennit_rules.Norm()),
        (Convolution, convolution),
        (nn.Linear, zennit_rules.Epsilon()),
        (BatchNorm, zennit_rules.Epsilon()),
        *((kind, _Marker(rule)) for kind, rule in attention),
    ]
    return SpecialFirstLayerMapComposite(layers, list(first))


def _flat_first(convolution, attention=THROUGH_VALUES):
    return _base(convolution, [(Linear, zennit_rules.Flat())], attention)


_NAMED = {
    "EpsilonPlusFlat": lambda: _flat_first(zennit_rules.ZPlus()),
    "EpsilonPlus": lambda: _base(zennit_rules.ZPlus()),
    "EpsilonGammaFlat": lambda: _flat_first(_Marker(rules.signed_gamma(0.25))),
    "EpsilonFlat": lambda: _flat_first(zennit_rules.Epsilon()),
    "EpsilonPlusFlatAttnLRP": lambda: _flat_first(zennit_rules.ZPlus(), THROUGH_ALL),
    "EpsilonPlusAttnLRP": lambda: _base(zennit_rules.ZPlus(), attention=THROUGH_ALL),
    "EpsilonFlatAttnLRP": lambda: _flat_first(zennit_rules.Epsilon(), THROUGH_ALL),
    "Gradient": lambda: LayerMapComposite([]),
    "GuidedBackprop": COMPOSITES["guided_backprop"],
}


def composite_names() -> tuple[str, ...]:
    """Names that `Explainer` takes as composites: those of this library, then zennit's."""
    takes_bounds = {"epsilon_gamma_box"}
    return (*_NAMED, *(name for name in COMPOSITES if name not in takes_bounds))


def resolve(composite: Composite | str) -> Composite:
    """The composite of a name; an instance is returned as it is.

    Raises:
        InputError: nothing is called so; it names the nearest.
    """
    if isinstance(composite, Composite):
        return composite
    if composite in _NAMED:
        return _NAMED[composite]()
    if composite in composite_names():
        return COMPOSITES[composite]()
    raise InputError(
        f"composite: {composite!r} is unknown; use {nearest(composite, composite_names())}"
    )


def assign(composite: Composite | str, named_modules: Iterable[tuple[str, nn.Module]]) -> dict:
    """{name: rule} of every module; None where the composite leaves it unnamed.

    A composite that names no linear module is one of gradients: what it leaves unnamed gets
    the rule Gradient.

    Args:
        named_modules: (name, module) in the order of the network.

    Raises:
        InputError: an unknown composite, or one with a hook that is not zennit's.
    """
    composite = resolve(composite)
    context, assigned, names_linear = {}, {}, False
    for name, module in named_modules:
        hook = composite.module_map(context, name, module)
        if hook is None and isinstance(module, LIKE_BATCH_NORM):
            hook = composite.module_map(context, name, nn.BatchNorm2d(1))
        assigned[name] = None if hook is None else _to_rule(hook, name)
        names_linear |= hook is not None and isinstance(module, Linear)
    if not names_linear:
        assigned = {name: rule or rules.Gradient() for name, rule in assigned.items()}
    return assigned


def _to_rule(hook, name):
    """The rule that does what a zennit hook does."""
    kinds = {
        zennit_rules.ZPlus: lambda _: rules.z_plus(),
        zennit_rules.Epsilon: lambda h: rules.epsilon(1.0 / _mapped(h, 0.0)),
        zennit_rules.Gamma: lambda h: rules.gamma(float(_parameter(h)) - 1.0),
        zennit_rules.AlphaBeta: lambda h: rules.alpha_beta(*_alpha_beta(h)),
        zennit_rules.Flat: lambda _: rules.flat(),
        zennit_rules.WSquare: lambda _: rules.w_square(),
        zennit_rules.ZBox: lambda h: rules.z_box(*map(_bound, h.input_modifiers[1:])),
        zennit_rules.Norm: lambda _: rules.Norm(),
        zennit_rules.Pass: lambda _: rules.Pass(),
        zennit_rules.ReLUGuidedBackprop: lambda _: rules.GuidedBackprop(),
        zennit_rules.ReLUDeconvNet: lambda _: rules.DeconvNet(),
        _Marker: lambda h: h.rule,
    }
    if type(hook) not in kinds:
        raise InputError(
            f"composite: the hook {type(hook).__name__} of {name or 'the network'} has no rule "
            f"here; use a hook of zennit.rules"
        )
    return kinds[type(hook)](hook)


# zennit keeps the numbers of its rules inside closures: applying a closure shows its number.


def _mapped(hook: BasicHook, output):
    one = torch.ones((), dtype=torch.float64)
    return float(hook.gradient_mapper(one, [torch.tensor(output, dtype=torch.float64)]))


def _parameter(hook):
    return hook.param_modifiers[0](torch.ones((), dtype=torch.float64), "weight")


def _alpha_beta(hook):
    one, none = torch.ones(()), torch.zeros(())
    alpha = hook.reducer([one, none, none, none], [one] * 4)
    beta = -hook.reducer([none, none, one, none], [one] * 4)
    return float(alpha), float(beta)


def _bound(modifier):
    return modifier.__closure__[0].cell_contents
