"""The operands named for a mismatch make the expected value, in Python's own integers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app import api
from sfx.toolchain.app.cli import app
from sfx.toolchain.ground.errors import InputError, SfxError
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.digest import digest
from sfx.toolchain.verify import replay as replays
from sfx.toolchain.verify.cause import Cause, cause
from sfx.toolchain.verify.compare import Mismatch
from tests.strategies import random_events, random_program

SAMPLES = 2


def toward_zero(x: int, bits: int) -> int:
    return (abs(x) >> bits) * (1 if x >= 0 else -1)


def by_hand(q: p.Population, neuron: int, found: Cause) -> dict[str, int]:
    """s, u and v of one neuron from its operands: the formulas of the integer semantics."""
    ports = {
        port: sum(a.total for a in found.arrivals if a.port == port) for port in q.neuron.ports
    }
    n = q.neuron
    match n:
        case p.LIF():
            mant = int(np.broadcast_to(n.bias_mant, q.shape).reshape(-1)[neuron])
            bias = mant << n.bias_exp if n.bias_exp >= 0 else mant >> -n.bias_exp
            assert found.u is not None
            assert found.v is not None
            u = toward_zero(found.u * (4095 - n.du), 12) + (ports["a_in"] << 6)
            v = toward_zero(found.v * (4096 - n.dv), 12) + u + bias
            fired = int(v > n.vth << 6)
            return {"spikes": fired, "u": u, "v": 0 if fired else v}
        case p.Graded():
            a = ports["a_in"]
            return {"spikes": a if abs(a) > n.vth else 0}
        case p.GradedReLU():
            a = ports["a_in"]
            return {"spikes": a if a > n.vth else 0}
        case p.Product():
            a = ports["a_in1"] * ports["a_in2"] >> n.exp
            return {"spikes": a if abs(a) > n.vth else 0}
    raise AssertionError(type(n))


@pytest.mark.parametrize("seed", range(20))
def test_the_operands_make_the_value(seed: int) -> None:
    """Any neuron at any step: fill, reset and drain included."""
    program = random_program(seed)
    x = random_events(program, SAMPLES)
    record = ReferenceBackend().stream(program, x, states=True)
    rng = np.random.default_rng(seed)
    seen = 0
    for q in program:
        if isinstance(q.neuron, p.Input | p.Clock):
            continue
        neuron, step = int(rng.integers(q.size)), int(rng.integers(record.steps))
        m = Mismatch(q.name, "spikes", step, None, None, neuron, 0, 1)
        made = replays.replay_of(program, program, x, record, m, "reference")
        assert made is not None
        side = made.expected
        alone = ReferenceBackend().replay(side.program, side.played, made.steps, states=True)
        found = cause(program, record, q.name, neuron, step, alone, made.label)
        assert found is not None
        for quantity, value in by_hand(q, neuron, found).items():
            expected = getattr(record, quantity)[q.name][step].flat[neuron]
            assert value == expected, (q.name, quantity, list(found.lines()))
        seen += 1
    assert seen


def slipped(program: p.Program) -> p.Program:
    """The same Program with one threshold moved by half."""
    q = next(q for q in program if isinstance(q.neuron, p.LIF) and q.neuron.vth > 1)
    moved = replace(q, neuron=replace(q.neuron, vth=q.neuron.vth // 2))
    return replace(program, populations=tuple(moved if o is q else o for o in program))


def different(tmp_path: Path, seed: int = 3) -> tuple[p.Program, p.Program, Path]:
    for at in range(seed, seed + 40):
        program = random_program(at)
        if any(isinstance(q.neuron, p.LIF) and q.neuron.vth > 1 for q in program):
            other, file = slipped(program), tmp_path / f"{at}.replay"
            x = random_events(program, SAMPLES)
            verdict = api.verify(
                program, x, against="reference", mode="layerwise", witness=other, replay_file=file
            )
            assert file.exists() == (not verdict.equal)
            if not verdict.equal:
                assert verdict.cause
                return program, other, file
    raise AssertionError("no threshold mattered")


def test_a_replay_file_shows_the_difference_again(tmp_path: Path) -> None:
    _, _, file = different(tmp_path)
    found, rows = api.replay(file)
    first = found.mismatch
    assert [r.step for r in rows] == list(range(first.step + 1))
    assert [r.equal for r in rows[:-1]] == [True] * first.step
    assert rows[-1].spikes == (first.expected, first.got)
    result = CliRunner().invoke(app, ["replay", str(file), "--json", str(tmp_path / "out.json")])
    assert result.exit_code == 1
    assert "<- differs" in result.output


def test_a_replay_file_names_its_program(tmp_path: Path) -> None:
    program, other, file = different(tmp_path)
    assert api.replay(file, bundle=program)[0].program == digest(program)
    with pytest.raises(InputError, match="SFX-E709"):
        api.replay(file, bundle=other)


def test_a_replay_of_equal_sides_is_equal(tmp_path: Path) -> None:
    _, _, file = different(tmp_path)
    found = replays.read(file)
    same = replace(found, got=found.expected)
    replays.write(same, file)
    assert all(row.equal for row in api.replay(file)[1])
    assert CliRunner().invoke(app, ["replay", str(file)]).exit_code == 0


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    _, _, file = different(tmp_path)
    content = file.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        at = int(rng.integers(len(content)))
        file.write_bytes(
            content[:at] + bytes([content[at] ^ 1 << rng.integers(8)]) + content[at + 1 :]
        )
        with pytest.raises(SfxError):
            replays.read(file)
    for size in (0, 10, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:size])
        with pytest.raises(SfxError):
            replays.read(file)


def test_a_sealed_file_that_lies_is_refused(tmp_path: Path) -> None:
    """Sound bytes, but a net that no one compiled: widths and shapes are checked."""
    _, _, file = different(tmp_path)
    found = replays.read(file)
    played = {name: a[:-1] for name, a in found.expected.played.items()}
    cell = found.expected.program[found.label]
    wide = replace(cell, neuron=p.LIF(du=4095, dv=99999, vth=1))
    program = found.expected.program
    lying = (
        replace(found, expected=replace(found.expected, played=played)),
        replace(found, label="nothing"),
        replace(
            found,
            expected=replace(
                found.expected,
                program=replace(
                    program, populations=tuple(wide if q is cell else q for q in program)
                ),
            ),
        ),
    )
    for lie in lying:
        replays.write(lie, file)
        with pytest.raises(SfxError):
            replays.read(file)
