"""Extension nodes: what spiking transformers need and NIR 1.0 cannot express.

Each is a plain `nir.NIRNode` dataclass with its equation. Importing this module registers them,
after which `nir.read` reads files that hold them, type check included. All but `TimeSum`,
`GroupSum` and `TimeMap` are stateless and act on one time step; x is the sum of the in-edges, as in
every standard node, but for `Product`.

A matmul of two streams a [M, K] and b [K, N] is written as

    a -> Reshape (M, K, 1) -> Expand (M, K, N) -+
                                                +-> Product -> ReduceSum axis 1 -> [M, N]
    b -> Reshape (1, K, N) -> Expand (M, K, N) -+

which is exact, type-checks and takes no memory: the nodes hold shapes only.

NIR cannot hold some facts about a model at all: T, dt, how the read-out reduces the steps, a
subtracting reset. They go into the `metadata` dicts, through `facts` and `with_facts` only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import nir
import nir.ir
import numpy as np
from numpy.typing import NDArray

from ...ir.graph import LI, LIF
from ...ir.single import strict

FloatArray = NDArray[Any]
Ints = tuple[int, ...]
NodeT = TypeVar("NodeT", bound=nir.NIRNode)

FORMAT = 1
"""Version of the metadata keys; stored in the graph's metadata as `sfx`."""


def _ints(values: object, length: int | None = None) -> Ints:
    """A tuple of ints from what a field holds before or after a file (arrays, numpy scalars)."""
    out = tuple(int(v) for v in np.ravel(np.asarray(values)))
    if length is not None and len(out) == 1:
        out *= length
    if length is not None and len(out) != length:
        raise ValueError(f"expected {length} integers, got {out}")
    return out


def _types(node: Extension, input_shape: Ints, output_shape: Ints) -> None:
    node.input_type = {"input": np.array(input_shape, dtype=np.int64)}
    node.output_type = {"output": np.array(output_shape, dtype=np.int64)}


class Extension(nir.NIRNode):  # type: ignore[misc]  # nir ships no types
    """Base of the extension nodes: one input, one output, shapes known when it is built."""

    input_shape: Ints


@dataclass(eq=False)
class Product(Extension):
    r"""Elementwise product of ALL in-edges, which share one shape. Order does not matter.

    .. math::
        y(t) = \prod_i x_i(t)
    """

    input_shape: Ints

    def __post_init__(self) -> None:
        self.input_shape = _ints(self.input_shape)
        _types(self, self.input_shape, self.input_shape)


@dataclass(eq=False)
class TimeSum(Extension):
    r"""Sum over the T time steps of the sample, the same at every step: attention over time that is
    not causal (`nir.I` is the causal sum).

    .. math::
        y(t) = \sum_{s=0}^{T-1} x(s)
    """

    input_shape: Ints

    def __post_init__(self) -> None:
        self.input_shape = _ints(self.input_shape)
        _types(self, self.input_shape, self.input_shape)


@dataclass(eq=False)
class GroupSum(Extension):
    r"""Sum over the time steps of a group, the same at each of them: attention over chunks of
    `group` steps. Groups follow each other from a sample's first step on; `group` divides T.

    .. math::
        y(t) = \sum_{s = g \lfloor t/g \rfloor}^{g \lfloor t/g \rfloor + g - 1} x(s), \quad g =
        \text{group}
    """

    input_shape: Ints
    group: int

    def __post_init__(self) -> None:
        self.input_shape = _ints(self.input_shape)
        (self.group,) = _ints(self.group)
        if self.group < 1:
            raise ValueError(f"a group of {self.group} steps")
        _types(self, self.input_shape, self.input_shape)


