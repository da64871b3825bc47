"""What the files of neuron programs and connections offer; none imports torch before it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...toolchain.ground.arith import IntArray
from ...toolchain.ground.arithmetic import Arithmetic
from ...toolchain.ir.program import Conv2d, Population
from .layout import Values

if TYPE_CHECKING:
    from torch import Tensor

Apply = Callable[[Values], Values]
"""[N, pre size] -> [N, post size] before exponent and wrap."""


class NeuronRule:
    """How a population is run: `Stateless`, `Leaky`, `Settling` or `Host`."""


@dataclass(frozen=True, eq=False)
class Sending:
    """Where neurons put what they send [B, S, n], and what is counted [S, n] (added to).

    ends  [blocks, 2]: least and greatest value sent by each block of neurons, zero included
    bias  [n] of neurons that have one
    """

    out: Values
    events: Values
    active: Values
    ends: Values
    bias: Values | None = None


class Resets(NamedTuple):
    """LIFReset comes before steps t with (t - first) mod every = 0."""

    first: int
    every: int


Steps = Callable[[Any, Mapping[str, Values], Sending], None]
"""(program, ports [B, S, n]) -> all steps of many lanes."""


@dataclass(frozen=True)
class Stateless(NeuronRule):
    """Neurons that keep nothing from step to step.

    on_device  (program, ports in torch) -> what is sent at one step
    small      ports may be int8 where that holds every sum
    """

    steps: Steps
    on_device: Callable[[Any, Mapping[str, Tensor]], Tensor]
    small: bool = False


@dataclass(frozen=True)
class Leaky(NeuronRule):
    """LIF neurons: u and v live in `plan` and `run`, which fuse them with convolutions.

    on_device  (program, a_in, (u, v), bias, widths) -> spikes, u, v after one step
    """

    on_device: Callable[
        [Any, Tensor, tuple[Tensor, Tensor], Tensor, Arithmetic], tuple[Tensor, Tensor, Tensor]
    ]


@dataclass(frozen=True)
class Settling(Leaky):
    """Neurons with u and v that send v and run by themselves, never in a loop.

    run  (program, ports [B, S, n], sending, resets, widths): all steps of many lanes
    """

    run: Callable[[Any, Mapping[str, Values], Sending, Resets, Arithmetic], None]


@dataclass(frozen=True)
class Host(NeuronRule):
    """The host drives them. encoded  (population, events [B, S, n]) -> what an input sends."""

    encoded: Callable[[Population, IntArray], Values] = lambda p, x: x


def plain(send: Callable[[Any, Mapping[str, Values]], Values]) -> Steps:
    """`steps` of a rule that numpy says in one expression: `send(program, ports as int64)`."""

    def steps(program: Any, ports: Mapping[str, Values], to: Sending) -> None:
        s = send(program, {name: a.astype(np.int64) for name, a in ports.items()})
        to.out[...] = s
        busy = np.any([a != 0 for a in ports.values()], axis=0)
        to.events[...] += np.count_nonzero(s, axis=0).astype(np.uint8)
        to.active[...] += np.count_nonzero(busy, axis=0).astype(np.uint8)
        to.ends[0] = s.min(initial=0), s.max(initial=0)

    return steps


@dataclass(frozen=True, eq=False)
class Setting:
    """What a connection on a device needs: sizes, an exact float type, the device of torch."""

    pre: int
    post: int
    kind: Any
    device: Any


@dataclass(frozen=True)
class ConnectionRule:
    """How a connection is computed; `weight` are the weights in use (effective weights).

    apply      (connection, weight, pre size, post size, type of the sums) -> its sums
    largest    (connection, weight, low, high): no partial sum of inputs low..high is larger
    on_device  (connection, weight, setting) -> sums [N, post] int64 of inputs [N, pre] in torch
    kernel     an exponent of 0 or more is the kernel's: weights are used as they are, and sums
               wrap at 24 bits (integer semantics 3.3)
    convolved  (connection, weight) -> the same as a convolution, if it can be one
    same       whether neuron i of post receives from neuron i of pre and no other
    columns    inputs under its kernel on a device, as a multiple of the inputs
    """

    apply: Callable[[Any, IntArray, int, int, Any], Apply]
    largest: Callable[[Any, IntArray, int, int], int]
    on_device: Callable[[Any, IntArray, Setting], Callable[[Tensor], Tensor]]
    kernel: bool = False
    convolved: Callable[[Any, IntArray], Conv2d | None] = lambda c, weight: None
    same: Callable[[Any], bool] = lambda c: False
    columns: Callable[[Any], int] = lambda c: 1


def largest_of(up: IntArray, down: IntArray, low: int, high: int) -> int:
    """The largest sum, if the positive weights of each row add up to `up`, the others to -down."""
    both = np.maximum(high * up - low * down, high * down - low * up)
    return int(both.max(initial=0))


def largest_of_rows(c: object, weight: IntArray, low: int, high: int) -> int:
    """The largest partial sum of rows of weights: zero is among the inputs."""
    flat = weight.reshape(len(weight), -1)
    up, down = (np.maximum(w, 0).sum(axis=1) for w in (flat, -flat))
    return largest_of(up, down, low, high)
