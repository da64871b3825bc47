"""The state of one quantization, and how wires become projections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....ground.arith import IntArray, scale_exponent
from ....ground.arithmetic import LOIHI, Arithmetic
from ....ir import graph as g
from ....ir import program as p
from ....ir.connections import matrix, value_bounds
from ....ir.facts import Fact
from ....ir.float_ops import apply
from ....ir.matched import Silence
from ....ir.ranges import Range
from ....ir.record import LayerRecord
from ....ir.wires import Wire, target_size
from ..options import Options
from .mantissas import Mantissas, WeightBits
from .matched import silence
from .origins import Notes, times
from .values import Values, array, structured


@dataclass(frozen=True, eq=False)
class Stream:
    """A relay of real values: real = sent / scale + bias (bias [n], constant over the steps).

    The bias never travels: every reader adds it to its own.
    """

    scale: float
    bias: g.FloatArray


@dataclass(eq=False)
class QuantizerState:
    """Everything the quantizer has decided so far. Lives for one call of `quantize`."""

    graph: g.Graph
    classes: dict[str, Range]
    """Values that each node sends, whole numbers for what is quantized already."""
    lead: tuple[int, int] | None
    """(K, T) of the calibration data; None without data."""
    real: dict[str, NDArray[Any]]
    """Float outputs on the data [K, T, *shape], of the nodes that round or start real values."""
    sent: dict[str, Values] = field(default_factory=dict)
    """Integer outputs of the quantized populations on the same data [K, T, n]."""
    ideal: dict[str, Values] = field(default_factory=dict)
    """The same of populations of whole numbers, if everything before them were not rounded."""
    options: Options = field(default_factory=Options)
    """With no more bits of a weight than the arithmetic has (`Options.within`)."""
    arithmetic: Arithmetic = LOIHI
    """The target's widths."""
    measuring: bool = False
    """Ranges of states may come from the calibration data."""
    streams: dict[str, Stream] = field(default_factory=dict)
    populations: list[p.Population] = field(default_factory=list)
    projections: list[p.Projection] = field(default_factory=list)
    records: list[LayerRecord] = field(default_factory=list)
    silent: list[Silence] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    """What belongs together of what is built, for those who read the Program."""
    notes: Notes = field(init=False)
    """Which layers the projections carry, for those who train them on."""
    names: Counter[str] = field(default_factory=Counter)
    """How many of the first `counted` projections have a name, or the name before a '#'."""
    counted: int = 0

    def __post_init__(self) -> None:
        self.notes = Notes(self.graph)

    def named(self, base: str) -> int:
        """Projections called `base` or `base#...`; every projection is looked at once."""
        for j in self.projections[self.counted :]:
            self.names.update([j.name, *(j.name[:i] for i, c in enumerate(j.name) if c == "#")])
        self.counted = len(self.projections)
        return self.names[base]

    def size(self, name: str) -> int:
        """Neurons of a node."""
        return target_size(self.graph[name])

    def bits_of(self, node: g.Node) -> WeightBits:
        """Bits of the weights into a population, and those of a synapse."""
        return WeightBits(self.options.bits_of(node), self.arithmetic.weight_bits)

    @property
    def every_bit(self) -> WeightBits:
        """All bits of a synapse."""
        return WeightBits(self.arithmetic.weight_bits, self.arithmetic.weight_bits)

    def zeros(self, node: g.Node) -> IntArray:
        """An empty sum of inputs for a population on the calibration data [K, T, n]."""
        assert self.lead is not None
        return np.zeros((*self.lead, target_size(node)), np.int64)

    def target(self, name: str) -> NDArray[Any] | None:
        """The float model's own output of a node [K, T, n]; None without data."""
        return None if self.lead is None else self.real[name].reshape(*self.lead, -1)

    def as_sent(self, name: str) -> Values:
        """The float model's own output of a node, in the integers the population would send."""
        if name in self.ideal:
            return self.ideal[name]
        values = self.target(name)
        assert values is not None
        stream = self.streams.get(name)
        if stream is not None:
            values = (values - stream.bias) * stream.scale
        elif values.dtype == np.uint8:
            return values
        whole: IntArray = np.rint(values).astype(np.int64)
        return whole

    def listen(self, name: str, target: Values, sent: Values) -> None:
        """Note a spiking population that never fires, in the float model or in integers."""
        found = silence(name, target, sent)
        if found is not None:
            self.silent.append(found)

    def forget(self, names: Sequence[str]) -> None:
        """Drop the calibration values of populations that nothing reads any more."""
        for name in names:
            for values in (self.real, self.sent, self.ideal):
                values.pop(name, None)


