"""Neuron programs over all steps of many lanes: the kernels with their arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sfx.backends.fast import kernels
from sfx.backends.fast.projections import Values
from sfx.toolchain.arith import DECAY_UNITY, INPUT_SHIFT, IntArray, scale_exponent
from sfx.toolchain.errors import BackendError
from sfx.toolchain.ir.program import LIF, Graded, GradedReLU, Population, Product


@dataclass(frozen=True, eq=False)
class State:
    """u, v [B, size] int64 of LIF neurons; updated in place."""

    u: IntArray
    v: IntArray


@dataclass(frozen=True, eq=False)
class Tally:
    """Events and active neurons [S, size] of a population; added to in place."""

    events: IntArray
    active: IntArray

    @classmethod
    def zero(cls, steps: int, size: int) -> Tally:
        """Nothing counted."""
        return cls(np.zeros((steps, size), np.int64), np.zeros((steps, size), np.int64))

    def at(self, steps: slice) -> Tally:
        """The same counts, only these steps."""
        return Tally(self.events[steps], self.active[steps])


def bias_of(p: Population) -> IntArray:
    """Bias of each LIF neuron [size]: bias_mant << bias_exp, or >> -bias_exp (floor)."""
    assert isinstance(p.neuron, LIF)
    bias = scale_exponent(p.neuron.bias_mant, p.neuron.bias_exp)
    return np.ascontiguousarray(np.broadcast_to(bias, p.shape)).ravel()


def steps(
    p: Population,
    ports: Mapping[str, Values],
    state: State | None,
    first: int,
    every: int,
    out: Values,
    tally: Tally,
    checked: bool,
) -> None:
    """Fill out [B, S, size] from ports [B, S, size] each, updating `state` and `tally`.

    LIFReset comes before steps t with (t - first) mod every = 0.
    Raises BackendError (SFX-E541) if `checked` and a value lies outside the population's range.
    """
    n = p.neuron
    if isinstance(n, LIF):
        assert state is not None
        decays = (DECAY_UNITY - (n.du + 1), DECAY_UNITY - n.dv, n.vth << INPUT_SHIFT)
        kernels.lif(
            ports["a_in"], state.u, state.v, bias_of(p), np.array(decays, dtype=np.int64),
            first, every if n.reset else 0, out, tally.events, tally.active,
        )  # fmt: skip
        return
    ends = np.zeros((-(-p.size // kernels.BLOCK), 2), dtype=np.int64)
    match n:
        case Graded() | GradedReLU():
            positive = isinstance(n, GradedReLU)
            kernels.graded(ports["a_in"], n.vth, positive, out, tally.events, tally.active, ends)
        case Product():
            kernels.product(
                ports["a_in1"], ports["a_in2"], n.exp, n.vth, out, tally.events, tally.active, ends
            )
        case _:
            raise TypeError(f"no rule for {type(n).__name__}")
    low, high = int(ends[:, 0].min()), int(ends[:, 1].max())
    if checked and (low < min(p.low, 0) or high > max(p.high, 0)):
        raise BackendError(
            "SFX-E541",
            f"sends values in {low}..{high}, its declared range is {p.low}..{p.high}; sums are "
            "proved from the declared range",
            where=p.name,
            hint="correct the range, or use the reference backend",
        )
