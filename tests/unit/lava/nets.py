"""Small Programs for the tests of the Lava backend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sfx.toolchain.arith import IntArray
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.program import Program


def chain(length: int = 1, timesteps: int = 4, size: int = 6) -> Program:
    """Input -> `length` LIFs on identities -> Graded output; everything fires."""
    axes = (("n", size),)
    pops = [p.Population("in", (size,), p.Input(), phase=0)]
    joints = []
    for i in range(length):
        neuron = p.LIF(du=4095, dv=1024, vth=60)
        pops.append(p.Population(f"lif{i}", (size,), neuron, phase=i + 1))
    pops.append(p.Population("out", (size,), p.Graded(), low=0, high=64, phase=length + 1))
    for a, b in zip(pops, pops[1:], strict=False):
        same = p.Structured(axes, axes, 64)
        joints.append(p.Projection(f"{a.name}->{b.name}", a.name, b.name, same, delay=1))
    return Program(tuple(pops), tuple(joints), timesteps, p.Readout("out", 1.0, (0,) * size))


def changed(program: Program, name: str, **neuron: object) -> Program:
    """`program` with fields of one LIF exchanged."""
    parts = tuple(
        replace(q, neuron=replace(q.neuron, **neuron)) if q.name == name else q  # type: ignore[type-var]
        for q in program.populations
    )
    return replace(program, populations=parts)


def events(program: Program, samples: int = 2, seed: int = 0, rate: float = 0.6) -> IntArray:
    """Binary events [K, T, *input shape]."""
    rng = np.random.default_rng(seed)
    shape = (samples, program.timesteps, *program.input.shape)
    return (rng.random(shape) < rate).astype(np.int64)
