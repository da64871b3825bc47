"""Integer neurons are known by what they compute: ours, SpikingJelly's, the authors' modules."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

from tests.e2e.integer_nets import Spikes, Update  # noqa: E402
from tests.e2e.ternary_nets import Act, Once  # noqa: E402
from torch import Tensor, nn  # noqa: E402  (after importorskip)

from sfx.frontends.neurons import by_behaviour, registry, stateless  # noqa: E402
from sfx.frontends.neurons.integer import (  # noqa: E402
    IntegerLIF,
    MultiSpike,
    TernaryLIF,
    integer_lif,
    ternary_lif,
)
from sfx.frontends.neurons.multistep import MultiStep  # noqa: E402
from sfx.frontends.tracing.export import export, traced  # noqa: E402
from sfx.frontends.witness.compare import compare  # noqa: E402
from sfx.frontends.witness.record import record  # noqa: E402
from sfx.toolchain.formats.nir.bridge import to_graph  # noqa: E402
from sfx.toolchain.ground.errors import UnsupportedError  # noqa: E402
from sfx.toolchain.ir import evaluate  # noqa: E402
from sfx.toolchain.ir import graph as g  # noqa: E402
from sfx.toolchain.ir.stairs import MOST_LEVELS  # noqa: E402


@pytest.mark.parametrize(
    ("module", "most", "keep"),
    [
        (Spikes(), 4, 0.0),
        (Spikes(8, 1), 8, 0.0),
        (Spikes(1, 3), 1, 0.0),
        (MultiSpike(6), 6, 0.0),
        (Update(), 4, 0.25),
        (integer_lif(keep=0.75, most=2), 2, 0.75),
        (IntegerLIF(keep=1.0), 4, 1.0),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else str(v),
)
def test_constants(module: nn.Module, most: int, keep: float) -> None:
    found = registry.opaque(module, 1e-3, "here")
    assert found is not None
    assert (found.spec.fires, found.spec.most, found.spec.threshold) == ("round", most, 1.0)
    assert 1.0 - found.spec.decay == keep
    norm = getattr(module, "norm", 1)
    assert found.unit == 1 / norm


@pytest.mark.parametrize(
    ("module", "threshold", "keep", "soft", "reached"),
    [
        (Act(7), 0.5, 0.25, False, True),
        (Act(3, 0.25), 0.5, 0.25, False, True),
        (Once(), 0.5, 0.0, False, False),
        (ternary_lif(0.5, 2.0, soft=True), 2.0, 0.5, True, True),
        (TernaryLIF(1.0, 0.75), 0.75, 1.0, False, True),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else str(v),
)
def test_ternary_constants(
    module: nn.Module, threshold: float, keep: float, soft: bool, reached: bool
) -> None:
    found = registry.opaque(module, 1e-3, "here")
    assert found is not None
    spec = found.spec
    assert (spec.fires, spec.threshold, spec.reached) == ("signed", threshold, reached)
    assert (1.0 - spec.decay, spec.subtract) == (keep, soft)
    assert found.unit == getattr(module, "ratio", 1)


class Lopsided(nn.Module):
    """Its thresholds differ."""

    def forward(self, x: Tensor) -> Tensor:
        return (x > 1).float() - (x < -0.5).float()


class Half(nn.Module):
    """Half of the membrane stays where it fires: neither reset."""

    def forward(self, x: Tensor) -> Tensor:
        u, out = torch.zeros_like(x[0]), []
        for step in x:
            u = u + step
            s = torch.sign(u) * (u.abs() >= 1)
            u = torch.where(s != 0, u / 2, u)
            out.append(s)
        return torch.stack(out)


class HalfUp(nn.Module):
    """Rounds halves up: not what torch.round does, and not what the graph computes."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.floor(torch.clamp(x, 0, 4) + 0.5)


class Signed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.round(torch.clamp(x, -4, 4))


