"""Legality of the integer Program: every value within the widths that all backends agree on.

One function per rule; its docstring is the rule. `check_program` runs them all and raises one
error with every problem. Widths are the Program's own (`Program.arithmetic`); limits of a system
are checked in mapping.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from ..ground.arith import IntArray
from ..ground.arithmetic import Arithmetic
from ..ground.errors import Problem, SfxError
from . import bounds
from .bound import Ports
from .check_facts import facts_hold, holding, relayed_from
from .delays import shielded
from .facts import Cell, SampleTotal
from .find_facts import with_facts
from .last_step import clocked, once_per_sample, ticking
from .loops import groups, in_loops
from .names import MOST_OF_POPULATION, is_clean
from .program import (
    LI,
    Clock,
    Graded,
    Input,
    Population,
    Product,
    Program,
    Projection,
    Structured,
)
from .silent_steps import silent_steps, stays_inside

Rule = Callable[[Program], Iterator[Problem]]


def check_program(program: Program, *, balanced: bool) -> None:
    """Raise SfxError with every problem of `program` (SFX-E33x, E34x, E35x), or return.

    balanced: phases and delays are set and must agree. Rules on numbers are checked only where
    names and sizes are sound, facts and sums only where the numbers are. A Program without facts is
    checked with those that are found.
    """
    for stage in (STRUCTURE, NUMBERS):
        problems = [problem for rule in stage for problem in rule(program)]
        if problems:
            raise SfxError.of(problems)
    program = with_facts(program)
    false = list(facts_hold(program))
    proved = holding(program) if false else program
    problems = [problem for rule in SUMS + (TIME if balanced else ()) for problem in rule(proved)]
    if problems or false:
        raise SfxError.of([*problems, *false])


MOST_WEIGHT = 1 << 31
"""Weights of steps stay below: sums of payloads with them fit 64 bits."""
MOST_OFFSET = 1 << 62
"""Offsets of a read-out stay below, so that the sums fit 64 bits with them as well."""
UNCLEAN = f"must be printable, at most {MOST_OF_POPULATION} characters"

# --- structure ------------------------------------------------------------------------------


def unique_names(program: Program) -> Iterator[Problem]:
    """Names of populations are unique, not empty and printable, and so are those of projections."""
    for kind, names in (
        ("population", [p.name for p in program]),
        ("projection", [j.name for j in program.projections]),
    ):
        for name, times in Counter(names).items():
            if times > 1 or not name:
                yield Problem("SFX-E330", name, f"{times} {kind}s have this name, expected 1")
            elif not is_clean(name, MOST_OF_POPULATION):
                yield Problem("SFX-E330", name, f"a {kind}'s name {UNCLEAN}")
    if program.name and not is_clean(program.name, MOST_OF_POPULATION):
        yield Problem("SFX-E330", program.name, f"a model's name {UNCLEAN}")


def known_ends(program: Program) -> Iterator[Problem]:
    """Every projection leads from a population to an existing port of a population."""
    names = {p.name for p in program}
    for j in program.projections:
        for end in (j.pre, j.post):
            if end not in names:
                yield Problem("SFX-E331", j.name, f"there is no population {end!r}")
        if j.post in names and j.port not in program[j.post].neuron.ports:
            kind = type(program[j.post].neuron).__name__
            ports = ", ".join(program[j.post].neuron.ports) or "none"
            yield Problem("SFX-E331", j.name, f"no port {j.port!r} on a {kind} (ports: {ports})")


def whole_facts(program: Program) -> Iterator[Problem]:
    """T is at least 1; there is one input; clocks have one neuron and tick at a sample's last step;
    the read-out fits its population.
    """
    if program.timesteps < 1:
        yield Problem("SFX-E332", program.name, f"T is {program.timesteps}, but must be at least 1")
    inputs = [p.name for p in program if isinstance(p.neuron, Input)]
    if len(inputs) != 1:
        yield Problem("SFX-E332", program.name, f"needs exactly one input, found {inputs}")
    for p in program:
        if isinstance(p.neuron, Clock) and p.size != 1:
            yield Problem("SFX-E332", p.name, f"a clock has {p.size} neurons, but must have 1")
        if isinstance(p.neuron, Clock) and p.neuron.every:
            yield from _ticks_fit(p.name, p.neuron.every, program.timesteps)
    r = program.readout
    found = [p for p in program if p.name == r.population]
    if not found:
        yield Problem("SFX-E332", r.population, "the read-out's population does not exist")
    elif len(r.offset) != found[0].size:
        what = f"the read-out has {len(r.offset)} offsets for {found[0].size} neurons"
        yield Problem("SFX-E332", r.population, what)
    elif any(abs(o) >= MOST_OFFSET for o in r.offset):
        what = f"an offset of the read-out reaches {MOST_OFFSET}, below which it must stay"
        yield Problem("SFX-E332", r.population, what)
    if r.weights and (r.largest or len(r.weights) != program.timesteps):
        what = (
            f"the read-out has {len(r.weights)} weights of steps for {program.timesteps} steps"
            + ", and takes the largest" * r.largest
        )
        yield Problem("SFX-E332", r.population, what)
    if any(abs(w) >= MOST_WEIGHT for w in r.weights):
        what = f"a weight of a step reaches {MOST_WEIGHT}, below which it must stay"
        yield Problem("SFX-E332", r.population, what)
    if not (np.isfinite(r.scale) and r.scale > 0):
        yield Problem(
            "SFX-E332", r.population, f"the read-out's scale is {r.scale}, but must be > 0"
        )


def _ticks_fit(where: str, every: int, timesteps: int) -> Iterator[Problem]:
    """The ticks of a clock are a divisor of T apart, so that one of them is at the sample's end."""
    if every < 1 or timesteps < 1 or timesteps % every:
        what = f"a clock ticks every {every} steps, but T is {timesteps}: no whole number of ticks"
        yield Problem("SFX-E332", where, what)


