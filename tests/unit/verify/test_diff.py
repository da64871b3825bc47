"""`sfx diff`: nothing where nothing differs, and every one-number change by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sfx.toolchain.app.cli import app
from sfx.toolchain.formats.bundle import bundle as bundles
from sfx.toolchain.formats.bundle.bundle import Bundle
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.placed import PlacedProgram
from sfx.toolchain.verify.diff import diff
from tests import mutate
from tests.strategies import random_program


def with_lif() -> p.Program:
    """A random Program with a LIF population."""
    drawn = (random_program(seed) for seed in range(40))
    return next(d for d in drawn if any(isinstance(q.neuron, p.LIF) for q in d))


@pytest.mark.parametrize("seed", range(8))
def test_a_program_does_not_differ_from_itself(seed: int) -> None:
    assert diff(random_program(seed), random_program(seed)) == []


def test_each_change_is_named() -> None:
    program = with_lif()
    lif = next(q for q in program if isinstance(q.neuron, p.LIF))
    j = program.projections[0]
    assert isinstance(lif.neuron, p.LIF)
    (found,) = diff(program, mutate.change_threshold(program, lif.name, 1))
    assert (found.where, found.field) == (lif.name, "neuron.vth")
    assert int(found.b) == int(found.a) + 1
    (found,) = diff(program, mutate.change_delay(program, j.name))
    assert (found.where, found.field) == (j.name, "delay")
    (found,) = diff(program, replace(program, timesteps=program.timesteps + 1))
    assert found.field == "timesteps"
    fewer = replace(program, projections=program.projections[1:])
    (found,) = diff(program, fewer)
    assert (found.where, found.field, found.b) == (j.name, "exists", "-")


def test_a_weight_is_named_with_its_place() -> None:
    for seed in range(40):
        program = random_program(seed)
        for j in program.projections:
            if isinstance(j.connection, p.Dense | p.Conv2d):
                (found,) = diff(program, mutate.flip_weight_bit(program, j.name))
                assert found.where == j.name
                assert found.field.startswith("connection.weight[0, 0")
                assert "1 of" in found.b
                return
    raise AssertionError("no Program with weights")


def test_the_command(tmp_path: Path) -> None:
    program = with_lif()
    lif = next(q for q in program if isinstance(q.neuron, p.LIF))
    files = []
    for i, made in enumerate((program, mutate.change_threshold(program, lif.name, 1))):
        files.append(tmp_path / f"{i}.sfx")
        bundles.write(Bundle(PlacedProgram(made, "loihi2", ()), b"", {}), files[-1])
    run = CliRunner().invoke
    assert run(app, ["diff", str(files[0]), str(files[0])]).exit_code == 0
    result = run(app, ["diff", *map(str, files), "--json", str(tmp_path / "d.json")])
    assert result.exit_code == 1
    assert "neuron.vth" in result.output
    (change,) = json.loads((tmp_path / "d.json").read_text())["changes"]
    assert change["field"] == "neuron.vth"
