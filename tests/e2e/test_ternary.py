"""Spikes of both signs from torch to every backend: nothing is rounded here, so what each neuron
sends is what the authors' module sends, spike by spike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

from sfx.backends.base import align  # noqa: E402  (after importorskip)
from sfx.backends.fast.backend import FastBackend  # noqa: E402
from sfx.backends.onnx.backend import OnnxBackend  # noqa: E402
from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402
from sfx.frontends.neurons.integer import ternary_lif  # noqa: E402
from sfx.frontends.tracing.export import traced  # noqa: E402
from sfx.frontends.witness.compare import compare, compare_lowered  # noqa: E402
from sfx.frontends.witness.record import Recording, record  # noqa: E402
from sfx.toolchain.compiler.compile import Compiled, compile_graph  # noqa: E402
from sfx.toolchain.compiler.quantize.options import Options  # noqa: E402
from sfx.toolchain.formats.nir.bridge import to_graph  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from sfx.toolchain.ir import program as p  # noqa: E402
from sfx.toolchain.targets import load as load_target  # noqa: E402
from tests.e2e.integer_nets import representable  # noqa: E402
from tests.e2e.ternary_nets import OneStep, Ternary  # noqa: E402

T, SAMPLES = 4, 4
Array = np.ndarray


def samples(*shape: int) -> Array:
    return (np.random.default_rng(1).random((SAMPLES, *shape)) < 0.4).astype(np.int64)


def recordings(exported: Any, x: Array) -> list[Recording]:
    return [record(exported, s.astype(np.float32)) for s in x]


def over_time(target: str = "loihi") -> tuple[Compiled, list[Recording], Array]:
    """Neurons that remember, with either reset; torch's own record of them."""
    exported = traced(representable(Ternary(T), 0, gain=1.0), torch.zeros(T, 1, 2, 8, 8))
    x = samples(T, 2, 8, 8)
    return (
        compile_graph(to_graph(exported.graph), load_target(target), x),
        recordings(exported, x),
        x,
    )


def one_step(spikes: str, target: str = "loihi") -> tuple[Compiled, list[Recording], Array]:
    exported = traced(representable(OneStep(), 0), torch.zeros(1, 1, 2, 8, 8), input_layout="B")
    x = samples(1, 2, 8, 8)
    options = Options(integer_spikes=spikes)
    graph = to_graph(exported.graph)
    made = compile_graph(graph, load_target(target), x, options=options)
    return made, recordings(exported, x), x


def compared(program: p.Program, told: list[Recording], sent: Any) -> tuple[int, int, int]:
    """(values, spikes above 0, spikes below) of all neurons, which must be torch's."""
    values = above = below = 0
    for name in told[0].neurons:
        want = np.stack([r.neurons[name].sent for r in told])
        if name in {q.name for q in program}:
            mine = sent(name)
        else:
            slots = [q.name for q in program if q.name.startswith(f"{name}.slot")]
            signs = [-1 if "slot-" in n else 1 for n in slots]
            assert sorted(signs) == [-1, 1]
            mine = sum(s * sent(n).astype(np.int64) for s, n in zip(signs, slots, strict=True))
        assert np.array_equal(mine.reshape(want.shape), want), name
        values += want.size
        above, below = above + int((want > 0).sum()), below + int((want < 0).sum())
    return values, above, below


def on_every_backend(compiled: Compiled, told: list[Recording], x: Array) -> tuple[int, int, int]:
    program = compiled.placed.program
    assert all(r.exact for r in compiled.records)
    assert compiled.silent == ()
    found = set()
    for garbage in (None, 1):
        stream = ReferenceBackend().stream(program, x, garbage=garbage).spikes

        def sent(name: str, stream: Any = stream) -> Array:
            return align(stream[name], program[name].phase, len(x), program.timesteps)

        found.add(compared(program, told, sent))
    found.add(compared(program, told, FastBackend().layers(program, x).__getitem__))
    logits = np.stack([r.output for r in told if r.output is not None])
    for backend in (ReferenceBackend(), FastBackend(), OnnxBackend()):
        sums = backend.run(program, x).sums
        assert np.allclose(sums / program.readout.scale, logits.reshape(sums.shape), atol=1e-6)
    (counts,) = found
    return counts


