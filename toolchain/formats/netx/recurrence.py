"""Recurrent layers of a `.net` file (dense_rec): they read their own spikes of the step before.

L   the layer: what comes from outside, and R s[t-1] from F
F   the same neurons with the same inputs, silenced by a clock's tick at a sample's last step, so
    that nothing of it reaches the next sample. Both read F, with a lag of 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...ground.arithmetic import LOIHI
from ...ground.errors import InputError
from ...ir.bounds import port_bounds
from ...ir.neurons.clock import CLOCK
from ...ir.program import (
    LIF,
    Dense,
    Population,
    Program,
    Projection,
    Readout,
    Structured,
)
from ...ir.sample_end import silencing_tick
from . import weights as netx_weights
from .file import Layer
from .late import clock


def add(
    populations: list[Population], projections: list[Projection], layer: Layer, steps: int
) -> None:
    """Append F, and what it sends back. Raises InputError SFX-E164."""
    where = f"layer/{layer.index}"
    outer, own = layer.weight, layer.recurrent
    assert outer is not None
    assert own is not None
    post = populations[-1]
    copy = replace(post, name=f"{post.name}.feedback", module="")
    fed = [j for j in projections if j.post == post.name]
    into = [replace(j, name=j.name.replace(post.name, copy.name), post=copy.name) for j in fed]
    _, used = netx_weights.dense_rec(outer, own, where)
    loops = [
        Projection(
            f"{copy.name}->{end.name}" + (".negative" if i else ""),
            copy.name, end.name, Dense(mantissas), weight_exp=exponent, lag=1,
        )
        for end in (post, copy)
        for i, (mantissas, exponent) in enumerate(netx_weights.legal(used, where, shift=True))
    ]  # fmt: skip
    clock(populations)
    populations.append(copy)
    projections += [*into, *loops]
    projections += _ticks(populations, projections, copy, steps, where)
    populations.remove(post)
    populations.append(post)


def _ticks(
    populations: list[Population],
    projections: list[Projection],
    copy: Population,
    steps: int,
    where: str,
) -> Iterator[Projection]:
    """What the tick takes from F, so that it cannot fire wherever its membrane stood."""
    n = copy.neuron
    assert isinstance(n, LIF)
    readout = Readout(copy.name, 1.0, (0,) * copy.size)
    sofar = Program(tuple(populations), tuple(projections), steps, readout)
    arriving = port_bounds(sofar, copy, without={CLOCK})["a_in"]
    left = silencing_tick(n, arriving, steps, LOIHI)
    if left + int(arriving.largest.max(initial=0)) >= LOIHI.input_limit:
        raise InputError(
            "SFX-E164",
            f"the layer's current can reach {left}, and no tick of 17 bits outweighs it at the end "
            "of a sample",
            where=where,
            hint="train with smaller weights, fewer inputs, or a faster decay of the current",
        )
    number, most, exponents = 0, LOIHI.weight_limit - 1, range(LOIHI.weight_exp[1] + 1)
    while left > 0:
        exponent = next((e for e in exponents if left <= most << e), exponents[-1])
        weight = min(-(-left >> exponent), most)
        name = f"{CLOCK}->{copy.name}" + (f"#{number}" if number else "")
        tick = Structured.to_all(copy.shape, -weight)
        yield Projection(name, CLOCK, copy.name, tick, weight_exp=exponent)
        left, number = left - (weight << exponent), number + 1
