"""How a linear layer shares relevance under a rule for linear maps (see `rules`).

A *part* of the input is all of it, its positive or negative half, ones or a bound; a *term* of
a rule is one denominator and the parts that are shared in proportion to it. A *share* is which
fraction of the relevance at a neuron's output belongs to a mask: it travels up by the transpose of
what relevance travels down by. A message is values together with their rows (see `rows`).
"""

from functools import reduce

import torch

from lcrp.attribution.linear_maps import Convolution, Diagonal, dense, laid_out, linear_map
from lcrp.attribution.rows import Messages, Rows, zeros
from lcrp.attribution.rules import EPSILON, LinearRule, negative, one, positive, zero


def stabilised(z: torch.Tensor, epsilon: float = EPSILON) -> torch.Tensor:
    """z + sign(z) epsilon with sign(0) = +1, as a new tensor."""
    # Adding zero turns -0 into +0, whose sign is that of epsilon.
    return z + torch.copysign(z.new_tensor(epsilon), z + 0.0)


class Shares:
    """A linear map under a rule: prepared weights, denominators, and both directions.

    Parts of the input are stacked along the channels, and so are the terms of the rule along
    the outputs, so that each direction is one call of the map whatever the rule. Where the
    input is known to be non-negative its negative part is left out.

    Attributes:
        linear, rule: the map and its rule.
        takes_windows: whether messages of windows stay windows.
        kinds: the parts of the input that the rule distinguishes.
        division: equal for layers that divide their input into the same parts.
        weight, turned: of all terms and parts, for `map` and for `transpose`.
        slopes: see `_slopes`.
    """

    def __init__(self, linear, rule: LinearRule, nonnegative: bool):
        """Prepare the weights; nonnegative: whether the input is known to be so."""
        self.linear, self.rule, self.nonnegative = linear, rule, nonnegative
        self.takes_windows = type(linear) is Convolution
        terms = [self._simplified(term) for term in rule.terms]
        self.terms = terms
        self.positive = all(_positive(term) for term in terms)
        self.kinds = list(dict.fromkeys(part.input for term in terms for part in term.parts))
        self.division = (*self.kinds, linear.groups, id(rule.low), id(rule.high))
        nothing = torch.zeros_like(linear.weight)
        blocks = []
        for term in terms:
            weights = {kind: nothing for kind in self.kinds}
            for part in term.parts:
                weights[part.input] = weights[part.input] + part.weight(linear.weight)
            blocks.append([weights[kind] for kind in self.kinds])
        self.weight = laid_out(linear.block(blocks))
        self.turned = laid_out(linear.turned(self.weight))
        self.bias = self._stacked_bias()
        # A sum that cannot be negative is stabilised by its bias.
        self.settled = self.positive and self.bias is not None
        if self.settled:
            self.bias = self.bias + rule.epsilon
        self.slopes = self._slopes()
        if self.slopes is not None:
            single = len(self.slopes) == 1
            factor = self.slopes[0][1] if single else 1
            self.magnitudes = laid_out(linear.weight.abs() * factor)
            self.offset = self._offset()

    def _simplified(self, term):
        if not self.nonnegative:
            return term
        parts = tuple(
            type(part)("all" if part.input == "positive" else part.input, part.weight)
            for part in term.parts
            if part.input != "negative"
        )
        return type(term)(parts, term.bias, term.factor, term.gate)

    def _slopes(self):
        """(a, c) of each term whose sum is a W x + c |W| |x|; None if not all are of this kind.

        For instance z+ for signed inputs: x+ w+ + x- w- = (W x + |W| |x|) / 2, hence (1/2, 1/2).
        W x is known from the forward pass (the layer's output without its bias), so that one
        pass over |W| |x| makes the denominators of all terms, where each term would cost a pass
        over both halves of the input. Where a term is small this is a difference of large
        numbers: as exact as the sums themselves in float32, too coarse in bf16.
        """
        single = len(self.terms) * len(self.kinds) == 1
        if single or torch.finfo(self.linear.weight.dtype).bits < 32:
            return None
        found = []
        for term in self.terms:
            slopes = {part.input: _slopes_of(part.weight) for part in term.parts}
            if None in slopes.values() or len(slopes) < len(term.parts):
                return None
            if self.nonnegative and set(slopes) == {"all"}:
                found.append(slopes["all"])
                continue
            if set(slopes) != {"positive", "negative"}:
                return None
            # Of x+ and x- with modified weights aw + c|w| and aw - c|w|: a W x + c |W| |x|.
            (a, c), mirrored = slopes["positive"], slopes["negative"]
            if mirrored != (a, -c):
                return None
            found.append((a, c))
        return found

    def _offset(self):
        """(terms * out) what a term's sum lacks when it is made from the layer's output."""
        if self.bias is None:
            return None
        own = self.linear.bias.detach()
        return self.bias - self._stack([a * own[None] for a, _ in self.slopes])[0]

    def _stacked_bias(self):
        if self.linear.bias is None:
            return None
        bias = self.linear.bias.detach()
        stacked = torch.stack([term.bias(bias) for term in self.terms])
        if isinstance(self.linear, Diagonal):
            return stacked.flatten()
        return stacked.unflatten(1, (self.linear.groups, -1)).transpose(0, 1).flatten()

    def parts(self, x):
        """The parts of x that the rule distinguishes, stacked along the channels."""
        if self.kinds == ["all"]:
            return x
        if self.kinds == ["positive", "negative"] and self.linear.groups == 1:
            kept = torch.channels_last if x.ndim == 4 else torch.contiguous_format
            shape = (len(x), 2 * x.shape[1], *x.shape[2:])
            stacked = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=kept)
            above, below = stacked.chunk(2, dim=1)
            torch.clamp(x, min=0, out=above)
            torch.clamp(x, max=0, out=below)
            return stacked
        made = {
            "all": lambda: x,
            "positive": lambda: x.clamp(min=0),
            "negative": lambda: x.clamp(max=0),
            "ones": lambda: torch.ones_like(x),
            "low": lambda: _bound(self.rule.low, x),
            "high": lambda: _bound(self.rule.high, x),
        }
        parts = [made[kind]() for kind in self.kinds]
        return parts[0] if len(parts) == 1 else self._stack(parts)

    def _stack(self, parts):
        groups = self.linear.groups
        if groups == 1:
            return torch.cat(parts, dim=1)
        return torch.cat([p.unflatten(1, (groups, -1)) for p in parts], dim=2).flatten(1, 2)

    def _unstacked(self, stacked, count):
        """The `count` members that were stacked along the channels."""
        if count == 1:
            return [stacked]
        groups = self.linear.groups
        if groups == 1:
            return stacked.chunk(count, dim=1)
        return [
            member.flatten(1, 2)
            for member in stacked.unflatten(1, (groups, -1)).chunk(count, dim=2)
        ]

    def prepare(self, parts, output):
        """(parts of the input, inverse denominators) of the images.

        parts: (B, parts * in, ...). Inverse denominators: (B, terms * out, ...), with the
        terms' factors and gates inside.
        """
        z = self._sums(parts, output)
        if self.settled:
            inverse = z.reciprocal_()
        else:
            inverse = stabilised(z, self.rule.epsilon).reciprocal_()
        if any(term.gate != "always" or term.factor != 1 for term in self.terms):
            gates = {
                "always": lambda: torch.ones_like(output),
                "positive": lambda: (output > 0).to(output.dtype),
                "negative": lambda: (output < 0).to(output.dtype),
            }
            open_to = [gates[term.gate]() * term.factor for term in self.terms]
            inverse.mul_(self._stack(open_to) if len(open_to) > 1 else open_to[0])
        return parts, inverse

    def _sums(self, parts, output):
        """What the terms divide by, (B, terms * out, ...), not yet stabilised if they need be."""
        if self.slopes is None:
            return self.linear.map(parts, self.weight, self.bias)
        if len(self.kinds) == 2:
            above, below = self._unstacked(parts, 2)
            parts = above - below
        if len(self.slopes) == 1:
            sums = self.linear.map(parts, self.magnitudes, self.offset)
            sums.add_(output, alpha=self.slopes[0][0])
        else:
            magnitude = self.linear.map(parts, self.magnitudes)
            sums = self._stack([(output * a).add_(magnitude, alpha=c) for a, c in self.slopes])
            if self.offset is not None:
                sums.add_(self.offset.view(-1, *[1] * (output.ndim - 2)))
        return sums.clamp_(min=self.rule.epsilon) if self.settled else sums

    def backward(self, relevance, state, rows):
        """Relevance (T, out, ...) at the output, which may be overwritten, to that below."""
        parts, inverse = state
        s = self._divided(relevance, inverse, rows)
        return self._multiplied(self.linear.transpose(s, self.turned, parts.shape[2:]), parts, rows)

    def backward_windows(self, message, state):
        """`backward` of a message of windows."""
        parts, inverse = state
        rows = message.rows
        divided = self._divided(message.values, inverse, rows)
        pulled = Messages(self.linear.transpose(divided, self.turned), rows)
        starts = [self.linear.start(origin) for origin in rows.origins]
        pulled = pulled.fitted(starts, parts.shape[2:])
        return Messages(self._multiplied(pulled.values, parts, pulled.rows), pulled.rows)

    def _divided(self, relevance, inverse, rows):
        if len(self.terms) > 1:
            return rows.multiply_(self._stack([relevance] * len(self.terms)), inverse)
        if dense(relevance):
            return rows.multiply_(relevance, inverse)
        return rows.multiplied(relevance, inverse)

    def _multiplied(self, pulled, parts, rows):
        if self.kinds == ["ones"]:
            return pulled
        return reduce(torch.add, self._unstacked(rows.multiply_(pulled, parts), len(self.kinds)))

    def adjoint(self, share, state, rows):
        """Share (M, in, ...) of each input to the share of each output: `backward` transposed."""
        parts, inverse = state
        count = len(self.kinds)
        if count == 1:
            weighted = rows.multiplied(share, parts)
        elif self.linear.groups > 1:
            weighted = rows.multiplied(self._stack([share] * count), parts)
        else:
            kept = torch.channels_last if share.ndim == 4 else torch.contiguous_format
            weighted = torch.empty(
                (len(share), *parts.shape[1:]),
                dtype=share.dtype,
                device=share.device,
                memory_format=kept,
            )
            for into, part in zip(weighted.chunk(count, 1), parts.chunk(count, 1), strict=True):
                rows.multiplied(share, part, into)
        return self._gathered(self.linear.map(weighted, self.weight), inverse, rows)

    def adjoint_windows(self, message, state, rows, size):
        """`adjoint` of a message to windows of a size (H, W), or to whole maps.

        rows: of the output.
        """
        share = message.values
        parts, inverse = state
        count, seen, window = len(self.kinds), rows, parts.shape[2:]
        if rows.origins is not None:
            seen = Rows(rows.images, origins=[self.linear.start(o) for o in rows.origins])
            window = self.linear.sees(size)
        weighted = zeros(share, len(share), parts.shape[1], window)
        if count > 1 and self.linear.groups > 1:
            stacked = Messages(self._stack([share] * count), message.rows)
            stacked.placed(parts, weighted, seen)
        else:
            for into, part in zip(weighted.chunk(count, 1), parts.chunk(count, 1), strict=True):
                message.placed(part, into, seen)
        convolve = self.linear.map if seen is rows else self.linear.map_window
        gathered = self._gathered(convolve(weighted, self.weight), inverse, rows)
        return Messages(gathered, rows)

    def _gathered(self, out, inverse, rows):
        """Sums of all terms from what each sends to the outputs, (M, terms * out, ...)."""
        members = self._unstacked(rows.multiply_(out, inverse), len(self.terms))
        return reduce(torch.add, members)


