"""Integer neurons (I-LIF, MultiSpike) from torch to every backend: nothing is rounded here, so what
each neuron sends is what the authors' module sends, message by message."""

from __future__ import annotations

from collections.abc import Callable
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
from sfx.frontends.tracing.export import traced  # noqa: E402
from sfx.frontends.witness.compare import compare  # noqa: E402
from sfx.frontends.witness.record import record  # noqa: E402
from sfx.toolchain.compiler.compile import Compiled, compile_graph  # noqa: E402
from sfx.toolchain.compiler.quantize.options import Options  # noqa: E402
from sfx.toolchain.formats.nir.bridge import to_graph  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from sfx.toolchain.ir import program as p  # noqa: E402
from sfx.toolchain.targets import load as load_target  # noqa: E402
from tests.e2e.integer_nets import OverTime, SmallV3, counts, representable  # noqa: E402

SAMPLES, SEED = 4, 2
Array = np.ndarray


def samples(*shape: int) -> Array:
    return (np.random.default_rng(SEED).random((SAMPLES, *shape)) < 0.4).astype(np.int64)


def small_v3(spikes: str = "auto") -> tuple[Compiled, dict[str, Array], Array]:
    """Compiled for one step, what torch sends, and the samples [K, T, ...]."""
    model, x = representable(SmallV3(), SEED), samples(2, 8, 8)
    graph = to_graph(traced(model, torch.zeros(1, 1, 2, 8, 8), input_layout="B").graph)
    truth = counts(model, x, lambda t: t)
    options = Options(integer_spikes=spikes)
    compiled = compile_graph(graph, load_target("loihi"), x[:, None], options=options)
    return compiled, truth, x[:, None]


def neurons(program: p.Program, module: str) -> list[p.Population]:
    """Those that stand for an integer neuron, without the relay of its slots' currents."""
    return [q for q in program if q.module == module and not isinstance(q.neuron, p.Graded)]


def compared(program: p.Program, truth: dict[str, Array], sent: Callable[[str], Array]) -> int:
    """Values of all integer neurons, which must be equal; binary slots are added up."""
    found = 0
    for module, want in truth.items():
        slots = [q.name for q in neurons(program, module)]
        assert want.any(), f"silent: {module}"
        mine = np.sum([sent(name).astype(np.int64) for name in slots], axis=0)
        assert mine.size == want.size
        assert np.array_equal(mine.reshape(want.shape), want), module
        found += want.size
    return found


@pytest.mark.parametrize("spikes", ["graded", "slots"])
def test_small_v3_sends_what_torch_sends(spikes: str) -> None:
    compiled, truth, x = small_v3(spikes)
    program = compiled.placed.program
    logits = truth.pop("output")
    assert all(r.exact for r in compiled.records)
    assert compiled.silent == ()
    found = [q for module in truth for q in neurons(program, module)]
    graded = [isinstance(q.neuron, p.MultiLevel) and q.high == 4 for q in found]
    binary = [isinstance(q.neuron, p.LIF) and not q.graded for q in found]
    assert (graded if spikes == "graded" else binary) == [True] * len(found)
    assert len(found) == (12 if spikes == "graded" else 48)
    for garbage in (None, 1):
        stream = ReferenceBackend().stream(program, x, garbage=garbage).spikes

        def sent(name: str, stream: Any = stream) -> Array:
            return align(stream[name], program[name].phase, SAMPLES, program.timesteps)

        assert compared(program, truth, sent) == 7_200
    quick = FastBackend().layers(program, x)
    assert compared(program, truth, quick.__getitem__) == 7_200
    for backend in (ReferenceBackend(), FastBackend(), OnnxBackend()):
        result = backend.run(program, x)
        assert np.array_equal(result.sums / program.readout.scale, logits)


def test_one_level_that_is_off_by_one_is_seen() -> None:
    """The comparison can fail: halves that are rounded up instead differ."""
    compiled, truth, x = small_v3()
    program = compiled.placed.program
    del truth["output"]
    (wrong,) = (q for q in program if q.module == "stem.1")
    assert isinstance(wrong.neuron, p.MultiLevel)
    shifted = replace(wrong.neuron, up=tuple(level - 1 for level in wrong.neuron.up))
    other = replace(
        program,
        populations=tuple(
            replace(q, neuron=shifted) if q is wrong else q for q in program.populations
        ),
    )
    quick = FastBackend().layers(other, x)
    with pytest.raises(AssertionError, match=r"stem\.1"):
        compared(other, truth, quick.__getitem__)


def test_the_witness_compares_every_message_and_sees_a_wrong_one() -> None:
    model = representable(SmallV3(), SEED)
    exported = traced(model, torch.zeros(1, 1, 2, 8, 8), input_layout="B")
    graph = to_graph(exported.graph)
    recording = record(exported, samples(2, 8, 8)[:1].astype(np.float32))
    found = compare(graph, [recording])
    assert (found.populations, found.neurons, found.ties) == (12, 1_800, 0)
    assert found.spikes > found.neurons
    sent = recording.neurons["mlp.0"].sent
    sent.ravel()[int(np.argmax(sent.ravel() == 4))] = 3
    with pytest.raises(InputError, match=r"SFX-E180 mlp\.0"):
        compare(graph, [recording])