def test_neurons_that_remember_send_what_torch_sends() -> None:
    compiled, told, x = over_time()
    assert on_every_backend(compiled, told, x) == (8_064, 4_081, 768)
    kinds = {q.name: type(q.neuron).__name__ for q in compiled.placed.program}
    assert kinds["first.reset"] == "Product"  # to 0
    assert kinds["v.feedback"] == kinds["v.below"] == "MultiLevel"  # by subtraction
    assert {q.low for q in compiled.placed.program if q.name in ("first", "v")} == {-1}


@pytest.mark.parametrize("spikes", ["graded", "slots"])
def test_neurons_without_a_memory_send_what_torch_sends(spikes: str) -> None:
    compiled, told, x = one_step(spikes)
    values, above, below = on_every_backend(compiled, told, x)
    assert values == 768
    assert min(above, below) > 100
    binary = [q for q in compiled.placed.program if q.name.startswith("first.slot")]
    assert len(binary) == (2 if spikes == "slots" else 0)
    assert all(isinstance(q.neuron, p.LIF) and not q.graded for q in binary)


def test_a_threshold_or_a_reset_that_is_off_is_seen() -> None:
    """The comparison can fail: a level that is half, and a reset that does not come."""
    compiled, told, x = over_time()
    program = compiled.placed.program
    q = program["first"]
    assert isinstance(q.neuron, p.MultiLevel)
    moved = replace(q, neuron=replace(q.neuron, down=(q.neuron.down[0] // 2,)))
    late = next(j for j in program.projections if j.name.startswith("after.reset->after.membrane"))
    assert isinstance(late.connection, p.Structured)
    gone = replace(late, connection=replace(late.connection, weight=0))
    wrong = (
        replace(program, populations=tuple(moved if k is q else k for k in program)),
        replace(program, projections=tuple(gone if k is late else k for k in program.projections)),
    )
    for other, name in zip(wrong, ("first", "after"), strict=True):
        with pytest.raises(AssertionError, match=name):
            compared(other, told, FastBackend().layers(other, x).__getitem__)


def test_the_witness_compares_every_spike_and_sees_a_wrong_sign() -> None:
    exported = traced(representable(Ternary(T), 0, gain=1.0), torch.zeros(T, 1, 2, 8, 8))
    graph = to_graph(exported.graph)
    told = recordings(exported, samples(T, 2, 8, 8))
    found = compare(graph, told)
    assert (found.populations, found.spikes, found.ties, found.unmatched) == (6, 4_849, 0, ())
    sent = told[0].neurons["first"].sent
    sent.ravel()[int(np.argmax(sent.ravel() == -1))] = 1
    with pytest.raises(InputError, match="SFX-E180 first"):
        compare(graph, told)
    sent.ravel()[int(np.argmax(sent.ravel() == 1))] = -2
    with pytest.raises(InputError, match="-1 to 1"):
        compare(graph, told)


@pytest.mark.parametrize("sent", [-1.0, 0.0, 1.0])
def test_a_spike_near_a_threshold_is_a_tie_but_not_with_the_other_sign(sent: float) -> None:
    """Three times 0.1 just above the threshold: rounding decides whether it fires, but not how."""
    net = torch.nn.Sequential(torch.nn.Linear(1, 1), ternary_lif(1.0, 0.29999998)).eval()
    with torch.no_grad():
        net[0].weight.fill_(0.1)
        net[0].bias.zero_()
    exported = traced(net, torch.zeros(4, 1, 1))
    told = record(exported, np.ones((4, 1), np.float32))
    (recorded,) = told.neurons.values()
    assert recorded.sent.ravel()[:2].tolist() == [0, 0]
    recorded.sent.reshape(-1)[2] = sent
    recorded.sent.reshape(-1)[3] = sent == 0  # it is still above where it did not fire
    graph = to_graph(exported.graph)
    if sent == -1:
        with pytest.raises(InputError, match="SFX-E180"):
            compare(graph, [replace(told, output=None)])
    else:
        assert compare(graph, [replace(told, output=None)]).spikes == 1


def test_the_witness_sees_the_slots() -> None:
    exported = traced(representable(OneStep(), 0), torch.zeros(1, 1, 2, 8, 8), input_layout="B")
    told = recordings(exported, samples(1, 2, 8, 8))
    from sfx.toolchain.compiler.compile import neuron_form

    graph = to_graph(exported.graph)
    form = neuron_form(graph, load_target("loihi"), None, Options(integer_spikes="slots"))
    found = compare_lowered(form, told, compare(graph, told))
    assert found.lowered > 1_500
    sent = told[0].neurons["second"].sent
    sent.ravel()[int(np.argmax(sent.ravel() == -1))] = 0
    with pytest.raises(InputError, match=r"SFX-E18\d second"):
        compare_lowered(form, told, found)


@pytest.mark.needs_lava
@pytest.mark.slow
@pytest.mark.parametrize("which", ["over time", "slots"])
def test_lava_sends_the_same(which: str) -> None:
    """Over time with processes of ours for the levels; the slots are all Intel's."""
    pytest.importorskip("lava")
    from sfx.backends.lava.backend import LavaBackend

    compiled, told, x = over_time() if which == "over time" else one_step("slots")
    program = compiled.placed.program
    stream = LavaBackend().stream(program, x[:2]).spikes

    def sent(name: str) -> Array:
        return align(stream[name], program[name].phase, 2, program.timesteps)

    values, _, below = compared(program, told[:2], sent)
    assert values == (4_032 if which == "over time" else 384)
    assert below > 50
    mine = ReferenceBackend().stream(program, x[:2]).spikes
    for q in program:
        assert np.array_equal(stream[q.name], mine[q.name]), q.name


@pytest.mark.parametrize("soft", [False, True])
def test_rounded_neurons_agree_and_are_reset_where_they_fire(soft: bool) -> None:
    """Weights, threshold and decay that no integers hold: what is recorded is what runs."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(8, 20), ternary_lif(0.83, 0.7, soft=soft),
        torch.nn.Linear(20, 12), ternary_lif(0.37, 0.4, soft=soft),
    ).eval()  # fmt: skip
    steps = 12
    exported = traced(net, torch.zeros(steps, 1, 8))
    x = np.random.default_rng(0).integers(0, 3, (6, steps, 8))
    compiled = compile_graph(to_graph(exported.graph), load_target("loihi"), x)
    program, told = compiled.placed.program, recordings(exported, x)
    layers = ReferenceBackend().layers(program, x)
    quick = FastBackend().layers(program, x)
    stream = ReferenceBackend().stream(program, x, garbage=3).spikes
    records = {r.population: r for r in compiled.records}
    for name in told[0].neurons:
        want = np.stack([r.neurons[name].sent for r in told])
        mine = layers[name].reshape(want.shape)
        assert np.array_equal(quick[name].reshape(want.shape), mine)
        aligned = align(stream[name], program[name].phase, len(x), steps)
        assert np.array_equal(aligned.reshape(want.shape), mine)
        assert not records[name].exact
        assert (want < 0).any()
        assert records[name].cumulative == np.mean(mine == want)
        assert records[name].agreement > 0.98
        assert np.mean(mine == want) > 0.95
        if not soft:  # whoever fires is reset, and nobody else
            reset = layers[f"{name}.reset"].reshape(want.shape)[:, :-1]
            kept = layers[f"{name}.membrane"].reshape(want.shape)[:, :-1]
            fired = mine[:, :-1] != 0
            assert np.array_equal(reset, np.where(fired, kept, 0))
            assert fired.sum() > 100
