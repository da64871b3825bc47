"""Parallel spiking neurons from SpikingJelly 2 to every backend, and through Intel's processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import sfx
from sfx.backends.base import align
from sfx.backends.fast.backend import FastBackend
from sfx.backends.onnx.backend import OnnxBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app import api
from sfx.toolchain.compiler.compile import compile_graph
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.ground.errors import InputError, UnsupportedError
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.targets import load as load_target
from tests.unit.ir.test_silent_steps import dyadic, events, graph_of

T, SAMPLES = 4, 12
KINDS = ("PSN", "MaskedPSN", "half masked", "SlidingPSN", "own code", "own taps")


@pytest.mark.needs_lava
@pytest.mark.slow
@pytest.mark.parametrize("rounded", [False, True])
def test_lava_agrees(rounded: bool) -> None:
    """Every spike, u and v, of samples back to back; large biases come through a relay."""
    x, rng = events(samples=3), np.random.default_rng(5)
    graph = graph_of(rng.normal(size=(T, T)), rng.normal(size=T) - 0.5) if rounded else dyadic()
    program = compile_graph(graph, load_target("loihi"), x).placed.program
    assert any(q.name == "first.bias" for q in program) == rounded
    verdict = api.verify(program, x, against="lava", states=True)
    assert verdict.equal, verdict.first_mismatch
    assert verdict.silent == ()
    assert verdict.compared > 1_000


def made(kind: str, steps: int = T) -> Any:
    """Such a neuron, as the library makes it or as people write it."""
    pytest.importorskip("torch")
    if kind.startswith("own"):
        from tests.e2e.own_maps import Square, Taps

        return Square(steps) if kind == "own code" else Taps(3)
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    if not hasattr(neuron, "PSN"):
        pytest.skip("SpikingJelly 2 is not installed")
    ways: dict[str, Callable[[], Any]] = {
        "PSN": lambda: neuron.PSN(steps),
        "MaskedPSN": lambda: neuron.MaskedPSN(2, steps, lambda_init=1.0, step_mode="m"),
        "half masked": lambda: neuron.MaskedPSN(2, steps, lambda_init=0.5, step_mode="m"),
        "SlidingPSN": lambda: neuron.SlidingPSN(3, step_mode="m"),
    }
    return ways[kind]()


def net(kind: str, rounded: bool) -> Any:
    """conv-BN-neuron, linear-neuron, linear; weights in quarters, or any with `rounded`."""
    first, second = made(kind), made(kind)
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.first = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4, eps=0.0), first
            self.fc, self.second, self.head = nn.Linear(64, 16), second, nn.Linear(16, 3)

        def forward(self, x: Any) -> Any:
            y = self.bn(self.conv(x.flatten(0, 1))).unflatten(0, x.shape[:2])
            y = self.first(y).flatten(2)
            return self.head(self.second(self.fc(y))).mean(0)

    model, rng = Net().eval(), torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, p in model.named_parameters():
            quarters = torch.randint(-4, 5, p.shape, generator=rng) / 4
            p.copy_(torch.randn(p.shape, generator=rng) if rounded else quarters)
            if ("first" in name or "second" in name) and "weight" not in name:
                p.copy_(-0.25 - quarters.abs())
    return model


def recorded(model: Any) -> tuple[g.Graph, list[Any], Any]:
    """The model's graph, and what it says itself of each of these samples."""
    import torch

    from sfx.frontends.tracing.export import traced
    from sfx.frontends.witness.record import record
    from sfx.toolchain.formats.nir.bridge import to_graph

    exported = traced(model, torch.zeros(T, 1, 2, 6, 6))
    x = (np.random.default_rng(1).random((SAMPLES, T, 2, 6, 6)) < 0.4).astype(np.int64)
    told = [record(exported, s.astype(np.float32)) for s in x]
    graph = to_graph(exported.graph)
    assert len(graph.of_type(g.TimeMap)) == 2
    return graph, told, x


def sent_by(told: list[Any], name: str) -> Any:
    return np.stack([r.neurons[name].sent for r in told])


