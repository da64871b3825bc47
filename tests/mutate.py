"""One-number changes of a Program: what a verification must catch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.program import Program


def with_projection(program: Program, changed: p.Projection) -> Program:
    """`program` with the projection of the same name exchanged."""
    parts = tuple(changed if j.name == changed.name else j for j in program.projections)
    return replace(program, projections=parts)


def with_population(program: Program, changed: p.Population) -> Program:
    """`program` with the population of the same name exchanged."""
    parts = tuple(changed if q.name == changed.name else q for q in program.populations)
    return replace(program, populations=parts)


def projection(program: Program, name: str) -> p.Projection:
    """The projection called `name`."""
    return next(j for j in program.projections if j.name == name)


def flip_weight_bit(program: Program, name: str, index: int = 0, bit: int = 1) -> Program:
    """Flip one bit of one weight mantissa (bit 1: the lowest that mixed-sign weights keep)."""
    j = projection(program, name)
    weight = j.connection.weight.copy()  # type: ignore[attr-defined]
    weight.flat[index] ^= 1 << bit
    return with_projection(program, replace(j, connection=replace(j.connection, weight=weight)))


def change_threshold(program: Program, name: str, by: int = -1) -> Program:
    """Move the threshold of one LIF population."""
    q = program[name]
    assert isinstance(q.neuron, p.LIF)
    return with_population(program, replace(q, neuron=replace(q.neuron, vth=q.neuron.vth + by)))


def change_delay(program: Program, name: str, by: int = 1) -> Program:
    """Move the delay of one projection."""
    j = projection(program, name)
    return with_projection(program, replace(j, delay=j.delay + by))


def busiest_weight(program: Program, name: str, spikes: np.ndarray) -> int:
    """Flat index of a weight of a Conv2d projection whose input channel fires most."""
    j = projection(program, name)
    assert isinstance(j.connection, p.Conv2d)
    view = j.pre_view
    flat = spikes.reshape(len(spikes), -1)
    seen = flat if view is None else view.apply(flat, lead=1)
    per_channel = seen.reshape(len(spikes), j.connection.in_shape[0], -1).sum((0, 2))
    channel = int(np.argmax(per_channel[: j.connection.weight.shape[1]]))
    kernel = j.connection.weight.shape
    centre = (kernel[2] // 2, kernel[3] // 2)
    return int(np.ravel_multi_index((0, channel, *centre), kernel))
