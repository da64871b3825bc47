"""LIF: leaky integrate and fire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ...ground.arith import DECAY_UNITY, INPUT_SHIFT, STATE_LIMIT, IntArray, scale_exponent
from ...ground.errors import Problem
from ..bound import Bound, Ports, difference
from .base import NeuronProgram, Width, constant

LIF_INPUT_LIMIT = 1 << 17
"""|a_in| stays below: a_in << 6 then stays inside the 24-bit current (semantics 2.1)."""


@dataclass(frozen=True, eq=False)
class LIF(NeuronProgram):
    """Lava's LIF, LIFReset in fixed point (integer semantics 2.1).

    bias = bias_mant << bias_exp (>> -bias_exp if negative)
    u = wrap(trunc(u * (4096 - (du+1)) / 4096) + (a_in << 6))
    v = clip24(trunc(v * (4096 - dv) / 4096) + u + bias)
    s = v > (vth << 6);  v = 0 where s
    With `reset`, u = v = 0 before the update of each sample's first step.

    du -1..4095, dv 0..4095, vth 0..2^17-1; bias_mant: int64 array broadcastable to the
    population's shape, -4096..4095; bias_exp 0..7.
    """

    state = ("u", "v")
    binary = True
    microcode = False
    input_limit = LIF_INPUT_LIMIT
    colour = "#222222"

    du: int
    dv: int
    vth: int
    bias_mant: IntArray = field(default_factory=lambda: np.zeros((), np.int64))
    bias_exp: int = 0
    reset: bool = True

    @property
    def keeps_state(self) -> bool:
        """Without `reset`, nothing of u and v is left a step later (`sum_faults`)."""
        return self.reset

    @property
    def bias(self) -> IntArray:
        """bias_mant << bias_exp, or >> -bias_exp (floor) if negative; shaped as bias_mant."""
        return scale_exponent(self.bias_mant, self.bias_exp)

    def constants(self, shape: tuple[int, ...], neuron: int) -> str:
        """With the bias and the threshold as they meet v."""
        bias = int(np.broadcast_to(self.bias, shape).reshape(-1)[neuron])
        return (
            f"LIF du = {self.du}, dv = {self.dv}, vth = {self.vth} "
            f"(fires above {self.vth << INPUT_SHIFT}), bias = {bias}"
        )

    def joint(self, inputs: int) -> bool:
        """Above a threshold, what one projection brings is taken not to be enough."""
        return inputs > 1 and self.vth > 0

    def widths(self) -> tuple[Width, ...]:
        """Decays of 12 bits, a threshold of 17, an exponent of 3."""
        return (
            Width("du", self.du, -1, DECAY_UNITY - 1),
            Width("dv", self.dv, 0, DECAY_UNITY - 1),
            Width("vth", self.vth, 0, (1 << 17) - 1),
            Width("bias_exp", self.bias_exp, 0, 7),
        )

    def faults(self, where: str, shape: tuple[int, ...]) -> Iterator[Problem]:
        """bias_mant in -4096..4095, for every neuron of the population."""
        low, high = self.bias_mant.min(initial=0), self.bias_mant.max(initial=0)
        if low < -4096 or high > 4095:
            what = f"bias_mant is in {low}..{high}, but must be in -4096..4095"
            yield Problem("SFX-E342", where, what, "move a factor into bias_exp")
        try:
            fits = np.broadcast_shapes(self.bias_mant.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            what = f"bias_mant {self.bias_mant.shape} does not broadcast to {shape}"
            yield Problem("SFX-E342", where, what)

    def sum_faults(
        self, where: str, shape: tuple[int, ...], ports: Ports, steady: Ports, timesteps: int
    ) -> Iterator[Problem]:
        """The current fits 24 bits, and what is never reset forgets."""
        if self.reset:
            yield from self._current_fits(where, ports["a_in"], steady["a_in"], timesteps)
        else:
            yield from self._forgets(where, shape, ports["a_in"])

    def sends(self, ports: Ports) -> Bound:
        """Spikes."""
        return constant(0, 1)

    def _current_fits(
        self, where: str, a_in: Bound, steady: Bound, timesteps: int
    ) -> Iterator[Problem]:
        """The current u stays below 2^23 in magnitude within a sample; each tick of a clock
        arrives once in a sample, everything else (`steady`) at every step.
        """
        once = difference(a_in, steady)
        value = int(current_bound(self, steady, timesteps, once).largest.max(initial=0))
        if value >= STATE_LIMIT:
            yield Problem(
                "SFX-E345",
                where,
                f"the current u can reach {value} within {timesteps} steps, but must stay below "
                "2^23",
                "use a smaller exponent, or a faster decay of u",
            )

    def _forgets(self, where: str, shape: tuple[int, ...], a_in: Bound) -> Iterator[Problem]:
        """A LIF without reset keeps nothing: du = dv = 4095, and |v| < 4096 where it did not fire,
        of which one step of decay leaves 0.
        """
        if self.du != DECAY_UNITY - 1 or self.dv != DECAY_UNITY - 1:
            yield Problem(
                "SFX-E346",
                where,
                f"keeps state (du {self.du}, dv {self.dv}) but is never reset",
                "LIF without reset needs du = dv = 4095",
            )
            return
        u, bias = current_bound(self, a_in, 1), self.bias
        bias = bias.reshape(1) if bias.size == 1 else np.broadcast_to(bias, shape).ravel()
        # Above the threshold it fires and v returns to 0, so the threshold bounds what is left.
        high = np.minimum(u.high + bias, self.vth << INPUT_SHIFT)
        left = int(np.maximum(high, -(u.low + bias)).max(initial=0))
        if left >= DECAY_UNITY:
            yield Problem(
                "SFX-E346",
                where,
                f"can leave |v| = {left} after a step, but must stay below {DECAY_UNITY} to decay "
                "at once",
                "a stateless threshold must stay below 64, negative inputs above -64",
            )


def current_bound(neuron: LIF, a_in: Bound, timesteps: int, once: Bound | None = None) -> Bound:
    """Bound of the current u within one sample: u = tz(u * (4095 - du), 12) + (a_in << 6).

    Truncation toward zero only makes it smaller, so the plain recursion is an upper bound. `once`
    arrives besides, at one step of the sample, and never grows afterwards.
    """
    low = high = np.zeros_like(a_in.low)
    for _ in range(timesteps if neuron.du < 4095 else 1):
        low = -((-low * (4095 - neuron.du)) >> 12) + (a_in.low << 6)
        high = ((high * (4095 - neuron.du)) >> 12) + (a_in.high << 6)
    if once is not None:
        low, high = low + (once.low << 6), high + (once.high << 6)
    return Bound(low, high)
