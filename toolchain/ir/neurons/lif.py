"""LIF: leaky integrate and fire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ...ground.arith import INPUT_SHIFT, IntArray
from ...ground.arithmetic import Arithmetic
from ...ground.errors import Problem
from ..bound import Bound, Ports
from .base import Width, constant
from .leaky import Leaky, current_bound


@dataclass(frozen=True, eq=False)
class LIF(Leaky):
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

    def constants(self, shape: tuple[int, ...], neuron: int) -> str:
        """With the bias and the threshold as they meet v."""
        return (
            f"LIF du = {self.du}, dv = {self.dv}, vth = {self.vth} "
            f"(fires above {self.vth << INPUT_SHIFT}), bias = {self.bias_at(shape, neuron)}"
        )

    def joint(self, inputs: int) -> bool:
        """Above a threshold, what one projection brings is taken not to be enough."""
        return inputs > 1 and self.vth > 0

    def widths(self, arithmetic: Arithmetic) -> tuple[Width, ...]:
        """A threshold of 17 bits on Loihi, besides decays and a bias."""
        return *super().widths(arithmetic), Width(
            "vth", self.vth, 0, arithmetic.threshold_limit - 1
        )

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
            yield from self.current_faults(where, a_in, steady["a_in"], timesteps, arithmetic)
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
