"""The opaque op `sfx::lif_step`: one step of a neuron whose model loops over time itself.

The op takes the neuron's state and gives the next one back, or names its step by a call count
where the neuron keeps its state to itself. `sfx.frontends.tracing.ops_steps` folds the calls of
all steps into one node of the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from sfx.frontends.neurons.registry import LifSpec
from sfx.frontends.tracing.lif_op import LIBRARY, fake, numbered

NAME = "sfx::lif_step"


@dataclass(frozen=True, eq=False)
class Recurrent:
    """What a neuron's own spikes of the step before add to its input: W s[t-1] + b.

    weight  [N, N], or [C, C, kH, kW] with zero padding that keeps the size
    """

    weight: Tensor
    bias: Tensor | None = None


RECURRENT: WeakValueDictionary[int, Recurrent] = WeakValueDictionary()
"""Neuron number -> its recurrent connection, where it has one."""


def _shapes(x: Tensor, state: list[Tensor], neuron: int, step: int, rests: list[float]) -> Any:
    return [torch.empty_like(x) for _ in range(1 + len(rests))]


LIBRARY.define(
    "lif_step(Tensor x, Tensor[] state, int neuron, int step, float[] rests) -> Tensor[]"
)
LIBRARY.impl("lif_step", _shapes, "CompositeExplicitAutograd")  # traced, never run
fake(NAME)(_shapes)

_torch: Any = torch  # torch.ops ships without types


class OpaqueStep(nn.Module):
    """Takes a one-step neuron's place during a trace. Subclasses have its calling convention.

    rests  the value of each of its state variables at rest
    """

    def __init__(
        self, spec: LifSpec, rests: Sequence[float], recurrent: Recurrent | None = None
    ) -> None:
        super().__init__()
        self.spec = spec
        self.rests = [float(r) for r in rests]
        self.number = numbered(spec)
        self.recurrence = recurrent
        if recurrent is not None:
            RECURRENT[self.number] = recurrent
        self.calls = 0

    def step(self, x: Tensor, state: Sequence[Tensor] | None) -> list[Tensor]:
        """[spikes, *next state]. state None: that of this module's call before."""
        count, self.calls = self.calls, self.calls + 1
        given = [] if state is None else list(state)
        made = _torch.ops.sfx.lif_step(x, given, self.number, count, self.rests)
        return cast(list[Tensor], made)

    def reset(self) -> None:
        """Back to rest (SpikingJelly's functional.reset_net calls it)."""
        self.calls = 0


def input_layer(weights: Tensor | None) -> nn.Module | None:
    """The layer inside a neuron module that has input weights [N, I] of its own."""
    if weights is None:
        return None
    layer = nn.Linear(weights.shape[1], weights.shape[0], bias=False, dtype=weights.dtype)
    layer.weight = nn.Parameter(weights)
    return layer


class StateInStateOut(OpaqueStep):
    """`spikes, state = neuron(x, state)`: Norse's cells, with None for a state at rest.

    kind  the class of the state: a tuple with the neuron's variables
    """

    def __init__(
        self,
        spec: LifSpec,
        rests: Sequence[float],
        kind: Any,
        recurrent: Recurrent | None = None,
        weights: Tensor | None = None,
    ) -> None:
        super().__init__(spec, rests, recurrent)
        self.kind = kind
        self.input = input_layer(weights)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Spikes of one step, and the state after it."""
        x = x if self.input is None else self.input(x)
        if state is None:
            state = [torch.full_like(x, rest) for rest in self.rests]
        given = [state] if isinstance(state, Tensor) else list(state)
        spikes, *after = self.step(x, given)
        return spikes, self.kind(*after)
