"""`sfx verify` through Lava says equal, and says where if one bit of what Lava got is flipped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app.cli import app
from sfx.toolchain.compiler.compile import Compiled, compile_graph
from sfx.toolchain.formats.bundle import bundle as bundles
from sfx.toolchain.formats.bundle.bundle import Bundle
from sfx.toolchain.ir.placed import PlacedProgram
from sfx.toolchain.ir.program import Program
from sfx.toolchain.targets import load as load_target
from sfx.toolchain.verify.compare import compare
from tests import mutate
from tests.graphs import live_case

pytestmark = [pytest.mark.needs_lava, pytest.mark.slow]
SAMPLES = 3


@pytest.fixture(scope="module")
def compiled() -> tuple[Compiled, np.ndarray]:
    graph, x = live_case(False, True, 1)
    return compile_graph(graph, load_target("loihi"), x), x[:SAMPLES]


@pytest.fixture(scope="module")
def files(compiled: tuple[Compiled, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flips")
    save(compiled[0].placed, folder / "model.sfx")
    np.savez(folder / "x.npz", x=compiled[1])
    return folder


def save(placed: PlacedProgram, path: Path) -> None:
    bundles.write(Bundle(placed, b"", {}), path)


def verify(folder: Path, *options: str) -> tuple[int, dict[str, object]]:
    out = folder / "verdict.json"
    command = ["verify", str(folder / "model.sfx"), "--input", str(folder / "x.npz"), "--states"]
    result = CliRunner().invoke(app, [*command, "--json", str(out), *options])
    assert out.exists(), result.output
    return result.exit_code, json.loads(out.read_text())


def test_untouched_program_is_equal(files: Path, compiled: tuple[Compiled, np.ndarray]) -> None:
    status, verdict = verify(files)
    assert status == 0
    assert verdict["equal"] is True
    assert verdict["mismatches"] == 0
    assert verdict["silent"] == [], "every population fired, so no comparison is vacuous"
    program = compiled[0].placed.program
    steps = SAMPLES * program.timesteps + program.last_phase
    states = sum(p.size for p in program if type(p.neuron).__name__ == "LIF")
    assert verdict["compared"] == steps * (sum(p.size for p in program) + 2 * states)


def flips(program: Program, x: np.ndarray) -> dict[str, tuple[Program, str]]:
    """Mutated Programs, each with the population where the difference must show first."""
    spikes = ReferenceBackend().stream(program, x).spikes
    fc1 = next(j for j in program.projections if j.post == "blocks.0.fc1_lif")
    late = next(j for j in program.projections if j.delay > 1 and j.post == "blocks.0.add1")
    index = mutate.busiest_weight(program, fc1.name, spikes[fc1.pre])
    return {
        "weight bit": (mutate.flip_weight_bit(program, fc1.name, index), fc1.post),
        "threshold": (
            mutate.change_threshold(program, "ct.lif", -(program["ct.lif"].neuron.vth // 2)),
            "ct.lif",
        ),
        "delay": (mutate.change_delay(program, late.name, -1), late.post),
    }


@pytest.mark.parametrize("kind", ["weight bit", "threshold", "delay"])
def test_a_flip_is_caught_and_located(
    kind: str, files: Path, compiled: tuple[Compiled, np.ndarray]
) -> None:
    result, x = compiled
    program = result.placed.program
    mutated, population = flips(program, x)[kind]
    save(PlacedProgram(mutated, "loihi2", result.placed.blocks), files / "flipped.sfx")
    reference = ReferenceBackend()
    truth = compare(
        program,
        reference.stream(program, x, states=True),
        reference.stream(mutated, x, states=True),
        against="reference",
        mode="full",
        states=True,
        samples=SAMPLES,
    ).first_mismatch
    assert truth is not None, "the flip must matter on these samples"
    assert truth.population == population
    status, verdict = verify(files, "--witness", str(files / "flipped.sfx"))
    assert status == 1
    assert verdict["equal"] is False
    first = verdict["first_mismatch"]
    assert isinstance(first, dict)
    assert (first["population"], first["step"]) == (truth.population, truth.step)
    assert (first["neuron"], first["expected"], first["got"]) == (
        truth.neuron,
        truth.expected,
        truth.got,
    )