@dataclass(eq=False)
class TimeMap(Extension):
    r"""Parallel spiking neurons (PSN): currents of all T time steps of the sample are weighed, and
    a neuron spikes where the sum reaches 0. It has no membrane.

    .. math::
        y(t) = \Theta\left(\sum_{s=0}^{T-1} w_{ts}\, x(s) + b_t\right), \quad \Theta(0) = 1

    weight [T, T], bias [T]
    """

    input_shape: Ints
    weight: FloatArray
    bias: FloatArray

    def __post_init__(self) -> None:
        self.input_shape = _ints(self.input_shape)
        self.weight, self.bias = np.asarray(self.weight), np.asarray(self.bias)
        steps = len(self.bias) if self.bias.ndim == 1 else 0
        if not steps or self.weight.shape != (steps, steps):
            raise ValueError(f"weight {self.weight.shape} and bias {self.bias.shape} of steps")
        _types(self, self.input_shape, self.input_shape)


@dataclass(eq=False)
class Expand(Extension):
    r"""Broadcast: axes of length 1 are repeated to the length in `output_shape`.

    .. math::
        y_{i_1 \dots i_n} = x_{j_1 \dots j_n}, \quad j_k = 0 \text{ if axis } k \text{ of x has
        length 1, else } i_k
    """

    input_shape: Ints
    output_shape: Ints

    def __post_init__(self) -> None:
        self.input_shape = _ints(self.input_shape)
        self.output_shape = _ints(self.output_shape)
        fits = len(self.input_shape) == len(self.output_shape) and all(
            a in (1, b) for a, b in zip(self.input_shape, self.output_shape, strict=True)
        )
        if not fits:
            raise ValueError(f"cannot expand {self.input_shape} to {self.output_shape}")
        _types(self, self.input_shape, self.output_shape)


@dataclass(eq=False)
class ReduceSum(Extension):
    r"""Sum over `axes`, which disappear.

    .. math::
        y = \sum_{i_a, a \in axes} x_{i_1 \dots i_n}
    """

    input_shape: Ints
    axes: Ints

    def __post_init__(self) -> None:
        self.input_shape = _ints(self.input_shape)
        self.axes = _ints(self.axes)
        if not set(self.axes) <= set(range(len(self.input_shape))):
            raise ValueError(f"no axes {self.axes} in {self.input_shape}")
        kept = tuple(n for i, n in enumerate(self.input_shape) if i not in self.axes)
        _types(self, self.input_shape, kept)


@dataclass(eq=False)
class Permute(Extension):
    r"""Axes reordered: output axis i is input axis `order[i]` (numpy's transpose)."""

    input_shape: Ints
    order: Ints

    def __post_init__(self) -> None:
        self.input_shape = _ints(self.input_shape)
        self.order = _ints(self.order)
        if sorted(self.order) != list(range(len(self.input_shape))):
            raise ValueError(f"{self.order} is not a permutation of the axes of {self.input_shape}")
        _types(self, self.input_shape, tuple(self.input_shape[i] for i in self.order))


@dataclass(eq=False)
class Reshape(Extension):
    r"""The same elements in C order under another shape."""

    input_shape: Ints
    output_shape: Ints

    def __post_init__(self) -> None:
        self.input_shape = _ints(self.input_shape)
        self.output_shape = _ints(self.output_shape)
        if math.prod(self.input_shape) != math.prod(self.output_shape):
            raise ValueError(f"cannot reshape {self.input_shape} to {self.output_shape}")
        _types(self, self.input_shape, self.output_shape)


@dataclass(eq=False)
class Gather(Extension):
    r"""Elements of one axis in a new order, some repeated or left out, or zeros where `index` is
    -1: slices, padding, upsampling. A concatenation is a sum of values that were padded so.

    .. math::
        y_{\dots i \dots} = x_{\dots \text{index}[i] \dots}, \quad 0 \text{ where index}[i] = -1
    """

    input_shape: Ints
    axis: int
    index: Ints

    def __post_init__(self) -> None:
        self.input_shape = _ints(self.input_shape)
        self.axis, self.index = int(self.axis), _ints(self.index)
        if not 0 <= self.axis < len(self.input_shape):
            raise ValueError(f"no axis {self.axis} in {self.input_shape}")
        length = self.input_shape[self.axis]
        if not self.index or not all(-1 <= i < length for i in self.index):
            raise ValueError(f"an index outside -1..{length - 1}, or none")
        made = [*self.input_shape]
        made[self.axis] = len(self.index)
        _types(self, self.input_shape, tuple(made))


