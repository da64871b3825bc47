"""Parallel spiking neurons (Fang et al., NeurIPS 2023) as SpikingJelly 2 has them, in mode 'm'.

h = W x.flatten(1) + b over the steps, s = 1 where h >= 0     no membrane, no reset
PSN          W [T, T], b [T, 1]
MaskedPSN    W times (lambda * band of the last k steps + (1 - lambda))
SlidingPSN   the same k taps at every step, one b
"""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor

from ...toolchain.ground.errors import UnsupportedError
from .opaque import Method, Opaque, Run
from .spec import MapSpec


def spec(module: Any, kind: str, path: str) -> MapSpec:
    """The constants of a neuron of `kind`. Raises UnsupportedError SFX-E105 for mode 's'."""
    if getattr(module, "step_mode", "m") != "m":
        raise UnsupportedError(
            "SFX-E105",
            f"{kind} run step by step",
            where=path,
            hint="use step_mode='m': functional.set_step_mode(net, 'm')",
        )
    bias = tuple(_numbers(module.bias.reshape(-1)))
    if kind == "SlidingPSN":
        return MapSpec(1.0, 0.0, reached=True, bias=bias, taps=tuple(_numbers(module.weight)))
    weight = module.masked_weight() if kind == "MaskedPSN" else module.weight
    rows = tuple(tuple(_numbers(row)) for row in weight)
    return MapSpec(1.0, 0.0, reached=True, weight=rows, bias=bias)


def _numbers(values: Tensor) -> list[float]:
    return [float(v) for v in values.detach()]


class Parallel(Opaque):
    """`spikes = neuron(x)`, all steps at once."""

    def methods(self) -> dict[str, Method]:
        """forward."""
        return {"forward": self._forward}

    def runs(self) -> dict[str, Run]:
        """The module's own forward."""
        forward = self.module.forward

        def steps(x: Tensor) -> Tensor:
            self.reset()
            return cast(Tensor, forward(x))

        return {"forward": steps}

    def constants(self) -> list[Tensor]:
        """None of them is a neuron's own."""
        return []

    def reset(self) -> None:
        """What counts the steps of mode 's'."""
        if hasattr(self.module, "reset"):
            self.module.reset()

    def _forward(self, x: Tensor) -> Tensor:
        return self.over_time(x)[0]