def integer_types(program: Program) -> Iterator[Problem]:
    """Every number is an integer: arrays are int64, scalars are ints."""
    for p in program:
        yield from _whole(p.name, *p.neuron.scalars, *p.shape, p.low, p.high, p.phase)
        for array in p.neuron.arrays:
            yield from _int64(p.name, array)
        if p.measured is not None:
            yield from _whole(p.name, *p.measured.numbers)
    yield from _whole(program.readout.population, *program.readout.weights)
    for j in program.projections:
        for array in j.connection.arrays:
            yield from _int64(j.name, array)
        yield from _whole(j.name, j.weight_exp, j.lag, j.delay)


def _whole(where: str, *values: object) -> Iterator[Problem]:
    for value in values:
        if not isinstance(value, int | np.integer):
            yield Problem("SFX-E333", where, f"holds {value!r}, expected a whole number")


def _int64(where: str, array: IntArray) -> Iterator[Problem]:
    if array.dtype != np.int64:
        yield Problem("SFX-E333", where, f"holds an array of {array.dtype}, expected int64")


def sizes(program: Program) -> Iterator[Problem]:
    """Connections and views fit the sizes of the populations at their ends."""
    known = {p.name: p for p in program}
    for p in program:
        if any(n < 1 for n in p.shape):
            yield Problem("SFX-E334", p.name, f"shape {p.shape} has an axis without neurons")
    for j in program.projections:
        if j.pre not in known or j.post not in known:
            continue  # reported by known_ends
        pre, post = known[j.pre].size, known[j.post].size
        for what in (
            *(j.pre_view.faults(pre) if j.pre_view else ()),
            *(j.post_view.faults(post) if j.post_view else ()),
            *j.connection.faults(pre, post),
        ):
            yield Problem("SFX-E334", j.name, what)


def producers_first(program: Program) -> Iterator[Problem]:
    """Populations are in topological order of the projections with lag 0 or less."""
    position = {p.name: i for i, p in enumerate(program)}
    for j in program.projections:
        known = j.pre in position and j.post in position
        if known and j.lag <= 0 and position[j.pre] >= position[j.post]:
            yield Problem(
                "SFX-E335",
                j.name,
                f"{j.post!r} comes before its producer {j.pre!r}",
                "a projection that closes a loop carries lag 1",
            )


# --- numbers --------------------------------------------------------------------------------


def exact_weights(program: Program) -> Iterator[Problem]:
    """Weights are what the synapses really hold: with 8 bits even in -256..254 if signs mix, else
    one-signed in 0..255 or -255..0. Nothing is clipped or truncated silently, and Conv2d, which
    would do neither, means the same as Sparse.
    """
    limit, bits = program.arithmetic.weight_limit, program.arithmetic.weight_bits
    for j in program.projections:
        w = j.connection.weights
        changed = int(np.count_nonzero(w != program.arithmetic.effective_weights(w)))
        if changed:
            yield Problem(
                "SFX-E340",
                j.name,
                f"{changed} of {w.size} weights (in {w.min()}..{w.max()}) do not fit {bits}-bit "
                f"synapses: mixed signs are even in {-limit}..{limit - 2}, one sign holds "
                f"{limit - 1} at most",
                "round the mantissas, or move the factor into weight_exp",
            )