@dataclass(eq=False)
class MaxPool2d(Extension):
    r"""Maximum over windows of (C, H, W), padded with minus infinity.

    .. math::
        y_{c,h,w} = \max_{a,b} x_{c,\ h s_h - p_h + a,\ w s_w - p_w + b}
    """

    input_shape: Ints
    kernel: Ints
    stride: Ints
    padding: Ints

    def __post_init__(self) -> None:
        self.input_shape = _ints(self.input_shape, 3)
        self.kernel = _ints(self.kernel, 2)
        self.stride = _ints(self.stride, 2)
        self.padding = _ints(self.padding, 2)
        plane = [
            (n + 2 * p - k) // s + 1
            for n, k, s, p in zip(
                self.input_shape[1:], self.kernel, self.stride, self.padding, strict=True
            )
        ]
        _types(self, self.input_shape, (self.input_shape[0], *plane))


@dataclass(eq=False)
class BatchNorm(Extension):
    r"""Batch norm at inference, per index c of `axis`; all arrays [C].

    .. math::
        y_c = \frac{x_c - \mu_c}{\sqrt{\sigma^2_c + \epsilon}} w_c + b_c
    """

    input_shape: Ints
    weight: FloatArray
    bias: FloatArray
    mean: FloatArray
    var: FloatArray
    eps: float
    axis: int = 0

    def __post_init__(self) -> None:
        self.input_shape = _ints(self.input_shape)
        self.eps, self.axis = float(self.eps), int(self.axis)
        if not 0 <= self.axis < len(self.input_shape):
            raise ValueError(f"no axis {self.axis} in {self.input_shape}")
        _types(self, self.input_shape, self.input_shape)


@dataclass(eq=False)
class GroupedConv2d(Extension):
    r"""PyTorch's 2-D cross-correlation, for what `nir.Conv2d` mis-types: groups > 1 (depthwise
    included) and kernels that are not square.

    weight [O, I/groups, kH, kW], bias [O]; stride, padding, dilation (vertical, horizontal).

    .. math::
        y_{o,h,w} = b_o + \sum_{i,a,b} W_{o,i,a,b}\ x_{g(o) I/G + i,\ h s_h - p_h + a d_h,\
        w s_w - p_w + b d_w}, \quad g(o) = \lfloor o G / O \rfloor
    """

    input_shape: Ints
    weight: FloatArray
    stride: Ints
    padding: Ints
    dilation: Ints
    groups: int
    bias: FloatArray

    def __post_init__(self) -> None:
        self.input_shape = _ints(self.input_shape, 3)
        self.stride = _ints(self.stride, 2)
        self.padding = _ints(self.padding, 2)
        self.dilation = _ints(self.dilation, 2)
        self.groups = int(self.groups)
        if self.weight.shape[1] * self.groups != self.input_shape[0]:
            raise ValueError(
                f"weight {self.weight.shape} with {self.groups} groups does not fit "
                f"{self.input_shape}"
            )
        plane = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                self.input_shape[1:],
                self.weight.shape[2:],
                self.stride,
                self.padding,
                self.dilation,
                strict=True,
            )
        ]
        _types(self, self.input_shape, (self.weight.shape[0], *plane))


@dataclass(eq=False)
class Integers(Extension):
    r"""A whole network whose integers are in the graph's metadata (`integers`), where no nodes say
    what it computes. Readers other than sfx cannot read it.
    """

    input_shape: Ints
    output_shape: Ints

    def __post_init__(self) -> None:
        self.input_shape = _ints(self.input_shape)
        self.output_shape = _ints(self.output_shape)
        _types(self, self.input_shape, self.output_shape)


EXTENSIONS: tuple[type[Extension], ...] = (
    Product,
    TimeSum,
    GroupSum,
    TimeMap,
    Expand,
    ReduceSum,
    Permute,
    Reshape,
    Gather,
    MaxPool2d,
    BatchNorm,
    GroupedConv2d,
    Integers,
)


