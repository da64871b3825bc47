"""Facts of a Program: the compiler writes what a search finds, and a false one is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sfx.backends.fast.backend import FastBackend
from sfx.backends.fast.plan.prepared import Prepared
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import compile_graph, lower
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.formats.bundle import bundle
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.check_facts import Prover, holding
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.codec import CodecError, decode, encode
from sfx.toolchain.ir.digest import digest
from sfx.toolchain.ir.facts import (
    Accumulator,
    Cell,
    Coincidence,
    Fact,
    SampleTotal,
    in_order,
    part_of,
)
from sfx.toolchain.ir.find_facts import with_facts
from sfx.toolchain.targets import load
from tests import graphs
from tests.neurons import KINDS, events, net
from tests.unit.fast.test_contractions import attention
from tests.unit.fast.test_contractions import events as attention_events
from tests.unit.fast.test_equal import differences
from tests.unit.ir.test_last_step import totals

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ReferenceBackend()


def bare(program: p.Program) -> p.Program:
    return replace(program, facts=None)


def kinds(program: p.Program) -> set[type[Fact]]:
    return {type(f) for f in program.facts or ()}


def balanced(program: p.Program, max_delay: int = 62) -> p.Program:
    return BalanceDelays(max_delay).run(program)


def written_is_found(program: p.Program) -> None:
    """What the compiler wrote is what a search without it finds, and holds."""
    assert program.facts is not None
    assert with_facts(bare(program)).facts == program.facts
    assert holding(program) is program


# --- the compiler writes what is found ----------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_attention(binary: bool, causal: bool) -> None:
    graph, x = graphs.live_case(binary, causal, 2)
    program = compile_graph(graph, load("loihi"), x).placed.program
    assert Coincidence in kinds(program)
    written_is_found(program)


@pytest.mark.parametrize("size", [(5, 0), (6, 2)])
@pytest.mark.parametrize("max_delay", [62, 2, 1])
def test_totals_also_through_relays(max_delay: int, size: tuple[int, int]) -> None:
    program = balanced(totals(*size)[0], max_delay)
    assert kinds(program) == {Accumulator, SampleTotal, Coincidence}
    written_is_found(program)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_cells(kind: str, recurrent: bool) -> None:
    graph = net(KINDS[kind], recurrent=recurrent, seed=3)
    program = balanced(quantize(lower(graph), events(graph, 6)).program)
    written_is_found(program)
    several = [q.name for q in program if q.name.startswith("cell.") and q.name != "cell.input"]
    found = program.known(Cell)
    assert bool(found) == bool(several)
    for cell in found:
        assert cell.population == "cell"
        assert set(cell.silent) == set(several)
        assert (cell.gather == "cell.input") == any(q.name == "cell.input" for q in program)


def test_populations_know_what_they_are_part_of() -> None:
    assert part_of(balanced(totals()[0]).facts or ()) == {
        "total.memory": "total",
        "total.memory.clear": "total",
    }
    found = part_of(soft()[0].facts or ())
    assert set(found.values()) == {"cell"}
    assert {"cell.input", "cell.membrane", "cell.feedback"} <= set(found)
    assert part_of([Accumulator("a", "b", "t"), SampleTotal("b", "b", ())]) == {
        "a": "b",
        "b": "a",
    }


# --- and keeps it -------------------------------------------------------------------------------


def test_the_digest_is_that_of_the_integers_alone() -> None:
    """So verdicts, ledgers and replays from before there were facts stay valid."""
    program = balanced(totals()[0])
    assert program.facts
    assert digest(program) == digest(bare(program))


def test_without_facts_the_encoded_form_is_as_it_was() -> None:
    program = balanced(totals()[0])
    plain = encode(bare(program), [])
    assert "facts" not in plain
    assert {k: v for k, v in encode(program, []).items() if k != "facts"} == plain


def test_facts_survive_a_bundle(tmp_path: Path) -> None:
    graph, x = graphs.live_case(True, True, 1)
    placed = compile_graph(graph, load("loihi"), x).placed
    bundle.write(bundle.Bundle(placed, b"", {}), tmp_path / "a.sfx")
    assert bundle.read(tmp_path / "a.sfx").program.facts == placed.program.facts
    plain = replace(placed, program=bare(placed.program))
    bundle.write(bundle.Bundle(plain, b"", {}), tmp_path / "b.sfx")
    assert bundle.read(tmp_path / "b.sfx").program.facts == placed.program.facts


def test_a_bundle_of_schema_1_gets_its_facts_when_it_is_read() -> None:
    read = bundle.read(ROOT / "tests" / "unit" / "bundle" / "schema_1.bundle")
    assert kinds(read.program) == {SampleTotal}


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "Coincidence", "population": "gated", "a": "x"},
        {"type": "Coincidence", "population": 3, "a": "x", "b": "y"},
        {"type": "Graded", "vth": 0},
        {"type": "Fact"},
        "Coincidence",
    ],
)
def test_a_damaged_fact_is_no_fact(wrong: object) -> None:
    arrays: list[np.ndarray] = []
    body = json.loads(json.dumps(encode(totals()[0], arrays)))
    decode(body, arrays, p.Program)
    with pytest.raises(CodecError):
        decode(body | {"facts": [wrong]}, arrays, p.Program)


# --- a false fact is refused, and changes nothing -----------------------------------------------


def refused(program: p.Program, fact: Fact) -> str:
    """The problem that a Program with this fact too has."""
    lying = replace(program, facts=in_order((*(program.facts or ()), fact)))
    with pytest.raises(SfxError) as raised:
        check_program(lying, balanced=True)
    (problem,) = [q for q in raised.value.problems if q.code == "SFX-E336"]
    assert fact not in (holding(lying).facts or ())
    return problem.what


def same_as_reference(program: p.Program, x: np.ndarray, *lies: Fact) -> None:
    """fast gives the reference's bits also of a Program that nobody checked."""
    want = REFERENCE.run(bare(program), x)
    got = FastBackend().run(replace(program, facts=lies), x)
    assert differences(want, got) == []


