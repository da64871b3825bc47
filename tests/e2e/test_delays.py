"""NIR's Delay: whole steps, exactly, for each neuron its own; samples back to back."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np
import pytest

import sfx
from sfx.backends.base import align
from sfx.backends.fast.backend import FastBackend
from sfx.backends.onnx.backend import OnnxBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app import api
from sfx.toolchain.formats.nir.from_graph import from_graph
from sfx.toolchain.formats.nir.to_graph import to_graph
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.ir import evaluate
from sfx.toolchain.ir.program import Program

STEPS, INPUTS, HIDDEN, OUT, DT = 16, 8, 10, 6, 1e-3
EACH = np.array([0, 1, 2, 3, 5, 8, 13, 15, 16, 40])
"""Steps of each neuron; those of a sample's length and more never arrive."""


def neurons(size: int) -> nir.IF:
    return nir.IF(r=np.full(size, 1 / DT), v_threshold=np.full(size, 1.5), v_reset=np.zeros(size))


def net(steps: np.ndarray, *, before: bool = False) -> nir.NIRGraph:
    """Two layers with a delay between them; all numbers are dyadic, so integers are exact."""
    rng = np.random.default_rng(0)
    nodes = {
        "input": nir.Input(np.array([INPUTS])),
        "fc1": nir.Linear(rng.integers(-3, 6, (HIDDEN, INPUTS)) / 4),
        "lif1": neurons(HIDDEN),
        "delay": nir.Delay(np.asarray(steps) * DT),
        "fc2": nir.Linear(rng.integers(-3, 6, (OUT, HIDDEN)) / 4),
        "lif2": neurons(OUT),
        "output": nir.Output(np.array([OUT])),
    }
    if before:  # real values are delayed
        order = ["input", "fc1", "delay", "lif1", "fc2", "lif2", "output"]
        nodes = {n: nodes[n] for n in order}
    # nir's own check of shapes is left out: files need not have passed it
    return nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False)


def after(seconds: float) -> nir.NIRGraph:
    """The net with a delay in seconds."""
    made = net(EACH)
    made.nodes["delay"].delay = np.full(HIDDEN, seconds)
    return made


def events(samples: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2, (samples, STEPS, INPUTS))


def expected(program: Program, steps: np.ndarray, x: np.ndarray) -> np.ndarray:
    """What lif1 sends, moved by hand [K, T, HIDDEN]."""
    sent = FastBackend().layers(program, x)["lif1"]
    late = np.zeros_like(sent)
    for i, d in enumerate(np.broadcast_to(steps, HIDDEN)):
        late[:, d:, i] = sent[:, : max(STEPS - d, 0), i]
    return late


@pytest.mark.parametrize("steps", [np.full(HIDDEN, 3), EACH, np.full(HIDDEN, 15)])
def test_spikes_come_that_many_steps_later(steps: np.ndarray) -> None:
    x = events(6)
    made = net(steps)
    program = sfx.compile(made, timesteps=STEPS).program
    stream = ReferenceBackend().stream(program, x)
    got = align(stream.spikes["delay"], program["delay"].phase, len(x), STEPS)
    want = expected(program, steps, x)
    assert want.any()
    assert np.array_equal(got, want)
    found = [b.run(program, x).sums for b in (ReferenceBackend(), FastBackend(), OnnxBackend())]
    assert found[0].any()
    assert all(np.array_equal(f, found[0]) for f in found)
    graph = to_graph(made, timesteps=STEPS)
    assert to_graph(from_graph(graph))["delay"].op == graph["delay"].op


def test_the_integers_fire_as_the_graph_does() -> None:
    """Nothing of this net is rounded: the second layer shows that the delay is the graph's."""
    made, x = net(EACH), events(6)
    program = sfx.compile(made, timesteps=STEPS).program
    seen = evaluate.run(to_graph(made, timesteps=STEPS), x.astype(np.float64))
    sent = FastBackend().layers(program, x)
    for name in ("lif1", "delay", "lif2"):
        assert 0.05 < seen[name].mean() < 0.95
        assert np.array_equal(sent[name], seen[name]), name


@pytest.mark.needs_lava
def test_lava_agrees() -> None:
    """Every spike, u and v, of samples back to back."""
    steps = np.array([0, 1, 1, 2, 2, 3, 3, 1, 0, 2])
    program = sfx.compile(net(steps), timesteps=STEPS).program
    verdict = api.verify(program, events(2), against="lava", states=True)
    assert verdict.equal
    assert verdict.compared > 2 * STEPS * (INPUTS + 3 * HIDDEN + 3 * OUT)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: net(np.full(HIDDEN, 1.5)), r"(?s)SFX-E214.*0.0015 s.*whole steps"),
        (lambda: net(np.full(HIDDEN, -1)), "SFX-E214"),
        (lambda: net(np.full(HIDDEN, 1e303)), r"(?s)SFX-E214.*longer than any sample"),
        (lambda: after(1e308), r"(?s)SFX-E214.*longer than any sample"),
        (lambda: net(np.array([1e300, *EACH[1:]])), r"(?s)SFX-E214.*longer than any sample"),
        (lambda: net(np.full(HIDDEN - 1, 3)), r"(?s)SFX-E205.*takes \(9,\)"),
        (lambda: net(EACH[:-1]), r"(?s)SFX-E205.*takes \(9,\)"),
        (lambda: net(np.full(HIDDEN, STEPS)), r"(?s)SFX-E223.*no shorter than a sample"),
        (lambda: net(EACH, before=True), r"(?s)SFX-E223.*before the weights, behind the neurons"),
    ],
)
def test_other_delays_are_refused(made, said: str) -> None:
    with pytest.raises(SfxError, match=said):
        sfx.compile(made(), timesteps=STEPS)
