"""The integer `Program`: populations and projections, the contract between compiler and backends.

Every number is an integer; no backend rescales. Rules of arithmetic: `ground/arith.py` and
the reference backend, which is their definition.

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
from typing import ClassVar

import numpy as np

from ..ground.arith import IntArray

Shape = tuple[int, ...]

# --- neuron programs ------------------------------------------------------------------------


# eq=False: those with arrays inherit it, and an inherited comparison of no fields is always true
@dataclass(frozen=True, eq=False)
class NeuronProgram:
    """What each neuron of a population computes at each hardware step."""

    ports: ClassVar[tuple[str, ...]] = ("a_in",)


@dataclass(frozen=True)
class Input(NeuronProgram):
    """Events from the host: 0/1 if `payload_bits` is 0, else counts up to 2^payload_bits - 1."""

    ports = ()
    payload_bits: int = 0


@dataclass(frozen=True)
class Clock(NeuronProgram):
    """One host-driven neuron: 1 at the last model step of every sample (t = T-1), else 0.

    It ticks from hardware step 0 on, also before its phase: at h where (h - phase) mod T = T-1.
    """

    ports = ()


@dataclass(frozen=True, eq=False)
class LIF(NeuronProgram):
    """Lava's LIF, LIFReset in fixed point (integer semantics 2.1).

    bias = bias_mant << bias_exp (>> -bias_exp if negative)
    u = wrap(trunc(u * (4096 - (du+1)) / 4096) + (a_in << 6))
    v = clip24(trunc(v * (4096 - dv) / 4096) + u + bias)
    s = v > (vth << 6);  v = 0 where s
    With `reset`, u = v = 0 before the update of each sample's first step.

    du -1..4095, dv 0..4095, vth 0..2^17-1; bias_mant: int64 array broadcastable to the
    population's shape, -4096..4095; bias_exp 0..7.
    """

    du: int
    dv: int
    vth: int
    bias_mant: IntArray = field(default_factory=lambda: np.zeros((), np.int64))
    bias_exp: int = 0
    reset: bool = True


@dataclass(frozen=True)
class Graded(NeuronProgram):
    """Lava's GradedVec: s = a if |a| > vth else 0."""

    vth: int = 0


@dataclass(frozen=True)
class GradedReLU(NeuronProgram):
    """Lava's GradedReluVec: s = a if a > vth else 0."""

    vth: int = 0


@dataclass(frozen=True)
class Product(NeuronProgram):
    """Lava's ProdNeuron: v = wrap32(a_in1 * a_in2) >> exp (floor); s = v if |v| > vth else 0."""

    ports = ("a_in1", "a_in2")
    exp: int = 0
    vth: int = 0


@dataclass(frozen=True)
class Population:
    """A named array of neurons that run one neuron program.

    low, high  every value it sends lies in [low, high]: proved by `ranges`, used for bounds
    phase      hardware step at which it computes model step 0; -1 until delays are balanced
    module     path of the module in the source model, "" for what the compiler added
    """

    name: str
    shape: Shape
    neuron: NeuronProgram
    low: int = 0
    high: int = 1
    phase: int = -1
    module: str = ""

    @property
    def size(self) -> int:
        """Number of neurons."""
        return prod(self.shape)

    @property
    def graded(self) -> bool:
        """True if its spikes carry a payload (values other than 0 and 1)."""
        return self.low < 0 or self.high > 1

    @property
    def stateful(self) -> bool:
        """True if u or v carry over from step to step (so that the sample reset matters)."""
        return isinstance(self.neuron, LIF) and self.neuron.reset


# --- connections ----------------------------------------------------------------------------


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


# eq=False: those with arrays inherit it, and an inherited comparison of no fields is always true
@dataclass(frozen=True, eq=False)
class Connection:
    """How the values of pre become input of post: an integer matrix, in structured form."""


@dataclass(frozen=True, eq=False)
class Dense(Connection):
    """a = W s, W [post.size, pre.size] (int64)."""

    weight: IntArray


@dataclass(frozen=True, eq=False)
class Sparse(Connection):
    """a = W s in compressed rows: indptr [post.size+1], indices and data [nnz], columns sorted."""

    indptr: IntArray
    indices: IntArray
    data: IntArray


@dataclass(frozen=True, eq=False)
class Conv2d(Connection):
    """PyTorch's cross-correlation. weight [O, I/groups, kH, kW]; in_shape (I, H, W), out_shape
    (O, H', W').

    A Linear on tokens is a 1x1 convolution over (C, N, 1); pooling has unit weights and groups = C.
    """

    weight: IntArray
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


@dataclass(frozen=True)
class Structured(Connection):
    """One weight on a 0/1 pattern of labelled axes: identity, transpose, broadcast and reduce.

    pre, post  axes (label, length) in C order; neuron i connects to j where all labels that both
               sides have agree. A label only in `post` broadcasts, one only in `pre` is summed.
    Example: k (n,h,i) onto coincidences (h,n,i,j); coincidences onto (h,i,j) sum over n.
    """

    pre: tuple[tuple[str, int], ...]
    post: tuple[tuple[str, int], ...]
    weight: int = 1


@dataclass(frozen=True)
class Projection:
    """All synapses from one population onto one port of another.

    a(port) += (connection(s_pre) << weight_exp); a negative exponent shifts the sum down (floor).
    pre_view, post_view  permutations before and after the connection (None: as it is)
    weight_exp  -8..7 on Loihi; shifts the sum
    lag         model steps: 0 feed-forward, 1 recurrent, -(T-1)..-1 of a population that speaks
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

    value = (sum over t of s[t] + offset) / scale, summed over a sample's T steps; argmax of the
    same sums is the prediction, so that it depends on integers only.
    """

    population: str
    scale: float
    offset: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Program:
    """Populations, in topological order of the lag-0 edges, and projections; T steps a sample."""

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    timesteps: int
    readout: Readout
    dt: float = 1e-3
    name: str = "model"
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