def over_time(steps: int) -> tuple[Any, Any]:
    model = representable(OverTime(), SEED)
    return model, to_graph(traced(model, torch.zeros(steps, 1, 6)).graph)


@pytest.mark.parametrize("spikes", ["graded", "slots"])
def test_a_membrane_is_nothing_at_one_step(spikes: str) -> None:
    model, graph = over_time(1)
    x = np.random.default_rng(0).integers(0, 4, (20, 1, 6))
    options = Options(integer_spikes=spikes)
    compiled = compile_graph(graph, load_target("loihi"), x, options=options)
    assert all(r.exact for r in compiled.records)
    assert compiled.silent == ()
    with torch.no_grad():
        want = model(torch.from_numpy(x).float().transpose(0, 1)).numpy()
    program = compiled.placed.program
    for backend in (ReferenceBackend(), FastBackend()):
        assert np.array_equal(backend.run(program, x).sums / program.readout.scale, want)


def ilif() -> tuple[Compiled, dict[str, Array], Array]:
    """Neurons that remember, T = 5; in torch a quarter and a half of the membrane stay."""
    model, graph = over_time(5)
    x = np.random.default_rng(0).integers(0, 2, (SAMPLES, 5, 6))
    seen: dict[str, Array] = {}
    for name in ("first", "second"):
        module = model.get_submodule(name)
        module.register_forward_hook(
            lambda m, i, out, name=name: seen.__setitem__(name, out.transpose(0, 1).numpy())
        )
    with torch.no_grad():
        model(torch.from_numpy(x).float().transpose(0, 1))
    return compile_graph(graph, load_target("loihi"), x), seen, x


def test_neurons_that_remember_send_what_torch_sends() -> None:
    compiled, truth, x = ilif()
    program = compiled.placed.program
    assert all(r.exact for r in compiled.records if r.population in truth)
    assert max(int(v.max()) for v in truth.values()) > 1
    for garbage in (None, 1):
        stream = ReferenceBackend().stream(program, x, garbage=garbage).spikes

        def sent(name: str, stream: Any = stream) -> Array:
            return align(stream[name], program[name].phase, SAMPLES, program.timesteps)

        assert compared(program, truth, sent) == 320
    quick = FastBackend().layers(program, x)
    assert compared(program, truth, quick.__getitem__) == 320
    onnx = OnnxBackend().run(program, x)
    assert np.array_equal(onnx.sums, ReferenceBackend().run(program, x).sums)


def test_a_membrane_that_keeps_too_little_is_seen() -> None:
    """The comparison can fail: the feedback takes off one unit more than a threshold."""
    compiled, truth, x = ilif()
    program = compiled.placed.program
    name = "first.feedback->first"
    (wrong,) = (j for j in program.projections if j.name == name)
    assert isinstance(wrong.connection, p.Structured)
    less = replace(wrong, connection=replace(wrong.connection, weight=0))
    joints = tuple(less if j is wrong else j for j in program.projections)
    stream = ReferenceBackend().layers(replace(program, projections=joints), x)
    with pytest.raises(AssertionError, match="first"):
        compared(program, truth, stream.__getitem__)


@pytest.mark.needs_lava
@pytest.mark.slow
def test_lava_remembers_the_same() -> None:
    pytest.importorskip("lava")
    from sfx.backends.lava.backend import LavaBackend

    compiled, truth, x = ilif()
    program = compiled.placed.program
    stream = LavaBackend().stream(program, x).spikes

    def sent(name: str) -> Array:
        return align(stream[name], program[name].phase, SAMPLES, program.timesteps)

    assert compared(program, truth, sent) == 320


@pytest.mark.needs_lava
@pytest.mark.slow
@pytest.mark.parametrize(("spikes", "values"), [("graded", 30_000), ("slots", 120_000)])
def test_lava_sends_the_same(spikes: str, values: int) -> None:
    """Graded: numbers from a process of ours. Slots: everything is Intel's, and it is torch's."""
    pytest.importorskip("lava")
    from sfx.backends.lava.backend import LavaBackend

    compiled, truth, x = small_v3(spikes)
    del truth["output"]
    program = compiled.placed.program
    stream = LavaBackend().stream(program, x[:2]).spikes

    def sent(name: str) -> Array:
        return align(stream[name], program[name].phase, 2, program.timesteps)

    assert compared(program, {k: v[:2] for k, v in truth.items()}, sent) == 3_600
    mine = ReferenceBackend().stream(program, x[:2]).spikes
    total = 0
    for q in program:
        assert np.array_equal(stream[q.name], mine[q.name]), q.name
        total += mine[q.name].size
    assert total > values
