"""The one file that knows both NIR and our `Graph`: read, write, convert in both directions.

NIR's own reader stops at the first trouble with a bare exception, and its type check is wrong
for some legal nodes (grouped or non-square convolutions). So files are read without it, after a
look at the raw file, and everything is checked here, all problems at once (SFX-E2xx).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import nir
import numpy as np

from sfx.toolchain.errors import InputError, Problem, SfxError
from sfx.toolchain.files import replacing
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir import nir_ext as ext
from sfx.toolchain.ir.check import ShapeProblem, check_graph, loops, output_shape
from sfx.toolchain.ir.conventions import NirOptions
from sfx.toolchain.ir.graph import Graph, Node, Op, Shape, topological
from sfx.toolchain.ir.nir_hdf5 import edge_problems, file_problems

LATER: dict[str, str] = {
    "CubaLI": "use a LIF or I node: the synaptic current state is not mapped",
    "LI": "use LIF or I: a leaky read-out without spikes is not mapped",
    "Delay": "delays are inserted by the compiler, models with their own are not mapped",
}
"""NIR nodes that are refused for now, with what to do instead."""
NEURONS = (nir.LIF, nir.IF, nir.CubaLIF)


# --- files ----------------------------------------------------------------------------------


def read(path: str | os.PathLike[str] | BinaryIO) -> nir.NIRGraph:
    """Read a .nir file (or open binary file). No type check: `to_graph` does all checks.

    Raises SfxError: SFX-E201 not a NIR file, SFX-E202 unknown node types, SFX-E204 edges without
    an end, SFX-E211 a malformed node.
    """
    where = str(path) if isinstance(path, str | os.PathLike) else "NIR"
    if isinstance(path, str | os.PathLike) and not Path(path).is_file():
        raise InputError("SFX-E201", "no such file", where=where)
    try:
        with h5py.File(path, "r") as file:
            problems = list(file_problems(file, where))
    except (OSError, RuntimeError, KeyError) as error:  # what h5py raises for damaged files
        raise InputError(
            "SFX-E201",
            f"is not a sound HDF5 file, so not NIR ({error})",
            where=where,
            hint="a .nir file is written by nir.write or `sfx export --to nir`",
        ) from error
    if problems:
        raise InputError.of(problems)
    try:
        graph = nir.read(path, type_check=False)
    except Exception as error:  # the reader raises AssertionError, KeyError, TypeError and more
        text = f"{type(error).__name__}: {error}".strip(": ")
        raise InputError("SFX-E211", f"cannot be read as NIR ({text})", where=where) from error
    if not isinstance(graph, nir.NIRGraph):
        raise InputError("SFX-E211", f"holds a {type(graph).__name__}, not a graph", where=where)
    return graph


def write(graph: Graph | nir.NIRGraph, path: str | os.PathLike[str] | BinaryIO) -> None:
    """Write a .nir file, whole or not at all; `path` may be an open binary file.

    The same graph always gives the same bytes. Raises InputError SFX-E212 for names with '/',
    SFX-E603 if the file cannot be written.
    """
    source = from_graph(graph) if isinstance(graph, Graph) else graph
    what = "a name with '/' breaks the file"
    bad = [Problem("SFX-E212", n, what) for n in source.nodes if "/" in n]
    if bad:
        raise InputError.of(bad)
    if not isinstance(path, str | os.PathLike):
        nir.write(path, source)
        return
    with replacing(Path(path)) as stream:
        nir.write(stream, source)


# --- NIR -> Graph ---------------------------------------------------------------------------


class Junction(nir.NIRNode):  # type: ignore[misc]  # nir ships no types
    """Stands for a subgraph's Input or Output once the subgraph is inlined: values add up."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}


