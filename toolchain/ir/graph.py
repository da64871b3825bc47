"""The float `Graph`: immutable nodes with explicit operands, shapes without batch and time.

A `Graph` is what the NIR file becomes inside the toolchain (`nir_bridge` is the one file that
knows both). Every node has ports; every port lists its producers, which are summed. Real weights
are float64 arrays, membrane constants are per model step.

Two forms share the class:

* **imported form**: any op below;
* **neuron form** (`compiler/passes`): no `BatchNorm`, `MaxPool2d`; `Product` only as a neuron
  with two operands; every path from one *neuron* (`NEURONS`) to the next passes views and at
  most one linear op, and never a bare `Sum`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Shape = tuple[int, ...]


# eq=False: those with arrays inherit it, and an inherited comparison of no fields is always true
@dataclass(frozen=True, eq=False)
class Op:
    """What a node computes. Fields are its constants; operands live in the node."""

    ports: ClassVar[tuple[str, ...]] = ("in",)
    neuron: ClassVar[bool] = False
    """True for ops that become a population: they hold state or a threshold, and send events."""


# --- ends -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Input(Op):
    """The sample's events at each step. `high` is the largest event count, if known (else 0)."""

    ports = ()
    neuron = True
    high: int = 0


@dataclass(frozen=True)
class Output(Op):
    """The deployed read-out: per step, real values; `reduce` says how steps become one result."""

    reduce: str = "mean"
    """`mean`, `sum` or `max` over the T steps of a sample, `weighted` (their sum with `weights`, of
    which the last step alone is one case), or `none` (the steps are the result)."""
    weights: tuple[float, ...] = ()


# --- linear ops -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Conv2d(Op):
    """y = W * x + b, PyTorch's cross-correlation. weight [O, I/groups, kH, kW], bias [O].

    A Linear on tokens is a 1x1 convolution over (C, N, 1); Conv1d has W = 1.
    In neuron form the bias may be [O, H, W] of the output: a constant that is added to a zero
    padded input does not reach a border, so its share is another there.
    """

    weight: FloatArray
    bias: FloatArray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def offset(self) -> FloatArray:
        """The bias as it is added to an output [O, H, W]."""
        return self.bias if self.bias.ndim == 3 else self.bias[:, None, None]


@dataclass(frozen=True, eq=False)
class Linear(Op):
    """y = W x + b on a 1-D input. weight [O, I], bias [O]."""

    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True, eq=False)
class BatchNorm(Op):
    """Batch norm at inference over axis 0: y = (x - mean) / sqrt(var + eps) * weight + bias.

    All arrays [C], where C is the length of axis `axis` of the operand.
    """

    weight: FloatArray
    bias: FloatArray
    mean: FloatArray
    var: FloatArray
    eps: float
    axis: int = 0


@dataclass(frozen=True)
class Scale(Op):
    """y = factor * x."""

    factor: float


@dataclass(frozen=True)
class SumPool2d(Op):
    """Sum over windows of (C, H, W), zero padded."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class MaxPool2d(Op):
    """Maximum over windows of (C, H, W), padded with minus infinity."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Sum(Op):
    """The sum of the port's producers, as a junction: a residual stream."""


@dataclass(frozen=True)
class ReduceSum(Op):
    """Sum over `axes` (removed)."""

    axes: tuple[int, ...]


@dataclass(frozen=True)
class Gather(Op):
    """Elements of one axis in a new order, some repeated or left out, or zeros: slices, padding.

    y[..., i, ...] = x[..., index[i], ...] on axis `axis`, 0 where index[i] is -1. A concatenation
    is a sum of values padded so that only one of them is not 0.
    """

    axis: int
    index: tuple[int, ...]

    @property
    def pads(self) -> bool:
        """Whether some of its values are always 0."""
        return -1 in self.index


# --- views: no arithmetic -------------------------------------------------------------------


@dataclass(frozen=True)
class Reshape(Op):
    """Same elements in C order, new shape (the node's)."""


@dataclass(frozen=True)
class Permute(Op):
    """Axes reordered: output axis i is input axis `order[i]`."""

    order: tuple[int, ...]


@dataclass(frozen=True)
class Expand(Op):
    """Broadcast of axes of length 1 to the node's shape."""


# --- neurons --------------------------------------------------------------------------------

FIRING = ("once", "many", "twice", "round", "signed")
"""How often a neuron fires in one step.

once   1 where v > threshold
many   n, the largest number with v > n * threshold, and a subtracting reset takes off n * drop
signed 1 where v > threshold, -1 where v < -threshold (a ternary spike); both are reset, and a
       subtracting reset takes off the spike times drop
round  n, the whole number next to v / threshold (the even one of two) in 0..most; the reset takes
       off n * threshold: an integer neuron (I-LIF, MultiSpike)
twice  as `once`, but where v is above the threshold after the last reset, it has to pass it by
       another drop: v > threshold + drop (a threshold tested both before and after the input)
"""


