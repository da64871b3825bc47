"""An input that makes a current leave its 24 bits, where one can be found.

`check_program` refuses every Program whose currents it cannot bound (SFX-E344, SFX-E345). A bound
may be wider than what the network can reach; an input that really does it leaves no doubt, and
shows where to look. Not finding one proves nothing: the bound stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..ground.arith import INPUT_SHIFT, IntArray, truncate_shift
from ..ground.arith import scale_exponent as scaled
from ..ground.errors import Problem, SfxError
from ..ir.bounds import port_bounds
from ..ir.connections import matrix
from ..ir.graph import FloatArray
from ..ir.neurons.leaky import current_bound
from ..ir.program import LIF, Population, Program

Layers = Callable[[Program, IntArray], Mapping[str, IntArray]]
"""What every population sends [K, T, *shape], from x [K, T, *input shape]: `layers` of a backend.
"""
CODES = ("SFX-E344", "SFX-E345")
RANDOM = 8


@dataclass(frozen=True, eq=False)
class Overflow:
    """Neuron `neuron` of `population` has current `value` at model step `step` of x [T, ...].

    value  u as whole numbers without a width give it; the register holds another one.
    """

    population: str
    neuron: int
    step: int
    value: int
    x: IntArray

    def __str__(self) -> str:
        on = int(np.count_nonzero(self.x))
        return (
            f"found an input that does it ({on} events, largest {int(self.x.max(initial=0))}): "
            f"neuron {self.neuron} reaches u = {self.value} at step {self.step}"
        )


def find_overflow(program: Program, layers: Layers) -> Overflow | None:
    """An input on which some LIF's current leaves 24 bits, or None if none was found."""
    for p in program:
        if not isinstance(p.neuron, LIF):
            continue
        a_in, widths = port_bounds(program, p)["a_in"], program.arithmetic
        bound = current_bound(p.neuron, a_in, program.timesteps, widths)
        if not np.any(bound.largest >= widths.state_limit):
            continue
        low, high = (np.broadcast_to(end, p.size) for end in (bound.low, bound.high))
        for x in _candidates(program, p, low, high):
            found = _overflows(program, p, x, layers(program, x[None]))
            if found is not None:
                return found
    return None


def explained(error: SfxError, program: Program, layers: Layers) -> SfxError:
    """`error` with the input that does it, if it is about currents and one is found."""
    if not any(problem.code in CODES for problem in error.problems):
        return error
    found = find_overflow(program, layers)
    if found is None:
        note = "no input that does it was found; the bound may be wider than what can happen"
        return SfxError.of([_noted(q, note) if q.code in CODES else q for q in error.problems])
    return SfxError.of(
        [_noted(q, str(found)) if q.where == found.population else q for q in error.problems]
    )


def _noted(problem: Problem, note: str) -> Problem:
    return replace(problem, what=f"{problem.what}; {note}")


def _candidates(
    program: Program, p: Population, low: IntArray, high: IntArray
) -> Iterator[IntArray]:
    """Inputs [T, *shape] that drive the neurons with the widest bounds as far as they go.

    Weights are followed back to the input as if every population passed on what it receives; for
    a population fed by the input alone that is the largest current itself.
    """
    shape = program.input.shape
    for values, sign in ((high, 1), (low, -1)):
        for neuron in np.argsort(-sign * values, kind="stable")[:2]:
            row = np.zeros(p.size)
            row[neuron] = sign
            towards = _back_to_input(program, p.name, row)
            once = np.where(towards > 0, program.input.high, 0).astype(np.int64).reshape(shape)
            yield np.repeat(once[None], program.timesteps, axis=0)
    full = np.full((program.timesteps, *shape), program.input.high, np.int64)
    yield full
    rng = np.random.default_rng(0)
    for share in np.linspace(0.1, 0.9, RANDOM):
        yield full * (rng.random(full.shape) < share)


def _back_to_input(program: Program, name: str, row: FloatArray) -> FloatArray:
    """How each input element moves row . (what `name` receives), linearised [input size]."""
    wanted = {name: row}
    for q in reversed(program.populations):
        if q.name not in wanted:
            continue
        own = wanted[q.name]
        for j in program.incoming[q.name]:
            if j.lag == 0:
                pre = program[j.pre]
                back = own @ matrix(j, pre.size, q.size)
                scale = np.abs(back).max(initial=0.0)
                before = wanted.get(j.pre, np.zeros(pre.size))
                wanted[j.pre] = before + (back / scale if scale else back)
    return wanted.get(program.input.name, np.zeros(program.input.size))


def _overflows(
    program: Program, p: Population, x: IntArray, sent: Mapping[str, IntArray]
) -> Overflow | None:
    """The first step at which a current of `p` is outside, in whole numbers of any width."""
    assert isinstance(p.neuron, LIF)
    steps = program.timesteps
    a_in = np.zeros((steps, p.size), np.int64)
    for j in program.incoming[p.name]:
        rows = sent[j.pre].reshape(steps, -1)
        if j.lag:
            rows = np.roll(rows, j.lag, axis=0)
            rows[: j.lag] = 0
        m = matrix(j, rows.shape[1], p.size)
        a_in += scaled(np.asarray(m @ rows.T, dtype=np.int64).T, j.weight_exp)
    u, widths = np.zeros(p.size, np.int64), program.arithmetic
    limit = widths.state_limit
    for t in range(steps):
        kept = truncate_shift(u * (widths.full_decay - p.neuron.du), widths.decay_bits)
        u = kept + (a_in[t] << INPUT_SHIFT)
        outside = np.flatnonzero((u > limit) | (u <= -limit))
        if outside.size:
            n = int(outside[np.abs(u[outside]).argmax()])
            return Overflow(p.name, n, t, int(u[n]), x)
    return None
