"""A net and a target so small that every cost can be counted by hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sfx.toolchain.ir.placed import PlacedProgram
from sfx.toolchain.ir.program import Dense, Graded, Input
from sfx.toolchain.targets import Quantity, Target, load
from tests.unit.mapping.in_order import in_order
from tests.unit.mapping.programs import Net, dense, lif


@dataclass(frozen=True, eq=False)
class Counts:
    """The fields of `backends.base.Counts`."""

    samples: int
    events: dict[str, np.ndarray]
    active: dict[str, np.ndarray] = field(default_factory=dict)


def toy_target(**costs: float) -> Target:
    """Two cores' worth of neurons each, 2 x 2 routers of one core; all costs 0 but those given
    (and a barrier of 1).

    A cost ranges from half to twice its value.
    """
    base = load("loihi2")
    limits = replace(
        base.limits,
        neurons_per_core=2,
        stateful_neurons_per_core=0,
        mesh=(2, 2),
        cores_per_router=1,
        cores_per_chip=4,
        chips=4,
        chip_grid=(2, 2),
    )
    given = {"k": 1.0, "message_bits": 32.0, "p_static": 0.0, "t_barrier": 1.0} | costs
    names = set(base.costs) - {"widen_below", "graded_message_bits"}
    values = {name: given.pop(name, 0.0) for name in sorted(names | set(given))}
    quantities = {
        name: Quantity(value, base.costs[name].unit if name in base.costs else "s", 1.0, 1.0, name)
        if name in ("k", "message_bits")
        else Quantity(value, base.costs[name].unit if name in base.costs else "s", 0.5, 2.0, name)
        for name, value in values.items()
    }
    return replace(base, name="toy", limits=limits, costs=quantities)


def toy_placed(target: Target) -> PlacedProgram:
    """input (4) -> a (4, all to all) on cores 0 and 1 -> b (2; b0 from a0, a1; b1 from a2, a3)
    on core 2. T = 2; phases 0, 1, 2. Cores 0, 1, 2 sit at routers (0, 0), (1, 0), (0, 1)."""
    net = Net(2)
    net.add("input", (4,), Input())
    net.add("a", (4,), lif(), ("input", dense(4, 4)))
    pairs = Dense(np.array([[2, 2, 0, 0], [0, 0, 2, 2]], dtype=np.int64))
    net.add("b", (2,), Graded(), ("a", pairs))
    return in_order(net.done("b"), target)


def toy_counts() -> Counts:
    """One sample: input spikes 0, 1 then 3; a spikes 0, 2 then 3; b spikes 0 at once."""
    events = {
        "input": np.array([[1, 1, 0, 0], [0, 0, 0, 1]]),
        "a": np.array([[1, 0, 1, 0], [0, 0, 0, 1]]),
        "b": np.array([[1, 0], [0, 0]]),
    }
    active = {"a": np.array([[1, 1, 1, 1], [0, 0, 1, 1]]), "b": np.array([[1, 1], [0, 1]])}
    return Counts(1, events, active)