@dataclass
class _Build:
    """What the converters share: one NIR node at a time becomes one or more Graph nodes."""

    dt: float
    taken: set[str]
    options: NirOptions
    name: str = ""
    module: str = ""
    shape: Shape = ()
    inputs: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def begin(self, name: str, shape: Shape, inputs: list[str], facts: dict[str, Any]) -> None:
        self.name, self.shape, self.inputs, self.facts = name, shape, tuple(inputs), facts
        self.module = facts.get("module", "")

    def problem(self, code: str, what: str, hint: str = "") -> None:
        self.problems.append(Problem(code, self.name, what, hint))

    def add(
        self,
        op: Op,
        part: str = "",
        shape: Shape | None = None,
        inputs: tuple[tuple[str, ...], ...] | None = None,
    ) -> str:
        """Append a node that reads the one before (or `inputs`); `part` names a helper node."""
        if inputs is None:
            inputs = (self.inputs,) if op.ports else ()
        made = output_shape(op, self.shape, shape if shape is not None else self.shape)
        name = self._unique(f"{self.name}.{part}") if part else self.name
        self.nodes.append(Node(name, op, inputs, made, self.module))
        self.inputs, self.shape = (name,), made
        return name

    def _unique(self, name: str) -> str:
        unique, i = name, 1
        while unique in self.taken:
            i += 1
            unique = f"{name}_{i}"
        self.taken.add(unique)
        return unique

    def uniform(self, node: nir.NIRNode, *names: str) -> list[float]:
        """The one value of each array; a problem for those that hold several."""
        values = []
        for name in names:
            array = np.asarray(getattr(node, name), dtype=np.float64)
            if array.size and not np.all(array == array.flat[0]):
                self.problem(
                    "SFX-E208",
                    f"{name} differs between neurons ({array.min():g} to {array.max():g})",
                    "one node's neurons must share each parameter: split the node",
                )
            values.append(float(array.flat[0]) if array.size else float("nan"))
        return values


def to_graph(
    source: nir.NIRGraph,
    *,
    timesteps: int | None = None,
    dt: float | None = None,
    name: str | None = None,
    options: NirOptions | None = None,
) -> Graph:
    """The checked `Graph` of a NIR graph; subgraphs are inlined.

    timesteps, dt, name  override what the metadata say (T must come from one of the two; dt is
    that of the convention if neither says it). options: what the exporting framework means by the
    file. Raises SfxError with every problem (SFX-E2xx).
    """
    nodes, edges = _inline(source)
    known = _graph_facts(source)
    problems = list(_node_problems(nodes))
    problems += [p for a, b in edges for p in edge_problems((a, b), set(nodes))]
    problems += _duplicate_problems(edges)
    shapes = _known_shapes(nodes, problems)
    if not problems:
        problems += _loop_problems(nodes, edges, shapes)
    steps = timesteps if timesteps is not None else known.get("timesteps")
    if steps is None:
        problems.append(
            Problem(
                "SFX-E209",
                name or "graph",
                "the file does not say how many steps one sample takes",
                "give the number of time steps, or store it in the graph's metadata as 'timesteps'",
            )
        )
    if problems:
        raise SfxError.of(problems)
    options = options or NirOptions(dt=dt)
    step = options.dt if options.dt is not None else known.get("dt", options.rules.dt)
    title = name or str(known.get("name", "model"))
    graph = Graph(
        _convert(nodes, edges, shapes, float(step), options), int(steps or 0), float(step), title
    )
    check_graph(graph)
    return graph


def _graph_facts(source: nir.NIRGraph) -> dict[str, Any]:
    try:
        known = ext.facts(source)
    except ValueError as error:
        raise InputError("SFX-E211", f"metadata: {error}", where="graph") from error
    if known.get("sfx", 1) > ext.FORMAT:
        raise InputError(
            "SFX-E211",
            f"metadata are of version {known['sfx']}, this sfx reads up to {ext.FORMAT}",
            where="graph",
            hint="install a newer sfx",
        )
    return known


