"""Linear maps with given weights, and their transposes: what the rules for linear layers share.

A rule replaces the weights of a layer by several modified ones, which `block` joins into one
weight: the outputs of the terms of the rule one after the other, for the parts of the input one
after the other. So each direction is one call, whatever the rule.
"""

import torch
import torch.nn.functional as F
from torch import nn

from lcrp.attribution.extents import Neighbourhood
from lcrp.attribution.graph import affine
from lcrp.errors import InputError


class Convolution:
    """Convolution with given weights: its map, and the transpose of that.

    Attributes:
        weight, bias: the module's own.
        neighbourhood: which positions of input and output see each other; None where all may.
        turns: whether the transpose is computed as a convolution, see `turned`.
    """

    def __init__(self, module):
        if module.padding_mode != "zeros":
            raise InputError(f"convolution: padding mode {module.padding_mode!r} has no rule")
        padding = module.padding
        if padding == "valid":
            padding = (0, 0)
        if padding == "same":
            extents = [
                d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)
            ]
            if any(extent % 2 for extent in extents):
                raise InputError("convolution: padding 'same' with an even kernel has no rule")
            padding = tuple(extent // 2 for extent in extents)
        self.stride, self.padding, self.dilation = module.stride, padding, module.dilation
        self.groups = module.groups
        self.weight, self.bias = module.weight.detach(), module.bias
        # What a kernel covers to both sides, less the padding: the padding of the turned kernel.
        self.margin = tuple(
            d * (k - 1) - p
            for d, k, p in zip(self.dilation, module.kernel_size, padding, strict=True)
        )
        self.turns = self.groups == 1 and set(self.stride) == {1} and min(self.margin) >= 0
        kernel = [d * (k - 1) + 1 for d, k in zip(self.dilation, module.kernel_size, strict=True)]
        self.neighbourhood = Neighbourhood(kernel, self.stride, padding)

    def map(self, x, weight, bias=None):
        """Outputs (N, out, H', W') for inputs x (N, in, H, W)."""
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def map_window(self, x, weight):
        """`map` of all that a window of the output sees, zeros beyond the borders included."""
        return F.conv2d(x, weight, None, self.stride, 0, self.dilation, self.groups)

    def sees(self, size):
        """(H, W) of what a window (H, W) of the output sees."""
        return tuple(
            (n - 1) * stride + int(k)
            for n, stride, k in zip(size, self.stride, self.neighbourhood.kernel, strict=True)
        )

    def turned(self, weight):
        """The weight as `transpose` takes it.

        With stride 1 the transpose is a convolution with the kernel turned by 180 degrees and
        inputs and outputs exchanged: up to four times faster than a transposed convolution.
        """
        return weight.flip(2, 3).transpose(0, 1) if self.turns else weight

    def transpose(self, s, weight, size=None):
        """What outputs s (N, C, H, W) send to the inputs.

        Args:
            s: at the map's output, or windows there.
            weight: as `turned` returns it.
            size: (H, W) of the map's input; None for all that a window s of the output sees,
                also beyond the borders.
        """
        if size is None:
            return self._transpose_window(s, weight)
        if self.turns:
            return F.conv2d(s, weight, None, 1, self.margin, self.dilation)
        extra = [
            n - ((m - 1) * stride - 2 * padding + dilation * (k - 1) + 1)
            for n, m, stride, padding, dilation, k in zip(
                size,
                s.shape[2:],
                self.stride,
                self.padding,
                self.dilation,
                weight.shape[2:],
                strict=True,
            )
        ]
        return F.conv_transpose2d(
            s, weight, None, self.stride, self.padding, extra, self.groups, self.dilation
        )

    def _transpose_window(self, s, weight):
        if self.turns:
            reach = [d * (k - 1) for d, k in zip(self.dilation, weight.shape[2:], strict=True)]
            return F.conv2d(s, weight, None, 1, reach, self.dilation)
        return F.conv_transpose2d(s, weight, None, self.stride, 0, 0, self.groups, self.dilation)

    def start(self, origin):
        """(y, x) in the input where begins what an output window at `origin` sees."""
        return tuple(
            n * stride - padding
            for n, stride, padding in zip(origin, self.stride, self.padding, strict=True)
        )

    def block(self, blocks):
        """One weight from blocks[term][part]: outputs stacked by term, inputs by part."""
        grouped = [[w.unflatten(0, (self.groups, -1)) for w in row] for row in blocks]
        rows = [torch.cat(row, dim=2) for row in grouped]
        return torch.cat(rows, dim=1).flatten(0, 1)


class TransposedConvolution(Convolution):
    """Transposed convolution: the two directions of `Convolution` change places."""

    def __init__(self, module):
        super().__init__(module)
        self.extra, self.turns = module.output_padding, False
        self.neighbourhood = None

    def map(self, x, weight, bias=None):
        return F.conv_transpose2d(
            x, weight, bias, self.stride, self.padding, self.extra, self.groups, self.dilation
        )

    def transpose(self, s, weight, size):
        return F.conv2d(s, weight, None, self.stride, self.padding, self.dilation, self.groups)

    def block(self, blocks):
        grouped = [[w.unflatten(0, (self.groups, -1)) for w in row] for row in blocks]
        rows = [torch.cat(row, dim=1) for row in grouped]
        return torch.cat(rows, dim=2).flatten(0, 1)


class Dense:
    """Linear layer over the last axis of (B, F)."""

    groups = 1
    neighbourhood = None

    def __init__(self, module):
        self.weight, self.bias = module.weight.detach(), module.bias

    def turned(self, weight):
        return weight

    def map(self, x, weight, bias=None):
        return F.linear(x, weight, bias)

    def transpose(self, s, weight, size):
        return s @ weight

    def block(self, blocks):
        return torch.cat([torch.cat(row, dim=1) for row in blocks], dim=0)


class Diagonal:
    """Batch norm in eval mode: every channel scaled and shifted."""

    groups = 1
    neighbourhood = None

    def __init__(self, module):
        scale, shift = affine(module)
        dtype = module.running_var.dtype
        self.weight, self.bias = scale.to(dtype), shift.to(dtype)

    def turned(self, weight):
        return weight

    def map(self, x, weight, bias=None):
        terms, parts, channels = weight.shape
        tail = [1] * (x.ndim - 2)
        scaled = x.unflatten(1, (1, parts, channels)) * weight.view(
            1, terms, parts, channels, *tail
        )
        z = scaled.sum(dim=2).flatten(1, 2)
        return z if bias is None else z + bias.view(-1, *tail)

    def transpose(self, s, weight, size):
        terms, parts, channels = weight.shape
        tail = [1] * (s.ndim - 2)
        scaled = s.unflatten(1, (terms, 1, channels)) * weight.view(
            1, terms, parts, channels, *tail
        )
        return scaled.sum(dim=1).flatten(1, 2)

    def block(self, blocks):
        return torch.stack([torch.stack(row) for row in blocks])


# The modules that are linear maps, and the class of each.
MAPS = {
    nn.Conv2d: Convolution,
    nn.ConvTranspose2d: TransposedConvolution,
    nn.Linear: Dense,
    nn.BatchNorm2d: Diagonal,
    nn.BatchNorm1d: Diagonal,
}


def linear_map(module: nn.Module):
    """The linear map of a module of one of the types in MAPS."""
    return next(make for kind, make in MAPS.items() if isinstance(module, kind))(module)


def laid_out(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with channels last in memory, where it has positions."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def dense(tensor: torch.Tensor) -> bool:
    """Whether it owns its memory without gaps, as convolutions want it."""
    return tensor.is_contiguous() or (
        tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    )
