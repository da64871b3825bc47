"""Slots were asked for, and neurons that keep a membrane send numbers: everything says so."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.needs_torch, pytest.mark.filterwarnings("ignore:.*onnx.*")]

from typer.testing import CliRunner  # noqa: E402  (after importorskip)

import sfx  # noqa: E402
from sfx.frontends.neurons.integer import MultiSpike, integer_lif  # noqa: E402
from sfx.toolchain.app import api, cli  # noqa: E402
from sfx.toolchain.compiler.quantize.options import Options  # noqa: E402

SAID = "1 integer neurons send numbers, not the binary slots that were asked for: keeps"


class Two(torch.nn.Module):
    """A neuron that keeps half of its membrane, and one that keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.keeps = torch.nn.Linear(4, 6), integer_lif(keep=0.5, most=3)
        self.b, self.alone = torch.nn.Linear(6, 5), MultiSpike(3)
        self.c = torch.nn.Linear(5, 3)

    def forward(self, x: Any) -> Any:
        return self.c(self.alone(self.b(self.keeps(self.a(x))))).mean(0)


def factory() -> Two:
    """What `--model` calls."""
    return Two()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("slots")
    torch.manual_seed(0)
    torch.save(Two().state_dict(), made / "m.pt")
    x = np.random.default_rng(0).integers(0, 4, (12, 2, 4))
    np.savez(made / "x.npz", x=x, y=np.arange(12) % 3)
    return made


def call(folder: Path, spikes: str, command: str, *words: str) -> tuple[str, dict[str, Any]]:
    """What a command prints, on one line, and its JSON."""
    given = [command, str(folder / "m.pt"), "--model", f"{__name__}:factory", *words]
    given += ["--calibrate", str(folder / "x.npz"), "--integer-spikes", spikes]
    result = CliRunner().invoke(cli.app, [*given, "--json", str(folder / "out.json")])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split()), json.loads((folder / "out.json").read_text())


@pytest.mark.parametrize(("spikes", "left"), [("slots", ["keeps"]), ("graded", []), ("auto", [])])
def test_commands_and_the_bundle(folder: Path, spikes: str, left: list[str]) -> None:
    bundle = folder / f"{spikes}.sfx"
    for command, words in (
        ("compile", ("-o", str(bundle))),
        ("check", ()),
        ("quantize", ("--input", str(folder / "x.npz"))),
    ):
        printed, values = call(folder, spikes, command, *words)
        assert values["graded"] == left, command
        assert (SAID in printed) == bool(left), command
    found = api.load(bundle)
    assert found.manifest.get("graded", []) == left
    assert ("graded" in found.manifest) == bool(left)
    slots = [q.name for q in found.program if ".slot" in q.name]
    assert len(slots) == (3 if left else 0)
    report = CliRunner().invoke(cli.app, ["report", str(bundle)])
    assert (SAID in " ".join(report.output.split())) == bool(left)


def test_fine_tuning_warns(folder: Path) -> None:
    x = np.load(folder / "x.npz")["x"]
    with pytest.warns(UserWarning, match=SAID):
        sfx.qat.prepare(Two(), calibrate=x, options=Options(integer_spikes="slots"))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*integer neurons.*")
        sfx.qat.prepare(Two(), calibrate=x)