def _inline(graph: nir.NIRGraph) -> tuple[dict[str, nir.NIRNode], list[tuple[str, str]]]:
    """Nodes and edges with every subgraph's content in its place, as 'subgraph.node'."""
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    enter: dict[str, str] = {}
    leave: dict[str, str] = {}
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.NIRGraph):
            nodes[name] = node
            continue
        inner, inner_edges = _inline(node)
        for kind, side in ((nir.Input, enter), (nir.Output, leave)):
            ends = [n for n, v in inner.items() if isinstance(v, kind)]
            if len(ends) != 1:
                raise InputError(
                    "SFX-E210",
                    f"a subgraph needs one {kind.__name__}, found {len(ends)}",
                    where=name,
                )
            side[name] = f"{name}.{ends[0]}"
            inner[ends[0]] = Junction()
        nodes |= {f"{name}.{k}": v for k, v in inner.items()}
        edges += [(f"{name}.{a}", f"{name}.{b}") for a, b in inner_edges]
    edges += [(leave.get(a, a), enter.get(b, b)) for a, b in graph.edges]
    return nodes, edges


def _node_problems(nodes: dict[str, nir.NIRNode]) -> Iterator[Problem]:
    """Unknown and unsupported types, values that are not finite, the ends; over all nodes."""
    for name, node in nodes.items():
        kind = type(node).__name__
        if kind in LATER:
            yield Problem("SFX-E203", name, f"{kind} is not supported yet", LATER[kind])
        elif type(node) not in CONVERTERS:
            yield Problem(
                "SFX-E202", name, f"unknown node type {kind!r}", f"known types: {_known_types()}"
            )
        for key, value in vars(node).items():
            if isinstance(value, np.ndarray | float) and np.asarray(value).dtype.kind == "f":
                bad = int(np.size(value) - np.isfinite(value).sum())
                if bad:
                    yield Problem(
                        "SFX-E206", name, f"{key} holds {bad} value(s) that are NaN or infinite"
                    )
    for kind_of_end in (nir.Input, nir.Output):
        ends = [n for n, v in nodes.items() if isinstance(v, kind_of_end)]
        if len(ends) != 1:
            yield Problem(
                "SFX-E210",
                "graph",
                f"needs exactly one {kind_of_end.__name__}, found {', '.join(ends) or 'none'}",
            )


def _known_types() -> str:
    return ", ".join(sorted(c.__name__ for c in CONVERTERS if c is not Junction))


def _duplicate_problems(edges: list[tuple[str, str]]) -> list[Problem]:
    seen: set[tuple[str, str]] = set()
    problems = []
    for edge in edges:
        if edge in seen:
            a, b = edge
            problems.append(
                Problem("SFX-E204", b, f"the edge {a!r} -> {b!r} exists twice", "use a Scale of 2")
            )
        seen.add(edge)
    return problems


def _known_shapes(nodes: dict[str, nir.NIRNode], problems: list[Problem]) -> dict[str, Shape]:
    """Output shapes that nodes know by themselves; a problem where that is malformed."""
    shapes: dict[str, Shape] = {}
    for name, node in nodes.items():
        try:
            own = _own_shape(node)
        except _MALFORMED as error:
            problems.append(Problem("SFX-E211", name, _malformed(node, error)))
            continue
        if own is not None:
            shapes[name] = own
    return shapes


def _loop_problems(
    nodes: dict[str, nir.NIRNode], edges: list[tuple[str, str]], shapes: dict[str, Shape]
) -> list[Problem]:
    """Loops in which no node knows its own shape; `check_graph` judges the others."""
    return [
        Problem(
            "SFX-E207",
            sorted(loop)[0],
            f"the loop {', '.join(sorted(loop))} holds no neuron, so nothing delays it by a step",
        )
        for loop in loops({n: tuple(a for a, b in edges if b == n) for n in nodes})
        if not any(n in shapes for n in loop)
    ]


