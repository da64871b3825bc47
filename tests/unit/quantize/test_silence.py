"""Silence is not agreement: spikes are counted, and what never fires is named."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import lower
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.quantize.options import Options
from sfx.toolchain.compiler.quantize.quantize import Quantized, quantize
from sfx.toolchain.compiler.quantize.state.matched import matched, silence
from sfx.toolchain.compiler.quantize.state.values import Coincidences
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.evaluate import run
from sfx.toolchain.ir.matched import Matched
from sfx.toolchain.ir.program import LIF
from sfx.toolchain.ir.record import LayerRecord
from sfx.toolchain.report.compiled import quantization_table
from sfx.toolchain.report.silent import silence_lines
from tests.graphs import live_case, with_op


def table(records: tuple[LayerRecord, ...]) -> list[str]:
    """What `sfx compile` prints of them."""
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(quantization_table([r.as_dict() for r in records]))
    return console.export_text().splitlines()


def row(quantized: Quantized, population: str) -> str:
    return next(line for line in table(quantized.records) if line.startswith(population))


def chain(*, mute: float = 1.0, weights: tuple[float, float], threshold: float) -> g.Graph:
    """12 inputs -> `first` -> `last` -> output; `first` weighs input 0 by 1, all others alike."""
    large, small = weights
    first = np.full((4, 12), small)
    first[:, 0] = large
    nodes = (
        g.Node("input", g.Input(), (), (12,)),
        g.Node("a", g.Linear(first, np.zeros(4)), (("input",),), (4,)),
        g.Node("first", g.LIF(0.5, threshold), (("a",),), (4,)),
        g.Node("b", g.Linear(mute * np.eye(4), np.zeros(4)), (("first",),), (4,)),
        g.Node("last", g.LIF(0.5, 0.25), (("b",),), (4,)),
        g.Node("output", g.Output("sum"), (("last",),), (4,)),
    )
    return g.Graph(nodes, 6)


def samples() -> np.ndarray:
    """Input 0 never fires, of the others one at a step."""
    x = np.zeros((5, 6, 12), np.int64)
    rng = np.random.default_rng(0)
    for k, t in np.ndindex(5, 6):
        x[k, t, rng.integers(1, 12)] = 1
    return x


def record(quantized: Quantized, population: str) -> LayerRecord:
    return next(r for r in quantized.records if r.population == population)


def test_spikes_are_those_that_a_direct_count_finds() -> None:
    graph, x = live_case(False, True, 1)
    quantized = quantize(lower(graph), x, options=Options(bits=4))
    truth = run(graph, x)
    mine = ReferenceBackend().layers(BalanceDelays(62).run(quantized.program), x)
    wrong = 0
    for r in quantized.records[:-1]:
        real, ours = (
            set(map(tuple, np.argwhere(side[r.population]).tolist())) for side in (truth, mine)
        )
        assert real, "silent: nothing is compared"
        assert (r.spikes, r.missed, r.extra) == (len(real), len(real - ours), len(ours - real))
        values = r.as_dict()
        assert values["precision"] == len(real & ours) / len(ours)
        assert values["recall"] == len(real & ours) / len(real)
        assert values["silent"] == ""
        assert r.wrong == r.wrong_spikes == len(real ^ ours) / len(real)
        wrong += len(real ^ ours)
    assert wrong, "nothing is wrong: nothing is counted"
    first = quantized.records[0]
    assert (first.missed_alone, first.extra_alone) == (first.missed, first.extra)
    assert first.wrong_alone == first.wrong
    assert not quantized.silent


def test_a_layer_that_never_fires_is_named_and_agrees_with_nothing() -> None:
    quantized = quantize(lower(chain(mute=-1.0, weights=(1.0, 0.5), threshold=0.2)), samples())
    first, last = record(quantized, "first"), record(quantized, "last")
    assert first.spikes
    assert first.silent == ""
    assert last.cumulative == 1.0, "the old share calls silence agreement"
    assert last.silent == "both"
    assert last.wrong is None
    assert [(s.population, s.where) for s in quantized.silent] == [("last", "both")]
    line = row(quantized, "last")
    assert line.split()[-4:] == ["-", "-", "exact,", "silent"]
    assert "silent" not in row(quantized, "first")
    said = silence_lines(s.as_dict() for s in quantized.silent)
    assert said[0].endswith("there: last")
    assert "--calibrate" in said[1]


@pytest.mark.parametrize(
    ("small", "threshold", "where", "share"),
    [(0.2, 0.05, "integers", "100.00%"), (0.6, 0.8, "float", "-")],
)
def test_one_side_alone_is_silent(small: float, threshold: float, where: str, share: str) -> None:
    """2 bits of -1 and less hold 0 and 1: 0.2 becomes 0, 0.6 becomes 1, which v comes near to."""
    graph = chain(weights=(-1.0, small), threshold=threshold)
    x = samples()
    quantized = quantize(lower(graph), x, options=Options("naive", bits=2))
    truth = run(graph, x)["first"].any()
    mine = ReferenceBackend().layers(BalanceDelays(62).run(quantized.program), x)["first"].any()
    assert (truth, mine) == (where == "integers", where == "float")
    found = record(quantized, "first")
    assert found.silent == where
    assert ("first", where) in [(s.population, s.where) for s in quantized.silent]
    line = row(quantized, "first")
    assert share in line.split()
    assert line.rstrip().endswith("silent (int)" if where == "integers" else "silent (float)")
    said = " ".join(silence_lines([s.as_dict() for s in quantized.silent]))
    assert "first" in said
    assert ("--bits" in said) == (where == "integers")


@pytest.mark.parametrize("causal", [True, False])
def test_gates_of_attention_count_as_well(causal: bool) -> None:
    """Every spiking population that the reference or the float model leaves silent is named."""
    graph, x = live_case(False, causal, 1)
    low = lower(with_op(graph, "blocks.0.k_lif", threshold=1000.0))
    quantized = quantize(low, x)
    program = BalanceDelays(62).run(quantized.program)
    mine, truth = ReferenceBackend().layers(program, x), run(low, x)
    spiking = [q.name for q in program if isinstance(q.neuron, LIF) and q.name in low]
    expected = {
        (n, {(0, 0): "both", (0, 1): "float", (1, 0): "integers"}[int(a), int(b)])
        for n in spiking
        if not ((a := bool(truth[n].any())) & (b := bool(mine[n].any())))
    }
    assert {(s.population, s.where) for s in quantized.silent} == expected
    assert any(isinstance(low[n].op, g.Threshold) for n, _ in expected)
    assert any(isinstance(low[n].op, g.LIF) for n in spiking if n not in dict(expected))


def test_coincidences_are_looked_at_step_by_step() -> None:
    a = np.zeros((2, 3, 4, 1))
    b = np.zeros((2, 3, 1, 5))
    a[1, 2, 0], b[1, 1, :, 2] = 1, 1
    both = Coincidences(*(np.broadcast_to(v, (2, 3, 4, 5)) for v in (a, b)))
    assert not both.array().any()
    found = silence("gate", both, np.ones((2, 3, 20)))
    assert found is not None
    assert found.where == "float"
    b[1, 2, :, 0] = 1
    assert both.array().sum() == 1
    assert silence("gate", both, np.ones((2, 3, 20))) is None


def test_without_data_nothing_is_said_and_shares_need_spikes() -> None:
    quantized = quantize(lower(chain(weights=(1.0, 0.5), threshold=0.2)))
    assert not quantized.silent
    assert all(r.spikes is None and r.silent == "" and r.wrong is None for r in quantized.records)
    assert quantized.records[0].as_dict()["precision"] is None
    none = matched(np.zeros((1, 2, 3)), np.zeros((1, 2, 3)))
    assert (none.precision, none.recall, none.wrong, none.silent) == (None, None, None, "both")
    assert Matched(0, 0, 2).precision == 0
    assert Matched(0, 0, 2).wrong is None
    assert Matched(1, 3, 1).wrong == 1.0


def test_a_row_of_an_older_sfx_keeps_its_meaning() -> None:
    """It has shares of all neurons and steps, and the rate."""
    old: dict[str, Any] = {
        "population": "lif", "scale": 1.0, "weight_bits": 8, "exact": False, "clipped": 0,
        "weight_error": 0.0, "threshold_error": 0.0, "decay_error": 0.0,
        "agreement": 0.99, "cumulative": 0.98, "rate": 0.1, "later": 1,
    }  # fmt: skip
    assert LayerRecord.of(old).wrong == pytest.approx(0.2)
    assert LayerRecord.of(old).wrong_alone == pytest.approx(0.1)
    assert LayerRecord.of(old | {"rate": 0.0}).silent == "float"
    assert LayerRecord.of(old | {"rate": 0.0}).wrong is None
