"""Small Programs for the tests of the Lava backend."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from sfx.toolchain.ground.arith import IntArray
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
    for a, b in pairwise(pops):
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


def every_kind() -> Program:
    """Every neuron program and every connection process of Lava, delays and views included."""
    rng = np.random.default_rng(0)

    def even(*shape: int) -> IntArray:
        return rng.integers(-60, 60, shape) * 2

    same = (("n", 20),)
    pops = (
        p.Population("in", (1, 24, 24), p.Input(), phase=0),
        p.Population(
            "conv.lif",
            (2, 12, 12),
            p.LIF(4095, 500, 40, rng.integers(-100, 400, (2, 1, 1)), 3),
            phase=1,
        ),
        p.Population("lif", (20,), p.LIF(2000, 500, 40), phase=2),
        p.Population("stateless", (20,), p.LIF(4095, 4095, 0, reset=False), phase=3),
        p.Population("graded", (20,), p.Graded(1), low=-(1 << 17), high=1 << 17, phase=4),
        p.Population("relu", (20,), p.GradedReLU(2), low=0, high=1 << 19, phase=5),
        p.Population("clock", (1,), p.Clock(), phase=5),
        p.Population("product", (20,), p.Product(2, 1), low=-(1 << 22), high=1 << 22, phase=6),
    )
    stem = p.Conv2d(even(2, 1, 3, 3), (1, 24, 24), (2, 12, 12), (2, 2), (1, 1))
    shuffle = p.View((4, 5), (1, 0))
    row = np.arange(21)
    some = p.Sparse(row, rng.integers(0, 20, 20), rng.integers(1, 9, 20))
    parts = (
        ("in", "conv.lif", stem, {}),
        ("conv.lif", "lif", p.Dense(even(20, 288)), {"weight_exp": -1}),
        ("lif", "stateless", p.Structured(same, same, 3), {"pre_view": shuffle}),
        ("lif", "graded", p.Dense(even(20, 20)), {"delay": 2, "weight_exp": -1}),
        ("stateless", "graded", some, {"post_view": shuffle}),
        ("conv.lif", "graded", p.Dense(even(20, 288)), {"delay": 3, "weight_exp": -3}),
        ("graded", "relu", p.Structured(same, same, 2), {}),
        ("lif", "relu", p.Structured(same, same, -5), {"delay": 3, "weight_exp": 1}),
        ("relu", "product", some, {"port": "a_in1"}),
        ("clock", "product", p.Structured((), same), {"port": "a_in2"}),
        ("stateless", "product", p.Structured(same, same, 7), {"port": "a_in2", "delay": 3}),
    )
    joints = tuple(
        p.Projection(f"{a}->{b}.{i}", a, b, c, **({"delay": 1} | options))
        for i, (a, b, c, options) in enumerate(parts)
    )
    return Program(pops, joints, 5, p.Readout("product", 1.0, tuple(range(20))))
