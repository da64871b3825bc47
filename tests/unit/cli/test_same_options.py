"""Whoever reads or quantizes a model takes the options of `compile`, and they do the same there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

import sfx
from sfx.toolchain.app import api, cli
from sfx.toolchain.app.commands.bits import quantize_options
from sfx.toolchain.compiler.quantize.options import Options
from sfx.toolchain.ir import program as p

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

PLACED = {"objective": "nothing is placed", "seed": "nothing is placed"}
COMMANDS: Mapping[str, Mapping[str, str]] = {
    "check": {
        "output": "nothing is written",
        "picture": "nothing is written",
    },
    "quantize": PLACED
    | {
        "picture": "its tables are the result",
        "dump": "one model is quantized many times",
        "net_input": "a .net holds integers: there is nothing to quantize",
    },
}
"""Command -> options of `sfx compile` that it has not, and why."""
FUNCTIONS: Mapping[str, Mapping[str, str]] = {
    "judge": PLACED
    | {
        "stage": "the command shows its progress",
        "example": "its samples are there",
        "dump_passes": "one model is quantized many times",
        "net_input": "a .net holds integers: there is nothing to quantize",
    },
    "prepare": PLACED
    | {"stage": "it is one stage", "dump_passes": "compile what was trained, and dump that"},
}
"""Function -> keywords of `sfx.compile` that it has not, and why."""


def options_of(name: str) -> dict[str, tuple[str, ...]]:
    found: Any = get_command(cli.app)
    return {o.name: tuple(o.opts) for o in found.commands[name].params}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_options_of_compile(name: str) -> None:
    every, mine, left_out = options_of("compile"), options_of(name), COMMANDS[name]
    assert set(every) - set(mine) == set(left_out)
    same = set(every) & set(mine)
    assert {n: mine[n] for n in same} == {n: every[n] for n in same}
    assert {"integer_spikes", "layer_bits", "method", "effort", "convention"} <= same


@pytest.mark.parametrize("name", ["check", "compile", "quantize", "run", "verify"])
def test_memory_is_told_in_megabytes_and_received_in_bytes(name: str) -> None:
    found: Any = get_command(cli.app)
    command = found.commands[name]
    (option,) = (o for o in command.params if o.name == "memory")
    context = command.make_context(name, [], resilient_parsing=True)
    assert option.process_value(context, "3") == 3 * 1024 * 1024
    assert option.process_value(context, None) is None


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_keywords_of_compile(name: str) -> None:
    made: Callable[..., Any] = {"judge": api.judge, "prepare": sfx.qat.prepare}[name]
    every, mine = (set(inspect.signature(f).parameters) for f in (sfx.compile, made))
    assert every - mine == set(FUNCTIONS[name])


def test_the_command_line_says_every_field_of_options() -> None:
    made = quantize_options(4, ["a=3"], "naive", 0.5, 7, "slots", (True, 5))
    assert made == Options("naive", 4, {"a": 3}, 0.5, 7, "slots", True, 5)
    assert made != Options()


class TwoSpikes(torch.nn.Module):
    """An integer neuron between two layers, one step."""

    def __init__(self) -> None:
        from sfx.frontends.neurons.integer import MultiSpike

        super().__init__()
        self.a, self.spike, self.b = torch.nn.Linear(4, 6), MultiSpike(3), torch.nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        return self.b(self.spike(self.a(x))).mean(0)


def factory() -> TwoSpikes:
    """What `--model` calls."""
    return TwoSpikes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("options")
    torch.manual_seed(0)
    torch.save(TwoSpikes().state_dict(), made / "m.pt")
    rng = np.random.default_rng(0)
    np.savez(made / "x.npz", x=rng.integers(0, 4, (12, 1, 4)), y=np.arange(12) % 3)
    return made


def call(folder: Path, *words: str) -> str:
    model = f"{__name__}:factory"
    given = [str(folder / w) if "." in w and "=" not in w else w for w in words]
    result = CliRunner().invoke(cli.app, [*given, "--model", model])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(("spikes", "neurons"), [("graded", 1), ("slots", 3)])
def test_integer_spikes_mean_the_same_to_everyone(
    folder: Path, spikes: str, neurons: int, tmp_path: Path
) -> None:
    asked = ("--integer-spikes", spikes)
    call(folder, "compile", "m.pt", "--calibrate", "x.npz", "-o", str(tmp_path / "m.sfx"), *asked)
    program = api.load(tmp_path / "m.sfx").program
    assert len([q for q in program if q.module == "spike" and q.high == 3 // neurons]) == neurons
    call(
        folder, "check", "m.pt", "--calibrate", "x.npz", "--json", str(tmp_path / "c.json"), *asked
    )
    told = (tmp_path / "c.json").read_text()
    assert f'"populations": {len(program.populations)}' in told
    out = call(folder, "quantize", "m.pt", "--input", "x.npz", "--calibrate", "x.npz", *asked)
    assert "of 12" in out
    x = np.load(folder / "x.npz")["x"]
    judge = api.judge(
        TwoSpikes(), sfx.Data(x, np.arange(12) % 3), calibrate=x,
        options=Options(integer_spikes=spikes, layers={"spike": 4}, method="naive"),
    )  # fmt: skip
    judge.score({})
    mine = [r for r in judge.records if r.population.startswith("spike")]
    slots = ["spike.current", "spike.slot0", "spike.slot1", "spike.slot2"]
    assert [r.population for r in mine] == (["spike"] if spikes == "graded" else slots)
    assert mine[0].weight_bits == 4


def test_a_witness_looks_at_what_is_fine_tuned() -> None:
    """`prepare` runs the torch model beside its graph, as compile does."""
    net, x = TwoSpikes(), np.random.default_rng(0).integers(0, 4, (4, 1, 4))
    example = torch.ones(1, 1, 4)
    for given in ({"calibrate": x}, {"calibrate": x, "example": example}):
        made = sfx.qat.prepare(net, options=Options(integer_spikes="slots"), **given)
        assert [q.name for q in made.program() if isinstance(q.neuron, p.LIF)] == [
            "spike.slot0",
            "spike.slot1",
            "spike.slot2",
        ]
    with pytest.raises(sfx.toolchain.ground.errors.InputError, match="SFX-E605"):
        sfx.qat.prepare(net, calibrate=x, memory=1)
