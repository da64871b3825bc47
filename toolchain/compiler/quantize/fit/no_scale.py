"""What is said of a population that no scale fits: the numbers that bind, and what would help.

A remedy is named only after it was tried: the same population fits with fewer events, fewer steps,
a hard reset or nothing kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ....ground.errors import UnsupportedError
from ....ir import graph as g
from ....ir.ranges import ranges
from ....ir.wires import Wire
from ..state.quantizer_state import Inputs, QuantizerState
from .real import RealCell

Fits = Callable[[QuantizerState, RealCell], bool]
"""Whether any scale fits the population under other circumstances."""


def no_scale(state: QuantizerState, inputs: Inputs, real: RealCell, fits: Fits) -> UnsupportedError:
    """The error to raise: threshold, weights, bias, T, reset, what enters, and what would help."""
    node = inputs.node
    largest = max((float(np.abs(w).max(initial=0)) for w in real.weights), default=0.0)
    bias = float(np.abs(real.bias_i + real.bias_v).max(initial=0))
    reach = sum(_reach(state, w, j) for w, j in zip(real.weights, inputs.wires, strict=True))
    to = node.op.reset if isinstance(node.op, g.LIF | g.IF) else 0.0
    reset = f"subtracts {real.drop:g}" if real.subtract else f"goes to {to:g}"
    helps = [*_remedies(state, inputs, real, fits)]
    helps = helps or ["retrain with weights, biases and threshold of similar size"]
    return UnsupportedError(
        "SFX-E310",
        f"no scale fits the registers over T = {state.graph.timesteps} steps: "
        f"threshold {real.threshold:g}, the reset {reset}, "
        f"largest weight {largest:g}, largest bias {bias:g}, "
        f"largest summed input {reach:g} a step ({_enters(state, inputs)}), of which "
        f"{real.keep_v:g} (membrane) and {real.keep_i:g} (current) stay for the next step",
        where=node.module or node.name,
        hint="; or ".join(helps),
    )


def _reach(state: QuantizerState, weight: g.FloatArray, wire: Wire) -> float:
    values = state.classes[wire.source]
    fan_in = np.abs(weight).reshape(len(weight), -1).sum(1).max(initial=0)
    return float(fan_in * max(abs(values.low), abs(values.high)))


def _enters(state: QuantizerState, inputs: Inputs) -> str:
    """What arrives: spikes, whole numbers up to a bound, or real values."""
    sources = {w.source for w in inputs.wires}
    if sources & set(state.streams):
        return "of real values"
    high = max((int(state.classes[s].high) for s in sources), default=1)
    if high <= 1:
        return "of spikes"
    counts = any(isinstance(state.graph[s].op, g.Input) for s in sources)
    return f"of {'event counts' if counts else 'whole numbers'} up to {high}"


def _remedies(state: QuantizerState, inputs: Inputs, real: RealCell, fits: Fits) -> Iterator[str]:
    """What makes it fit, each alone."""
    high = _input_high(state)
    if high > 1 and (most := _most(high, lambda n: fits(_with_counts(state, inputs, n), real))):
        yield f"bound the event counts that enter: --counts {most} fits, they may reach {high} here"
    steps = state.graph.timesteps
    if steps > 1 and (most := _most(steps, lambda n: fits(_with_steps(state, n), real))):
        yield f"fewer time steps: {most} fit"
    if real.subtract and fits(state, replace(real, subtract=False)):
        yield "a hard reset (to a value, not by subtraction) fits"
    if (real.keep_v or real.keep_i) and fits(state, replace(real, keep_v=0.0, keep_i=0.0)):
        yield "a faster decay, so that less stays"


def _most(now: int, fits: Callable[[int], bool]) -> int:
    """The largest of now / 2, now / 4 .. 1 that fits; 0 if not even 1 does."""
    if not fits(1):
        return 0
    tried = now // 2
    while tried > 1 and not fits(tried):
        tried //= 2
    return tried


def _input_high(state: QuantizerState) -> int:
    return max(int(state.classes[n.name].high) for n in state.graph.of_type(g.Input))


def _with_counts(state: QuantizerState, inputs: Inputs, high: int) -> QuantizerState:
    """Not more than `high` events enter; real values keep the scale that they have by now."""
    nodes = (replace(n, op=g.Input(high)) if isinstance(n.op, g.Input) else n for n in state.graph)
    bounded = ranges(state.graph.with_nodes(nodes), high)
    known = {w.source: bounded[w.source] for w in inputs.wires if w.source not in state.streams}
    populations = [
        replace(q, low=int(known[q.name].low), high=int(known[q.name].high))
        if q.name in known
        else q
        for q in state.populations
    ]
    return replace(state, classes=state.classes | known, populations=populations)


def _with_steps(state: QuantizerState, steps: int) -> QuantizerState:
    return replace(state, graph=replace(state.graph, timesteps=steps))