class UniformShares(Shares):
    """Shares that are alike for all channels (the flat rule): one channel does for all."""

    def __init__(self, linear, rule, nonnegative):
        super().__init__(linear, rule, nonnegative)
        self.takes_windows, self.division = False, None
        self.channels = linear.weight.shape[:2]
        self.weight = self.weight[:1, :1].contiguous()
        self.turned = linear.turned(self.weight)

    def parts(self, x):
        return x

    def prepare(self, x, output):
        ones = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype, device=x.device)
        z = self.linear.map(ones, self.weight) * x.shape[1]
        return x.shape[2:], stabilised(z, self.rule.epsilon).reciprocal_()

    def backward(self, relevance, state, rows):
        size, inverse = state
        s = relevance.sum(dim=1, keepdim=True).mul_(inverse)
        pulled = self.linear.transpose(s, self.turned, size)
        return pulled.expand(-1, self.channels[1], -1, -1)

    def adjoint(self, share, state, rows):
        _, inverse = state
        out = self.linear.map(share.sum(dim=1, keepdim=True), self.weight).mul_(inverse)
        return out.expand(-1, self.channels[0], -1, -1)


def shares(module, rule: LinearRule, nonnegative: bool) -> Shares:
    """How a linear module shares relevance under a rule.

    Args:
        module: of one of the types in `linear_maps.MAPS`.
        nonnegative: whether its input is known to be non-negative.
    """
    linear = linear_map(module)
    uniform = rule.name == "flat" and type(linear) is Convolution and linear.groups == 1
    return (UniformShares if uniform else Shares)(linear, rule, nonnegative)


def _slopes_of(modification):
    """(a, c) of a modification w -> a w + c |w| of the weights; None for any other."""
    below, minus, one_, above = modification(torch.tensor([-2.0, -1, 1, 2], dtype=torch.float64))
    if below != 2 * minus or above != 2 * one_:
        return None
    return float(one_ - minus) / 2, float(one_ + minus) / 2


def _positive(term):
    """Whether a term's denominator cannot be negative, whatever the weights."""
    same = {("positive", positive), ("negative", negative), ("ones", one)}
    return term.bias in (positive, zero) and all(
        (part.input, part.weight) in same for part in term.parts
    )


def _bound(bound, x):
    bound = torch.as_tensor(bound, dtype=x.dtype, device=x.device)
    return bound.expand_as(x) if bound.ndim <= x.ndim else bound[0].expand_as(x)