_MALFORMED = (ValueError, TypeError, IndexError, AttributeError, OverflowError, KeyError)
"""What the fields of a file raise when they hold anything but what they should."""


def _malformed(node: nir.NIRNode, error: Exception) -> str:
    return f"malformed {type(node).__name__} ({type(error).__name__}: {error})"


def _convert(
    nodes: dict[str, nir.NIRNode],
    edges: list[tuple[str, str]],
    shapes: dict[str, Shape],
    dt: float,
    options: NirOptions,
) -> tuple[Node, ...]:
    """Graph nodes in topological order. `shapes` holds what loops need to know beforehand."""
    producers: dict[str, list[str]] = {n: [] for n in nodes}
    for a, b in edges:
        producers[b].append(a)
    order = _order(nodes, producers)
    build = _Build(dt, set(nodes), options)
    for name in order:
        arriving = [shapes[p] for p in producers[name] if p in shapes]
        if not arriving and not isinstance(nodes[name], nir.Input):
            build.name = name
            build.problem("SFX-E205", "no operand, so its shape is unknown")
            continue
        count = len(build.problems)
        try:
            build.begin(
                name,
                arriving[0] if arriving else (),
                producers[name],
                ext.facts(nodes[name]),
            )
            _check_declared(nodes[name], build.shape)
            CONVERTERS[type(nodes[name])](build, nodes[name])
            shapes[name] = build.nodes[-1].shape
        except ShapeProblem as problem:
            build.problem("SFX-E205", f"{type(nodes[name]).__name__}: {problem}")
        except _MALFORMED as error:
            build.problem("SFX-E211", _malformed(nodes[name], error))
        if len(build.problems) > count:
            shapes.pop(name, None)
    if build.problems:
        raise SfxError.of(_first_causes(build.problems, producers))
    return topological(tuple(build.nodes))


def _first_causes(problems: list[Problem], producers: dict[str, list[str]]) -> list[Problem]:
    """Without the 'no operand' problems that only follow from another one upstream."""
    failed = {p.where for p in problems}
    return [
        p
        for p in problems
        if not (p.what.startswith("no operand") and failed.intersection(producers[p.where]))
    ]


def _order(nodes: dict[str, nir.NIRNode], producers: dict[str, list[str]]) -> list[str]:
    """Names in execution order, from the Output back: it depends on names and edges only."""
    ends = [n for n, v in nodes.items() if isinstance(v, nir.Output)]
    names = ends + sorted(n for n in nodes if n not in ends)
    stub = g.Sum()
    return [
        n.name for n in topological(tuple(Node(n, stub, (tuple(producers[n]),), ()) for n in names))
    ]


def _shape_of(values: object) -> Shape:
    return tuple(int(v) for v in np.ravel(np.asarray(values)))


def _own_shape(node: nir.NIRNode) -> Shape | None:
    """The output shape that a node knows by itself (its arrays), or None."""
    if isinstance(node, NEURONS):
        return tuple(np.shape(node.v_threshold))
    if isinstance(node, nir.I):
        return tuple(np.shape(node.r))
    if isinstance(node, nir.Input):
        return _shape_of(node.input_type["input"])
    return None


def _check_declared(node: nir.NIRNode, arriving: Shape) -> None:
    """The input shape a node states must be the one that arrives."""
    stated: Shape | None = None
    if isinstance(node, ext.Extension):
        stated = node.input_shape
    elif isinstance(node, (*NEURONS, nir.I)):
        stated = _own_shape(node)
    elif isinstance(node, nir.Scale | nir.Threshold):
        stated = tuple(np.shape(node.scale if isinstance(node, nir.Scale) else node.threshold))
    elif isinstance(node, nir.Output):
        stated = _shape_of(node.output_type["output"])
    elif isinstance(node, nir.Flatten) and node.input_type["input"] is not None:
        stated = _shape_of(node.input_type["input"])
    elif isinstance(node, nir.Conv1d | nir.Conv2d) and node.input_shape is not None:
        stated = (*arriving[:1], *_shape_of(node.input_shape))
    if stated is not None and stated != arriving:
        raise ShapeProblem(f"takes {stated}, but {arriving} arrives")