class Uneven(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.round(torch.clamp(x, 0, 4)) ** 2


class Fussy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("takes something else")


@pytest.mark.parametrize(
    "cls", [HalfUp, Signed, Uneven, Fussy, Lopsided, Half, nn.ReLU, nn.Identity, nn.Tanh]
)
def test_others_are_none(cls: type[nn.Module]) -> None:
    assert by_behaviour.look(cls()) is None


def test_a_module_that_learns_is_not_run() -> None:
    class Layer(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError("it was run")

    assert by_behaviour.look(Layer(3, 3)) is None


def test_no_neuron_of_more_spikes_than_a_byte_holds() -> None:
    with pytest.raises(UnsupportedError, match="SFX-E105"):
        registry.read(MultiStep(IntegerLIF(most=1000)), 1e-3, "here")
    assert stateless.MOST == MOST_LEVELS


class Mixed(nn.Module):
    """Stateless neurons on [T * B, C], on a view, and neurons that remember, of both makers."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.ModuleList(nn.Linear(6, 6) for _ in range(4))
        self.merged, self.view = Spikes(), MultiSpike(3)
        self.update, self.own = Update(), integer_lif(keep=0.5, threshold=0.5, most=5)

    def forward(self, x: Tensor) -> Tensor:
        T, B = x.shape[:2]
        x = self.merged(self.fc[0](x.flatten(0, 1)))
        x = self.view(self.fc[1](x).reshape(T, B, 3, 2).transpose(2, 3)).transpose(2, 3)
        x = self.update(self.fc[2](x.reshape(T, B, 6)))
        return self.own(self.fc[3](x))


class Steps(nn.Module):
    """One step; a neuron without a memory is called twice in it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.n = nn.Linear(6, 6), nn.Linear(6, 6), Spikes()

    def forward(self, x: Tensor) -> Tensor:
        return self.n(self.b(self.n(self.a(x))))


@pytest.mark.parametrize(("cls", "layout", "neurons"), [(Mixed, "TB", 4), (Steps, "step", 2)])
def test_the_graph_is_the_model(cls: type[nn.Module], layout: str, neurons: int) -> None:
    torch.manual_seed(1)
    model = cls().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    exported = traced(model, torch.zeros(5, 1, 6), input_layout=layout)
    graph = to_graph(exported.graph)
    kinds = [n.op for n in graph.of_type(g.LIF)]
    assert [op.fires for op in kinds if isinstance(op, g.LIF)] == ["round"] * neurons
    x = np.random.default_rng(0).integers(0, 4, (6, 5, 6)).astype(np.float32)
    found = compare(graph, [record(exported, one) for one in x])
    assert found.populations == neurons
    assert not found.silent
    assert found.end_to_end == 0
    given = torch.from_numpy(x).transpose(0, 1)
    with torch.no_grad():
        steps = model(given) if layout == "TB" else torch.stack([model(s) for s in given])
    ours = evaluate.run(graph, x)["output"]
    assert np.allclose(ours, steps.transpose(0, 1).numpy(), atol=1e-5)


def test_a_rounding_written_out_in_forward_is_refused_by_name() -> None:
    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            return torch.round(torch.clamp(self.fc(x), 0, 4))

    with pytest.raises(UnsupportedError, match="integer neuron is a module of its own"):
        export(Written(), torch.zeros(1, 1, 6))


def test_spikingjellys_ilif_node() -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    if not hasattr(neuron, "ILIFNode"):
        pytest.skip("SpikingJelly 2 has ILIFNode")
    for mode, layout in (("m", "TB"), ("s", "step")):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(6, 6), neuron.ILIFNode(step_mode=mode), nn.Linear(6, 3),
            neuron.ILIFNode(tau=2.0, v_threshold=0.5, step_mode=mode),
        ).eval()  # fmt: skip
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(3)
        exported = traced(model, torch.zeros(5, 1, 6), input_layout=layout)
        graph = to_graph(exported.graph)
        x = np.random.default_rng(0).integers(0, 4, (4, 5, 6)).astype(np.float32)
        found = compare(graph, [record(exported, one) for one in x])
        assert (found.populations, found.silent) == (2, ())
        assert found.spikes > 100


@pytest.mark.parametrize("reset", [0.0, None])
def test_spikingjellys_ternary_nodes(reset: float | None) -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    if not hasattr(neuron, "TernaryLIFNode"):
        pytest.skip("SpikingJelly 2 has TernaryLIFNode")
    for mode, layout in (("m", "TB"), ("s", "step")):
        torch.manual_seed(0)
        lif = {"v_reset": reset, "step_mode": mode}
        model = nn.Sequential(
            nn.Linear(6, 8), neuron.TernaryIFNode(v_threshold=0.75, **lif), nn.Linear(8, 8),
            neuron.TernaryLIFNode(tau=4.0 / 3.0, decay_input=False, **lif), nn.Linear(8, 8),
            neuron.TernaryLIFNode(tau=2.0, v_threshold=0.5, **lif),
        ).eval()  # fmt: skip
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(3)
        exported = traced(model, torch.zeros(5, 1, 6), input_layout=layout)
        x = np.random.default_rng(0).integers(0, 4, (4, 5, 6)).astype(np.float32)
        told = [record(exported, one) for one in x]
        found = compare(to_graph(exported.graph), told)
        assert (found.populations, found.silent) == (3, ())
        for held in (r.neurons for r in told[:1]):
            assert all((h.sent > 0).any() and (h.sent < 0).any() for h in held.values())
    with pytest.raises(UnsupportedError, match=r"rests at 0\.25"):
        registry.opaque(neuron.TernaryIFNode(v_reset=0.25, step_mode="m"), 1e-3, "here")
