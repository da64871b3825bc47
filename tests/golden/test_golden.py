"""Texts that must not change unseen: lowered graphs, Programs, error messages.

`pytest tests/golden --update-golden` rewrites them; read the diff.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sfx.toolchain.compiler.compile import TO_NEURON_FORM, lower
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.passes.base import run_passes
from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.ir.text import graph_text, program_text
from tests.graphs import live_case, membrane_residual, spikeformer, with_op

FOLDER = Path(__file__).parent / "expected"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    def check(name: str, text: str) -> None:
        path = FOLDER / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{path.name} is missing: run with --update-golden"
        assert path.read_text() == text

    return check


def test_neuron_form(golden: Callable[[str, str], None]) -> None:
    golden("spikeformer_neuron_form", graph_text(lower(spikeformer(dyadic=True))))


def test_membrane_residual_neuron_form(golden: Callable[[str, str], None]) -> None:
    golden("membrane_residual_neuron_form", graph_text(lower(membrane_residual())))


def test_program(golden: Callable[[str, str], None]) -> None:
    graph, x = live_case(True, True, 1)
    golden(
        "spikeformer_program",
        program_text(BalanceDelays(62).run(quantize(lower(graph), x).program)),
    )


def test_messages(golden: Callable[[str, str], None]) -> None:
    """What the passes say of a network they cannot lower."""
    graph = spikeformer()

    def rewired(name: str, *producers: str) -> object:
        return graph.with_nodes(
            replace(n, inputs=(producers,)) if n.name == name else n for n in graph
        )

    cases = {
        "product of currents": rewired("blocks.0.k.split", "blocks.0.k.out"),
    }
    said = []
    for name, broken in cases.items():
        with pytest.raises(SfxError) as caught:
            run_passes(broken, TO_NEURON_FORM, lambda g: None)
        said.append(f"# {name}\n{caught.value}\n")
    for changes in (
        {"reset": 2.0},
        {"threshold": -1.0},
        {"threshold": 1e9},
        {"threshold": 1e9, "subtract": True},
        {"threshold": 1e-9, "syn": 0.25},
    ):
        with pytest.raises(SfxError) as caught:
            quantize(lower(with_op(graph, "ct.lif", **changes)))
        said.append(f"# {changes}\n{caught.value}\n")
    golden("messages", "\n".join(said))
