"""T of a model that shows an image for its own number of steps: that of its neurons."""

from __future__ import annotations

import operator
from typing import Any, cast

from torch import fx

from ...toolchain.ground.errors import UnsupportedError
from ..neurons.levels_op import NAME as LEVELS
from ..neurons.lif_op import NAME as LIF
from ..neurons.step_op import NAME as LIF_STEP
from .prepare import op_name

PASSED_ON = {"aten::clone", "aten::contiguous", "aten::detach", "aten::alias", "aten::detach_"}
"""Ops that a state may go through on its way to the next step."""


def steps_shown(graph: fx.Graph) -> int:
    """The steps that every neuron of a traced graph runs; 0 where it has no neuron.

    Neurons that keep nothing do not tell; where there are no others, the image is shown once.

    Raises UnsupportedError SFX-E195 where neurons run different numbers of steps.
    """
    found: dict[Any, int] = {}
    numbers: dict[fx.Node, int] = {}
    alive = ancestors(next(n for n in graph.nodes if n.op == "output"))
    once = 0
    for node in graph.nodes:
        if node not in alive:
            continue
        once = 1 if op_name(node) == LEVELS else once
        if op_name(node) == LIF:
            found[node] = int(node.meta["val"][0].shape[0])
        elif op_name(node) == LIF_STEP:
            numbers[node] = _number(node, numbers)
            neuron = node.args[2]
            found[neuron] = max(found.get(neuron, 0), numbers[node] + 1)
    counts = sorted(set(found.values()))
    if len(counts) > 1:
        raise UnsupportedError(
            "SFX-E195",
            f"the model's neurons run different numbers of steps: {counts}",
            where="model",
            hint="every neuron must be called once per step, from its state of the step before",
        )
    return counts[0] if counts else once


def ancestors(end: fx.Node | None) -> set[fx.Node]:
    """All nodes that `end` depends on, itself included."""
    found: set[fx.Node] = set()
    todo = [] if end is None else [end]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += node.all_input_nodes
    return found


def _number(node: fx.Node, known: dict[fx.Node, int]) -> int:
    """Which step of its neuron a call computes: one after that whose state it was given."""
    state = cast(list[Any], node.args[1])
    before = [known[call] for value in state if (call := _origin(value)) in known]
    return max(before, default=-1) + 1


def _origin(value: Any) -> Any:
    """The neuron's call that made a state, which may have been passed on unchanged."""
    while isinstance(value, fx.Node) and op_name(value) in PASSED_ON:
        value = value.args[0]
    made = isinstance(value, fx.Node) and value.target is operator.getitem
    return value.args[0] if made else None
