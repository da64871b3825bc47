"""Membranes that are read out, as people's read-outs write it: beside the frameworks themselves.

The decays are integers of 12 bits and the weights of 8, so the read-out is not torch's to the bit:
what is compared is how it runs along, and the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

torch = pytest.importorskip("torch")
snn = pytest.importorskip("snntorch")
norse = pytest.importorskip("norse.torch")

from torch import Tensor, nn  # noqa: E402

import sfx  # noqa: E402
from sfx.backends.fast.backend import FastBackend  # noqa: E402
from sfx.backends.onnx.backend import OnnxBackend  # noqa: E402
from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402
from sfx.toolchain.app import api  # noqa: E402
from sfx.toolchain.data import Data  # noqa: E402
from sfx.toolchain.formats.nir import ext  # noqa: E402
from sfx.toolchain.formats.nir.from_graph import from_graph  # noqa: E402
from sfx.toolchain.formats.nir.to_graph import to_graph  # noqa: E402
from sfx.toolchain.ground.errors import SfxError  # noqa: E402
from sfx.toolchain.ir import evaluate  # noqa: E402
from sfx.toolchain.ir.program import LI  # noqa: E402

STEPS, INPUTS, HIDDEN, CLASSES = 20, 12, 32, 6
READ: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": lambda v: v.sum(0),
    "mean": lambda v: v.mean(0),
    "last": lambda v: v[-1],
    "max": lambda v: v.max(0).values,
    "amax": lambda v: v.amax(0),
    "weighted": lambda v: (v * torch.linspace(0, 1, len(v))[:, None, None]).sum(0),
}


class Read(nn.Module):
    """Two layers, of which the last one is a membrane."""

    def __init__(self, first: nn.Module, last: nn.Module, read: str) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.fc1, self.fc2 = nn.Linear(INPUTS, HIDDEN), nn.Linear(HIDDEN, CLASSES)
        self.first, self.last, self.read = first, last, READ[read]
        with torch.no_grad():
            self.fc1.weight.mul_(5)
            self.fc2.weight.mul_(2)


class SnnTorch(Read):
    """Its loop, with the states that snnTorch's neurons return."""

    def forward(self, x: Tensor) -> Tensor:
        states: tuple[Any, ...] = (self.first.reset_mem(),)
        held = self.last.reset_mem()
        ends = held if isinstance(held, tuple) else (held,)
        found = []
        for t in range(len(x)):
            spikes, *states = self.first(self.fc1(x[t]), *states)
            _, *ends = self.last(self.fc2(spikes), *ends)
            found.append(ends[-1])
        return self.read(torch.stack(found))


class Norse(Read):
    """Its loop, with Norse's states."""

    def forward(self, x: Tensor) -> Tensor:
        a = b = None
        found = []
        for t in range(len(x)):
            spikes, a = self.first(self.fc1(x[t]), a)
            v, b = self.last(self.fc2(spikes), b)
            found.append(v)
        return self.read(torch.stack(found))


def leaky() -> nn.Module:
    return snn.Leaky(beta=0.85, reset_mechanism="none")


MODELS: dict[str, Callable[[str], nn.Module]] = {
    "Leaky": lambda how: SnnTorch(snn.Leaky(0.9), leaky(), how),
    "Synaptic": lambda how: SnnTorch(
        snn.Leaky(0.9), snn.Synaptic(0.6, 0.8, reset_mechanism="none"), how
    ),
    "integrator": lambda how: SnnTorch(snn.Leaky(0.9), snn.Leaky(1.0, reset_mechanism="none"), how),
    "LICell": lambda how: Norse(norse.LIFCell(), norse.LICell(), how),
    "LIBoxCell": lambda how: Norse(norse.LIFBoxCell(), norse.LIBoxCell(), how),
}
ALL = [("Leaky", how) for how in READ]
ALL += [("Synaptic", "mean"), ("integrator", "max"), ("LICell", "max"), ("LICell", "last")]
ALL += [("LIBoxCell", "weighted")]


