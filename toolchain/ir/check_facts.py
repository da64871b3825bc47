"""Does a fact hold of its Program? Each is proved from the integers, or it is refused.

What a backend makes of a fact it does not look at any more: it never runs the neurons of a
coincidence. So a fact in a stranger's file counts only if it follows from that file's numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, singledispatchmethod

from ..ground.arithmetic import Arithmetic
from ..ground.errors import Problem
from .connections import value_bounds
from .facts import Accumulator, Cell, Coincidence, Fact, SampleTotal
from .last_step import Ends, once_per_sample, ticking
from .program import LIF, F, Graded, Population, Product, Program, Projection, Structured
from .sample_end import silent_at_the_end

WRAPS = 1 << 31
"""What a Product neuron's 32 bits do not hold (semantics 2.2)."""


def facts_hold(program: Program) -> Iterator[Problem]:
    """Every fact that the Program states follows from its numbers, and is stated once."""
    prover, seen = Prover(program), set[Fact]()
    for fact in program.facts or ():
        what = "it is stated twice" if fact in seen else prover.fault(fact)
        seen.add(fact)
        if what:
            yield Problem(
                "SFX-E336",
                getattr(fact, "population", getattr(fact, "memory", program.name)),
                f"the fact {type(fact).__name__} does not hold: {what}",
                "remove the facts: the Program computes the same without them, only slower",
            )


def proved(program: Program, kind: type[F]) -> tuple[F, ...]:
    """The facts of one kind that hold: a Program may have been changed since it was checked."""
    prover = Prover(program)
    return tuple(f for f in program.known(kind) if not prover.fault(f))


def holding(program: Program) -> Program:
    """`program` with those of its facts that hold."""
    prover = Prover(program)
    kept = tuple(f for f in program.facts or () if not prover.fault(f))
    return program if kept == program.facts else replace(program, facts=kept)


