"""Layerwise verification: equal layers are an equal net, and a difference stays where it is."""

from __future__ import annotations

import io
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from sfx.backends import check_input
from sfx.backends.base import Stream
from sfx.backends.fast.backend import FastBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app import api
from sfx.toolchain.ground.arith import IntArray, sign_mode
from sfx.toolchain.ground.arithmetic import LOIHI
from sfx.toolchain.ground.errors import BackendError, InputError
from sfx.toolchain.ir import program as p
from sfx.toolchain.report.verified import verify_summary
from sfx.toolchain.verify import layerwise as module
from sfx.toolchain.verify import pieces
from sfx.toolchain.verify.compare import Verdict, compare
from sfx.toolchain.verify.layerwise import layerwise
from tests.strategies import random_events, random_program
from tests.unit.verify.replaying import ReferenceReplayer

SAMPLES = 2


def recorded(program: p.Program) -> tuple[IntArray, Stream]:
    x = random_events(program, SAMPLES)
    return x, ReferenceBackend().stream(program, x, states=True)


def verdict(program: p.Program, **options: object) -> Verdict:
    x, expected = recorded(program)
    return layerwise(program, x, expected, ReferenceReplayer(), states=True, **options)  # type: ignore[arg-type]


def total(program: p.Program, steps: int) -> int:
    """Spikes of all, u and v of LIFs."""
    return steps * sum(q.size * (3 if isinstance(q.neuron, p.LIF) else 1) for q in program)


# --- the logic --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_random_programs_are_equal_whole_and_in_parts(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Skips, delays, relays, loops, every neuron program and connection; fill and drain too."""
    program = random_program(seed, max_delay=(1, 2, 62)[seed % 3])
    expected = recorded(program)[1]
    whole = verdict(program)
    assert whole.equal, whole.first_mismatch
    assert whole.compared == total(program, expected.steps)
    assert whole.covered == whole.neurons == sum(q.size for q in program)
    assert whole.steps == SAMPLES * program.timesteps + program.last_phase

    monkeypatch.setattr(pieces, "PIECE_SYNAPSES", 40)
    assert len(pieces.plan(program)) > len(program.populations)
    parts = verdict(program)
    assert parts.equal, parts.first_mismatch
    assert replace(parts, against="") == replace(whole, against="")


@pytest.mark.parametrize("seed", range(12))
def test_every_net_holds_its_population_and_played_records_only(seed: int) -> None:
    """No population hears another one that is replayed too: all they hear was recorded."""
    program = random_program(seed)
    x, expected = recorded(program)
    replayer = ReferenceReplayer()
    layerwise(program, x, expected, replayer, states=True)
    replayed = []
    for net in replayer.programs:
        for j in net.projections:
            pre = net[j.pre]
            assert j.pre.startswith(pieces.PLAYED)
            assert isinstance(pre.neuron, p.Input | p.Clock)
            assert not net.incoming[j.pre]
            original = next(i for i in program.projections if i.name == j.name)
            assert (j.post, j.delay, j.connection) == (
                original.post,
                original.delay,
                original.connection,
            )
            assert pre.low == program[original.pre].low, "payloads stay payloads"
        replayed += [q.name for q in net if not q.name.startswith(pieces.PLAYED)]
    assert sorted(replayed) == sorted(q.name for q in program)