def projection(
    state: QuantizerState, wire: Wire, node: g.Node, port: str, weight: IntArray, exponent: int = 0
) -> p.Projection:
    """The projection of one wire with integer weights; a count keeps its name unique."""
    base = f"{wire.source}->{node.name}" + ("" if port == "a_in" else f":{port}")
    same = state.named(base)
    name = base if not same else f"{base}#{same}"
    bare = p.Projection(name, wire.source, node.name, p.Structured((), ()), port)
    return with_weights(bare, wire, weight, exponent)


def with_weights(
    bare: p.Projection, wire: Wire, weight: IntArray | g.FloatArray, exponent: int
) -> p.Projection:
    """`bare` with the wire's connection, carrying `weight`."""
    layer = wire.layer
    connection: p.Connection
    if layer is None:
        assert wire.axes is not None
        connection = wire.axes.structured(weight.ravel()[0])
    elif isinstance(layer, g.Gather):
        connection = _selection(layer, wire.in_shape, weight.ravel()[0])
    elif isinstance(layer, g.Linear):
        connection = p.Dense(weight)  # type: ignore[arg-type]  # real weights: bias of a stream
    else:
        connection = p.Conv2d(
            weight,  # type: ignore[arg-type]
            _chw(wire.in_shape),
            _chw(wire.out_shape),
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
        )
    return p.Projection(
        bare.name,
        bare.pre,
        bare.post,
        connection,
        bare.port,
        exponent,
        bare.lag,
        0,
        wire.pre_view,
        wire.post_view,
    )


def _selection(layer: g.Gather, shape: g.Shape, weight: np.generic) -> p.Sparse:
    """One synapse per post neuron, from the element it selects; none where that is padding."""
    source = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    chosen = np.take(source, layer.index, axis=layer.axis)
    column = [1] * len(shape)
    column[layer.axis] = -1
    inside = np.broadcast_to((np.array(layer.index) >= 0).reshape(column), chosen.shape).ravel()
    chosen = chosen.ravel()[inside]
    indptr = np.concatenate([[0], np.cumsum(inside)]).astype(np.int64)
    return p.Sparse(indptr, chosen, np.full(chosen.size, weight))


def _chw(shape: g.Shape) -> tuple[int, int, int]:
    channels, height, width = shape
    return channels, height, width


@dataclass(frozen=True, eq=False)
class Inputs:
    """The wires into one population: real weights per sent integer, and the constant they add."""

    node: g.Node
    wires: tuple[Wire, ...]
    bare: tuple[p.Projection, ...]
    weights: tuple[g.FloatArray, ...]
    bias: g.FloatArray

    def made(self, m: Mantissas, exponents: Sequence[int]) -> list[p.Projection]:
        """The projections with these mantissas and exponents, one for each part."""
        out: list[p.Projection] = []
        for i, ints, e in zip(m.wires, m.weights, exponents, strict=True):
            j = with_weights(self.bare[i], self.wires[i], ints, e)
            part = m.wires[: len(out)].count(i)
            out.append(j if not part else replace(j, name=f"{j.name}/{part}"))
        return out

    def note(
        self,
        state: QuantizerState,
        m: Mantissas,
        made: Sequence[p.Projection],
        real: Sequence[g.FloatArray] | None = None,
    ) -> None:
        """Note what `made` of these mantissas carries. real: the weights that were rounded."""
        for i, wire in enumerate(self.wires):
            own = [k for k, w in enumerate(m.wires) if w == i]
            if not own or wire.layer is None or isinstance(wire.layer, g.Gather):
                continue
            factor = times((real or self.weights)[i], wire.layer.weight)
            unit = m.gain * 2.0 ** (m.headroom[own[0]] + made[own[0]].weight_exp)
            state.notes.carry(wire, [made[k].name for k in own], factor * unit)

    def bounds(self, state: QuantizerState, m: Mantissas) -> tuple[g.FloatArray, g.FloatArray]:
        """Least and greatest input of each neuron, in units of the gain (headroom undone)."""
        low = np.zeros(target_size(self.node))
        high = np.zeros(target_size(self.node))
        for j, headroom in zip(self.made(m, [0] * len(m.wires)), m.headroom, strict=True):
            source = state.classes[j.pre]
            ends = value_bounds(
                j, state.size(j.pre), target_size(self.node), int(source.low), int(source.high)
            )
            low += ends[0] * 2.0**-headroom
            high += ends[1] * 2.0**-headroom
        return low, high