# --- one converter per node type ------------------------------------------------------------


def _f64(values: object) -> g.FloatArray:
    return np.asarray(values, dtype=np.float64)


def _whole(value: float) -> float:
    """A product r * dt is meant as a whole number where it is one up to rounding (1/dt * dt)."""
    nearest = round(value)
    return float(nearest) if abs(value - nearest) <= 1e-12 * abs(nearest) else value


def _input(b: _Build, node: nir.Input) -> None:
    b.shape = _shape_of(node.input_type["input"])
    b.add(g.Input(high=b.facts.get("high", 0)))


def _output(b: _Build, node: nir.Output) -> None:
    b.add(g.Output(reduce=b.facts.get("reduce", "none")))


def _sum(b: _Build, node: nir.NIRNode) -> None:
    b.add(g.Sum())


def _affine(b: _Build, node: nir.Affine | nir.Linear) -> None:
    weight = _f64(node.weight)
    bias = _f64(node.bias) if isinstance(node, nir.Affine) else np.zeros(weight.shape[0])
    b.add(g.Linear(weight, bias))


def _scale(b: _Build, node: nir.Scale) -> None:
    """Ones: a junction; one number: Scale; else a batch norm, per axis or per neuron."""
    scale = _f64(node.scale)
    first = float(scale.flat[0])
    if np.all(scale == first):
        b.add(g.Sum() if first == 1.0 else g.Scale(first))
        return
    for axis in range(scale.ndim):
        along = np.moveaxis(scale, axis, 0).reshape(scale.shape[axis], -1)
        if np.all(along == along[:, :1]):
            c = scale.shape[axis]
            b.add(g.BatchNorm(along[:, 0], np.zeros(c), np.zeros(c), np.ones(c), 0.0, axis))
            return
    shape, n = b.shape, scale.size
    b.add(g.Reshape(), "flat", (n,))
    b.add(g.BatchNorm(scale.ravel(), np.zeros(n), np.zeros(n), np.ones(n), 0.0), "factor")
    b.add(g.Reshape(), shape=shape)