def changes(program: p.Program) -> list[tuple[str, p.Program]]:
    """(population, the Program with one number changed there), for each thing that can change."""
    out = []
    for q in program:
        n = q.neuron
        if isinstance(n, p.LIF):
            bias = np.broadcast_to(n.bias_mant, q.shape).copy()
            bias.flat[q.size // 2] += 1
            out += [(q, replace(n, vth=n.vth + 3)), (q, replace(n, bias_mant=bias))]
            out += [(q, replace(n, du=(n.du + 700) % 4096)), (q, replace(n, dv=(n.dv + 1) % 4096))]
        elif isinstance(n, p.Graded | p.GradedReLU | p.Product):
            out.append((q, replace(n, vth=n.vth + 1)))
    made = [
        (
            q.name,
            replace(
                program,
                populations=tuple(replace(r, neuron=n) if r is q else r for r in program),
            ),
        )
        for q, n in out
    ]
    for j in program.projections:
        made.append((j.post, _with(program, replace(j, delay=j.delay + 1))))
        if isinstance(j.connection, p.Dense):
            w = j.connection.weight.copy()
            w[w.shape[0] // 2, 0] += 2
            made.append((j.post, _with(program, replace(j, connection=p.Dense(w)))))
    return made


def _with(program: p.Program, changed: p.Projection) -> p.Program:
    joints = tuple(changed if j.name == changed.name else j for j in program.projections)
    return replace(program, projections=joints)


@pytest.mark.parametrize("seed", range(8))
def test_a_change_shows_at_its_population_and_only_there(seed: int) -> None:
    """The whole net differs exactly if a layer does, and the first difference is the same."""
    program = random_program(seed, max_delay=4)
    x, expected = recorded(program)
    caught = 0
    for name, other in changes(program):
        found = layerwise(program, x, expected, ReferenceReplayer(), witness=other, states=True)
        got = ReferenceBackend().stream(other, x, states=True)
        full = compare(program, expected, got, against="", mode="", states=True, samples=SAMPLES)
        assert found.equal == full.equal
        if found.equal:
            continue  # a change that no value shows: a sum of zeros comes later, for one
        caught += 1
        assert [q.population for q in found.populations if q.mismatches] == [name]
        assert found.first_mismatch is not None
        assert found.first_mismatch == full.first_mismatch
    assert caught >= 5


def test_a_change_in_a_part_names_the_neuron(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_SYNAPSES", 20)
    program, name = dense_net()
    changed = program[name].neuron
    assert isinstance(changed, p.LIF)
    bias = np.zeros(12, dtype=np.int64)
    bias[7] = 4095
    other = replace(
        program,
        populations=tuple(
            replace(q, neuron=replace(changed, bias_mant=bias)) if q.name == name else q
            for q in program
        ),
    )
    found = verdict(program, witness=other)
    assert found.first_mismatch is not None
    assert (found.first_mismatch.population, found.first_mismatch.neuron) == (name, 7)


# --- parts ------------------------------------------------------------------------------------


def dense_net() -> tuple[p.Program, str]:
    """Mixed weights, of which some rows have one sign: alone, Lava would treat those otherwise."""
    rng = np.random.default_rng(1)
    weight = rng.integers(-60, 60, (12, 6)) * 2
    weight[3] = -256
    weight[4] = np.abs(weight[4])
    axes = (("a0", 12),)
    program = p.Program(
        (
            p.Population("in", (6,), p.Input(), phase=0),
            p.Population("lif", (12,), p.LIF(4095, 1000, 40), phase=1),
            p.Population("out", (12,), p.Graded(), phase=2),
        ),
        (
            p.Projection("a", "in", "lif", p.Dense(weight), delay=1),
            p.Projection("b", "lif", "out", p.Structured(axes, axes), delay=1),
        ),
        timesteps=4,
        readout=p.Readout("out", 1.0, (0,) * 12),
    )
    return program, "lif"


def test_a_part_keeps_the_sign_rule_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_SYNAPSES", 6)
    program, name = dense_net()
    signs = set()
    for piece in pieces.plan(program):
        if piece.population != name:
            continue
        assert piece.neurons is not None
        net = pieces.net(program, (piece,)).program
        (j,) = net.projections
        assert isinstance(j.connection, p.Dense)
        whole = program.projections[0].connection
        assert isinstance(whole, p.Dense)
        rows = whole.weight[piece.neurons]
        signs.add(sign_mode(rows))
        in_lava = LOIHI.effective_weights(j.connection.weight)[: len(rows)]
        heard = rows.any(axis=0) | (np.arange(6) == 0)
        assert np.array_equal(
            in_lava, LOIHI.effective_weights(whole.weight)[piece.neurons][:, heard]
        )
    assert signs == {"mixed", "excitatory", "inhibitory"}, "the case is here"


def test_a_sample_is_the_same_each_time_and_says_what_it_covers() -> None:
    program = random_program(3, max_neurons=80)
    found = verdict(program, fraction=0.25)
    assert found.equal, found.first_mismatch
    assert found == verdict(program, fraction=0.25)
    for part in found.populations:
        q = program[part.population]
        driven = isinstance(q.neuron, p.Input | p.Clock)
        assert part.covered == (q.size if driven else max(1, round(q.size / 4)))
        assert part.neurons == q.size
    assert found.as_dict()["covered"] == found.covered < found.neurons
    assert found.as_dict()["mode"] == "layerwise"
    page = Console(width=120, record=True, file=io.StringIO())
    page.print(verify_summary(found))
    assert f"{found.covered:,} of {found.neurons:,} neurons" in page.export_text()


@pytest.mark.parametrize("fraction", [0, -1, 1.01])
def test_a_fraction_outside_is_refused(fraction: float) -> None:
    with pytest.raises(InputError, match="SFX-E704"):
        verdict(random_program(0), fraction=fraction)


# --- runs -------------------------------------------------------------------------------------


def test_runs_keep_to_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "RUN_PROCESSES", 10)
    program = random_program(5, populations=12)
    planned = pieces.plan(program)
    groups = list(pieces.runs(planned))
    assert [x for group in groups for x in group] == planned
    assert len(groups) > 3
    for group in groups:
        assert len(group) == 1 or sum(x.processes for x in group) <= 10


def test_progress_ends_at_all_populations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "RUN_PROCESSES", 10)
    told: list[tuple[int, int]] = []
    program = random_program(5)
    verdict(program, progress=lambda done, of: told.append((done, of)))
    assert told == sorted(told)
    assert told[-1] == (len(program.populations),) * 2
    assert len(set(told)) > 3


def test_an_input_that_plays_something_else_is_an_error() -> None:
    class Deaf(ReferenceReplayer):
        def replay(self, program, played, steps, **options):
            return super().replay(
                program, {k: np.zeros_like(v) for k, v in played.items()}, steps, **options
            )

    program = random_program(1)
    x, expected = recorded(program)
    with pytest.raises(BackendError, match="SFX-E706"):
        layerwise(program, x, expected, Deaf())


def test_a_backend_that_cannot_replay_is_refused() -> None:
    with pytest.raises(InputError, match="SFX-E707"):
        module.replayer(FastBackend())


class _Two(ReferenceReplayer):
    """Two runs at once; notes the most that there were."""

    replays_at_once = 2

    def __init__(self, dies: int = -1) -> None:
        super().__init__()
        self.going = self.most = self.runs = self.stopped = 0
        self.dies = dies
        self.lock = threading.Lock()

    def replay(self, program, played, steps, *, progress=None, **options):
        with self.lock:
            self.runs += 1
            number = self.runs
            self.going += 1
            self.most = max(self.most, self.going)
        try:
            if number == self.dies:
                raise BackendError("SFX-E509", "killed")
            if self.dies >= 0:
                for step in range(500):  # a long run, which hears that another one failed
                    time.sleep(0.01)
                    progress(step, 500)
            time.sleep(0.01)
            return super().replay(program, played, steps, **options)
        except module._Stopped:
            self.stopped += 1
            raise
        finally:
            with self.lock:
                self.going -= 1


def test_runs_two_at_a_time_give_the_same_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "RUN_PROCESSES", 10)
    program = random_program(5)
    x, expected = recorded(program)
    two, told = _Two(), []
    tell = lambda done, of: told.append((done, of))  # noqa: E731
    got = layerwise(program, x, expected, two, states=True, progress=tell)
    assert got == verdict(program)
    assert two.most == 2
    assert told[-1] == (len(program.populations),) * 2


