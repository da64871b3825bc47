"""Steps whose value is an integer's and whose gradient is that of the smooth step beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ..compiler.quantize.fit.lif import bias_mantissas
from ..ground.arith import INPUT_SHIFT, IntArray
from ..ground.arithmetic import Arithmetic
from ..ir.program import LI, LIF, MultiLevel
from .grid import Rows, TwoTerms

EXACT32 = 1 << 24
"""Whole numbers below it in magnitude are exact in float32, their sums in any order too."""


def exact_type(bound: float) -> torch.dtype:
    """float32 where no partial sum can leave it, else float64 (exact below 2^53)."""
    return torch.float32 if bound < EXACT32 else torch.float64


class _Mantissas(torch.autograd.Function):
    """The quantizer's own rounding; the gradient passes as if nothing were rounded."""

    @staticmethod
    def forward(ctx: Any, scaled: Tensor, rows: Rows | TwoTerms) -> Tensor:
        whole = rows.round(scaled.detach().cpu().double().numpy())
        return torch.from_numpy(whole).to(scaled)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0], None


class _Bias(torch.autograd.Function):
    """mant << exp, rounded as the quantizer does, |mant| <= limit."""

    @staticmethod
    def forward(ctx: Any, scaled: Tensor, exp: int, limit: int) -> Tensor:
        mant = bias_mantissas(scaled.detach().cpu().double().numpy(), exp)
        return torch.from_numpy(mant.clip(-limit, limit) << exp).to(scaled)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0], None, None


class _Floor(torch.autograd.Function):
    """floor(x * factor): a sum shifted right by a negative exponent."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: Tensor) -> Tensor:
        ctx.save_for_backward(factor)
        return torch.floor(x * factor)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0] * ctx.saved_tensors[0], None


def mantissas(scaled: Tensor, rows: Rows | TwoTerms) -> Tensor:
    """Legal mantissas, whole numbers in `scaled`'s float type."""
    return cast(Tensor, _Mantissas.apply(scaled, rows))  # type: ignore[no-untyped-call]


def bias(scaled: Tensor, exp: int, limit: int) -> Tensor:
    """Whole numbers: a mantissa of at most `limit`, shifted left by `exp`."""
    return cast(Tensor, _Bias.apply(scaled, exp, limit))  # type: ignore[no-untyped-call]