def _padding(node: nir.NIRNode, kernel: Shape, dilation: Shape) -> Shape:
    if not isinstance(node.padding, str | bytes):
        return ext._ints(node.padding, len(kernel))
    if node.padding in ("valid", b"valid"):
        return (0,) * len(kernel)
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if any(r % 2 for r in reach) or any(s != 1 for s in ext._ints(node.stride)):
        raise ShapeProblem("padding 'same' needs odd windows and stride 1 here")
    return tuple(r // 2 for r in reach)


def _bias(node: nir.NIRNode, channels: int) -> g.FloatArray:
    return np.zeros(channels) if node.bias is None else _f64(node.bias)


def _conv1d(b: _Build, node: nir.Conv1d) -> None:
    weight = _f64(node.weight)[:, :, :, None]
    dilation = ext._ints(node.dilation, 1)
    (padding,) = _padding(node, weight.shape[2:3], dilation)
    (stride,) = ext._ints(node.stride, 1)
    if len(b.shape) != 2:
        raise ShapeProblem(f"needs an input (C, N), got {b.shape}")
    b.add(g.Reshape(), "in", (*b.shape, 1))
    op = g.Conv2d(
        weight,
        _bias(node, weight.shape[0]),
        (stride, 1),
        (padding, 0),
        (dilation[0], 1),
        int(node.groups),
    )
    b.add(op, "conv")
    b.add(g.Reshape(), shape=b.shape[:2])


def _conv2d(b: _Build, node: nir.Conv2d | ext.GroupedConv2d) -> None:
    weight = _f64(node.weight)
    dilation = ext._ints(node.dilation, 2)
    padding = _padding(node, weight.shape[2:], dilation)
    stride = ext._ints(node.stride, 2)
    b.add(
        g.Conv2d(
            weight,
            _bias(node, weight.shape[0]),
            (stride[0], stride[1]),
            (padding[0], padding[1]),
            (dilation[0], dilation[1]),
            int(node.groups),
        )
    )


def _pairs(*values: object) -> Iterator[tuple[int, int]]:
    for value in values:
        first, second = ext._ints(value, 2)
        yield first, second


def _sum_pool(b: _Build, node: nir.SumPool2d) -> None:
    b.add(g.SumPool2d(*_pairs(node.kernel_size, node.stride, node.padding)))


def _avg_pool(b: _Build, node: nir.AvgPool2d) -> None:
    kernel, stride, padding = _pairs(node.kernel_size, node.stride, node.padding)
    b.add(g.SumPool2d(kernel, stride, padding), "sum")
    b.add(g.Scale(1.0 / (kernel[0] * kernel[1])))


def _max_pool(b: _Build, node: ext.MaxPool2d) -> None:
    b.add(g.MaxPool2d(*_pairs(node.kernel, node.stride, node.padding)))


def _flatten(b: _Build, node: nir.Flatten) -> None:
    start, end = int(node.start_dim), int(node.end_dim)
    start = start + len(b.shape) if start < 0 else start
    end = end + len(b.shape) if end < 0 else end
    if not 0 <= start <= end < len(b.shape):
        raise ShapeProblem(f"cannot flatten axes {start} to {end} of {b.shape}")
    middle = int(np.prod(b.shape[start : end + 1]))
    b.add(g.Reshape(), shape=(*b.shape[:start], middle, *b.shape[end + 1 :]))


def _integrator(b: _Build, node: nir.I) -> None:
    (r,) = b.uniform(node, "r")
    b.add(g.Integrator(_whole(r * b.dt)))


def _subtract(b: _Build) -> bool:
    mode = b.facts.get("reset_mode", "value")
    if mode not in ("value", "subtract"):
        b.problem("SFX-E211", f"reset_mode is {mode!r}, must be 'value' or 'subtract'")
    return bool(mode == "subtract")


def _if(b: _Build, node: nir.IF) -> None:
    r, threshold, reset = b.uniform(node, "r", "v_threshold", "v_reset")
    _neuron(b, g.IF(threshold, _whole(r * b.dt), reset, _subtract(b), **_extra(b)))


def _lif(b: _Build, node: nir.LIF) -> None:
    tau, r, leak, threshold, reset = b.uniform(node, "tau", "r", "v_leak", "v_threshold", "v_reset")
    decay = _decay(b, "tau", tau, "decay")
    if decay is not None:
        _neuron(b, g.LIF(decay, threshold, r, leak, reset, _subtract(b), **_extra(b)))


def _cuba_lif(b: _Build, node: nir.CubaLIF) -> None:
    tau, tau_syn, r, leak, threshold, reset, w_in = b.uniform(
        node, "tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "v_reset", "w_in"
    )
    decay = _decay(b, "tau_mem", tau, "decay")
    syn = _decay(b, "tau_syn", tau_syn, "syn")
    if decay is not None and syn is not None:
        _neuron(
            b,
            g.LIF(decay, threshold, r, leak, reset, _subtract(b), syn=syn, w_in=w_in, **_extra(b)),
        )


def _neuron(b: _Build, op: g.LIF | g.IF) -> None:
    b.add(b.options.rules.neuron(op, b.options.reset))


def _decay(b: _Build, name: str, tau: float, fact: str) -> float | None:
    """dt / tau, to the bit as the fact says it; None after a problem."""
    decay = b.options.rules.decay(tau, b.dt)
    if not 0 < decay <= 1:
        b.problem(
            "SFX-E214",
            f"{name} is {tau:.9g} s, less than one step of dt = {b.dt:g} s",
            "NIR files do not say dt: give that of the framework which wrote this one (--dt 1e-4), "
            "or the framework (--nir-convention)",
        )
        return None
    exact = float(b.facts.get(fact, decay))
    # tau was changed after the fact was written
    return decay if abs(exact - decay) > 4 * np.spacing(decay) else exact


def _extra(b: _Build) -> dict[str, float]:
    return {k: float(b.facts[k]) for k in ("start", "drop", "unit") if k in b.facts}


def _threshold(b: _Build, node: nir.Threshold) -> None:
    (threshold,) = b.uniform(node, "threshold")
    b.add(g.Threshold(threshold))


def _product(b: _Build, node: ext.Product) -> None:
    operands = b.inputs
    if len(operands) < 2:
        b.problem("SFX-E213", f"a Product needs at least 2 in-edges, has {len(operands)}")
        return
    last = operands[0]
    for i, operand in enumerate(operands[1:], start=2):
        part = "" if i == len(operands) else f"first{i}"
        last = b.add(g.Product(), part, inputs=((last,), (operand,)))


def _time_sum(b: _Build, node: ext.TimeSum) -> None:
    b.add(g.TimeSum())


def _expand(b: _Build, node: ext.Expand) -> None:
    b.add(g.Expand(), shape=node.output_shape)


def _reduce_sum(b: _Build, node: ext.ReduceSum) -> None:
    b.add(g.ReduceSum(node.axes))


def _permute(b: _Build, node: ext.Permute) -> None:
    b.add(g.Permute(node.order))


def _reshape(b: _Build, node: ext.Reshape) -> None:
    b.add(g.Reshape(), shape=node.output_shape)


def _batch_norm(b: _Build, node: ext.BatchNorm) -> None:
    weight, bias, mean, var = (_f64(a) for a in (node.weight, node.bias, node.mean, node.var))
    b.add(g.BatchNorm(weight, bias, mean, var, node.eps, node.axis))


CONVERTERS: dict[type[nir.NIRNode], Callable[[_Build, Any], None]] = {
    nir.Input: _input,
    nir.Output: _output,
    Junction: _sum,
    nir.Affine: _affine,
    nir.Linear: _affine,
    nir.Scale: _scale,
    nir.Conv1d: _conv1d,
    nir.Conv2d: _conv2d,
    nir.SumPool2d: _sum_pool,
    nir.AvgPool2d: _avg_pool,
    nir.Flatten: _flatten,
    nir.I: _integrator,
    nir.IF: _if,
    nir.LIF: _lif,
    nir.CubaLIF: _cuba_lif,
    nir.Threshold: _threshold,
    ext.Product: _product,
    ext.TimeSum: _time_sum,
    ext.Expand: _expand,
    ext.ReduceSum: _reduce_sum,
    ext.Permute: _permute,
    ext.Reshape: _reshape,
    ext.MaxPool2d: _max_pool,
    ext.BatchNorm: _batch_norm,
    ext.GroupedConv2d: _conv2d,
}


# --- Graph -> NIR ---------------------------------------------------------------------------


def from_graph(graph: Graph) -> nir.NIRGraph:
    """The NIR graph of a checked `Graph` (imported form); `to_graph` of it gives the same Graph.

    Raises SfxError for an illegal graph, and SFX-E203 for ops that only exist after lowering.
    """
    check_graph(graph)
    bad = [
        Problem("SFX-E203", n.name, f"{type(n.op).__name__} has no NIR node")
        for n in graph
        if type(n.op) not in WRITERS
    ]
    if bad:
        raise SfxError.of(bad)
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    taken = {n.name for n in graph}
    for node in graph:
        arriving = graph[node.producers[0]].shape if node.producers else node.shape
        made = WRITERS[type(node.op)](node.op, arriving, node.shape, graph.dt)
        nodes[node.name] = ext.with_facts(made, module=node.module) if node.module else made
        separate = isinstance(node.op, g.Product)
        used: set[str] = set()
        for port, producers in enumerate(node.inputs):
            # a Product multiplies its edges, so a sum needs its own node; no edge may come twice
            for group in [producers] if separate else [(p,) for p in producers]:
                if len(group) == 1 and group[0] not in used:
                    edges.append((group[0], node.name))
                    used.add(group[0])
                    continue
                name = _free(f"{node.name}.in{port + 1}", taken)
                nodes[name] = ext.junction(arriving)
                edges += [(p, name) for p in group]
                edges.append((name, node.name))
    return ext.with_facts(
        nir.NIRGraph(nodes, edges),
        sfx=ext.FORMAT,
        timesteps=graph.timesteps,
        dt=graph.dt,
        name=graph.name,
    )


def _free(name: str, taken: set[str]) -> str:
    unique, i = name, 1
    while unique in taken:
        i += 1
        unique = f"{name}_{i}"
    taken.add(unique)
    return unique


def _write_conv(op: g.Conv2d, arriving: Shape, shape: Shape, dt: float) -> nir.NIRNode:
    if op.groups == 1 and op.weight.shape[2] == op.weight.shape[3]:
        return nir.Conv2d(
            arriving[1:], op.weight, op.stride, op.padding, op.dilation, op.groups, op.bias
        )
    return ext.GroupedConv2d(
        arriving, op.weight, op.stride, op.padding, op.dilation, op.groups, op.bias
    )


def _write_neuron(op: g.LIF | g.IF, arriving: Shape, shape: Shape, dt: float) -> nir.NIRNode:
    constants = {f.name: getattr(op, f.name) for f in fields(op)}
    return ext.lif_node(shape, **({"decay": 0.0} | constants), dt=dt)


WRITERS: dict[type[Op], Callable[[Any, Shape, Shape, float], nir.NIRNode]] = {
    g.Input: lambda op, i, o, dt: ext.with_facts(
        nir.Input(np.array(o)), **({"high": op.high} if op.high else {})
    ),
    g.Output: lambda op, i, o, dt: ext.with_facts(nir.Output(np.array(o)), reduce=op.reduce),
    g.Conv2d: _write_conv,
    g.Linear: lambda op, i, o, dt: nir.Affine(op.weight, op.bias),
    g.BatchNorm: lambda op, i, o, dt: ext.BatchNorm(
        i, op.weight, op.bias, op.mean, op.var, op.eps, op.axis
    ),
    g.Scale: lambda op, i, o, dt: nir.Scale(np.full(o, op.factor)),
    g.Sum: lambda op, i, o, dt: ext.junction(o),
    g.SumPool2d: lambda op, i, o, dt: nir.SumPool2d(
        *(np.array(v) for v in (op.kernel, op.stride, op.padding))
    ),
    g.MaxPool2d: lambda op, i, o, dt: ext.MaxPool2d(i, op.kernel, op.stride, op.padding),
    g.ReduceSum: lambda op, i, o, dt: ext.ReduceSum(i, op.axes),
    g.Reshape: lambda op, i, o, dt: ext.Reshape(i, o),
    g.Permute: lambda op, i, o, dt: ext.Permute(i, op.order),
    g.Expand: lambda op, i, o, dt: ext.Expand(i, o),
    g.LIF: _write_neuron,
    g.IF: _write_neuron,
    g.Threshold: lambda op, i, o, dt: nir.Threshold(np.full(o, op.threshold)),
    g.Integrator: lambda op, i, o, dt: ext.integrator_node(o, gain=op.gain, dt=dt),
    g.Product: lambda op, i, o, dt: ext.Product(o),
    g.TimeSum: lambda op, i, o, dt: ext.TimeSum(o),
}
