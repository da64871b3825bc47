"""The opaque op `sfx::lif_step`: one step of a neuron whose model loops over time itself.

The op takes the neuron's state and gives the next one back, also where the module keeps it to
itself. `sfx.frontends.tracing.ops_steps` folds the calls of all steps into one node of the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from .lif_op import LIBRARY, fake
from .refusal import Refusal

NAME = "sfx::lif_step"


@dataclass(frozen=True, eq=False)
class Recurrent:
    """What a neuron's own spikes of the step before add to its input: W s[t-1] + b.

    weight  [N, N], or [C, C, kH, kW] with zero padding that keeps the size; or one number, or one
            per neuron, by which each neuron's own spike counts
    """

    weight: Tensor
    bias: Tensor | None = None


RECURRENT: WeakValueDictionary[int, Recurrent] = WeakValueDictionary()
"""Neuron number -> its recurrent connection, where it has one."""


def _shapes(x: Tensor, state: list[Tensor], neuron: int, rests: list[float]) -> list[Tensor]:
    return [torch.empty_like(x) for _ in range(1 + len(rests))]


def _refuse(x: Tensor, state: list[Tensor], neuron: int, rests: list[float]) -> list[Tensor]:
    raise Refusal(
        "SFX-E107",
        "a neuron's input does not depend on the model's input",
        "add what it computes to the layers behind it, as a bias",
    )


LIBRARY.define("lif_step(Tensor x, Tensor[] state, int neuron, float[] rests) -> Tensor[]")
LIBRARY.impl("lif_step", _refuse, "CompositeExplicitAutograd")  # run on constants only
fake(NAME)(_shapes)

_torch: Any = torch  # torch.ops ships without types


def one_step(
    x: Tensor, number: int, state: Sequence[Tensor], rests: Sequence[float]
) -> list[Tensor]:
    """[spikes of x, *next state] of a neuron whose state variables are `rests` at rest."""
    made = _torch.ops.sfx.lif_step(x, list(state), number, [float(r) for r in rests])
    return cast(list[Tensor], made)