class _Whole(torch.autograd.Function):
    """The nearest whole number in low..high; the gradient passes as if nothing were rounded."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: int, high: int) -> Tensor:
        return x.round().clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0], None, None


def whole(x: Tensor, low: int, high: int) -> Tensor:
    """The nearest whole numbers in low..high."""
    return cast(Tensor, _Whole.apply(x, low, high))  # type: ignore[no-untyped-call]


def shift(x: Tensor, exponents: IntArray) -> Tensor:
    """x << e, or x >> -e (floor), semantics 3.1; one exponent, or one per last axis of x."""
    if not exponents.any():
        return x
    factor = torch.as_tensor(np.exp2(exponents)).to(x)
    if exponents.min() >= 0:
        return x * factor
    return cast(Tensor, _Floor.apply(x, factor))  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Constants:
    """A LIF's or LI's integers as the steps need them: shares of u and v that stay, of `unity`,
    threshold << 6 (0 where nothing fires), and the largest v.
    """

    keep_u: int
    keep_v: int
    threshold: int
    unity: int
    top: int

    @staticmethod
    def of(n: LIF | LI, widths: Arithmetic) -> Constants:
        """Those of a neuron at a Program's widths."""
        unity = widths.decay_unity
        keep_u, keep_v = widths.full_decay - n.du, unity - n.dv
        threshold = n.vth << INPUT_SHIFT if isinstance(n, LIF) else 0
        return Constants(keep_u, keep_v, threshold, unity, widths.state_limit - 1)

    @property
    def state_type(self) -> torch.dtype:
        """float32 if state * keep fits its 24 bits, which a power of two leaves as they are."""
        odd = [k // (k & -k) for k in (self.keep_u, self.keep_v) if k]
        return exact_type(self.top if all(k == 1 for k in odd) else float("inf"))


class _Lif(torch.autograd.Function):
    """Semantics 2.1 over time; backwards the plain leaky integrator with a triangle at threshold.

    a [T, B, n], bias [n], u and v [B, n], c, and where they are trained the threshold [] and the
    shares of v and u that stay [], as in c -> s [T, B, n], u and v after the last step.
    """

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, bias: Tensor, u: Tensor, v: Tensor, c: Constants, *trained: Any
    ) -> Any:
        kind = c.state_type
        u, v, offset = u.to(kind), v.to(kind), bias.to(kind)
        ctx.c, ctx.kinds, first = c, (a.dtype, bias.dtype), (u, v)
        before = torch.empty(a.shape, dtype=kind, device=a.device)
        spikes = torch.empty(a.shape, dtype=torch.float32, device=a.device)
        currents = torch.empty_like(before) if ctx.needs_input_grad[7] else None
        for t in range(len(a)):
            current = a[t].to(kind) * (1 << INPUT_SHIFT)
            u = current.add_(_decayed(u, c.keep_u / c.unity)) if c.keep_u else current
            v = _decayed(v, c.keep_v / c.unity).add_(u).add_(offset)
            v.clamp_(-c.top, c.top)
            before[t] = v
            if currents is not None:
                currents[t] = u
            fired = v > c.threshold
            spikes[t] = fired
            v = v.masked_fill(fired, 0)
        ctx.save_for_backward(before, currents, *first)
        return spikes, u, v

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        before, currents, first_u, first_v = ctx.saved_tensors
        c: Constants = ctx.c
        to_s, to_u, to_v = grads
        width = float(max(c.threshold, 1 << INPUT_SHIFT))
        slope = (1 - (before - c.threshold).abs() / width).clamp_(min=0).float().div_(width)
        slope.mul_(to_s)
        stays = (before <= c.threshold).float()
        out, at_v, total, firsts = _integrated(slope, to_u.float(), to_v.float(), c, stays)
        to_threshold = to_keep_v = to_keep_u = None
        if ctx.needs_input_grad[5]:
            to_threshold = -slope.double().sum() * (1 << INPUT_SHIFT)
        if ctx.needs_input_grad[6]:
            to_keep_v = _times_earlier(at_v, before * stays, first_v)
        if currents is not None:
            to_keep_u = _times_earlier(out, currents, first_u)
        kind_a, kind_bias = ctx.kinds
        into_bias = total.sum(0).to(kind_bias)
        into_a = out.mul_(1 << INPUT_SHIFT).to(kind_a)
        return into_a, into_bias, *firsts, None, to_threshold, to_keep_v, to_keep_u


class _Leaky(torch.autograd.Function):
    """Semantics 2.6 over time, v is sent; backwards the plain leaky integrator.

    a [T, B, n], bias [n], u and v [B, n], c, and where they are trained the shares of v and u that
    stay [] -> v [T, B, n], u and v after the last step.
    """

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, bias: Tensor, u: Tensor, v: Tensor, c: Constants, *trained: Any
    ) -> Any:
        kind = c.state_type
        u, v, offset = u.to(kind), v.to(kind), bias.to(kind)
        ctx.c, ctx.kinds, first = c, (a.dtype, bias.dtype), (u, v)
        sent = torch.empty(a.shape, dtype=torch.float32, device=a.device)
        currents = torch.empty(a.shape, dtype=kind, device=a.device)
        for t in range(len(a)):
            u = a[t].to(kind) * (1 << INPUT_SHIFT) + _decayed(u, c.keep_u / c.unity)
            v = (_decayed(v, c.keep_v / c.unity) + u + offset).clamp_(-c.top, c.top)
            sent[t], currents[t] = v, u
        live = any(ctx.needs_input_grad[5:])
        ctx.save_for_backward(*((sent, currents, *first) if live else (None, None, *first)))
        return sent, u, v

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        c: Constants = ctx.c
        sent, currents, first_u, first_v = ctx.saved_tensors
        to_s, to_u, to_v = (g.float() for g in grads)
        out, at_v, total, firsts = _integrated(to_s, to_u, to_v, c, None)
        to_keep_v = to_keep_u = None
        if ctx.needs_input_grad[5]:
            to_keep_v = _times_earlier(at_v, sent, first_v)
        if ctx.needs_input_grad[6]:
            to_keep_u = _times_earlier(out, currents, first_u)
        kind_a, kind_bias = ctx.kinds
        into_bias = total.sum(0).to(kind_bias)
        into_a = out.mul_(1 << INPUT_SHIFT).to(kind_a)
        return into_a, into_bias, *firsts, None, to_keep_v, to_keep_u