def register() -> None:
    """Make `nir.read` accept the extension nodes. Idempotent.

    NIR has no official registration: its reader looks a type's name up in the list `__all_ir`
    and then among the globals of `nir.ir` (nir 1.0.8, nir/ir/__init__.py).
    """
    known = cast("list[str]", vars(nir.ir)["__all_ir"])
    for cls in EXTENSIONS:
        if cls.__name__ not in known:
            known.append(cls.__name__)
        setattr(nir.ir, cls.__name__, cls)


register()


# --- facts that NIR cannot hold -------------------------------------------------------------

FACTS: dict[str, tuple[str, type]] = {
    "sfx": ("graph: version of these keys", int),
    "timesteps": ("graph: T, model steps of one sample", int),
    "dt": ("graph: seconds of one model step", float),
    "name": ("graph: the model's name", str),
    "integers": ("graph: the Program whose float view it is, as JSON", str),
    "module": ("node: path of the module in the source model", str),
    "reduce": ("Output: 'mean', 'sum', 'max', 'weighted' or 'none' over the steps", str),
    "weights": ("Output: weights of the steps, blanks between them, where 'weighted'", str),
    "high": ("Input: the largest event count, 0 if unknown", int),
    "decay": ("LIF, LI: dt / tau to the bit, where rounding tau would lose it", float),
    "syn": ("CubaLIF, CubaLI: dt / tau_syn to the bit", float),
    "reset_mode": ("neuron: 'value' (NIR's rule) or 'subtract' (v <- v - v_threshold)", str),
    "start": ("neuron: v at the start of each sample, where it is not 0", float),
    "drop": ("neuron: what a subtracting reset takes off, where it is not v_threshold", float),
    "unit": ("neuron: integers per 1.0 of v, where the source prescribes them", float),
    "fires": ("neuron: 'many' times a step, 'round', 'signed' or 'twice' tested, not once", str),
    "hold": ("neuron: steps after a spike at which v stays at the reset, where not 0", int),
    "most": ("neuron: spikes of one step at the most, where it fires many times", int),
    "floor": ("neuron: v is at least this after the reset", float),
    "reached": ("neuron: 1 where v fires on the float64 number after v_threshold, too", int),
}
"""Every metadata key we write: (where it stands and what it means, its type)."""


def with_facts(node: NodeT, **values: int | float | str) -> NodeT:
    """`node`, its metadata extended by `values` (keys of FACTS)."""
    unknown = set(values) - set(FACTS)
    if unknown:
        raise KeyError(f"no such fact: {sorted(unknown)}")
    node.metadata = {**node.metadata, **values}
    return node


def facts(node: nir.NIRNode) -> dict[str, Any]:
    """The facts in a node's metadata, in their own types; foreign keys are left out.

    Raises ValueError if a fact is not of its type (a file may hold anything).
    """
    found: dict[str, Any] = {}
    for key in _keys(node.metadata):
        kind = FACTS[key][1]
        value = node.metadata[key]
        if isinstance(value, bytes):
            value = value.decode("utf8")
        value = value.item() if isinstance(value, np.generic) else value
        if kind is float and isinstance(value, int):
            value = float(value)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{key} is {value!r}, expected {kind.__name__}")
        found[key] = value
    return found


def _keys(metadata: object) -> Iterable[str]:
    return [k for k in metadata if k in FACTS] if isinstance(metadata, dict) else []


# --- standard nodes from the numbers of one model step --------------------------------------


def tau_for(decay: float, dt: float) -> float:
    """A time constant with dt / tau == decay in float64, if there is one among the neighbours.

    The file stores tau, the neuron uses decay; a rounding error would move exact ties.
    """
    tau = dt / decay
    candidates = [tau]
    for direction in (math.inf, -math.inf):
        step = tau
        for _ in range(4):
            step = math.nextafter(step, direction) if step else step
            candidates.append(step)
    exact = [c for c in candidates if c > 0 and dt / c == decay]
    return exact[0] if exact else tau