def test_a_run_that_fails_ends_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "RUN_PROCESSES", 10)
    program = random_program(5)
    x, expected = recorded(program)
    two = _Two(dies=2)
    with pytest.raises(BackendError, match="killed"):
        layerwise(program, x, expected, two, states=True)
    assert (two.runs, two.stopped, two.going) == (2, 1, 0)


# --- going on ---------------------------------------------------------------------------------


class _DiesAfter(ReferenceReplayer):
    def __init__(self, runs: int) -> None:
        super().__init__()
        self.left = runs

    def replay(self, program, played, steps, **options):
        if not self.left:
            raise BackendError("SFX-E509", "killed")
        self.left -= 1
        return super().replay(program, played, steps, **options)


def test_an_ended_comparison_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "RUN_PROCESSES", 10)
    program = random_program(2)
    x, expected = recorded(program)
    path = tmp_path / "done.json"
    # one difference before the end and one after it: both must be in the verdict
    other = replace(
        program,
        populations=tuple(
            replace(q, neuron=replace(q.neuron, vth=q.neuron.vth + 2))
            if isinstance(q.neuron, p.LIF | p.Graded)
            else q
            for q in program
        ),
    )
    straight = layerwise(program, x, expected, ReferenceReplayer(), witness=other, states=True)
    assert not straight.equal
    with pytest.raises(BackendError, match="killed"):
        layerwise(program, x, expected, _DiesAfter(2), witness=other, states=True, resume=path)
    assert 0 < len(json.loads(path.read_text())["parts"]) < len(program.populations)
    again = ReferenceReplayer()
    resumed = layerwise(program, x, expected, again, witness=other, states=True, resume=path)
    assert resumed == straight
    first = {q.name for q in _names(again)}
    third = layerwise(program, x, expected, _DiesAfter(0), witness=other, states=True, resume=path)
    assert third == straight
    assert len(first) < len(program.populations)
    with pytest.raises(InputError, match="SFX-E705"):
        layerwise(program, x, expected, again, states=True, resume=path)
    renamed = replace(program, name="another")
    with pytest.raises(InputError, match=r"SFX-E709 .*another Program"):
        layerwise(renamed, x, expected, again, witness=other, states=True, resume=path)
    path.write_text("[]")
    with pytest.raises(InputError, match="SFX-E705"):
        layerwise(program, x, expected, again, states=True, resume=path)


