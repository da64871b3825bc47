"""MultiLevel: sends how many levels its input has passed, an integer neuron's graded spike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ...ground.arith import IntArray
from ...ground.arithmetic import Arithmetic
from ...ground.errors import Problem
from ..bound import Bound, Ports
from .base import NeuronProgram, Width, constant


@dataclass(frozen=True, eq=False)
class MultiLevel(NeuronProgram):
    """A staircase (integer semantics 2.4); Intel's library has no such process.

    v = a + bias
    s = (number of `up` with v > up) - (number of `down` with v < down)

    It keeps nothing. up: rising, from 0 on; down: falling, from 0 on; at least one in all. bias:
    int64 array, one number for all or of the population's shape.
    """

    colour = "#f2a541"

    up: tuple[int, ...]
    down: tuple[int, ...] = ()
    bias: IntArray = field(default_factory=lambda: np.zeros((), np.int64))

    @property
    def biased(self) -> bool:
        """Whether a bias may make it send where nothing arrives."""
        return bool(self.bias.any())

    @property
    def low(self) -> int:
        """The least that it sends."""
        return -len(self.down)

    @property
    def high(self) -> int:
        """The most that it sends."""
        return len(self.up)

    @property
    def step(self) -> float:
        """Mean distance of two levels; of a single one twice its distance from 0.

        Levels that are reached are a whole number lower than those that are passed, often every
        second one: so as many as there are an odd number of are looked at.
        """
        middles = self.middles
        if len(middles) == 1:
            return 2 * abs(middles[0])
        last = len(middles) - 1 - (len(middles) > 2 and len(middles) % 2 == 0)
        return (middles[last] - middles[0]) / last

    @property
    def middles(self) -> tuple[float, ...]:
        """Between the whole numbers at which what is sent changes, rising."""
        return (*sorted(d - 0.5 for d in self.down), *(u + 0.5 for u in self.up))

    def count(self, v: IntArray) -> IntArray:
        """What is sent at v."""
        above = np.searchsorted(np.array(self.up, np.int64), v, side="left")
        below = np.searchsorted(np.array([-d for d in self.down], np.int64), -v, side="left")
        found: IntArray = (above - below).astype(np.int64)
        return found

    def widths(self, arithmetic: Arithmetic) -> tuple[Width, ...]:
        """Levels are compared with a payload and its bias."""
        top = arithmetic.payload_limit - 1
        return (
            *(Width(f"up[{i}]", v, 0, top) for i, v in enumerate(self.up)),
            *(Width(f"down[{i}]", v, -top, 0) for i, v in enumerate(self.down)),
        )

    def faults(
        self, where: str, shape: tuple[int, ...], arithmetic: Arithmetic
    ) -> Iterator[Problem]:
        """Levels in order, and a bias of a payload's width for every neuron."""
        rising = (list(self.up), [-d for d in self.down])
        if any(v != sorted(set(v)) for v in rising) or not (self.up or self.down):
            yield Problem(
                "SFX-E342", where, "levels must rise (up) and fall (down), at least one in all"
            )
        most = int(np.abs(self.bias).max(initial=0))
        if most >= arithmetic.payload_limit:
            what = f"bias reaches {most}, but must stay below {arithmetic.payload_limit}"
            yield Problem("SFX-E342", where, what)
        if self.bias.shape not in ((), shape):
            yield Problem("SFX-E342", where, f"bias {self.bias.shape} is not of the shape {shape}")

    def sum_faults(
        self,
        where: str,
        shape: tuple[int, ...],
        ports: Ports,
        steady: Ports,
        timesteps: int,
        arithmetic: Arithmetic,
    ) -> Iterator[Problem]:
        """The input with its bias stays inside a payload."""
        a, bias = ports["a_in"], self.bias.reshape(-1)
        most = int(np.maximum(a.high + bias, -(a.low + bias)).max(initial=0))
        if most >= arithmetic.payload_limit:
            yield Problem(
                "SFX-E344",
                where,
                f"the input with its bias can reach {most}, but must stay below "
                f"2^{arithmetic.payload_bits - 1}",
                "use a smaller exponent",
            )

    def sends(self, ports: Ports) -> Bound:
        """From all levels below to all above."""
        return constant(self.low, self.high)

    def constants(self, shape: tuple[int, ...], neuron: int) -> str:
        """Its levels, less the neuron's bias."""
        bias = int(np.broadcast_to(self.bias, shape).reshape(-1)[neuron])
        return f"MultiLevel up = {list(self.up)}, down = {list(self.down)}, bias = {bias}"
