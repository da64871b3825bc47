"""Float graph to Program: exact where it can be, fitted on data where it cannot, bounded always."""

from __future__ import annotations

import numpy as np
import pytest

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import lower
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.ground.errors import InputError, SfxError
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.evaluate import run
from tests.graphs import (
    events,
    live,
    live_case,
    membrane_residual,
    pooled_currents,
    spikeformer,
    with_op,
)


def lifs(graph: g.Graph) -> list[str]:
    return [n.name for n in graph if isinstance(n.op, g.LIF)]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("blocks", [1, 2])
def test_dyadic_network_has_nothing_to_round(causal: bool, blocks: int) -> None:
    graph, x = live_case(True, causal, blocks)
    quantized = quantize(lower(graph), x)
    assert all(r.exact for r in quantized.records), [r for r in quantized.records if not r.exact]
    program = BalanceDelays(62).run(quantized.program)
    check_program(program, balanced=True)
    truth, mine = run(graph, x), ReferenceBackend().layers(program, x)
    for name in lifs(graph):
        assert np.array_equal(truth[name], mine[name]), name
    scale = program.readout.scale
    sums = mine["output"].sum(1) + np.array(program.readout.offset)
    assert np.allclose(sums / scale, truth["output"].mean(1))


def test_simulated_calibration_is_the_reference() -> None:
    """The quantizer's own view of a layer and the reference backend must be the same bits."""
    graph, x = live_case(False, True, 2)
    quantized = quantize(lower(graph), x)
    program = BalanceDelays(62).run(quantized.program)
    truth, mine = run(graph, x), ReferenceBackend().layers(program, x)
    for record in quantized.records[:-1]:
        agreement = np.mean(truth[record.population] == mine[record.population])
        assert agreement == record.cumulative, record.population


def test_calibration_beats_or_equals_weights_alone() -> None:
    graph, x = live_case(False, True, 2)
    low = lower(graph)
    truth = run(graph, x)

    def wrong(program: object) -> float:
        mine = ReferenceBackend().layers(BalanceDelays(62).run(program), x)
        return sum(float(np.abs(truth[n] - mine[n]).sum()) for n in lifs(graph)[:1])

    assert wrong(quantize(low, x).program) <= wrong(quantize(low).program)


def test_without_data_scales_follow_from_the_weights() -> None:
    quantized = quantize(lower(spikeformer(seed=2)))
    assert all(r.cumulative is None for r in quantized.records)
    check_program(BalanceDelays(62).run(quantized.program), balanced=True)


def test_event_counts_make_a_graded_input() -> None:
    graph = spikeformer(seed=2)
    x = events(graph, 3) * 3
    program = quantize(lower(graph, 255), x).program
    assert program.input.high == 255
    with pytest.raises(InputError, match="SFX-E329"):  # lowered for spikes
        quantize(lower(graph), x)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"threshold": -1.0}, "SFX-E309"),
    ],
)
def test_what_integers_cannot_say_is_refused(changes: dict[str, object], code: str) -> None:
    with pytest.raises(SfxError) as caught:
        quantize(lower(with_op(spikeformer(), "blocks.0.q_lif", **changes)))
    assert caught.value.code == code
    assert "blocks.0.q_lif" in str(caught.value)


def test_impossible_scale_is_refused() -> None:
    graph = with_op(spikeformer(), "ct.lif", threshold=1e9)
    with pytest.raises(SfxError) as caught:
        quantize(lower(graph))
    assert caught.value.code == "SFX-E310"


@pytest.mark.parametrize("dyadic", [True, False])
def test_membrane_residual_keeps_one_scale(dyadic: bool) -> None:
    """A real-valued stream travels in graded relays whose scales differ by powers of two only."""
    graph = membrane_residual(dyadic=dyadic, seed=1)
    x = events(graph, 8, rate=0.5)
    live(graph, x)
    low = lower(graph)
    quantized = quantize(low, x)
    program = BalanceDelays(62).run(quantized.program)
    check_program(program, balanced=True)
    relays = [n.name for n in low.of_type(g.Relay)]
    assert len(relays) >= 3
    scales = [r.scale for r in quantized.records if r.population in relays]
    assert all(np.log2(s / scales[0]) % 1 == 0 for s in scales)
    truth, mine = run(graph, x), ReferenceBackend().layers(program, x)
    for name in lifs(graph):
        share = np.mean(truth[name] == mine[name])
        assert share == 1.0 if dyadic else share > 0.98, (name, share)
    values = (mine["output"].sum(1) + np.array(program.readout.offset)) / program.readout.scale
    exact = truth["output"].mean(1)
    assert np.allclose(values, exact, atol=1e-9 if dyadic else 0.05 * np.abs(exact).max())


@pytest.mark.parametrize("dyadic", [True, False])
def test_max_pool_of_currents(dyadic: bool) -> None:
    """max(a, b) = b + relu(a - b) on a graded stream: the Program pools what the model pools."""
    graph = pooled_currents(dyadic=dyadic)
    x = events(graph, 8, rate=0.5)
    live(graph, x)
    quantized = quantize(lower(graph), x)
    program = BalanceDelays(62).run(quantized.program)
    check_program(program, balanced=True)
    truth, mine = run(graph, x), ReferenceBackend().layers(program, x)
    share = np.mean(truth["lif"] == mine["lif"])
    assert share == 1.0 if dyadic else share > 0.98, share
    values = (mine["output"].sum(1) + np.array(program.readout.offset)) / program.readout.scale
    if dyadic:
        assert np.allclose(values, truth["output"].mean(1), atol=1e-9)
