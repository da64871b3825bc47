"""The integer `Program`: populations and projections, the contract between compiler and backends.

Every number is an integer; no backend rescales. Rules of arithmetic: `ground/arith.py`, for its
own widths `ground/arithmetic.py`, and the reference backend, which is their definition. Each neuron
program is a file of `neurons`, each kind of connection one of `connection_kinds`; those that others
build are named here too.

Time. Model step tau = k*T + t (sample k, step t). A projection with `lag` L carries what its
pre emitted at model step tau - L into its post's step tau: 0 for feed-forward edges, 1 for
recurrent ones, less than 0 for what waits for later steps (a sample's total). On the chip a
population q computes model step tau at hardware step h = tau + phase(q), and a spike needs
`delay` >= 1 hardware steps to cross a projection, so a *balanced* Program has
delay = phase(post) - phase(pre) + lag for every projection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..ground.arith import IntArray
from ..ground.arithmetic import LOIHI, Arithmetic
from .connection_kinds.base import Connection
from .connection_kinds.conv2d import Conv2d
from .connection_kinds.dense import Dense
from .connection_kinds.sparse import Sparse
from .connection_kinds.structured import Structured
from .facts import Fact
from .measured import Measured
from .neurons.base import NeuronProgram
from .neurons.clock import Clock
from .neurons.delta import Delta
from .neurons.graded import Graded
from .neurons.graded_relu import GradedReLU
from .neurons.input import Input
from .neurons.li import LI
from .neurons.lif import LIF
from .neurons.multi_level import MultiLevel
from .neurons.product import Product
from .neurons.sigma import Sigma
from .neurons.sigma_delta import SigmaDelta

__all__ = [
    "LI",
    "LIF",
    "Clock",
    "Connection",
    "Conv2d",
    "Delta",
    "Dense",
    "Graded",
    "GradedReLU",
    "Input",
    "Measured",
    "MultiLevel",
    "NeuronProgram",
    "Population",
    "Product",
    "Program",
    "Projection",
    "Readout",
    "Shape",
    "Sigma",
    "SigmaDelta",
    "Sparse",
    "Structured",
    "View",
]

Shape = tuple[int, ...]
F = TypeVar("F", bound=Fact)


@dataclass(frozen=True)
class Population:
    """A named array of neurons that run one neuron program.

    low, high  every value it sends lies in [low, high]: proved by `ranges`, used for bounds
    phase      hardware step at which it computes model step 0; -1 until delays are balanced
    module     path of the module in the source model, "" for what the compiler added
    measured   its range was seen on data instead: values outside of it are counted at run time
    """

    name: str
    shape: Shape
    neuron: NeuronProgram
    low: int = 0
    high: int = 1
    phase: int = -1
    module: str = ""
    measured: Measured | None = None

    @property
    def counted(self) -> bool:
        """True if its range is not proved: values outside of it are counted at run time."""
        return self.measured is not None or self.neuron.unproved

    @property
    def size(self) -> int:
        """Number of neurons."""
        return prod(self.shape)

    @property
    def graded(self) -> bool:
        """True if its spikes carry a payload (values other than 0 and 1)."""
        return self.low < 0 or self.high > 1

    def left(self, sent: IntArray) -> int:
        """How many of these values lie outside of its range."""
        return int(np.count_nonzero((sent < self.low) | (sent > self.high)))

    @property
    def stateful(self) -> bool:
        """True if u or v carry over from step to step (so that the sample reset matters)."""
        return self.neuron.keeps_state


@dataclass(frozen=True)
class View:
    """A permutation of neurons: x.reshape(split).transpose(order), then C order again."""

    split: Shape
    order: tuple[int, ...]

    def apply(self, x: IntArray, lead: int = 0) -> IntArray:
        """Permute the trailing axes of x [*lead axes, ...] and flatten them: [*lead, n]."""
        head = x.shape[:lead]
        order = tuple(range(lead)) + tuple(lead + o for o in self.order)
        return x.reshape(*head, *self.split).transpose(order).reshape(*head, -1)

    def faults(self, size: int) -> Iterator[str]:
        """What keeps it from being a permutation of `size` neurons."""
        if prod(self.split) != size or min(self.split, default=1) < 1:
            yield f"view splits into {self.split}, but there are {size} neurons"
        if sorted(self.order) != list(range(len(self.split))):
            yield f"view order {self.order} is not a permutation of {len(self.split)} axes"


@dataclass(frozen=True)
class Projection:
    """All synapses from one population onto one port of another.

    a(port) += (connection(s_pre) << weight_exp); a negative exponent shifts the sum down (floor).
    pre_view, post_view  permutations before and after the connection (None: as it is)
    weight_exp  -8..7 on Loihi; shifts the sum
    lag         model steps: 0 feed-forward, 1 recurrent, -(T-1)..-1 of a population that sends
                only at a sample's last step
    delay       hardware steps >= 1; 0 until delays are balanced
    """

    name: str
    pre: str
    post: str
    connection: Connection
    port: str = "a_in"
    weight_exp: int = 0
    lag: int = 0
    delay: int = 0
    pre_view: View | None = None
    post_view: View | None = None


@dataclass(frozen=True)
class Readout:
    """How the host turns the output population's graded spikes into real values.

    value = (sum over t of w[t] * s[t] + offset) / scale, summed over a sample's T steps; with
    `largest` (max over t of s[t] + offset) / scale. argmax of the same sums is the prediction, so
    that it depends on integers only.

    weights  w, one for each step; none: all are 1
    """

    population: str
    scale: float
    offset: tuple[int, ...]
    weights: tuple[int, ...] = ()
    largest: bool = False

    def reduced(self, sent: NDArray[Any]) -> NDArray[Any]:
        """What the steps of `sent` [K, T, n] make together, without the offset [K, n]."""
        wide = sent.astype(np.result_type(sent.dtype, np.int64))
        if self.largest:
            most: NDArray[Any] = wide.max(axis=1)
            return most
        if not self.weights:
            total: NDArray[Any] = wide.sum(axis=1)
            return total
        weighed: NDArray[Any] = np.einsum("ktn,t->kn", wide, np.array(self.weights, np.int64))
        return weighed

    def sums(self, sent: IntArray) -> IntArray:
        """The same with the offset."""
        return self.reduced(sent).astype(np.int64) + np.asarray(self.offset, np.int64)


@dataclass(frozen=True, eq=False)
class Program:
    """Populations, in topological order of the lag-0 edges, and projections; T steps a sample.

    facts       what the compiler knows of it, or None where nobody has said (`find_facts` looks)
    arithmetic  the widths that it is computed with, its target's; Loihi's are not written down
    """

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    timesteps: int
    readout: Readout
    dt: float = 1e-3
    name: str = "model"
    facts: tuple[Fact, ...] | None = None
    arithmetic: Arithmetic = LOIHI
    _pops: Mapping[str, Population] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pops", {p.name: p for p in self.populations})

    def __getitem__(self, name: str) -> Population:
        return self._pops[name]

    def __iter__(self) -> Iterator[Population]:
        return iter(self.populations)

    @cached_property
    def incoming(self) -> Mapping[str, tuple[Projection, ...]]:
        """Population name -> its incoming projections, in program order."""
        out: dict[str, list[Projection]] = {p.name: [] for p in self.populations}
        for j in self.projections:
            out[j.post].append(j)
        return {k: tuple(v) for k, v in out.items()}

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[Projection, ...]]:
        """Population name -> its outgoing projections, in program order."""
        out: dict[str, list[Projection]] = {p.name: [] for p in self.populations}
        for j in self.projections:
            out[j.pre].append(j)
        return {k: tuple(v) for k, v in out.items()}

    def known(self, kind: type[F]) -> tuple[F, ...]:
        """The facts of one kind."""
        return tuple(f for f in self.facts or () if isinstance(f, kind))

    @property
    def apart(self) -> bool:
        """True if each sample is run by itself: only the host can clear what neurons keep."""
        return any(p.neuron.host_reset for p in self.populations)

    @property
    def input(self) -> Population:
        """The one population that the sample's events enter."""
        return next(p for p in self.populations if isinstance(p.neuron, Input))

    @property
    def depth(self) -> int:
        """Phase of the output: the hardware steps by which the result trails the input."""
        return self[self.readout.population].phase

    @property
    def last_phase(self) -> int:
        """The largest phase: a stream of K samples takes K*T + last_phase hardware steps."""
        return max(p.phase for p in self.populations)
