"""No objective loses to another at its own figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from sfx.backends.fast.backend import FastBackend
from sfx.toolchain.compiler.cost.model import Cost, estimate
from sfx.toolchain.compiler.mapping.place import MappingOptions, place
from sfx.toolchain.compiler.mapping.search import OBJECTIVES, Search
from sfx.toolchain.ir.program import LIF, Conv2d, Dense, Input, Program
from sfx.toolchain.targets import load
from tests.unit.mapping.programs import Net, transformer_like

LOIHI2 = load("loihi2")
RATE = 0.13
COUNTED = 1.05
"""Maps are chosen by mean rates; the spikes of single steps and cores differ from these."""


def weights(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return 2 * np.random.default_rng(seed).integers(-20, 21, shape).astype(np.int64)


def neuron(fan_in: int) -> LIF:
    """It fires at about the rate of what drives it."""
    return LIF(du=4095, dv=0, vth=int(12 * np.sqrt(fan_in * 0.15)))


def mlp(*sizes: int) -> Program:
    net, before = Net(8), "input"
    net.add("input", (sizes[0],), Input())
    for i, (pre, post) in enumerate(pairwise(sizes)):
        before = net.add(f"l{i}", (post,), neuron(pre), (before, Dense(weights((post, pre), i))))
    return net.done(before)


def cnn(size: int, *channels: int) -> Program:
    net, before, shape = Net(8), "input", (2, size, size)
    net.add("input", shape, Input())
    for i, out in enumerate(channels):
        half = (shape[1] - 1) // 2 + 1
        kernel = weights((out, shape[0], 3, 3), i)
        to = (out, half, half)
        c = Conv2d(kernel, shape, to, (2, 2), (1, 1), (1, 1), 1)
        before, shape = net.add(f"c{i}", to, neuron(9 * shape[0]), (before, c)), to
    size = int(np.prod(shape))
    net.add("head", (10,), neuron(size), (before, Dense(weights((10, size), 9))))
    return net.done("head")


NETS: dict[str, Callable[[], Program]] = {
    "784-1000-10": lambda: mlp(784, 1000, 10),
    "784-128-10": lambda: mlp(784, 128, 10),
    "700-256-20": lambda: mlp(700, 256, 20),
    "16-32-4": lambda: mlp(16, 32, 4),
    "conv 8-16": lambda: cnn(28, 8, 16),
    "conv 16-32": lambda: cnn(34, 16, 32),
}


@pytest.mark.parametrize("name", NETS)
def test_by_counted_events(name: str) -> None:
    program = NETS[name]()
    x = np.random.default_rng(0).random((2, program.timesteps, *program.input.shape)) < RATE
    counts = FastBackend().run(program, x.astype(np.int64)).counts
    known = {n: float(e.mean()) / counts.samples for n, e in counts.events.items()}
    assert min(known.values()) > 0.02, "a silent population says nothing"
    found: dict[str, Cost] = {}
    for objective in OBJECTIVES:
        placed = place(program, LOIHI2, MappingOptions(objective, 0, known))
        found[objective] = estimate(placed, LOIHI2, counts)
    assert found["cores"].cores == min(c.cores for c in found.values())
    latency = {o: c.timing.latency.value for o, c in found.items()}
    assert latency["latency"] <= COUNTED * min(latency.values()), latency
    energy = {o: c.total.value for o, c in found.items()}
    assert energy["energy"] <= COUNTED * min(energy.values()), energy


@pytest.mark.parametrize("name", [*NETS, "transformer"])
@pytest.mark.parametrize("chips", [1, 4])
def test_by_what_is_expected(name: str, chips: int) -> None:
    """On one chip, and on four of eight cores."""
    limits = LOIHI2.limits
    if chips > 1:
        limits = replace(limits, cores_per_chip=8, chips=chips, chip_grid=(2, 2))
    program = transformer_like() if name == "transformer" else NETS[name]()
    search = Search(program, replace(LOIHI2, limits=limits), {})
    best = {objective: search.best(objective) for objective in OBJECTIVES}
    if best["intel"].cores > limits.cores:
        del best["intel"]
    figures = {objective: search.expected(found) for objective, found in best.items()}
    assert best["cores"].cores == min(found.cores for found in best.values())
    assert figures["latency"].step <= 1.000001 * min(f.step for f in figures.values())
    assert figures["energy"].joules <= 1.000001 * min(f.joules for f in figures.values())
