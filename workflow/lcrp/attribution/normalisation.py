"""SSD's L2 normalisation: relevance passes, as through an activation."""

from lcrp.attribution import rules
from lcrp.attribution.operations import Smooth, Through, register_operation
from lcrp.models.ssd import L2Norm


class _Normalisation(Through):
    def nonnegative(self, inputs):
        return inputs[0] and bool((self.node.module.weight >= 0).all())


def _make(node, rule):
    return Smooth(node) if isinstance(rule, rules.Gradient) else _Normalisation(node)


register_operation(L2Norm, _make)
