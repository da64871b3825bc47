"""A current u and a membrane v that decay: what LIF and LI share, and its bounds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...ground.arith import INPUT_SHIFT, IntArray, scale_exponent
from ...ground.arithmetic import Arithmetic
from ...ground.errors import Problem
from ..bound import Bound, difference
from .base import NeuronProgram, Width


class Leaky(NeuronProgram):
    """Neurons with a current and a membrane; LIF says how they decay.

    du -1..4095, dv 0..4095 at decays of 12 bits; bias_mant: int64 array broadcastable to the
    population's shape, -4096..4095; bias_exp 0..7.
    """

    state = ("u", "v")

    du: int
    dv: int
    bias_mant: IntArray
    bias_exp: int

    @property
    def biased(self) -> bool:
        """Whether a bias drives it."""
        return bool(self.bias.any())

    @property
    def bias(self) -> IntArray:
        """bias_mant << bias_exp, or >> -bias_exp (floor) if negative; shaped as bias_mant."""
        return scale_exponent(self.bias_mant, self.bias_exp)

    def bias_at(self, shape: tuple[int, ...], neuron: int) -> int:
        """That of one neuron, by its place in C order."""
        return int(np.broadcast_to(self.bias, shape).reshape(-1)[neuron])

    def input_limit(self, arithmetic: Arithmetic) -> int:
        """a_in << 6 stays inside the current: |a_in| below 2^17 at 24 bits (semantics 2.1)."""
        return arithmetic.input_limit

    def widths(self, arithmetic: Arithmetic) -> tuple[Width, ...]:
        """On Loihi decays of 12 bits, an exponent of 3."""
        return (
            Width("du", self.du, -1, arithmetic.full_decay),
            Width("dv", self.dv, 0, arithmetic.full_decay),
            Width("bias_exp", self.bias_exp, *arithmetic.bias_exp),
        )

    def faults(
        self, where: str, shape: tuple[int, ...], arithmetic: Arithmetic
    ) -> Iterator[Problem]:
        """bias_mant in -4096..4095 (13 bits), for every neuron of the population."""
        low, high = self.bias_mant.min(initial=0), self.bias_mant.max(initial=0)
        least, most = arithmetic.bias_range
        if low < least or high > most:
            what = f"bias_mant is in {low}..{high}, but must be in {least}..{most}"
            yield Problem("SFX-E342", where, what, "move a factor into bias_exp")
        try:
            fits = np.broadcast_shapes(self.bias_mant.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            what = f"bias_mant {self.bias_mant.shape} does not broadcast to {shape}"
            yield Problem("SFX-E342", where, what)

    def current_faults(
        self, where: str, a_in: Bound, steady: Bound, timesteps: int, arithmetic: Arithmetic
    ) -> Iterator[Problem]:
        """The current u stays below 2^23 (at 24 bits) in magnitude within a sample; each tick of a
        clock arrives once in a sample, everything else (`steady`) at every step.
        """
        once = difference(a_in, steady)
        u = current_bound(self, steady, timesteps, arithmetic, once)
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
    if keep == arithmetic.decay_unity:
        # T times as much: so many steps as a payload has values already leave every register
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
            # a larger current than 2 top is a fault of its own (`current_faults`)
            u = np.minimum(((u * keep_u) >> bits) + (a << INPUT_SHIFT), 2 * top)
            v = np.minimum(((v * keep_v) >> bits) + u + drive.clip(0), top)
            if np.array_equal(u, last[0]) and np.array_equal(v, last[1]):
                break
        return v

    return Bound(-largest(-a_in.low, -flat), largest(a_in.high, flat))
