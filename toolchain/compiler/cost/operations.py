"""Operations layer by layer, as papers on spiking networks count them.

Rows are populations that receive. What happens inside a neuron of several populations (its leak,
its reset) is no operation of a layer, and a weight that is stored in two mantissas is one synapse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...ir.connection_kinds.conv2d import Conv2d
from ...ir.connection_kinds.dense import Dense
from ...ir.facts import Cell, Coincidence, part_of
from ...ir.program import Population, Program, Projection
from .activity import Activity
from .proxy import Proxy
from .synops import fan_out


@dataclass(frozen=True)
class LayerOperations:
    """What a population that receives makes the network do.

    rate  share of the neuron-steps of its inputs that send
    """

    name: str
    module: str
    rate: float
    done: Proxy


def operations(program: Program, activity: Activity) -> tuple[LayerOperations, ...]:
    """A row for each population that others make work, in the Program's order.

    A synaptic operation is an accumulate if the spike is binary, a multiply-accumulate if it is
    graded; a neuron that multiplies has multiplied once where it sends. The dense twin has one
    multiply-accumulate for each weight at each position, and for each product of attention;
    pools and a residual's sum are additions there.
    """
    whole = _neurons(program)
    coincide = {fact.population for fact in program.known(Coincidence)}
    rows: dict[str, list[float]] = {}
    heard: dict[str, dict[str, float]] = {}
    for j in synapses_of_layers(program):
        name, fan = whole.get(j.post, j.post), fan_out(program, j)
        sent = activity.events[j.pre].sum(axis=0)
        row = rows.setdefault(name, [0.0, 0.0, 0.0])
        row[graded(program[j.pre])] += float(sent @ fan)
        if learned(j):
            row[2] += float(fan_out(program, full(j)).sum())
        heard.setdefault(name, {})[j.pre] = float(sent.sum())
    for p in program:
        if p.name not in whole and (p.neuron.multiplies or p.name in coincide):
            row = rows.setdefault(p.name, [0.0, 0.0, 0.0])
            row[2] += p.size
            if p.neuron.multiplies:
                row[1] += float(activity.events[p.name].sum())
    return tuple(
        LayerOperations(
            p.name, p.module, _rate(program, heard.get(p.name, {})), Proxy(*rows[p.name])
        )
        for p in program
        if p.name in rows
    )


def _rate(program: Program, heard: Mapping[str, float]) -> float:
    slots = program.timesteps * sum(program[name].size for name in heard)
    return sum(heard.values()) / slots if slots else 0.0


def synapses_of_layers(program: Program) -> Iterator[Projection]:
    """The projections between neurons of the model; those of one weight in two terms, or into
    several populations of one neuron, once.

    What a neuron's own populations send to each other is left out, and so are clocks and biases.
    What feeds back within a layer is a projection of it, unless it is one to one: that is not told
    from the neuron's own reset and leak.
    """
    whole = _neurons(program)
    cells = {whole.get(f.population, f.population) for f in program.known(Cell)}
    moved = _moved(program)
    seen: dict[tuple[object, ...], Projection] = {}
    for j in program.projections:
        pre, post = whole.get(j.pre, j.pre), whole.get(j.post, j.post)
        if j.pre not in moved or (pre == post in cells and fan_out(program, j).max() <= 1):
            continue
        port = "" if post in cells else j.port
        key = (j.pre, post, port, j.lag, j.pre_view, j.post_view, *_form(j))
        seen[key] = _both(seen[key], j) if key in seen and _form(j) else j
    return iter(seen.values())


def graded(p: Population) -> bool:
    """Whether it sends more than spikes, which are 1 or, of some neurons, -1."""
    return p.low < -1 or p.high > 1


def _neurons(program: Program) -> dict[str, str]:
    """Population -> the one that fires for the same neuron, where that is another."""
    whole = part_of(program.facts or ())
    for fact in program.known(Cell):
        compares = program[fact.population]
        readers = {j.post for j in program.outgoing[compares.name]} - set(fact.parts)
        if compares.neuron.multiplies and len(readers) == 1:  # what it compares fires elsewhere
            whole |= dict.fromkeys((compares.name, *fact.parts), *readers)
    return whole


def _moved(program: Program) -> set[str]:
    """Populations that the input reaches; the others send the same for every sample."""
    found, left = set(), [program.input.name]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [j.post for j in program.outgoing[name]]
    return found


def _form(j: Projection) -> tuple[object, ...]:
    """What two terms of one weight agree in; () for patterns, which have one."""
    c = j.connection
    if isinstance(c, Dense | Conv2d):
        others = tuple(v for v in vars(c).values() if not isinstance(v, np.ndarray))
        return (type(c), c.weight.shape, *others)
    return (j.name,)


def _both(a: Projection, b: Projection) -> Projection:
    """A projection with a synapse where either has one."""
    high, low = a.connection.weights, b.connection.weights
    return replace(a, connection=replace(a.connection, weight=np.where(high, high, low)))  # type: ignore[call-arg]  # Dense or Conv2d


def full(j: Projection) -> Projection:
    """The same with every weight there."""
    c = j.connection
    field = next(k for k, v in vars(c).items() if v is c.weights)
    return replace(j, connection=replace(c, **{field: np.ones_like(c.weights)}))


def learned(j: Projection) -> bool:
    """Whether its weights are those of a layer: sums and pools have one weight for all."""
    c = j.connection
    if not isinstance(c, Conv2d):
        return c.storage != "pattern"
    depthwise = c.groups == c.in_shape[0] == len(c.weight)
    return not depthwise or bool(np.ptp(c.weight))
