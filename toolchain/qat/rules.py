"""What the files of neuron programs and connections offer to fine-tuning: torch, with gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..ground.arithmetic import Arithmetic
from ..ir.kinds import Refused
from ..ir.program import LI, LIF, Population

State = tuple[Tensor, Tensor]
"""u and v [B, size]."""
NO_RULE = Refused(
    "SFX-E360",
    "it has no torch rule",
    "compile the float model with `sfx compile`; fine-tuning it is not possible yet",
)


@dataclass(frozen=True)
class Moving:
    """A neuron of this moment, and its numbers with their gradients; None: it is fixed.

    threshold       as of `neuron` []
    keep_v, keep_u  share of v and u that stays at a step []
    """

    neuron: LIF | LI
    threshold: Tensor | None = None
    keep_v: Tensor | None = None
    keep_u: Tensor | None = None


@dataclass(frozen=True)
class Context:
    """bias  of a LIF as trained [size];  widths  of the Program's numbers;  moving  the neuron of
    this moment, where its threshold or leak is trained.
    """

    bias: Callable[[], Tensor]
    widths: Arithmetic
    moving: Moving | None = None


class NeuronRule:
    """How a population is computed: `Cell` or `Host`."""


@dataclass(frozen=True)
class Cell(NeuronRule):
    """Neurons that compute.

    sends  (population, ports [T, B, size], context, state before or None) -> what is sent
           [T, B, size], and the state after the last step
    """

    sends: Callable[
        [Population, Mapping[str, Tensor], Context, State | None],
        tuple[Tensor, State | None],
    ]


@dataclass(frozen=True)
class Host(NeuronRule):
    """Neurons that the host drives: (population, events x [T, B, size]) -> what is sent."""

    sends: Callable[[Population, Tensor], Tensor]


@dataclass(frozen=True)
class ConnectionRule:
    """How a connection is computed, exact on whole numbers in floats.

    apply        (connection, size of post) -> (x [N, pre], weights) -> [N, post]
    largest_sum  (connection, the largest weight that training can give it, or None if it is not
                 trained) -> of inputs of at most 1
    """

    apply: Callable[[Any, int], Callable[[Tensor, Tensor], Tensor]]
    largest_sum: Callable[[Any, int | None], float]
