"""Time of a step, latency and throughput.

    T_step = max( neurons, synops, memory reads, heaviest link, chip border, host, barrier ) + sync

each a maximum over cores or links: eq. (1) of Timcheck et al. 2026 (arXiv:2601.10035), which is a
lower bound. Its constants are not public; those of the target stand in for them. `sync` is the
synchronization that follows the work, for targets that give it (Loihi 1, after SANA-FE).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from ...targets.target import Target
from .estimate import Estimate, charge, constant, zero
from .loads import KINDS, Loads

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Term:
    """One term of the maximum. `mean`: its mean over the steps; `steps`: in how many it binds.

    core  (chip, core) that sets it in its worst step, with `populations`; None for the others
    """

    name: str
    mean: Estimate
    steps: int
    core: tuple[int, int] | None
    populations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Timing:
    """Steady-state times. `bound_by`: the terms, the one that costs most time first.

    step       mean hardware step;  sample  T of them: one sample leaves in every `sample`
    latency    T + phase(output) steps, from a sample's first event to its result
    throughput samples per second
    """

    step: Estimate
    sample: Estimate
    latency: Estimate
    throughput: Estimate
    terms: tuple[Term, ...]


@dataclass(frozen=True, eq=False)
class _Series:
    """A term per step, at its value and both ends [3, T], and the core that sets it [T]."""

    name: str
    ends: Array
    constants: tuple[str, ...]
    core: NDArray[np.int64] | None = None


ENDS = ("value", "low", "high")


def timing(loads: Loads, target: Target, depth: int, chips: int) -> Timing:
    """Times for these loads. depth: phase of the output, in hardware steps."""
    series = [s for s in _series(loads, target, chips) if s.constants]
    stack = np.stack([s.ends for s in series])
    after = _sync(loads, target)
    steps = stack.max(axis=0) + np.array([[getattr(after, end)] for end in ENDS])
    binds = stack[:, 0].argmax(axis=0)
    used = tuple(dict.fromkeys(c for s in series for c in (*s.constants, *after.constants)))
    per_step = _mean(steps, used)
    count = steps.shape[1]
    terms = [_term(s, int(np.sum(binds == i)), loads) for i, s in enumerate(series)]
    spent = [float(steps[0, binds == i].sum()) for i in range(len(series))]
    order = sorted(range(len(series)), key=lambda i: (-spent[i], -terms[i].mean.value))
    sample = per_step.scaled(count)
    return Timing(
        per_step,
        sample,
        per_step.scaled(count + depth),
        sample.inverse("1/s"),
        tuple(terms[i] for i in order),
    )


def _sync(loads: Loads, target: Target) -> Estimate:
    """Synchronization after the work of a step; it grows with the routers in use."""
    routers = {(chip, core // target.limits.cores_per_router) for chip, core in loads.cores}
    doublings = log2(max(len(routers), 1))
    return charge(target.costs, {"t_sync": 1, "t_sync_per_doubling": doublings}, "s")


def _mean(ends: Array, constants: tuple[str, ...]) -> Estimate:
    value, low, high = (float(x) for x in ends.mean(axis=1))
    return Estimate(value, low, high, "s", constants)


def _term(series: _Series, steps: int, loads: Loads) -> Term:
    mean = _mean(series.ends, series.constants)
    if series.core is None:
        return Term(series.name, mean, steps, None)
    core = int(series.core[series.ends[0].argmax()])
    return Term(series.name, mean, steps, loads.cores[core], loads.populations[core])


def _series(loads: Loads, target: Target, chips: int) -> list[_Series]:
    count = len(loads.host)
    steady = np.broadcast_to(loads.neurons, loads.updates.shape)
    barrier = charge(
        target.costs, {"t_barrier": 1, "t_barrier_per_doubling": log2(max(chips, 1))}, "s"
    )
    floor = np.array([[getattr(barrier, end)] * count for end in ENDS])
    return [
        _cores(
            "neuron updates",
            target,
            {
                "t_access": steady,
                "t_update": loads.updates,
                "t_fired": loads.fired,
                "t_message_out": loads.sent,
            },
        ),
        _cores(
            "synaptic operations",
            target,
            {f"t_synop_{kind}": loads.synops[kind] for kind in KINDS}
            | {"t_message_in": loads.received},
        ),
        _cores("synaptic memory", target, {"t_memory_word": loads.words}),
        _line("network link", target, "t_link_bit", loads.link),
        _line("chip-to-chip link", target, "t_chip_link_bit", loads.chip_link),
        _line("host input", target, "t_host_message", loads.host),
        _Series("barrier", floor, barrier.constants),
    ]


def _cores(name: str, target: Target, work: dict[str, Array]) -> _Series:
    """sum of work [T, cores] times its constants, then the busiest core of each step."""
    shape = next(iter(work.values())).shape
    total = np.zeros((len(ENDS), *shape))
    constants = []
    for cost, amount in work.items():
        each = constant(target.costs, cost)
        if each is not None:
            constants.append(cost)
            total += np.stack([amount * getattr(each, end) for end in ENDS])
    return _Series(name, total.max(axis=2), tuple(constants), total[0].argmax(axis=1))


def _line(name: str, target: Target, cost: str, amount: Array) -> _Series:
    each = constant(target.costs, cost) or zero("s")
    ends = np.stack([amount * getattr(each, end) for end in ENDS])
    return _Series(name, ends, each.constants)
