"""LIF: leaky integrate and fire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ...ground.arith import INPUT_SHIFT, IntArray, scale_exponent
from ...ground.arithmetic import Arithmetic
from ...ground.errors import Problem
from ..bound import Bound, Ports, difference
from .base import NeuronProgram, Width, constant


@dataclass(frozen=True, eq=False)
class LIF(NeuronProgram):
    """Lava's LIF, LIFReset in fixed point (integer semantics 2.1).

    At Loihi's widths; those that hold are the Program's `arithmetic`:
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
    def biased(self) -> bool:
        """Whether a bias drives it."""
        return bool(self.bias.any())

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

    def input_limit(self, arithmetic: Arithmetic) -> int:
        """a_in << 6 stays inside the current: |a_in| below 2^17 at 24 bits (semantics 2.1)."""
        return arithmetic.input_limit

    def widths(self, arithmetic: Arithmetic) -> tuple[Width, ...]:
        """On Loihi decays of 12 bits, a threshold of 17, an exponent of 3."""
        return (
            Width("du", self.du, -1, arithmetic.full_decay),
            Width("dv", self.dv, 0, arithmetic.full_decay),
            Width("vth", self.vth, 0, arithmetic.threshold_limit - 1),
            Width("bias_exp", self.bias_exp, *arithmetic.bias_exp),
        )

    def faults(
        self, where: str, shape: tuple[int, ...], arithmetic: Arithmetic
    ) -> Iterator[Problem]:
        """bias_mant in -4096..4095 (13 bits), for every neuron of the population."""
        yield from bias_faults(self.bias_mant, where, shape, arithmetic)

    def sum_faults(
        self,
        where: str,
        shape: tuple[int, ...],
        ports: Ports,
        steady: Ports,
        timesteps: int,
        arithmetic: Arithmetic,
    ) -> Iterator[Problem]:
        """The current fits the state (24 bits on Loihi), and what is never reset forgets."""
        a_in = ports["a_in"]
        if self.reset:
            yield from currents_fit(self, where, a_in, steady["a_in"], timesteps, arithmetic)
        else:
            yield from self._forgets(where, shape, a_in, arithmetic)

    def sends(self, ports: Ports) -> Bound:
        """Spikes."""
        return constant(0, 1)

    def _forgets(
        self, where: str, shape: tuple[int, ...], a_in: Bound, arithmetic: Arithmetic
    ) -> Iterator[Problem]:
        """A LIF without reset keeps nothing: du = dv = 4095, and |v| < 4096 where it did not fire,
        of which one step of decay (of 12 bits) leaves 0.
        """
        full, unity = arithmetic.full_decay, arithmetic.decay_unity
        if self.du != full or self.dv != full:
            yield Problem(
                "SFX-E346",
                where,
                f"keeps state (du {self.du}, dv {self.dv}) but is never reset",
                f"LIF without reset needs du = dv = {full}",
            )
            return
        u, bias = current_bound(self, a_in, 1, arithmetic), self.bias
        bias = bias.reshape(1) if bias.size == 1 else np.broadcast_to(bias, shape).ravel()
        # Above the threshold it fires and v returns to 0, so the threshold bounds what is left.
        high = np.minimum(u.high + bias, self.vth << INPUT_SHIFT)
        left = int(np.maximum(high, -(u.low + bias)).max(initial=0))
        if left >= unity:
            most = unity >> INPUT_SHIFT
            yield Problem(
                "SFX-E346",
                where,
                f"can leave |v| = {left} after a step, but must stay below {unity} to decay at "
                "once",
                f"a stateless threshold must stay below {most}, negative inputs above -{most}",
            )


class Leaky(Protocol):
    """Neurons with a current u and a membrane v that decay: LIF and LI."""

    @property
    def du(self) -> int:
        """Decay of the current, less 1."""

    @property
    def dv(self) -> int:
        """Decay of the membrane."""


