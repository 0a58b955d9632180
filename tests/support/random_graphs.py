"""Random networks with skip connections and branches, for tests of what holds for any network."""

import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from torch import nn

from lcrp.models.yolo11 import Attention
from lcrp.models.yolo_blocks import C2f

SIDE = 8
COMPOSITES = (
    *("EpsilonPlusFlat", "EpsilonPlus", "EpsilonGammaFlat", "EpsilonFlat", "Gradient"),
    "EpsilonPlusFlatAttnLRP",
)
ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU, "none": nn.Identity}
STEPS = (
    *("conv", "conv", "conv", "add", "add", "cat", "pool", "average", "resize", "gate"),
    *("attend", "halve"),
)


class RandomGraph(nn.Module):
    """Feature maps of one size, each made from earlier ones; two outputs that need them all.

    steps: (kind, first source, second source, activation); sources count backwards.
    """

    channels = 4

    def __init__(self, steps):
        super().__init__()
        self.steps = steps
        self.stem = nn.Conv2d(3, self.channels, 3, padding=1)
        self.parts = nn.ModuleList(self._part(kind, act) for kind, _, _, act in steps)
        self.heads = nn.ModuleList(nn.Conv2d(self.channels, 2, 1) for _ in range(2))

    def _part(self, kind, activation):
        c, act = self.channels, ACTIVATIONS[activation]()
        if kind == "conv":
            norm = nn.BatchNorm2d(c)
            return nn.Sequential(nn.Conv2d(c, c, 3, padding=1, bias=False), norm, act)
        if kind == "add":
            return act
        if kind == "cat":
            return nn.Sequential(nn.Conv2d(2 * c, c, 1, groups=2), act)
        if kind == "pool":
            return nn.MaxPool2d(3, stride=1, padding=1)
        if kind == "average":
            return nn.AvgPool2d(3, stride=1, padding=1)
        if kind == "attend":
            return Attention(c)
        if kind == "halve":
            return C2f(c, c, c // 2, [act])
        if kind == "resize":
            down = nn.Conv2d(c, c, 3, stride=2, padding=1)
            return nn.Sequential(down, act, nn.Upsample(scale_factor=2, mode="bilinear"))
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, c, 1), nn.Sigmoid())

    def forward(self, x):
        maps, read = [self.stem(x)], set()
        for (kind, one, other, _), part in zip(self.steps, self.parts, strict=True):
            one, other = (len(maps) - 1 - source % len(maps) for source in (one, other))
            a, b = maps[one], maps[other]
            read |= {one, other} if kind in ("add", "cat", "gate") else {one}
            if kind == "add":
                maps.append(part(a + b))
            elif kind == "cat":
                maps.append(part(torch.cat([a, b], dim=1)))
            elif kind == "gate":
                maps.append(a * part(b))
            else:
                maps.append(part(a))
        last, *others = (m for i, m in reversed(list(enumerate(maps))) if i not in read)
        for unread in others:
            last = last + unread
        return self.heads[0](last), self.heads[1](maps[len(maps) // 2])


steps = st.lists(
    st.tuples(
        st.sampled_from(STEPS),
        st.integers(0, 2),
        st.integers(0, 4),
        st.sampled_from(sorted(ACTIVATIONS)),
    ),
    min_size=1,
    max_size=6,
)
few = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
many = settings(few, max_examples=300)