def changed(program: p.Program, name: str, **fields: object) -> p.Program:
    """The Program with other fields of one population or projection."""

    def other(it: p.Population | p.Projection) -> p.Population | p.Projection:
        return replace(it, **fields) if it.name == name else it  # type: ignore[arg-type]

    return replace(
        program,
        populations=tuple(map(other, program.populations)),
        projections=tuple(map(other, program.projections)),
    )


BOTH = p.LIF(4095, 4095, 1, reset=False)


@pytest.mark.parametrize(
    ("name", "fields", "why"),
    [
        ("and", {"neuron": replace(BOTH, vth=0)}, "two spikes"),
        ("and", {"neuron": replace(BOTH, vth=2)}, "two spikes"),
        ("and", {"neuron": replace(BOTH, dv=4000)}, "two spikes"),
        ("and", {"neuron": replace(BOTH, reset=True)}, "two spikes"),
        ("and", {"neuron": replace(BOTH, bias_mant=np.array(65))}, "a bias"),
        ("and", {"neuron": replace(BOTH, bias_mant=np.array(-1), bias_exp=6)}, "a bias"),
        ("and", {"neuron": p.Graded(1)}, "not send the plain product"),
        ("qa", {"lag": 1}, "same step"),
        ("qa", {"weight_exp": 1}, "is shifted"),
        ("qa", {"pre_view": p.View((24,), (0,))}, "labelled axes"),
        ("q", {"neuron": p.Graded(), "high": 2}, "values other than spikes"),
        ("qa", {"post": "c"}, "nothing else"),
    ],
)
def test_no_coincidence(name: str, fields: dict[str, object], why: str) -> None:
    program = changed(bare(attention()), name, **fields)
    fact = Coincidence("and", "qa", "ka")
    assert why in Prover(program).fault(fact)
    assert not Prover(bare(attention())).fault(fact)


@pytest.mark.parametrize("weight", [2, -1, 3])
def test_no_coincidence_of_other_weights(weight: int) -> None:
    program = bare(attention())
    j = next(j for j in program.projections if j.name == "qa")
    assert isinstance(j.connection, p.Structured)
    other = changed(program, "qa", connection=replace(j.connection, weight=weight))
    assert "one spike" in Prover(other).fault(Coincidence("and", "qa", "ka"))
    same_as_reference(other, attention_events(3), Coincidence("and", "qa", "ka"))


@pytest.mark.parametrize(
    ("name", "fields", "why"),
    [
        ("times", {"neuron": p.Product(exp=1)}, "not send the plain product"),
        ("times", {"neuron": p.Product(vth=1)}, "not send the plain product"),
        ("times", {"high": 3}, "declared range"),
        ("vt", {"port": "a_in1"}, "one operand at each port"),
    ],
)
def test_no_product(name: str, fields: dict[str, object], why: str) -> None:
    program = changed(bare(attention()), name, **fields)
    assert why in Prover(program).fault(Coincidence("times", "ct", "vt"))


def test_a_false_coincidence_is_refused_and_changes_nothing() -> None:
    """An OR that says it is an AND, and a sum that says it is a product."""
    program = changed(bare(attention()), "and", neuron=replace(BOTH, vth=0))
    lie = Coincidence("and", "qa", "ka")
    assert "two spikes" in refused(with_facts(program), lie)
    x = attention_events(4)
    same_as_reference(program, x, lie)
    true = REFERENCE.run(bare(attention()), x)
    assert differences(true, REFERENCE.run(program, x)), "the lie would have made no difference"
    assert "there is no population" in refused(program, Coincidence("nobody", "qa", "ka"))
    assert "nothing else" in refused(program, Coincidence("y", "ty", "ty"))


