"""What a Program's populations provably do at the last step of each sample, when clocks tick.

A clock ticks one step before the first sample, too, so what holds at a sample's last step holds at
model step -1.
"""

from __future__ import annotations

import numpy as np

from ..ground.arith import INPUT_SHIFT, IntArray
from ..ground.arithmetic import Arithmetic
from .bound import Bound
from .bounds import port_bounds
from .last_step import per_tick, sample_ticks
from .neurons.leaky import current_bound
from .neurons.lif import LIF
from .program import MultiLevel, Population, Program


def silent_at_the_end(program: Program) -> set[str]:
    """Populations that provably send only 0 at every sample's last step.

    * a LIF from which the tick takes at least as much as can drive it: after a step v is at most
      the threshold, so it cannot fire at the next one if u + bias <= 0
    * levels that the same drive cannot pass
    * what is quiet without input, such as a Product or a relay, with a port that only such
      populations reach
    """
    found: set[str] = set()
    # what a clock of groups brings is bounded as what any population sends: it may come more often
    clocks = sample_ticks(program)
    for p in program:
        if isinstance(p.neuron, LIF):
            silent = bool(np.all(_drive(program, p, clocks) <= 0))
        elif isinstance(p.neuron, MultiLevel):
            least, most = _ticked(program, p, clocks)
            over = bool(p.neuron.up) and not np.all(most <= p.neuron.up[0])
            under = bool(p.neuron.down) and not np.all(least >= p.neuron.down[0])
            silent = not (over or under)
        else:
            silent = p.neuron.quiet and any(_quiet(program, p, k, found) for k in p.neuron.ports)
        if silent:
            found.add(p.name)
    return found


def silencing_tick(
    neuron: LIF, received: Bound, timesteps: int, widths: Arithmetic, once: int = 0
) -> int:
    """What a tick must take from a_in so that the neurons cannot fire, wherever v stood.

    v never stands above the threshold, so u + bias <= 0 is enough.
    received  at a_in from all but ticks;  once  what a tick may add to u in the same sample
    """
    u = current_bound(neuron, received, timesteps, widths)
    bias = int(neuron.bias.max(initial=0))
    most = int(u.high.max(initial=0)) + bias + (once << INPUT_SHIFT)
    return max(1, -(-most >> INPUT_SHIFT))


def most_at_the_end(program: Program, p: Population) -> tuple[IntArray, IntArray]:
    """Least and most that drives a LIF (u + bias, the least is not known: 0) or is compared with
    levels at a sample's last step [size].
    """
    clocks = sample_ticks(program)
    if isinstance(p.neuron, MultiLevel):
        return _ticked(program, p, clocks)
    most = _drive(program, p, clocks)
    return np.zeros_like(most), most


def _ticked(program: Program, p: Population, clocks: set[str]) -> tuple[IntArray, IntArray]:
    """The least and the most that levels can be compared with at the last step [size]."""
    assert isinstance(p.neuron, MultiLevel)
    low = high = np.zeros(p.size, np.int64)
    for j in program.incoming[p.name]:
        if j.pre in clocks:
            weight = per_tick(program, j)
            late = j.lag != 0  # another tick: it may be one of the step or not
            low = low + (weight.clip(None, 0) if late else weight)
            high = high + (weight.clip(0) if late else weight)
    steady = port_bounds(program, p, without=clocks)["a_in"]
    bias = np.broadcast_to(p.neuron.bias, p.shape).ravel()
    return steady.low + bias + low, steady.high + bias + high


def _drive(program: Program, p: Population, clocks: set[str]) -> IntArray:
    """The most that u + bias can be at the last step [size]."""
    assert isinstance(p.neuron, LIF)
    tick = once = np.zeros(p.size, np.int64)
    for j in program.incoming[p.name]:
        if j.pre in clocks:
            weight = per_tick(program, j)
            tick, once = (tick + weight, once) if j.lag == 0 else (tick, once + weight.clip(0))
    if not np.all(tick < 0):
        return np.ones(p.size, np.int64)
    steady = port_bounds(program, p, without=clocks)
    u = current_bound(p.neuron, steady["a_in"], program.timesteps, program.arithmetic)
    driven = u.high + np.broadcast_to(p.neuron.bias, p.shape).ravel()
    full: IntArray = driven + ((once + tick) << INPUT_SHIFT)
    return full


def _quiet(program: Program, p: Population, port: str, silent: set[str]) -> bool:
    """True if nothing reaches the port then; always so where nothing leads to it."""
    feeds = (j for j in program.incoming[p.name] if j.port == port)
    return all(j.pre in silent and j.lag == 0 for j in feeds)
