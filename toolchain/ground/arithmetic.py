"""The widths that a target computes with, and the integer rules that depend on them.

A target makes its `Arithmetic` from its limits (`Target.arithmetic`), a Program carries it, and
whoever rounds, checks, bounds or simulates a Program asks the Program's own. Without another word
it is Loihi 2's, as Lava computes it (`LOIHI`). Rules without a width are in `arith.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from .arith import INPUT_SHIFT, IntArray, SignMode, as_int, sign_mode, truncate_shift

MAKES_ANOTHER = ("state_bits", "decay_bits")
"""Widths that change what a step computes; the others only say which numbers it may hold."""

RANGES: dict[str, tuple[int, int]] = {
    "weight_bits": (2, 8),
    "weight_exp": (-16, 15),
    "state_bits": (10, 30),
    "decay_bits": (7, 15),
    "threshold_bits": (4, 24),
    "bias_bits": (8, 22),
    "bias_exp": (0, 15),
    "payload_bits": (2, 32),
}
"""Least and greatest of each width that sfx computes with: sums and states stay inside the 32 and
64 bits of the backends' containers, products of a decay inside 64, and a helper neuron's bias of 64
is a mantissa, of which a stateless decay leaves nothing (decay_bits of 7 at least)."""
MOST_BIAS = 30
"""A bias, its exponent applied, stays below 2**30: it is added in containers of 32 bits."""


@dataclass(frozen=True)
class Arithmetic:
    """Widths in bits, exponents as powers of two. Defaults: lava-nc 0.10.0 with `fixed_pt`.

    weight_bits     of a mantissa whose projection has one sign, which is then kept once; where
                    signs mix, mantissas take one bit more, and the lowest is lost (always 0)
    weight_exp      least and greatest exponent that the weights of a projection share
    state_bits      signed, of the current u, which wraps, and the membrane v, which saturates
    decay_bits      unsigned, of du and dv: fractions of 2**decay_bits
    threshold_bits  unsigned, of vth, in units of a synaptic input (it enters shifted left by 6)
    bias_bits       signed, of bias_mant, in units of v before its exponent
    bias_exp        least and greatest exponent of a bias, not negative
    payload_bits    signed, of what a graded spike carries

    Sources of another target's widths stand in its TOML file, beside each limit.
    """

    weight_bits: int = 8
    weight_exp: tuple[int, int] = (-8, 7)
    state_bits: int = 24
    decay_bits: int = 12
    threshold_bits: int = 17
    bias_bits: int = 13
    bias_exp: tuple[int, int] = (0, 7)
    payload_bits: int = 24

    def __post_init__(self) -> None:
        """Raise ValueError for widths outside `RANGES`."""
        for name, (least, most) in RANGES.items():
            width = getattr(self, name)
            low, high = width if isinstance(width, tuple) else (width, width)
            if not least <= low <= high <= most:
                raise ValueError(f"{name} is {_text(width)}, sfx computes with {least}..{most}")
        if self.bias_bits - 1 + self.bias_exp[1] > MOST_BIAS:
            raise ValueError(f"a bias can exceed 2**{MOST_BIAS}")
        if not self.weight_exp[0] <= 0 <= self.weight_exp[1]:
            raise ValueError("weight_exp does not include 0")

    # --- limits that follow from the widths ---

    @property
    def state_limit(self) -> int:
        """2**23 at 24 bits: u wraps beyond it, v saturates just below it."""
        return 1 << (self.state_bits - 1)

    @property
    def input_limit(self) -> int:
        """2**17 at 24 bits: |a_in| stays below, so that a_in << 6 stays inside u."""
        return self.state_limit >> INPUT_SHIFT

    @property
    def decay_unity(self) -> int:
        """Decays are fractions of it."""
        return 1 << self.decay_bits

    @property
    def full_decay(self) -> int:
        """The largest du and dv. As du nothing is left of u, as dv the part 1 / decay_unity of v;
        both together make a LIF stateless where |v| stays below decay_unity.
        """
        return self.decay_unity - 1

    @property
    def threshold_limit(self) -> int:
        """vth stays below it: 2**17 at 17 bits."""
        return 1 << self.threshold_bits

    @property
    def reached_threshold(self) -> int:
        """A threshold that v can pass stays below it: the register's limit or the membrane's."""
        return min(self.threshold_limit, self.input_limit)

    @property
    def bias_range(self) -> tuple[int, int]:
        """Least and greatest bias mantissa."""
        half = 1 << (self.bias_bits - 1)
        return -half, half - 1

    @property
    def largest_bias(self) -> int:
        """The largest bias of both signs, its exponent applied."""
        return self.bias_range[1] << self.bias_exp[1]

    @property
    def payload_limit(self) -> int:
        """The magnitude of a graded spike stays below it: 2**23 at 24 bits."""
        return 1 << (self.payload_bits - 1)

    @property
    def sum_bits(self) -> int:
        """Signed, of the sum of a Conv2d, which wraps: as wide as the widest that receives it."""
        return max(self.state_bits, self.payload_bits)

    @property
    def weight_limit(self) -> int:
        """2**8 at 8 bits: mantissas of one sign stay below, those of two signs reach -2**8."""
        return 1 << self.weight_bits

    # --- rules ---

    def decayed(self, x: IntArray, factor: int | IntArray) -> IntArray:
        """One step of decay: sign(x) * (|x * factor| >> decay_bits), a fraction of decay_unity."""
        return truncate_shift(x * factor, self.decay_bits)

    def wrap_current(self, u: IntArray) -> IntArray:
        """The one wrap that Lava gives the current u.

        At 24 bits: if u > 2^23: u -= 2^24; if u <= -2^23: u += 2^24. A current more than one turn
        outside stays outside (loihi LIF model, `subthr_dynamics`).
        """
        limit, turn = self.state_limit, 2 * self.state_limit
        return np.where(u > limit, u - turn, np.where(u <= -limit, u + turn, u))

    def saturate_membrane(self, v: IntArray) -> IntArray:
        """At 24 bits: clip(v, -(2^23 - 1), 2^23 - 1)."""
        return np.clip(v, -(self.state_limit - 1), self.state_limit - 1)

    def effective_weights(
        self, weights: IntArray, bits: int | None = None, mode: SignMode | None = None
    ) -> IntArray:
        """The weights that a Dense or Sparse connection really uses: clipped, then truncated.

        With n = weight_bits, and the upper `bits` of them in use (default: all n):
        mixed       clip to [-2^n, 2^n - 1], then drop k = n + 1 - bits low bits (floor)
        excitatory  clip to [0, 2^n - 1], k = n - bits
        inhibitory  as excitatory on -w
        So 8-bit mixed weights are even, -256..254 (Lava `clip_weights`, `truncate_weights`).
        """
        mode = mode or sign_mode(weights)
        k = self.weight_bits - (self.weight_bits if bits is None else bits)
        top = self.weight_limit - 1
        if mode == "mixed":
            return (np.clip(weights, -self.weight_limit, top) >> (k + 1)) << (k + 1)
        sign = 1 if mode == "excitatory" else -1
        return sign * ((np.clip(sign * weights, 0, top) >> k) << k)

    def mantissa_bits(self, weights: IntArray) -> int:
        """The fewest bits (at least 1) at which a Dense or Sparse connection keeps every weight."""
        whole = as_int(weights)
        fewer = range(1, self.weight_bits)
        kept = (b for b in fewer if np.array_equal(self.effective_weights(whole, b), whole))
        return next(kept, self.weight_bits)

    # --- two arithmetics ---

    def computes_otherwise(self, other: Arithmetic) -> list[str]:
        """The widths that make a step of the same integers another one in `other`; [] if none."""
        return [
            _unlike(name, getattr(self, name), getattr(other, name))
            for name in MAKES_ANOTHER
            if getattr(self, name) != getattr(other, name)
        ]

    def beyond(self, other: Arithmetic) -> list[str]:
        """What keeps numbers of this arithmetic from being the same in `other`; [] if nothing.

        State and decay must be equal, everything else must fit: numbers that do are added and
        compared alike.
        """
        found = self.computes_otherwise(other)
        for name in (f.name for f in fields(self) if f.name not in MAKES_ANOTHER):
            mine, theirs = getattr(self, name), getattr(other, name)
            pair = isinstance(mine, tuple)
            fits = theirs[0] <= mine[0] and mine[1] <= theirs[1] if pair else mine <= theirs
            if not fits:
                found.append(_unlike(name, mine, theirs))
        return found


def _unlike(name: str, mine: int | tuple[int, int], theirs: int | tuple[int, int]) -> str:
    return f"{name} {_text(mine)}, not {_text(theirs)}"


def _text(width: int | tuple[int, int]) -> str:
    return f"{width[0]}..{width[1]}" if isinstance(width, tuple) else str(width)


LOIHI = Arithmetic()
"""Loihi 2's, as Lava computes it; Loihi 1's differs in nothing that a Program can say."""