def accumulators() -> tuple[p.Program, np.ndarray]:
    program, x = totals()
    return balanced(program), x


@pytest.mark.parametrize(
    ("name", "fields", "why"),
    [
        ("total.memory", {"neuron": p.Graded(1)}, "not a Graded"),
        ("total.memory.clear", {"neuron": p.Product(exp=1)}, "not a Graded"),
        ("total.memory.clear", {"high": 1}, "range"),
        ("total.memory->total.memory", {"lag": 2}, "one step later"),
        ("total.memory.clear->total.memory", {"weight_exp": 1}, "one step later"),
        ("lif->total.memory.clear", {"lag": 1}, "not receive the same"),
        ("lif->total.memory", {"weight_exp": 1}, "not receive the same"),
        ("clock->total.memory.clear", {"lag": 1}, "does not gate"),
        ("clock->total.memory.clear", {"pre": "lif"}, "does not gate"),
    ],
)
def test_no_accumulator(name: str, fields: dict[str, object], why: str) -> None:
    program, _ = accumulators()
    (fact,) = program.known(Accumulator)
    assert name in {*(q.name for q in program), *(j.name for j in program.projections)}
    assert why in Prover(changed(program, name, **fields)).fault(fact)


def test_a_false_accumulator_is_refused_and_changes_nothing() -> None:
    """What clears it holds less than the sum: as if it were of the same range it would be cut."""
    program, x = accumulators()
    (fact,) = program.known(Accumulator)
    minus = next(j for j in program.projections if j.name == f"{fact.clear}->{fact.memory}")
    assert isinstance(minus.connection, p.Structured)
    kept = p.Structured(minus.connection.pre, minus.connection.post, 0)
    never = changed(bare(program), minus.name, connection=kept)
    assert "one step later" in refused(with_facts(never), fact)
    ranges = [(q.name, q.high) for q in program if q.name.startswith("total")]
    for name, high in ranges:  # it grows over the samples of a stream, not in one alone
        never = changed(never, name, high=high * 4)
    same_as_reference(never, x, fact)
    others = Accumulator(fact.clear, fact.memory, fact.tick), replace(fact, tick="nothing")
    for lie in others:
        assert refused(program, lie)
        same_as_reference(program, x, lie)


def test_a_false_total_is_refused() -> None:
    program, x = accumulators()
    (fact,) = program.known(SampleTotal)
    assert "no clock gates" in refused(program, replace(fact, of="lif"))
    assert "no clock gates" in refused(program, replace(fact, reads=()))
    assert "does not receive" in refused(program, replace(fact, reads=("nothing",)))
    assert "does not receive" in refused(program, replace(fact, reads=fact.reads[:1] * 2))
    ungated = changed(bare(program), "clock->total.memory.clear", pre="lif")
    assert "no clock gates" in Prover(ungated).fault(fact)
    same_as_reference(program, x, replace(fact, of="lif"))


def test_a_lag_that_a_false_total_covers_is_refused_too() -> None:
    """It does not hide what is wrong: both are said."""
    program, _ = accumulators()
    early = next(j for j in program.projections if j.lag == -1)
    loud = replace(early, pre="lif")
    lying = replace(
        program, projections=tuple(loud if j is early else j for j in program.projections)
    )
    with pytest.raises(SfxError) as raised:
        check_program(lying, balanced=False)
    assert {"SFX-E336", "SFX-E349"} <= {q.code for q in raised.value.problems}


def soft() -> tuple[p.Program, np.ndarray]:
    kind = next(k for k in KINDS if "soft" in k or "subtract" in k)
    graph = net(KINDS[kind], recurrent=True, seed=3)
    x = events(graph, 6)
    return balanced(quantize(lower(graph), x).program), x


def test_a_false_cell_is_refused() -> None:
    program, x = soft()
    (fact,) = program.known(Cell)
    assert "not silent" in refused(program, replace(fact, silent=(*fact.silent, "cell")))
    assert "one population twice" in refused(program, replace(fact, silent=()))
    assert "one population twice" in refused(program, replace(fact, silent=fact.silent * 2))
    assert "too" in refused(program, replace(fact, gather=program.input.name))
    assert "no population" in refused(program, replace(fact, gather="nobody"))
    tick = next(j for j in program.projections if j.name == "clock->cell.feedback")
    assert isinstance(tick.connection, p.Structured)
    weak = replace(tick.connection, weight=-1)
    woken = changed(program, tick.name, connection=weak)
    assert "not silent" in Prover(woken).fault(fact)
    with pytest.raises(SfxError) as raised:
        check_program(woken, balanced=True)
    assert {"SFX-E336", "SFX-E349"} <= {q.code for q in raised.value.problems}
    same_as_reference(program, x, replace(fact, silent=(*fact.silent, "cell")))


