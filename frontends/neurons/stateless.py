"""Integer neurons read from their numbers; the stand-in of those without a state."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from torch import Tensor, nn

from ...toolchain.ground.errors import UnsupportedError
from .levels_op import counts
from .opaque import Method, Opaque, Run
from .spec import LifSpec

MOST = 200
"""Spikes of one step that a neuron may send (`toolchain.ir.stairs.MOST_LEVELS`)."""


def staircase(most: int, path: str) -> LifSpec:
    """round(clamp(x, 0, most)): no memory."""
    return rounding(1.0, 1.0, most, path)


def rounding(decay: float, threshold: float, most: int, path: str) -> LifSpec:
    """v <- (1 - decay) v + x; n = round(clamp(v / threshold, 0, most)); v <- v - n threshold.

    Raises UnsupportedError SFX-E105 for constants that make no neuron.
    """
    if not 1 <= most <= MOST or not 0 <= decay <= 1 or not threshold > 0:
        raise UnsupportedError(
            "SFX-E105",
            f"an integer neuron with at most {most} spikes a step, threshold {threshold:g} and a "
            f"decay of {decay:g}",
            where=path,
            hint=f"spikes 1..{MOST}, a threshold above 0, a decay in 0..1",
        )
    gain = 1.0 / decay if decay else 1.0
    return LifSpec(decay, threshold, gain, subtract=True, fires="round", most=most)


def ternary(decay: float, threshold: float, path: str, *, soft: bool, reached: bool) -> LifSpec:
    """v <- (1 - decay) v + x; 1 where v passes threshold, -1 where -v does; v <- 0 there, or
    v - s threshold if `soft`.

    Raises UnsupportedError SFX-E105 for constants that make no neuron.
    """
    if not 0 <= decay <= 1 or not threshold > 0:
        raise UnsupportedError(
            "SFX-E105",
            f"a ternary neuron with a threshold of {threshold:g} and a decay of {decay:g}",
            where=path,
            hint="a threshold above 0, a decay in 0..1",
        )
    gain = 1.0 / decay if decay else 1.0
    return LifSpec(decay, threshold, gain, subtract=soft, fires="signed", reached=reached)


class Stateless(Opaque):
    """`spikes = neuron(x)`, elementwise on any shape; each spike is worth 1 / norm.

    call  the module's own forward
    """

    def __init__(self, module: nn.Module, spec: LifSpec, norm: float = 1.0) -> None:
        super().__init__(module, spec)
        self.norm = norm
        self.unit = 1.0 / norm

    def methods(self) -> dict[str, Method]:
        """forward."""
        return {"forward": self._forward}

    def runs(self) -> dict[str, Run]:
        """forward, its spikes counted."""
        forward = cast(Callable[[Tensor], Tensor], self.module.forward)
        return {"forward": lambda x: forward(x) * self.norm}

    def _forward(self, x: Tensor) -> Tensor:
        sent = counts(x, self.number)
        return sent if self.norm == 1.0 else sent / self.norm