class Prover:
    """What proofs of facts need of one Program, worked out when first asked for."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.populations = {p.name: p for p in program}

    @cached_property
    def clocks(self) -> Mapping[str, int]:
        """Clocks and relays that pass the tick on as it is, and the steps from tick to tick."""
        return ticking(self.program)

    @cached_property
    def once(self) -> Mapping[str, Ends]:
        """What sends at the last step of a sample or group only, and where it comes from."""
        return once_per_sample(self.program)

    @cached_property
    def silent(self) -> set[str]:
        """What sends nothing at a sample's last step."""
        return silent_at_the_end(self.program)

    def _unknown(self, names: Iterable[str]) -> str:
        missing = [n for n in names if n not in self.populations]
        return f"there is no population {missing[0]!r}" if missing else ""

    @singledispatchmethod
    def fault(self, fact: Fact) -> str:
        """Why `fact` does not hold; "" if it does."""
        return "this kind of fact is not known"

    # --- coincidences ---------------------------------------------------------------------------

    @fault.register
    def _coincidence(self, f: Coincidence) -> str:
        if what := self._unknown([f.population]):
            return what
        p, reads = self.populations[f.population], self.program.incoming[f.population]
        if len(reads) != 2 or {j.name for j in reads} != {f.a, f.b}:
            return f"it must receive {f.a!r} and {f.b!r} and nothing else"
        if not all(_along_axes(j, self.program.arithmetic) for j in reads):
            return "an operand is shifted, or does not arrive over labelled axes at the same step"
        return self._both(p, reads) if isinstance(p.neuron, LIF) else self._product(p, reads)

    def _both(self, p: Population, reads: Iterable[Projection]) -> str:
        """Stateless, unit weights from spikes, threshold 1: fires iff both operands do.

        u never decays into a later step (the full du), and v is at most 1 << 6 without a spike, of
        which nothing is left (the full dv).
        """
        n = p.neuron
        assert isinstance(n, LIF)
        full = self.program.arithmetic.full_decay
        if (n.du, n.dv, n.vth, n.reset) != (full, full, 1, False):
            return "its neurons keep a state, or do not fire exactly where two spikes meet"
        if n.bias_mant.any():
            return "it has a bias"
        for j in reads:
            c = j.connection
            assert isinstance(c, Structured)
            if self.populations[j.pre].graded:
                return f"{j.pre!r} sends values other than spikes"
            if c.weight != 1 or _summed(c):
                return f"{j.name!r} delivers values other than one spike"
        return ""

    def _product(self, p: Population, reads: tuple[Projection, ...]) -> str:
        """All products within 32 bits and the declared range, so nothing wraps or is cut.

        No simulation looks at the range of a population that is not simulated.
        """
        if p.neuron != Product():
            return "it does not send the plain product"
        if {j.port for j in reads} != set(Product.ports):
            return "it does not have one operand at each port"
        ends = [self._ends(j, p) for j in reads]
        products = [a * b for a in ends[0] for b in ends[1]]
        if not any(products):
            return "it never sends anything"
        if min(products) < min(p.low, 0) or max(products) > max(p.high, 0):
            return f"products are in {min(products)}..{max(products)}, beyond its declared range"
        return "a product needs more than 32 bits" if max(map(abs, products)) >= WRAPS else ""

    def _ends(self, j: Projection, post: Population) -> tuple[int, int]:
        """Least and greatest value that `j` brings; 0 is among them."""
        pre = self.populations[j.pre]
        low, high = (pre.low, pre.high) if pre.graded else (0, 1)
        least, most = value_bounds(j, pre.size, post.size, low, high)
        return int(least.min()), int(most.max())

    # --- over the steps of a sample -------------------------------------------------------------

    @fault.register
    def _accumulator(self, f: Accumulator) -> str:
        if what := self._unknown([f.memory, f.clear]):
            return what
        m, c = self.populations[f.memory], self.populations[f.clear]
        if m.neuron != Graded() or c.neuron != Product():
            return "it is not a Graded population that a Product clears"
        if m.phase != c.phase or m.shape != c.shape or c.low > m.low or c.high < m.high:
            return f"{c.name!r} differs from it in shape, phase or range"
        into = self.program.incoming[m.name]
        own = [j for j in into if j.pre in (m.name, c.name)]
        if sorted((j.pre, j.lag, _unit(j)) for j in own) != sorted(
            [(m.name, 1, 1), (c.name, 1, -1)]
        ):
            return f"its loop must be itself and -{c.name!r}, one step later, and nothing else"
        if any(not isinstance(j.connection, Structured) or j.lag for j in into if j not in own):
            return "its input does not arrive over labelled axes at the same step"
        ticks = [j for j in self.program.incoming[c.name] if j.port == "a_in2"]
        if [j.name for j in ticks] != [f.tick] or not self._is_tick(ticks[0]):
            return f"the clock does not gate {c.name!r} through {f.tick!r}"
        values = [j for j in self.program.incoming[c.name] if j.port == "a_in1"]
        if sorted(map(_said, values)) != sorted(map(_said, into)):
            return f"{c.name!r} does not receive the same as {m.name!r}"
        return ""

    def _is_tick(self, j: Projection) -> bool:
        """Every neuron receives the clock's one neuron at the same step, with weight 1."""
        c = j.connection
        plain = j.weight_exp == 0 and j.pre_view is None and j.post_view is None and j.lag == 0
        one = isinstance(c, Structured) and c.weight == 1 and not c.pre
        return j.pre in self.clocks and plain and one

    @fault.register
    def _total(self, f: SampleTotal) -> str:
        if what := self._unknown([f.population, f.of]):
            return what
        incoming = {j.name: j for j in self.program.incoming[f.population]}
        if not set(f.reads) <= set(incoming) or len(set(f.reads)) != len(f.reads):
            return "it does not receive through these projections, each named once"
        if not f.reads or self._origin(f.of) != f.of:
            return f"no clock gates {f.of!r}, so it can send at other steps than a sample's last"
        for j in (incoming[name] for name in f.reads):
            if self._origin(j.pre) != f.of:
                return f"{j.name!r} does not come from {f.of!r}"
        return ""

    def _origin(self, name: str) -> str:
        return self.once[name].origin if name in self.once else ""

    # --- cells ----------------------------------------------------------------------------------

    @fault.register
    def _cell(self, f: Cell) -> str:
        if what := self._unknown([f.population, *f.parts]):
            return what
        members = {f.population, *f.silent}
        if not f.silent or len(set(f.silent)) != len(f.silent) or f.gather in members:
            return "it names no silent population, or one population twice"
        if f.gather and any(j.post not in members for j in self.program.outgoing[f.gather]):
            return f"other populations receive from {f.gather!r} too"
        loud = sorted(set(f.silent) - self.silent)
        return f"{loud[0]!r} is not silent at a sample's last step" if loud else ""


def relayed_from(program: Program, name: str) -> str:
    """The population whose values `name` passes on from step to step; itself if it is no relay."""
    seen = {name}
    while isinstance(program[name].neuron, Graded):
        reads = program.incoming[name]
        if len(reads) != 1 or reads[0].lag or reads[0].pre in seen:
            break
        name = reads[0].pre
        seen.add(name)
    return name


def _along_axes(j: Projection, widths: Arithmetic) -> bool:
    return (
        isinstance(j.connection, Structured)
        and j.lag == j.weight_exp == 0
        and j.pre_view is None
        and j.post_view is None
        and bool((widths.effective_weights(j.connection.weights) == j.connection.weight).all())
    )


def _summed(c: Structured) -> bool:
    kept = {label for label, _ in c.post}
    return any(label not in kept and n > 1 for label, n in c.pre)


def _unit(j: Projection) -> int:
    """The weight of a projection from neuron i to neuron i, 0 for another one."""
    c = j.connection
    plain = j.weight_exp == 0 and j.pre_view is None and j.post_view is None
    same = isinstance(c, Structured) and c.pre == c.post
    return c.weight if plain and same and isinstance(c, Structured) else 0


def _said(j: Projection) -> str:
    """All that a projection does, without its name, port and post."""
    return repr((j.pre, j.connection, j.weight_exp, j.lag, j.pre_view, j.post_view))