def test_a_fact_is_stated_once() -> None:
    program, _ = accumulators()
    twice = replace(program, facts=(*(program.facts or ()), *(program.facts or ())))
    with pytest.raises(SfxError, match="twice"):
        check_program(twice, balanced=True)


# --- without facts ------------------------------------------------------------------------------


def test_a_program_without_facts_runs_equal() -> None:
    graph, x = graphs.live_case(True, True, 2)
    program = compile_graph(graph, load("loihi"), x).placed.program
    assert Prepared(program).contracted
    assert Prepared(program).accumulators
    assert not Prepared(bare(program)).contracted
    assert not Prepared(bare(program)).accumulators
    same_as_reference(program, x)


def test_a_relay_that_changes_the_tick_gates_nothing() -> None:
    """Twice the tick would clear twice the sum; a tick of another step would clear at that step."""
    program, x = accumulators()
    (fact,) = program.known(Accumulator)
    one = (("a0", 1),)
    clock = next(q for q in program if isinstance(q.neuron, p.Clock))
    for weight, lag in ((1, 0), (2, 0), (1, 1)):
        relay = p.Population("relay", (1,), p.Graded(), 0, 2, clock.phase + 1)
        hop = p.Projection("hop", clock.name, "relay", p.Structured(one, one, weight), lag=lag)
        later = tuple(
            replace(q, phase=q.phase + (q.phase > clock.phase), high=4 * q.high)
            if q.name == "gated" or q.name.startswith("total")
            else replace(q, phase=q.phase + (q.phase > clock.phase))
            for q in program
        )
        at = 1 + program.populations.index(clock)
        slow = replace(
            program,
            populations=(*later[:at], relay, *later[at:]),
            projections=(*program.projections, hop),
            facts=None,
        )
        slow = BalanceDelays(62).run(changed(slow, fact.tick, pre="relay"))
        assert bool(with_facts(slow).known(Accumulator)) == ((weight, lag) == (1, 0))
        assert bool(with_facts(slow).known(SampleTotal)) == ((weight, lag) == (1, 0))
        assert fact in with_facts(slow).facts or (weight, lag) != (1, 0)  # type: ignore[operator]
        if lag == 0:
            same_as_reference(slow, x, fact)
        else:  # and what reads its clear early would read the next sample
            with pytest.raises(SfxError, match="SFX-E349"):
                check_program(slow, balanced=True)


def test_no_coincidence_of_weight_nothing() -> None:
    """Its operands fire and it never does, so their events would be counted as its own."""
    program = bare(attention())
    j = next(j for j in program.projections if j.name == "vt")
    assert isinstance(j.connection, p.Structured)
    never = changed(program, "vt", connection=replace(j.connection, weight=0))
    assert "never sends" in Prover(never).fault(Coincidence("times", "ct", "vt"))
    same_as_reference(never, attention_events(3), Coincidence("times", "ct", "vt"))


def drawn(program: p.Program, rng: np.random.Generator, count: int) -> tuple[Fact, ...]:
    """Facts of every kind with names of the Program, true only by chance."""
    names = [q.name for q in program]
    joints = [j.name for j in program.projections]

    def name() -> str:
        return str(rng.choice(names))

    def near(population: str) -> str:
        """One of its inputs, mostly: others are refused at the first look."""
        own = [j.name for j in program.incoming[population]]
        return str(rng.choice(own if own and rng.random() < 0.9 else joints))

    made: set[Fact] = set()
    for _ in range(count):
        at = name()
        silent = tuple(name() for _ in range(rng.integers(1, 3)))
        made |= {
            Coincidence(at, near(at), near(at)),
            Accumulator(name(), at, near(at)),
            SampleTotal(at, name(), tuple({near(at) for _ in range(3)})),
            Cell(at, rng.choice(["", name()]), silent),
        }
    return in_order(made)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("case", ["attention", "total", "cell"])
def test_drawn_facts_change_nothing(case: str, seed: int) -> None:
    """Whatever a stranger's file states: what holds is used, what does not is refused."""
    made = {
        "attention": lambda: (attention(), attention_events(2)),
        "total": accumulators,
        "cell": soft,
    }
    program, x = made[case]()
    facts = drawn(program, np.random.default_rng(seed), 300)
    stating = replace(program, facts=facts)
    assert 0 < len(holding(stating).facts or ()) < len(facts)
    with pytest.raises(SfxError, match="SFX-E336"):
        check_program(stating, balanced=True)
    same_as_reference(program, x, *facts)