def _names(replayer: ReferenceReplayer) -> list[p.Population]:
    return [q for net in replayer.programs for q in net if not q.name.startswith(pieces.PLAYED)]


# --- what is refused before anything runs -------------------------------------------------------


def test_modes_and_their_options() -> None:
    program = random_program(0)
    x = random_events(program, 1)
    for options in ({"mode": "some"}, {"sample_fraction": 0.5}, {"resume": Path("x.json")}):
        with pytest.raises(InputError, match="SFX-E702"):
            api.verify(program, x, **options)  # type: ignore[arg-type]


def test_records_that_cannot_be_played() -> None:
    axes = (("a0", 3),)
    net = p.Program(
        (
            p.Population("@a", (3,), p.Input(), phase=0),
            p.Population("b", (3,), p.Graded(), 0, 1, 1),
        ),
        (p.Projection("j", "@a", "b", p.Structured(axes, axes), delay=1),),
        4,
        p.Readout("b", 1.0, ()),
    )
    wide = np.full((5, 3), -(1 << 31))
    check_input.played(net, {"@a": wide}, 5)
    for records in ({}, {"@a": wide[:4]}, {"@a": wide - 1}):
        with pytest.raises(InputError, match="SFX-E513 @a"):
            check_input.played(net, records, 5)