@dataclass(frozen=True)
class LIF(Op):
    """Leaky integrate and fire, with or without a synaptic current of its own (CUBA-LIF).

        i <- i + syn * (w_in * x - i)
        v <- v + decay * ((leak - v) + gain * i)           the new i
        spike when v > threshold;  v <- reset where it did, or v - drop with `subtract`

    v and i are float32 numbers, as in every framework: each step rounds them.
    decay = dt / tau_mem and syn = dt / tau_syn in (0, 1]; gain = R; leak, reset, start and
    threshold on the membrane's scale. syn = w_in = 1 is the plain LIF: i = x.
    start  v at the start of each sample; i starts at 0
    drop   what a subtracting reset takes off, 0: the threshold
    unit   integers per 1.0 of v that the source prescribes, 0: the quantizer chooses
    fires  one of `FIRING`
    hold   steps after a spike at which v is held at `reset`, whatever arrives; i goes on
    reached  fires on v >= threshold
    most   spikes of one step at the most with `fires` "many" (0: as many as fit) and "round"
    floor  v is at least this after the reset; None: no bound
    """

    neuron = True
    decay: float
    threshold: float
    gain: float = 1.0
    leak: float = 0.0
    reset: float = 0.0
    subtract: bool = False
    syn: float = 1.0
    w_in: float = 1.0
    start: float = 0.0
    drop: float = 0.0
    unit: float = 0.0
    fires: str = "once"
    hold: int = 0
    reached: bool = False
    most: int = 0
    floor: float | None = None

    @property
    def keeps_nothing(self) -> bool:
        """Whether it is an integer neuron (`stairs`) that is a function of its input alone."""
        alone = self.decay == self.gain == self.syn == self.w_in == 1.0 and self.leak == 0.0
        return alone and self.fires in ("round", "many", "signed")


@dataclass(frozen=True)
class IF(Op):
    """v <- v + gain * x (gain = R * dt); spike when v > threshold; v <- reset where it did.

    `subtract`, `start`, `drop`, `unit`, `fires`, `hold`, `reached`, `most` and `floor` as in `LIF`.
    """

    neuron = True
    threshold: float
    gain: float = 1.0
    reset: float = 0.0
    subtract: bool = False
    start: float = 0.0
    drop: float = 0.0
    unit: float = 0.0
    fires: str = "once"
    hold: int = 0
    reached: bool = False
    most: int = 0
    floor: float | None = None


@dataclass(frozen=True)
class LI(Op):
    """Leaky integrate: a membrane that never fires, whose v is sent. With or without a current.

        i <- i + syn * (w_in * x - i)
        v <- v + decay * ((leak - v) + gain * i)           the new i

    Constants as in `LIF`. v and i are float32 numbers. Without decay it is an `Integrator`.
    """

    neuron = True
    decay: float
    gain: float = 1.0
    leak: float = 0.0
    syn: float = 1.0
    w_in: float = 1.0
    start: float = 0.0


@dataclass(frozen=True)
class Delay(Op):
    """y[t] = x[t - steps], 0 before: a sample begins with nothing on the way.

    each  the steps of every element, in C order, where they differ; `steps` is the most of them
    """

    neuron = True
    steps: int
    each: tuple[int, ...] = ()

    def of(self, shape: Shape) -> NDArray[np.int64]:
        """The steps of each element [size]."""
        if self.each:
            return np.array(self.each, np.int64)
        return np.full(int(np.prod(shape, dtype=np.int64)), self.steps, np.int64)


@dataclass(frozen=True)
class Threshold(Op):
    """Stateless: spike when the summed input > threshold."""

    neuron = True
    threshold: float


@dataclass(frozen=True)
class Slot(Op):
    """Spike `number` of the integer neuron `of`: 1 where it sends more than `number`, from 0 on.

    Numbers below 0 are those of negative spikes, -1 of the first: 1 where it sends that or less.
    Only in neuron form. Stateless: x > level, or x >= level if `reached`, x as a float32 number
    (of a negative spike: -x, which a Scale before it makes).
    """

    neuron = True
    level: float
    reached: bool
    of: str
    number: int


@dataclass(frozen=True)
class Integrator(Op):
    """y[t] = y[t-1] + gain * x[t], from 0 at each sample's start (NIR's I with r * dt = gain)."""

    neuron = True
    gain: float = 1.0