def events(samples: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rates = rng.uniform(0.1, 0.6, (samples, 1, INPUTS))
    return (rng.random((samples, STEPS, INPUTS)) < rates).astype(np.int64)


def torchs(model: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        made: np.ndarray = model(torch.from_numpy(x).float().transpose(0, 1)).numpy()
    return made


@pytest.mark.parametrize(("kind", "how"), ALL)
def test_the_read_out_runs_along_with_the_framework(kind: str, how: str) -> None:
    """At compile time the graph is checked beside the model; here the integers are, on new data."""
    model = MODELS[kind](how).eval()
    bundle = sfx.compile(model, torch.zeros(STEPS, 1, INPUTS), calibrate=Data(events(32, 1), None))
    program, x = bundle.program, events(100, 2)
    found = [b.run(program, x) for b in (ReferenceBackend(), FastBackend(), OnnxBackend())]
    assert all(np.array_equal(f.sums, found[0].sums) for f in found)
    (li,) = [p for p in program if isinstance(p.neuron, LI)]
    events_sent = found[0].counts.events[li.name]
    assert all(np.array_equal(f.counts.events[li.name], events_sent) for f in found)
    got, want = found[0].sums / program.readout.scale, torchs(model, x)
    assert want.std() > 0.1
    assert len(set(want.argmax(axis=1))) > 1, "one answer for everything"
    assert np.corrcoef(got.ravel(), want.ravel())[0, 1] > 0.99
    assert np.mean(got.argmax(axis=1) == want.argmax(axis=1)) >= 0.9
    assert program.readout.largest == (how in ("max", "amax"))
    assert bool(program.readout.weights) == (how in ("last", "weighted"))


@pytest.mark.needs_lava
@pytest.mark.parametrize(("kind", "how"), [("Synaptic", "max"), ("LIBoxCell", "last")])
def test_lava_computes_the_same_membranes(kind: str, how: str) -> None:
    """Samples back to back: every spike and membrane, u and v, and the read-out."""
    model = MODELS[kind](how).eval()
    example = torch.zeros(STEPS, 1, INPUTS)
    program = sfx.compile(model, example, calibrate=Data(events(16, 1), None)).program
    x = events(2, 3)
    verdict = api.verify(program, x, against="lava", states=True)
    assert verdict.equal
    assert verdict.compared > 2 * STEPS * (HIDDEN + 3 * CLASSES)


def nir_net(li: nir.NIRNode, reduce: str = "none", **facts: str) -> nir.NIRGraph:
    rng = np.random.default_rng(3)
    lif = {"tau": 4e-3, "r": 4.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    weight = rng.normal(0, 0.6, (CLASSES, HIDDEN))
    nodes = {
        "input": nir.Input(np.array([INPUTS])),
        "fc1": nir.Linear(rng.normal(0.2, 0.5, (HIDDEN, INPUTS))),
        "lif": nir.LIF(**{k: np.full(HIDDEN, v) for k, v in lif.items()}),
        "fc2": nir.Affine(weight, rng.normal(0, 0.1, CLASSES)),
        "li": li,
        "output": ext.with_facts(nir.Output(np.array([CLASSES])), reduce=reduce, **facts),
    }
    return nir.NIRGraph(nodes, list(pairwise(nodes)))


def full(value: float) -> np.ndarray:
    return np.full(CLASSES, value)


NODES = {
    "LI": lambda: nir.LI(tau=full(8e-3), r=full(1.0), v_leak=full(0.0)),
    "LI at rest elsewhere": lambda: ext.with_facts(
        nir.LI(tau=full(8e-3), r=full(1.0), v_leak=full(0.5)), start=0.5
    ),
    "CubaLI": lambda: nir.CubaLI(
        tau_syn=full(3e-3), tau_mem=full(8e-3), r=full(1.0), v_leak=full(0.0), w_in=full(2.0)
    ),
    "I of real values": lambda: nir.I(r=full(1000.0)),
}


def by_hand(node: nir.NIRNode, x: np.ndarray, start: float) -> np.ndarray:
    """NIR's equations by forward Euler with dt = 1 ms, in float64: x [K, T, n] -> v."""
    dt, v, i, out = 1e-3, np.full_like(x[:, 0], start), np.zeros_like(x[:, 0]), np.empty_like(x)
    for t in range(x.shape[1]):
        if isinstance(node, nir.CubaLI):
            i = i + dt / node.tau_syn * (node.w_in * x[:, t] - i)
        else:
            i = x[:, t]
        if isinstance(node, nir.I):
            v = v + dt * node.r * i
        else:
            tau = node.tau if isinstance(node, nir.LI) else node.tau_mem
            v = v + dt / tau * ((node.v_leak - v) + node.r * i)
        out[:, t] = v
    return out


@pytest.mark.parametrize("name", NODES)
def test_nir_nodes_by_their_equations(name: str) -> None:
    """The float graph is the equation; the integers run along with it."""
    made = nir_net(NODES[name]())
    graph = to_graph(made, timesteps=STEPS)
    x = events(48, 4)
    seen = evaluate.run(graph, x.astype(np.float64))
    start = 0.5 if "elsewhere" in name else 0.0
    want = by_hand(made.nodes["li"], seen["fc2"], start)
    assert np.abs(seen["output"] - want).max() < 1e-5 * np.abs(want).max()
    bundle = sfx.compile(made, calibrate=Data(events(32, 1), None), timesteps=STEPS)
    assert not any(r["saturations"] for r in bundle.manifest["quantization"])
    got = ReferenceBackend().run(bundle.program, x).sums / bundle.program.readout.scale
    total = want.sum(axis=1)
    assert np.corrcoef(got.ravel(), total.ravel())[0, 1] > 0.99
    assert np.mean(got.argmax(axis=1) == total.argmax(axis=1)) > 0.9


def test_the_same_graph_comes_back_from_its_file() -> None:
    weights = " ".join(["0.5"] * STEPS)
    graph = to_graph(nir_net(NODES["CubaLI"](), "weighted", weights=weights), timesteps=STEPS)
    again = to_graph(from_graph(graph))
    assert [(n.name, n.inputs) for n in again] == [(n.name, n.inputs) for n in graph]
    assert again["li"].op == graph["li"].op
    assert again["output"].op == graph["output"].op


def test_halves_of_steps_are_exact() -> None:
    """Weights of steps that are halves stay what they are, and the sum is the sum."""
    made = nir_net(NODES["I of real values"](), "weighted", weights=" ".join(["0.5", "-2"] * 10))
    program = sfx.compile(made, calibrate=Data(events(8, 1), None), timesteps=STEPS).program
    weights = np.array(program.readout.weights)
    assert np.array_equal(weights * -2 / weights.min(), [0.5, -2] * 10)
    x = events(4, 2)
    sent = ReferenceBackend().layers(program, x)[program.readout.population]
    sums = np.einsum("ktn,t->kn", sent, weights) + np.array(program.readout.offset)
    assert np.array_equal(FastBackend().run(program, x).sums, sums)


@pytest.mark.parametrize(
    ("weights", "code"),
    [
        ("1 2", "SFX-E214"),
        ("", "SFX-E214"),
        ("1e308 " * STEPS, "SFX-E214"),
        ("5e-324 " * STEPS, "SFX-E214"),
        ("nan " * STEPS, "SFX-E206"),
        ("x", "SFX-E211"),
    ],
)
def test_damaged_weights_are_refused(weights: str, code: str) -> None:
    with pytest.raises(SfxError, match=code):
        to_graph(nir_net(NODES["LI"](), "weighted", weights=weights), timesteps=STEPS)


@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_a_bias_beyond_the_sums_is_refused(reduce: str) -> None:
    made = nir_net(nir.Affine(np.eye(CLASSES), full(1e300)), reduce)
    with pytest.raises(SfxError, match=r"(?s)SFX-E311.*bias of the read-out.*64 bits"):
        sfx.compile(made, timesteps=STEPS)


def test_a_start_of_its_own_is_refused() -> None:
    elsewhere = nir.LI(tau=full(8e-3), r=full(1.0), v_leak=full(0.5))
    with pytest.raises(SfxError, match=r"(?s)SFX-E227.*rests at 0.5.*norse"):
        sfx.compile(nir_net(elsewhere), timesteps=STEPS)


class Unread(SnnTorch):
    """It takes the spikes of a neuron that has no reset."""

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, found = self.first.reset_mem(), self.last.reset_mem(), []
        for t in range(len(x)):
            spikes, mem1 = self.first(self.fc1(x[t]), mem1)
            spikes, mem2 = self.last(self.fc2(spikes), mem2)
            found.append(spikes * 2)
        return torch.stack(found)


def test_spikes_of_a_membrane_without_a_reset_are_refused() -> None:
    model = Unread(snn.Leaky(0.9), leaky(), "sum")
    with pytest.raises(SfxError, match=r"(?s)SFX-E106.*neuron last.*read its membrane"):
        sfx.export(model, torch.zeros(STEPS, 1, INPUTS))


def test_the_same_graph_comes_back_from_onnx(tmp_path: Path) -> None:
    import onnx

    from sfx.toolchain.formats.onnx.read import read
    from sfx.toolchain.formats.onnx.write import to_onnx

    graph = to_graph(nir_net(NODES["CubaLI"](), "max"), timesteps=STEPS)
    onnx.save(to_onnx(graph), tmp_path / "a.onnx")
    again = read(tmp_path / "a.onnx")
    assert again["li"].op == graph["li"].op
    assert again["output"].op == graph["output"].op
    weights = to_graph(nir_net(NODES["LI"](), "weighted", weights="1 " * STEPS), timesteps=STEPS)
    with pytest.raises(SfxError, match="SFX-E224"):
        to_onnx(weights)