def exponents(program: Program) -> Iterator[Problem]:
    """weight_exp of a projection lies in -8..7, at Loihi's widths."""
    low, high = program.arithmetic.weight_exp
    for j in program.projections:
        if not low <= j.weight_exp <= high:
            what = f"weight_exp is {j.weight_exp}, but must be in {low}..{high}"
            yield Problem("SFX-E341", j.name, what)


def neuron_widths(program: Program) -> Iterator[Problem]:
    """Every number of a neuron program lies within its widths (`ir/neurons`)."""
    for p in program:
        yield from p.neuron.faults(p.name, p.shape, program.arithmetic)
        for name, value, low, high in p.neuron.widths(program.arithmetic):
            if not low <= value <= high:
                yield Problem(
                    "SFX-E342", p.name, f"{name} is {value}, but must be in {low}..{high}"
                )


def declared_payload(program: Program) -> Iterator[Problem]:
    """low <= high, and both within a payload, signed: 24 bits at Loihi's widths."""
    limit, bits = program.arithmetic.payload_limit, program.arithmetic.payload_bits - 1
    for p in program:
        if not -limit < p.low <= p.high < limit:
            yield Problem(
                "SFX-E343",
                p.name,
                f"sends {p.low}..{p.high}, which must rise and stay below 2^{bits} in magnitude",
                "use a smaller exponent on its inputs",
            )


def measured_ranges(program: Program) -> Iterator[Problem]:
    """A range that was seen and not proved (semantics 7.1) is that of a graded value without a
    state of its own, which goes along labelled axes only: a sum beyond 24 bits wraps there as it
    does in a matrix, not as in a convolution.
    """
    for p in program:
        if p.measured is None:
            continue
        named = [
            j.name for j in program.outgoing[p.name] if not isinstance(j.connection, Structured)
        ]
        if not isinstance(p.neuron, Graded | Product) or not p.graded:
            what = f"a {p.neuron.label} that sends {p.low}..{p.high} has a measured range"
            yield Problem("SFX-E352", p.name, what, "only Graded and Product may have one")
        elif named:
            what = f"its range is measured, but {named[0]!r} is no pattern of labelled axes"
            yield Problem("SFX-E352", p.name, what)


# --- sums -----------------------------------------------------------------------------------


def sums_fit(program: Program) -> Iterator[Problem]:
    """What ports can receive fits, what neurons make of it does (`ir/neurons`), and what they send
    lies within the declared range; each only where the one before holds.
    """
    loops = in_loops(program)
    clocks = clocked(program, once=True)
    for p in program:
        ports = bounds.port_bounds(program, p)
        too_wide = list(ports_fit(p, ports, program.arithmetic))
        yield from too_wide
        if too_wide:
            continue  # what follows would only say it again
        steady = bounds.port_bounds(program, p, without=clocks)
        yield from p.neuron.sum_faults(
            p.name, p.shape, ports, steady, program.timesteps, program.arithmetic
        )
        proved = p.measured is None and not p.neuron.unproved
        if proved and (p.neuron.binary or p.name not in loops):
            yield from ranges_hold(program, p, ports)


def ports_fit(p: Population, ports: Ports, arithmetic: Arithmetic) -> Iterator[Problem]:
    """What a port can receive stays below 2^17 (LIF) or 2^23 (graded) in magnitude, at Loihi's
    widths.
    """
    limit = p.neuron.input_limit(arithmetic)
    for port, bound in ports.items():
        value = int(bound.largest.max(initial=0))
        if value >= limit:
            yield Problem(
                "SFX-E344",
                p.name,
                f"input at {port} can reach {value}, but must stay below {limit}",
                "use a smaller exponent or smaller weights, or fewer inputs",
            )


def ranges_hold(program: Program, p: Population, ports: Ports) -> Iterator[Problem]:
    """What a population outside loops can send lies within its declared low..high, unless that is
    measured: then it is counted at run time.
    """
    low, high = bounds.sent_range(program, p, ports)
    if low < p.low or high > p.high:
        what = f"can send {low}..{high}, but declares {p.low}..{p.high}"
        yield Problem("SFX-E348", p.name, what)