def lif_node(shape: Ints, lif: LIF, dt: float) -> nir.LIF | nir.IF | nir.CubaLIF:
    """The standard node for i <- i + syn (w_in x - i), v <- v + decay ((leak - v) + gain i).

    `nir.LIF` where the current has no state (syn = w_in = 1), else `nir.CubaLIF`; without decay,
    which is 0 here for a `graph.IF`, `nir.IF`: v <- v + gain x. What NIR cannot say stands in the
    metadata. Where v need only reach the threshold to fire, the node holds the next smaller number.
    """

    def full(value: float) -> FloatArray:
        return np.full(shape, value, dtype=np.float64)

    extra = _unsaid(lif)
    threshold = strict(lif.threshold) if lif.reached else lif.threshold
    if lif.decay == 0:
        r = full(lif.gain / dt)
        node = nir.IF(r=r, v_threshold=full(threshold), v_reset=full(lif.reset))
        return with_facts(node, **extra)
    if dt / tau_for(lif.decay, dt) != lif.decay:
        extra["decay"] = lif.decay
    membrane = {
        "r": full(lif.gain),
        "v_leak": full(lif.leak),
        "v_threshold": full(threshold),
        "v_reset": full(lif.reset),
    }
    tau = full(tau_for(lif.decay, dt))
    if lif.syn == 1.0 and lif.w_in == 1.0:
        return with_facts(nir.LIF(tau=tau, **membrane), **extra)
    if dt / tau_for(lif.syn, dt) != lif.syn:
        extra["syn"] = lif.syn
    tau_syn = full(tau_for(lif.syn, dt))
    cuba = nir.CubaLIF(tau_syn=tau_syn, tau_mem=tau, w_in=full(lif.w_in), **membrane)
    return with_facts(cuba, **extra)


def li_node(shape: Ints, li: LI, dt: float) -> nir.LI | nir.CubaLI:
    """As `lif_node`, of a membrane that never fires: `nir.LI`, with a current `nir.CubaLI`."""
    extra = {"start": li.start} if li.start else {}
    tau, tau_syn = tau_for(li.decay, dt), tau_for(li.syn, dt)
    if dt / tau != li.decay:
        extra["decay"] = li.decay
    r, leak, own = (np.full(shape, v, dtype=np.float64) for v in (li.gain, li.leak, tau))
    if li.syn == 1.0 and li.w_in == 1.0:
        return with_facts(nir.LI(tau=own, r=r, v_leak=leak), **extra)
    if dt / tau_syn != li.syn:
        extra["syn"] = li.syn
    syn, w_in = (np.full(shape, v, dtype=np.float64) for v in (tau_syn, li.w_in))
    cuba = nir.CubaLI(tau_syn=syn, tau_mem=own, r=r, v_leak=leak, w_in=w_in)
    return with_facts(cuba, **extra)


def _unsaid(lif: LIF) -> dict[str, float | str]:
    """What no standard node says of a neuron, for its metadata."""
    known = {"start": lif.start, "drop": lif.drop, "unit": lif.unit}
    extra: dict[str, float | str] = {k: v for k, v in known.items() if v}
    if lif.fires != "once":
        extra["fires"] = lif.fires
    if lif.hold:
        extra["hold"] = lif.hold
    if lif.most:
        extra["most"] = lif.most
    if lif.floor is not None:
        extra["floor"] = lif.floor
    if lif.reached:
        extra["reached"] = 1
    if lif.subtract:
        extra["reset_mode"] = "subtract"
    return extra


def integrator_node(shape: Ints, *, gain: float = 1.0, dt: float) -> nir.I:
    """`nir.I` with r = gain / dt: y[t] = y[t-1] + gain x[t], a causal sum over the steps."""
    return nir.I(r=np.full(shape, gain / dt, dtype=np.float64))


def junction(shape: Ints) -> nir.Scale:
    """A point where several edges add up: a `nir.Scale` of ones."""
    return nir.Scale(scale=np.ones(shape, dtype=np.float64))
