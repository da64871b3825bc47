"""NIR -> Graph: subgraphs inlined, every node checked and converted, all problems at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import nir
import numpy as np

from ...ground.errors import InputError, Problem, SfxError
from ...ir import graph as g
from ...ir.check import ShapeProblem, check_graph, loops
from ...ir.graph import Graph, Node, Shape, topological
from ...ir.names import with_clean_names
from . import ext
from .conventions import NirOptions
from .converters import CONVERTERS
from .flat import inline, past_the_loop, without_extra_axes
from .graph_builder import GraphBuilder, Junction, shape_of
from .hdf5 import edge_problems
from .reading import MEMBRANES, NEURONS, reading

PARAMETERS = ("tau", "tau_mem", "tau_syn", "r", "w_in", "v_leak", "v_threshold", "v_reset")
"""Of a neuron: one number each, or an array of the layer's shape."""
POPULATIONS = (*NEURONS, *MEMBRANES, nir.I)
"""Nodes with `PARAMETERS`."""


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
    options = options or NirOptions(dt=dt)
    nodes, edges = inline(source)
    if options.rules.past_loops:
        edges = past_the_loop(nodes, edges)
    nodes = without_extra_axes(nodes, edges)
    known = _graph_facts(source)
    problems = list(_node_problems(nodes))
    names = set(nodes)
    problems += [p for a, b in edges for p in edge_problems((a, b), names)]
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
                "the file does not give the number of steps of a sample",
                "give the number of time steps, or store it in the graph's metadata as 'timesteps'",
            )
        )
    if problems:
        raise SfxError.of(problems)
    how = reading(source, options)
    title = name or str(known.get("name", "model"))
    try:
        converted = _convert(nodes, edges, shapes, how.dt, options)
    except SfxError as error:
        raise _naming_the_writer(error, how.warnings) from error
    graph = Graph(converted, int(steps or 0), how.dt, title)
    graph = with_clean_names(graph)
    check_graph(graph)
    return graph


def _naming_the_writer(error: SfxError, warnings: tuple[str, ...]) -> SfxError:
    """The error, where constants are out of range with whose numbers they look like."""
    if not warnings:
        return error
    return SfxError.of(
        [replace(p, hint=warnings[0]) if p.code == "SFX-E214" else p for p in error.problems]
    )


def _graph_facts(source: nir.NIRGraph) -> dict[str, Any]:
    try:
        known = ext.facts(source)
    except ValueError as error:
        raise InputError("SFX-E211", f"metadata: {error}", where="graph") from error
    if known.get("sfx", 1) > ext.FORMAT:
        raise InputError(
            "SFX-E211",
            f"metadata are of version {known['sfx']}, this version of sfx reads up to {ext.FORMAT}",
            where="graph",
            hint="use a newer version of sfx-loihi",
        )
    return known


def _node_problems(nodes: dict[str, nir.NIRNode]) -> Iterator[Problem]:
    """Unknown and unsupported types, values that are not finite, the ends; over all nodes."""
    for name, node in nodes.items():
        kind = type(node).__name__
        if type(node) not in CONVERTERS:
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
    producers: dict[str, list[str]] = {n: [] for n in nodes}
    for a, b in edges:
        producers[b].append(a)
    return [
        Problem(
            "SFX-E207",
            sorted(loop)[0],
            f"the loop {', '.join(sorted(loop))} holds no neuron, so nothing delays it by a step",
        )
        for loop in loops({n: tuple(p) for n, p in producers.items()})
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
    looping = {n for loop in loops({k: tuple(v) for k, v in producers.items()}) for n in loop}
    build = GraphBuilder(dt, set(nodes), options, looping)
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
    return topological(_undelayed_loops(tuple(build.nodes)))


def _undelayed_loops(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """A loop takes one step as it is: where it passes a Delay of 1, it leaves that out."""
    by_name = {n.name: n for n in nodes}
    moved: dict[tuple[str, str], str] = {}
    for loop in loops({n.name: n.producers for n in nodes}):
        for name in loop:
            for p in by_name[name].producers:
                op = by_name[p].op
                if p in loop and isinstance(op, g.Delay) and op.steps == 1:
                    moved[name, p] = by_name[p].producers[0]
    return tuple(
        replace(
            n, inputs=tuple(tuple(moved.get((n.name, p), p) for p in port) for port in n.inputs)
        )
        for n in nodes
    )


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


def _own_shape(node: nir.NIRNode) -> Shape | None:
    """The output shape that a node knows by itself (its arrays), or None."""
    if isinstance(node, POPULATIONS):
        values = [np.asarray(v) for k, v in vars(node).items() if k in PARAMETERS]
        return tuple(np.broadcast_shapes(*(v.shape for v in values))) or None
    if isinstance(node, nir.Input):
        return shape_of(node.input_type["input"])
    if isinstance(node, ext.TimeMap):  # so `check_graph` says why a loop through it is none
        return node.input_shape
    return None


def _check_declared(node: nir.NIRNode, arriving: Shape) -> None:
    """The input shape a node states must be the one that arrives."""
    stated: Shape | None = None
    if isinstance(node, ext.Extension):
        stated = node.input_shape
    elif isinstance(node, POPULATIONS):
        stated = _own_shape(node)
    elif isinstance(node, nir.Scale | nir.Threshold):
        stated = tuple(np.shape(node.scale if isinstance(node, nir.Scale) else node.threshold))
    elif isinstance(node, nir.Delay):
        stated = tuple(np.shape(node.delay))
    elif isinstance(node, nir.Output):
        stated = shape_of(node.output_type["output"])
    elif isinstance(node, nir.Flatten) and node.input_type["input"] is not None:
        stated = shape_of(node.input_type["input"])
    elif isinstance(node, nir.Conv1d | nir.Conv2d) and node.input_shape is not None:
        stated = (*arriving[:1], *shape_of(node.input_shape))
    if isinstance(node, (*POPULATIONS, nir.Delay)) and stated in ((), (1,)):
        return  # one number for all neurons
    if stated is not None and stated != arriving:
        raise ShapeProblem(f"takes {stated}, but {arriving} arrives")