@dataclass(frozen=True)
class TimeSum(Op):
    """y[t] = the sum over all T steps of the sample of x, the same at every t.

    Not causal: on the chip its readers wait for the last of the steps that are summed.

    group  0, or a divisor of T: the sum over the steps of t's own group of so many steps, the first
           of which begins with the sample (attention over chunks of steps)
    """

    neuron = True
    group: int = 0

    def span(self, timesteps: int) -> int:
        """How many steps are summed, in samples of T steps."""
        return self.group or timesteps


@dataclass(frozen=True, eq=False)
class TimeMap(Op):
    """Parallel spiking neurons (PSN): spike at step t where h[t] >= 0, with no membrane,

        h[t] = sum over s of weight[t, s] * x[s] + bias[t]

    over all T steps of the sample, the same for every neuron. h is a float32 number. Where a
    weight with s > t is not 0, it is not causal: its readers wait for step s.

    weight [T, T], bias [T]
    """

    neuron = True
    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True)
class Product(Op):
    """Elementwise product of two operands of the node's shape (order does not matter)."""

    ports = ("in1", "in2")
    neuron = True


@dataclass(frozen=True)
class Relay(Op):
    """Passes its summed input on as a graded spike. Only in neuron form.

    Whole numbers travel as they are, real values on a scale that the quantizer chooses.
    """

    neuron = True


@dataclass(frozen=True)
class ReLU(Op):
    """y = max(x, 0), stateless, sent as a graded spike. Only in neuron form."""

    neuron = True


VIEWS = (Reshape, Permute, Expand)
LINEAR = (Conv2d, Linear, SumPool2d, ReduceSum, Gather)


@dataclass(frozen=True)
class Part:
    """A neuron of the model of which a node is a part.

    whole    its name
    choices  the elements that the part has, one axis after the other: (axis, index) as in `Gather`
    """

    whole: str
    choices: tuple[tuple[int, tuple[int, ...]], ...] = ()

    def of(self, values: NDArray[Any], lead: int) -> NDArray[Any]:
        """What `values` of the whole neuron, behind `lead` axes, are here."""
        for axis, index in self.choices:
            values = np.take(values, index, axis=axis + lead)
        return values


@dataclass(frozen=True)
class Node:
    """One value of the graph.

    name    unique in the graph; the NIR node's name
    op      what it computes
    inputs  per port (in the order of `op.ports`) the names whose values are summed
    shape   of the output, without batch and time
    module  path of the module in the source model, "" where there is none
    part    the neuron that a pass took apart, where the node is a part of one
    """

    name: str
    op: Op
    inputs: tuple[tuple[str, ...], ...]
    shape: Shape
    module: str = ""
    part: Part | None = None

    @property
    def producers(self) -> tuple[str, ...]:
        """All producers over all ports."""
        return tuple(p for port in self.inputs for p in port)


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in topological order (recurrent edges point back), plus the time facts.

    timesteps  T, model steps of one sample
    dt         seconds of one model step
    """

    nodes: tuple[Node, ...]
    timesteps: int
    dt: float = 1e-3
    name: str = "model"
    _by_name: Mapping[str, Node] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {n.name: n for n in self.nodes})

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    @cached_property
    def consumers(self) -> Mapping[str, tuple[tuple[str, int], ...]]:
        """name -> ((consumer, port index), ...), in node order."""
        out: dict[str, list[tuple[str, int]]] = {n.name: [] for n in self.nodes}
        for node in self.nodes:
            for port, producers in enumerate(node.inputs):
                for p in producers:
                    out[p].append((node.name, port))
        return {k: tuple(v) for k, v in out.items()}

    def of_type(self, *kinds: type[Op]) -> list[Node]:
        """The nodes whose op is one of `kinds`."""
        return [n for n in self.nodes if isinstance(n.op, kinds)]

    def with_nodes(self, nodes: Iterable[Node]) -> Graph:
        """The same graph facts over other nodes, put into topological order."""
        return replace(self, nodes=topological(tuple(nodes)))


def unused(wish: str, taken: set[str]) -> str:
    """`wish`, with a number where it is taken; taken from now on."""
    name, i = wish, 1
    while name in taken:
        i += 1
        name = f"{wish}_{i}"
    taken.add(name)
    return name


def topological(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """`nodes` so that producers come first; stable; edges that close a loop stay backward."""
    by_name = {n.name: n for n in nodes}
    done: dict[str, bool] = {}
    order: list[Node] = []
    for root in nodes:
        stack: list[tuple[Node, Iterator[str]]] = []
        if root.name not in done:
            done[root.name] = False
            stack.append((root, iter(root.producers)))
        while stack:
            node, pending = stack[-1]
            for p in pending:
                if p in by_name and p not in done:
                    done[p] = False
                    stack.append((by_name[p], iter(by_name[p].producers)))
                    break
            else:
                done[node.name] = True
                order.append(node)
                stack.pop()
    return tuple(order)