def bias_faults(
    mantissas: IntArray, where: str, shape: tuple[int, ...], arithmetic: Arithmetic
) -> Iterator[Problem]:
    """bias_mant in -4096..4095 (13 bits), for every neuron of a population of this shape."""
    low, high = mantissas.min(initial=0), mantissas.max(initial=0)
    least, most = arithmetic.bias_range
    if low < least or high > most:
        what = f"bias_mant is in {low}..{high}, but must be in {least}..{most}"
        yield Problem("SFX-E342", where, what, "move a factor into bias_exp")
    try:
        fits = np.broadcast_shapes(mantissas.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        what = f"bias_mant {mantissas.shape} does not broadcast to {shape}"
        yield Problem("SFX-E342", where, what)


def currents_fit(
    neuron: Leaky,
    where: str,
    a_in: Bound,
    steady: Bound,
    timesteps: int,
    arithmetic: Arithmetic,
) -> Iterator[Problem]:
    """The current u stays below 2^23 (at 24 bits) in magnitude within a sample; each tick of a
    clock arrives once in a sample, everything else (`steady`) at every step.
    """
    once = difference(a_in, steady)
    u = current_bound(neuron, steady, timesteps, arithmetic, once)
    value = int(u.largest.max(initial=0))
    if value >= arithmetic.state_limit:
        yield Problem(
            "SFX-E345",
            where,
            f"the current u can reach {value} within {timesteps} steps, but must stay below "
            f"2^{arithmetic.state_bits - 1}",
            "use a smaller exponent, or a faster decay of u",
        )


def current_bound(
    neuron: Leaky, a_in: Bound, timesteps: int, arithmetic: Arithmetic, once: Bound | None = None
) -> Bound:
    """Bound of the current u within one sample: u = tz(u * (4095 - du), 12) + (a_in << 6).

    (At decays of 12 bits.) Truncation toward zero only makes it smaller, so the plain recursion is
    an upper bound. `once` arrives besides, at one step of the sample, and never grows afterwards.
    """
    low = high = np.zeros_like(a_in.low)
    keep, bits = arithmetic.full_decay - neuron.du, arithmetic.decay_bits
    if (
        keep == arithmetic.decay_unity
    ):  # T times as much, beyond all registers long before their size
        steps, timesteps = min(timesteps, arithmetic.payload_limit), 0
        low, high = (steps * (end << INPUT_SHIFT) for end in (a_in.low, a_in.high))
    for _ in range(timesteps if keep else 1):
        last = low, high
        low = -((-low * keep) >> bits) + (a_in.low << INPUT_SHIFT)
        high = ((high * keep) >> bits) + (a_in.high << INPUT_SHIFT)
        if np.array_equal(low, last[0]) and np.array_equal(high, last[1]):
            break  # it grows no more
    if once is not None:
        low, high = low + (once.low << INPUT_SHIFT), high + (once.high << INPUT_SHIFT)
    return Bound(low, high)


def membrane_bound(
    neuron: Leaky, bias: IntArray, a_in: Bound, timesteps: int, arithmetic: Arithmetic
) -> Bound:
    """Bound of a membrane v that nothing resets within a sample: v = tz(v * (4096 - dv), 12) + u +
    bias, which saturates. bias broadcasts to the population's shape.

    (At decays of 12 bits.) u as in `current_bound`, all of a_in at every step.
    """
    keep_u, keep_v = arithmetic.full_decay - neuron.du, arithmetic.decay_unity - neuron.dv
    bits, flat, top = arithmetic.decay_bits, bias.reshape(-1), arithmetic.state_limit - 1

    def largest(a: IntArray, drive: IntArray) -> IntArray:
        u = v = np.zeros(np.broadcast_shapes(a.shape, drive.shape), np.int64)
        for _ in range(timesteps):
            last = u, v
            # a larger current than 2 top is a fault of its own (`currents_fit`)
            u = np.minimum(((u * keep_u) >> bits) + (a << INPUT_SHIFT), 2 * top)
            v = np.minimum(((v * keep_v) >> bits) + u + drive.clip(0), top)
            if np.array_equal(u, last[0]) and np.array_equal(v, last[1]):
                break
        return v

    return Bound(-largest(-a_in.low, -flat), largest(a_in.high, flat))