@pytest.mark.needs_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_rounded_so_every_spike_is_torchs(kind: str) -> None:
    from sfx.frontends.witness.compare import compare, compare_lowered

    graph, told, x = recorded(net(kind, rounded=False))
    witness = compare(graph, told)
    assert witness.silent == ()
    compiled = compile_graph(graph, load_target("loihi"), x)
    assert compare_lowered(compiled.graph, told, witness).lowered >= SAMPLES * T * 80
    assert all(r.exact for r in compiled.records)
    program = compiled.placed.program
    stream = ReferenceBackend().stream(program, x, garbage=1).spikes
    quick = FastBackend().layers(program, x)
    spikes = 0
    for name in ("first", "second"):
        want = sent_by(told, name)
        mine = align(stream[name], program[name].phase, len(x), T)
        assert np.array_equal(mine.reshape(want.shape), want), name
        assert np.array_equal(quick[name].reshape(want.shape), want), name
        assert 0.03 < want.mean() < 0.97
        spikes += int(want.sum())
    assert spikes > 400
    logits = np.stack([r.output for r in told])
    for backend in (ReferenceBackend(), FastBackend(), OnnxBackend()):
        sums = backend.run(program, x).sums
        assert np.allclose(sums / program.readout.scale, logits.reshape(sums.shape), atol=1e-6)


@pytest.mark.needs_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_rounded_weights_leave_nearly_every_spike(kind: str) -> None:
    from sfx.frontends.witness.compare import compare

    graph, told, x = recorded(net(kind, rounded=True))
    assert compare(graph, told).silent == ()
    program = compile_graph(graph, load_target("loihi"), x).placed.program
    quick = FastBackend().layers(program, x)
    for name in ("first", "second"):
        want = sent_by(told, name)
        assert 0.03 < want.mean() < 0.97
        assert (quick[name].reshape(want.shape) == want).mean() > 0.97, name


@pytest.mark.needs_torch
@pytest.mark.filterwarnings("ignore")
def test_fine_tuning_reaches_the_weights_before_both_maps() -> None:
    torch = pytest.importorskip("torch")
    model = net("own code", rounded=True)
    x = (np.random.default_rng(1).random((SAMPLES, T, 2, 6, 6)) < 0.4).astype(np.int64)
    tuned = sfx.qat.prepare(model, example=torch.zeros(T, 1, 2, 6, 6), calibrate=x)
    events_first = torch.as_tensor(x).float().movedim(0, 1)
    wanted = torch.arange(SAMPLES) % 3
    optimizer, losses = torch.optim.Adam(tuned.parameters(), 0.01), []
    for _ in range(12):
        loss = torch.nn.functional.cross_entropy(tuned(events_first), wanted)
        optimizer.zero_grad()
        loss.backward()
        before = dict(tuned.named_parameters())
        for name in ("weights.input->first/current", "weights.first->second/current"):
            assert before[name].grad.abs().max() > 0, name
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    program = tuned.program()
    check_program(program, balanced=False)
    with torch.no_grad():
        mine = tuned.eval()(events_first).numpy()
    sums = ReferenceBackend().run(BalanceDelays(62).run(program), x).sums
    assert np.allclose(sums / program.readout.scale, mine, atol=1e-5)
    assert np.ptp(sums, axis=0).min() > 0


@pytest.mark.needs_torch
@pytest.mark.filterwarnings("ignore")
def test_a_weight_that_is_not_torchs_is_seen() -> None:
    from sfx.frontends.witness.compare import compare

    graph, told, _ = recorded(net("PSN", rounded=False))
    node = graph["second"]
    assert isinstance(node.op, g.TimeMap)
    other = replace(node, op=g.TimeMap(node.op.weight.T.copy(), node.op.bias))
    wrong = graph.with_nodes(other if n is node else n for n in graph)
    with pytest.raises(InputError, match="SFX-E180"):
        compare(wrong, told)


@pytest.mark.needs_torch
@pytest.mark.filterwarnings("ignore")
def test_another_t_and_single_steps_are_refused() -> None:
    five, single = made("PSN", 5), made("SlidingPSN")
    import torch
    from torch import nn

    from sfx.frontends.tracing.export import export

    single.step_mode = "s"
    for layer, said in ((five, "maps 5 steps"), (single, "step by step")):
        with pytest.raises(UnsupportedError, match=said) as raised:
            export(nn.Sequential(nn.Linear(3, 4), layer, nn.Linear(4, 2)), torch.zeros(T, 1, 3))
        assert raised.value.code == "SFX-E105"