def lags_are_cleared(program: Program) -> Iterator[Problem]:
    """A projection with lag reads another sample at some steps. A lag of 1 or more reads the
    previous sample's last step at a sample's first: legal from a clock, from a population that a
    clock provably silences at every sample's last step (lag 1), into a population that a clock
    holds down for as many steps (`delays`), and inside a loop with a Product that a clock gates,
    which takes that value away. A lag below 0, at least -(T-1), reads the next sample's first
    steps: legal only from a population that sends at a sample's last step alone. Of groups of g
    steps: at least -(g-1). Either is legal from a population that clocks silence at all steps that
    it would read of another sample (`silent_steps`). Where each sample is run by itself, nothing is
    carried.
    """
    if program.apart:
        return
    clocks, ticks = clocked(program), ticking(program)
    early = {name for f in program.known(SampleTotal) for name in f.reads}
    every = {name: e.every for name, e in once_per_sample(program).items()} if early else {}
    silent = {name for f in program.known(Cell) for name in f.silent}
    ignored, gated = shielded(program), silent_steps(program)
    member: dict[str, int] = {}
    cleared: set[int] = set()
    for i, group in enumerate(groups(program)):
        member |= dict.fromkeys(group, i)
        gates = [n for n in group if isinstance(program[n].neuron, Product)]
        if any(j.pre in ticks for n in gates for j in program.incoming[n]):
            cleared.add(i)
    for j in program.projections:
        if j.lag and stays_inside(j, gated, program.timesteps):
            continue
        if j.lag < 0 and not (j.name in early and -j.lag < every.get(j.pre, 1)):
            yield Problem(
                "SFX-E349",
                j.name,
                f"lag {j.lag} reads the start of the next sample, which is not silent there",
                "read a Product that a clock gates, at most T - 1 steps early (groups: g - 1)",
            )
        if (
            j.pre in clocks
            or j.name in ignored
            or (j.lag == 1 and relayed_from(program, j.pre) in silent)
        ):
            continue
        if j.lag > 0 and not (member[j.pre] == member[j.post] and member[j.pre] in cleared):
            yield Problem(
                "SFX-E349",
                j.name,
                f"lag {j.lag} carries the end of one sample into the start of the next, and no "
                "clock clears it",
                "gate the loop with a Product and a clock, as an accumulator does",
            )


def membranes_in_no_loop(program: Program) -> Iterator[Problem]:
    """A membrane that is sent (LI) is read out, or read by layers behind it: it is in no loop."""
    loops = in_loops(program)
    for p in program:
        if isinstance(p.neuron, LI) and p.name in loops:
            what = "sends its membrane and is part of a loop"
            yield Problem("SFX-E353", p.name, what, "close the loop with spikes (LIF)")


# --- time -----------------------------------------------------------------------------------


def phases_set(program: Program) -> Iterator[Problem]:
    """Phases are at least 0, the input's is 0, and a clock's is at least 1: its tick one step
    before clears accumulators of what they held before the first sample. Where each sample is run
    by itself, all are 0: no state is cleared between the first step and a later phase.
    """
    for p in program:
        if program.apart and p.phase > 0:
            what = f"phase is {p.phase}, but only the host resets these neurons: it must be 0"
            yield Problem("SFX-E350", p.name, what, "let every projection have a lag of 1")
            continue
        least = 1 if isinstance(p.neuron, Clock) else 0
        if p.phase < least or (isinstance(p.neuron, Input) and p.phase != 0):
            expected = "0" if isinstance(p.neuron, Input) else f"at least {least}"
            yield Problem("SFX-E350", p.name, f"phase is {p.phase}, but must be {expected}")


def delays_balanced(program: Program) -> Iterator[Problem]:
    """delay = phase(post) - phase(pre) + lag, at least 1."""
    for j in program.projections:
        expected = _delay(program, j)
        if j.delay != expected or expected < 1:
            yield Problem(
                "SFX-E351",
                j.name,
                f"delay is {j.delay}; phases {program[j.pre].phase} -> {program[j.post].phase} "
                f"and lag {j.lag} make it {expected}, and it must be at least 1",
                "run the BalanceDelays pass",
            )


def _delay(program: Program, j: Projection) -> int:
    return program[j.post].phase - program[j.pre].phase + j.lag


STRUCTURE: tuple[Rule, ...] = (
    unique_names,
    known_ends,
    whole_facts,
    integer_types,
    sizes,
    producers_first,
)
NUMBERS: tuple[Rule, ...] = (
    exact_weights,
    exponents,
    neuron_widths,
    declared_payload,
    measured_ranges,
)
SUMS: tuple[Rule, ...] = (sums_fit, lags_are_cleared, membranes_in_no_loop)
TIME: tuple[Rule, ...] = (phases_set, delays_balanced)