def _integrated(
    slope: Tensor, to_u: Tensor, to_v: Tensor, c: Constants, stays: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Gradients of u and of v at every step [T, B, n], v's summed over the steps [B, n], and those
    of both before the first.

    slope  of what is sent by v [T, B, n];  stays: 0 where v was reset, None: it never is
    """
    out, at_v, total = torch.empty_like(slope), torch.empty_like(slope), torch.zeros_like(to_v)
    keep_u, keep_v = c.keep_u / c.unity, c.keep_v / c.unity
    for t in reversed(range(len(slope))):
        now = slope[t] + (to_v if stays is None else stays[t] * to_v)
        total += now
        at_v[t], out[t] = now, now + to_u
        to_u, to_v = out[t] * keep_u, now * keep_v
    return out, at_v, total, (to_u, to_v)


def _times_earlier(gradient: Tensor, state: Tensor, first: Tensor) -> Tensor:
    """What a share that stays is worth []: gradients of each step times the state before it."""
    inner = (gradient[1:].double() * state[:-1]).sum()
    return inner + (gradient[0].double() * first).sum()


def _decayed(x: Tensor, keep: float) -> Tensor:
    """tz(x * keep): exact, x * k / 4096 (at decays of 12 bits) has as many bits as x * k."""
    return torch.trunc(x * keep)


Trained = Tensor | None
"""A number of `Constants` with its gradient; None: it is fixed."""


def lif(
    a: Tensor,
    bias: Tensor,
    u: Tensor,
    v: Tensor,
    c: Constants,
    trained: tuple[Trained, Trained, Trained] = (None, None, None),
) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes [T, B, n] of a [T, B, n], and u and v [B, n] after the last step.

    trained  the threshold as a neuron has it, and the shares of v and u that stay, with the values
             of c
    """
    return cast(
        tuple[Tensor, Tensor, Tensor],
        _Lif.apply(a, bias, u, v, c, *trained),  # type: ignore[no-untyped-call]
    )


def leaky(
    a: Tensor,
    bias: Tensor,
    u: Tensor,
    v: Tensor,
    c: Constants,
    trained: tuple[Trained, Trained] = (None, None),
) -> tuple[Tensor, Tensor, Tensor]:
    """Membranes [T, B, n] of a [T, B, n], and u and v [B, n] after the last step.

    trained  the shares of v and u that stay
    """
    return cast(
        tuple[Tensor, Tensor, Tensor],
        _Leaky.apply(a, bias, u, v, c, *trained),  # type: ignore[no-untyped-call]
    )


class _Above(torch.autograd.Function):
    """x > vth for whole sums; backwards a triangle around vth + 1/2, one sum wide at least."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, vth: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.centre = vth + 0.5
        return (x > vth).float()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x,) = ctx.saved_tensors
        width = max(1.0, ctx.centre)
        return grads[0] * (1 - (x - ctx.centre).abs() / width).clamp_(min=0) / width, None


def above(x: Tensor, vth: int) -> Tensor:
    """A stateless threshold on whole sums: OR, AND, counts."""
    return cast(Tensor, _Above.apply(x, vth))  # type: ignore[no-untyped-call]


class _Staircase(torch.autograd.Function):
    """How many levels x passes; backwards the ramp through the middle of each step.

    A level's share of the ramp is one step wide, so it ends half a step beyond the outer levels:
    of round(clamp(v, 0, D)) that is the clamp itself.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, n: MultiLevel) -> Tensor:
        reach = n.step / 2 + 1  # both ends included, wherever the ties of the levels lie
        ctx.ends, ctx.step = (n.middles[0] - reach, n.middles[-1] + reach), n.step
        ctx.save_for_backward(x)
        sent = torch.zeros_like(x, dtype=torch.float32)
        for level in n.up:
            sent += x > level
        for level in n.down:
            sent -= (x < level).float()
        return sent

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x,) = ctx.saved_tensors
        low, high = ctx.ends
        within = (x >= low) & (x <= high)
        return (grads[0] * within / ctx.step).to(x.dtype), None


def staircase(x: Tensor, n: MultiLevel) -> Tensor:
    """Levels passed upward less levels passed downward, of whole sums."""
    return cast(
        Tensor,
        _Staircase.apply(x, n),  # type: ignore[no-untyped-call]
    )
