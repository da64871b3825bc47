"""Neuron programs over all steps of many lanes: the kernels with their arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....toolchain.ground.arith import (
    DECAY_UNITY,
    INPUT_SHIFT,
    STATE_LIMIT,
    IntArray,
    scale_exponent,
)
from ....toolchain.ground.errors import BackendError
from ....toolchain.ir.program import LIF, Graded, GradedReLU, Population, Product
from ..kernels import neurons as kernels
from ..kernels.update import FORGOTTEN
from .layout import Values
from .tallies import Tally


@dataclass(frozen=True, eq=False)
class State:
    """u, v [B, size] of LIF neurons, 32 bits where that is proved; updated in place."""

    u: Values
    v: Values


def bias_of(p: Population) -> IntArray:
    """Bias of each LIF neuron [size]: bias_mant << bias_exp, or >> -bias_exp (floor)."""
    assert isinstance(p.neuron, LIF)
    bias = scale_exponent(p.neuron.bias_mant, p.neuron.bias_exp)
    return np.ascontiguousarray(np.broadcast_to(bias, p.shape)).ravel()


def narrow(p: Population, bound: int) -> bool:
    """True if LIF neurons that receive at most `bound` need no more than 32 bits (`update`)."""
    assert isinstance(p.neuron, LIF)
    if p.neuron.du == DECAY_UNITY - 1:  # nothing is left of u
        return bound <= 1 << 24
    return bound << INPUT_SHIFT <= STATE_LIMIT


def decays_of(n: LIF, kind: Any, bound: int) -> Values:
    """Factors of u and v (fractions of 4096) and threshold << 6; then both as right shifts, or -1.

    For inputs of at most `bound`; see `update`.
    """
    factors = DECAY_UNITY - (n.du + 1), DECAY_UNITY - n.dv
    shifts = [13 - f.bit_length() if f else 31 for f in factors]
    if any(f & (f - 1) for f in factors):
        shifts = [-1, -1]
    elif factors[0] == 0 and bound << INPUT_SHIFT <= STATE_LIMIT:
        shifts[0] = FORGOTTEN
    return np.array([*factors, n.vth << INPUT_SHIFT, *shifts], kind)


def largest(a: Values) -> int:
    """Largest |a| of int32 values."""
    flat = a.reshape(-1)
    ends = np.zeros(-(-flat.size // (64 * kernels.BLOCK)), np.int32)
    kernels.largest(flat, ends)
    return int(ends.max(initial=0))


def steps(
    p: Population,
    bias: Values | None,
    ports: Mapping[str, Values],
    state: State | None,
    first: int,
    every: int,
    out: Values,
    tally: Tally,
    at: slice,
    checked: bool,
    bound: int,
) -> None:
    """Fill out [B, S, size] from ports [B, S, size] each, updating `state`, steps `at` of `tally`.

    All in the tally's order of neurons. LIFReset comes before steps t with (t - first) mod every
    = 0. No input is larger than `bound`. Raises BackendError (SFX-E541) if `checked` and a value
    lies outside the declared range.
    """
    n = p.neuron
    events, active = tally.events[at], tally.active[at]
    if isinstance(n, LIF):
        assert state is not None
        assert bias is not None
        kind = state.u.dtype
        a_in, bias = (a.astype(kind, copy=False) for a in (ports["a_in"], bias))
        run = kernels.lif_narrow if kind == np.int32 else kernels.lif
        run(
            a_in, state.u, state.v, bias, decays_of(n, kind, bound), first,
            every if n.reset else 0, out, events, active,
        )  # fmt: skip
        return
    ends = np.zeros((-(-p.size // kernels.BLOCK), 2), dtype=np.int64)
    match n:
        case Graded() | GradedReLU():
            positive, a = isinstance(n, GradedReLU), ports["a_in"]
            vth = min(n.vth, np.iinfo(a.dtype).max)
            kernels.graded(a, vth, positive, out, events, active, ends)
        case Product():
            kernels.product(ports["a_in1"], ports["a_in2"], n.exp, n.vth, out, events, active, ends)
        case _:
            raise TypeError(f"no rule for {type(n).__name__}")
    low, high = int(ends[:, 0].min()), int(ends[:, 1].max())
    if checked and (low < min(p.low, 0) or high > max(p.high, 0)):
        raise out_of_range(p, low, high)


def out_of_range(p: Population, low: int, high: int) -> BackendError:
    """What p sent is not in its declared range."""
    return BackendError(
        "SFX-E541",
        f"sends values in {low}..{high}, its declared range is {p.low}..{p.high}; sums are "
        "proved from the declared range",
        where=p.name,
        hint="correct the range, or use the reference backend",
    )
