"""A stable text form of graphs and Programs, one line per node, for people and golden tests."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from . import program as p
from .graph import Graph, Op

RARE = (
    "syn",
    "w_in",
    "start",
    "drop",
    "unit",
    "fires",
    "hold",
    "most",
    "floor",
    "signed",
    "every",
    "group",
    "weights",
    "each",
)
"""Constants of a neuron that few models have."""


def graph_text(graph: Graph) -> str:
    """One line per node: name, shape, op with its constants, producers."""
    lines = [f"graph {graph.name}: {graph.timesteps} steps of {graph.dt:g} s"]
    for node in graph:
        operands = " * ".join(" + ".join(port) for port in node.inputs)
        lines.append(f"  {node.name} {_shape(node.shape)} = {_constants(node.op)} <- {operands}")
    return "\n".join(line.rstrip(" <-") for line in lines) + "\n"


def program_text(program: p.Program) -> str:
    """One line per population, its incoming projections below it."""
    lines = [f"program {program.name}: {program.timesteps} steps, output {_readout(program)}"]
    for q in program:
        lines.append(
            f"{q.name} {_shape(q.shape)} {_constants(q.neuron)} phase {q.phase} "
            f"sends {q.low}..{q.high}"
        )
        for j in program.incoming[q.name]:
            views = "".join(
                f" {side}{list(v.split)}{list(v.order)}"
                for side, v in (("pre", j.pre_view), ("post", j.post_view))
                if v is not None
            )
            lines.append(
                f"  {j.port} <- {j.pre}: {_constants(j.connection)} << {j.weight_exp} "
                f"delay {j.delay} lag {j.lag}{views}"
            )
    return "\n".join(lines) + "\n"


def _readout(program: p.Program) -> str:
    r = program.readout
    how = " weighed by step" if r.weights else " at its largest step" if r.largest else ""
    return f"{r.population}{how} / {r.scale:.6g}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _constants(value: Op | p.NeuronProgram | p.Connection) -> str:
    """The class name with its fields; arrays as shape and range. Rare ones only where set."""
    shown = [f for f in fields(value) if f.name not in RARE or getattr(value, f.name) != f.default]
    parts = [f"{f.name}={_value(getattr(value, f.name))}" for f in shown]
    return f"{type(value).__name__}({', '.join(parts)})"


def _value(value: object) -> str:
    if isinstance(value, np.ndarray):
        if value.size <= 1:
            return f"{value.ravel()[0]:.6g}" if value.size else "[]"
        return f"[{_shape(value.shape)}: {value.min():.6g}..{value.max():.6g}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return f"({', '.join(_value(v) for v in value)})"
    return str(value)