def inputs_of(state: QuantizerState, node: g.Node, wires: list[Wire]) -> Inputs:
    """What reaches `node` (one port), with the scales of its sources divided out."""
    empty = np.zeros(1, np.int64)
    bare: list[p.Projection] = []
    for w in wires:  # unique names also among the wires of this one population
        made = projection(state, w, node, "a_in", empty)
        again = sum(j.pre == made.pre for j in bare)
        bare.append(made if not again else _renamed(made, again))
    weights = tuple(real_weights(state, w) for w in wires)
    bias = np.zeros(target_size(node))
    for j, w in zip(bare, wires, strict=True):
        bias += w.bias
        stream = state.streams.get(w.source)
        if stream is not None:
            own = np.asarray(own_weight(w) * w.factor)
            m = matrix(with_weights(j, w, own, 0), state.size(w.source), target_size(node))
            bias += m @ stream.bias
    return Inputs(node, tuple(wires), tuple(bare), weights, bias)


def _renamed(j: p.Projection, count: int) -> p.Projection:
    return p.Projection(f"{j.name}#{count}", j.pre, j.post, j.connection, j.port)


def real_weights(state: QuantizerState, wire: Wire) -> g.FloatArray:
    """Real weight per integer that the source sends."""
    stream = state.streams.get(wire.source)
    scale = 1.0 if stream is None else stream.scale
    return np.asarray(own_weight(wire) * (wire.factor / scale), dtype=np.float64)


def own_weight(wire: Wire) -> g.FloatArray:
    """Weights of the wire's layer; 1 where it only moves or selects values."""
    layer = wire.layer
    return np.ones(1) if layer is None or isinstance(layer, g.Gather) else layer.weight


def drive(
    state: QuantizerState, j: p.Projection, values: Mapping[str, Values] | None = None
) -> IntArray:
    """What a projection adds to its post population on the calibration data [K, T, n]."""
    x = (state.sent if values is None else values)[j.pre]
    if isinstance(j.connection, p.Structured):
        return scale_exponent(structured(j.connection, x), j.weight_exp)
    x = array(x)
    rows = x.reshape(-1, x.shape[-1])
    if isinstance(j.connection, p.Conv2d):
        out = np.rint(_convolve(j, j.connection, rows)).astype(np.int64)
    else:
        m = matrix(j, x.shape[-1], target_size(state.graph[j.post]))
        out = np.asarray(m @ rows.T).T
    return scale_exponent(out.reshape(*x.shape[:2], -1), j.weight_exp)


def real_drive(state: QuantizerState, inputs: Inputs, i: int, weight: g.FloatArray) -> g.FloatArray:
    """What wire i would add with the real weights `weight` on what its source sends [K, T, n]."""
    wire, x = inputs.wires[i], state.sent[inputs.wires[i].source]
    if wire.layer is None or isinstance(wire.layer, g.Gather):
        pattern = with_weights(inputs.bare[i], wire, np.ones(1, np.int64), 0)
        return drive(state, pattern) * float(weight.ravel()[0])
    j = with_weights(inputs.bare[i], wire, weight, 0)
    x = array(x)
    rows = x.reshape(-1, x.shape[-1])
    if isinstance(j.connection, p.Conv2d):
        return _convolve(j, j.connection, rows).reshape(*x.shape[:2], -1)
    m = matrix(j, x.shape[-1], target_size(inputs.node))
    out: g.FloatArray = np.asarray(m @ rows.T.astype(np.float64)).T
    return out.reshape(*x.shape[:2], -1)


def _convolve(j: p.Projection, c: p.Conv2d, rows: NDArray[Any]) -> g.FloatArray:
    """A convolution in float64: exact for integers, |sums| < 2^53."""
    if j.pre_view is not None:
        rows = j.pre_view.apply(rows, lead=1)
    op = g.Conv2d(
        c.weight.astype(np.float64),
        np.zeros(len(c.weight)),
        c.stride,
        c.padding,
        c.dilation,
        c.groups,
    )
    y = apply(op, rows.reshape(-1, *c.in_shape).astype(np.float64)).reshape(len(rows), -1)
    moved: NDArray[Any] = y if j.post_view is None else j.post_view.apply(y, lead=1)  # type: ignore[arg-type]  # a permutation of any type
    return moved
