"""snnTorch's networks as their users write them: torch spikes == the graph's spikes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")
snn = pytest.importorskip("snntorch", reason="snnTorch is not installed")
from tests.unit.frontends import frameworks  # noqa: E402
from tests.unit.frontends.frameworks import lively  # noqa: E402
from tests.unit.frontends.models import events  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402
from sfx.frontends.neurons import snntorch as reader  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.toolchain.app import api  # noqa: E402
from sfx.toolchain.data import Data  # noqa: E402
from sfx.toolchain.formats.nir import bridge as nir_bridge  # noqa: E402
from sfx.toolchain.ground.errors import SfxError, UnsupportedError  # noqa: E402
from sfx.toolchain.ir import evaluate  # noqa: E402
from sfx.toolchain.ir import graph as g  # noqa: E402

pytestmark = pytest.mark.needs_torch

T = 8


class Net(nn.Module):
    """The network of snnTorch's tutorials: two layers, states passed by hand."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.fc1 = nn.Linear(10, 12)
        self.lif1 = first
        self.fc2 = nn.Linear(12, 5)
        self.lif2 = second

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        state1, state2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        spikes, membranes = [], []
        for step in range(x.shape[0]):
            spk1, state1 = after(self.lif1, self.lif1(self.fc1(x[step]), *as_list(state1)))
            spk2, state2 = after(self.lif2, self.lif2(self.fc2(spk1), *as_list(state2)))
            spikes.append(spk2)
            membranes.append(state2[-1])
        return torch.stack(spikes, dim=0), torch.stack(membranes, dim=0)


def after(lif: nn.Module, result: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
    """(spikes, the states to pass next): of a recurrent neuron its spikes are a state as well."""
    recurrent = hasattr(lif, "recurrent") and lif.recurrent is not False
    return result[0], list(result if recurrent else result[1:])


def as_list(state: Tensor | tuple[Tensor, ...] | list[Tensor]) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else list(state)


def check(
    net: nn.Module, x: Tensor, input_layout: str = "TB", example: Tensor | None = None
) -> g.Graph:
    def run() -> None:
        if input_layout == "step":
            for step in x:
                net(step)
        else:
            net(x[0] if input_layout == "B" else x)

    return frameworks.check(net, x, snn.SpikingNeuron, run, input_layout, example)


NEURONS: dict[str, Callable[[], nn.Module]] = {
    "Leaky": lambda: snn.Leaky(beta=0.5, threshold=2.0),
    "Leaky, learned": lambda: snn.Leaky(0.75, learn_beta=True, learn_threshold=True),
    "Leaky, zero": lambda: snn.Leaky(beta=0.5, reset_mechanism="zero"),
    "Leaky, zero at once": lambda: snn.Leaky(0.5, reset_mechanism="zero", reset_delay=False),
    "Lapicque": lambda: snn.Lapicque(R=2.0, C=2.0, time_step=1.0, threshold=0.5),
    "Lapicque of beta": lambda: snn.Lapicque(beta=0.5),
    "integrator": lambda: snn.Leaky(beta=1.0, threshold=4.0),
    "integrator, zero": lambda: snn.Leaky(beta=1.0, threshold=4.0, reset_mechanism="zero"),
    "Synaptic": lambda: snn.Synaptic(alpha=0.5, beta=0.75, threshold=3.0),
    "Synaptic, zero": lambda: snn.Synaptic(
        0.5, 0.5, threshold=3.0, reset_mechanism="zero", reset_delay=False
    ),
}


@pytest.mark.parametrize("kind", NEURONS)
def test_the_loop_of_the_tutorials(kind: str) -> None:
    net = lively(Net(NEURONS[kind](), NEURONS[kind]()))
    graph = check(net, events(T, 3, 10, seed=1).float())
    assert [n.name for n in graph] == ["input", "fc1", "lif1", "fc2", "lif2", "output"]
    assert graph.timesteps == T
    assert graph.of_type(g.Output)[0].op == g.Output("none")


def test_a_lossless_program_has_torchs_spikes() -> None:
    net = lively(Net(NEURONS["Leaky, zero"](), NEURONS["integrator, zero"]()))
    x = events(T, 4, 10, seed=6).float()
    seen: dict[str, list[np.ndarray]] = {"lif1": [], "lif2": []}
    graph = export(net, x[:, :1])
    for path, steps in seen.items():
        net.get_submodule(path).register_forward_hook(
            lambda m, i, o, steps=steps: steps.append(o[0].detach().numpy())
        )
    net(x)
    counts = x.numpy().swapaxes(0, 1).astype(np.int64)
    bundle = api.compile(graph, calibrate=Data(counts, None))
    mine = ReferenceBackend().layers(bundle.program, counts)
    for path, steps in seen.items():
        want = np.stack(steps, 1)
        name = next(p.name for p in bundle.program if p.module == path)
        assert 0.02 < want.mean() < 0.98
        np.testing.assert_array_equal(mine[name].reshape(want.shape), want, err_msg=path)


RECURRENT: dict[str, Callable[[int], nn.Module]] = {
    "RLeaky": lambda n: snn.RLeaky(beta=0.5, linear_features=n, threshold=3.0),
    "RLeaky, one to one": lambda n: snn.RLeaky(0.5, V=-0.5, all_to_all=False, threshold=2.0),
    "RSynaptic": lambda n: snn.RSynaptic(0.5, 0.5, linear_features=n, threshold=3.0),
}


@pytest.mark.parametrize("kind", RECURRENT)
def test_recurrent_neurons(kind: str) -> None:
    net = lively(Net(RECURRENT[kind](12), RECURRENT[kind](5)), seed=2)
    graph = check(net, events(T, 3, 10, seed=1).float())
    assert graph["lif1"].producers == ("fc1", "lif1.recurrent")


class Image(nn.Module):
    """An image shown for the model's own number of steps; no state until the first step."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.lif1 = snn.Leaky(beta=0.5, reset_mechanism="zero")
        self.fc = nn.Linear(36, 5)
        self.lif2 = snn.Leaky(beta=0.5)

    def forward(self, x: Tensor) -> Tensor:
        mem1 = mem2 = None
        total = 0
        for _ in range(self.steps):
            spk1, mem1 = self.lif1(self.conv(x), mem1)
            spk2, mem2 = self.lif2(self.fc(self.pool(spk1).flatten(1)), mem2)
            total = total + spk2
        return total / self.steps


def test_an_image_shown_for_the_models_own_steps() -> None:
    x = events(1, 3, 2, 6, 6, seed=3, high=1).float().expand(T, -1, -1, -1, -1)
    net = lively(Image(T), seed=4)
    graph = check(net, x, input_layout="B", example=x[:1, :1])
    assert graph.timesteps == T
    out = evaluate.readout(graph, evaluate.run(graph, x.numpy().swapaxes(0, 1))["output"])
    with torch.no_grad():
        np.testing.assert_allclose(out, net(x[0]).numpy(), atol=1e-6)


def test_hidden_states_and_the_users_loop_outside_the_model() -> None:
    net = nn.Sequential(
        nn.Linear(10, 12),
        snn.Leaky(beta=0.5, init_hidden=True),
        nn.Linear(12, 5),
        snn.Leaky(beta=0.5, init_hidden=True, output=True),
    )
    graph = check(lively(net), events(T, 3, 10, seed=1).float(), input_layout="step")
    assert [n.name for n in graph] == ["input", "0", "1", "2", "3", "output"]
    assert (graph.timesteps, graph.of_type(g.Output)[0].op) == (T, g.Output("mean"))


class Hidden(nn.Module):
    """Samples first, states hidden, spikes counted in place."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(10, 5)
        self.lif = snn.Leaky(beta=0.5, init_hidden=True)

    def forward(self, x: Tensor) -> Tensor:
        self.lif.reset_mem()
        total = torch.zeros(x.shape[0], 5)
        for step in range(x.shape[1]):
            total += self.lif(self.fc(x[:, step]))
        return total


def test_samples_first() -> None:
    net, x = lively(Hidden()), events(T, 3, 10, seed=5).float()
    graph = nir_bridge.to_graph(export(net, x[:, :1], input_layout="BT"))
    out = evaluate.run(graph, x.numpy().swapaxes(0, 1).astype(np.float64))
    with torch.no_grad():
        want = net(x.transpose(0, 1)).numpy()
    assert 0 < want.min() + want.max() < 2 * T
    np.testing.assert_array_equal(evaluate.readout(graph, out["output"]), want)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "no reset, recurrent": (
        lambda: snn.RLeaky(0.5, linear_features=5, reset_mechanism="none"), "without a reset"
    ),
    "subtract at once": (lambda: snn.Leaky(0.5, reset_delay=False), "reset_delay=True"),
    "zero, recurrent": (
        lambda: snn.RLeaky(0.5, linear_features=5, reset_mechanism="zero"), "reset_delay=False"
    ),
    "rounded": (lambda: snn.Leaky(0.5, state_quant=torch.round), "state_quant"),
    "per neuron": (lambda: snn.Leaky(torch.tensor([0.5, 0.25])), "differs between neurons"),
    "graded": (lambda: snn.Leaky(0.5, graded_spikes_factor=2.0), "weights of the next layer"),
    "other surrogate": (lambda: snn.Leaky(0.5, spike_grad=torch.sigmoid), "x > 0"),
    "two currents": (lambda: snn.Alpha(alpha=0.8, beta=0.5), "Alpha is not mapped[^!]*Synaptic"),
    "LSTM": (lambda: snn.SLSTM(5, 5), "SLSTM is not mapped[^!]*RSynaptic"),
    "LSTM of images": (lambda: snn.SConv2dLSTM(2, 2, 3), "SConv2dLSTM is not mapped[^!]*RLeaky"),
    "in parallel": (lambda: snn.LeakyParallel(5, 5), "LeakyParallel is not mapped[^!]*Leaky"),
    "a capacitor that empties": (lambda: snn.Lapicque(R=0.5, C=1.0), "0 < time_step < R C"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_neuron_of_the_chip_is_refused(kind: str) -> None:
    make, text = REFUSED[kind]
    with pytest.raises(UnsupportedError, match=text) as caught:
        reader.read(make(), 1e-3, "lif2")
    assert str(caught.value).startswith("SFX-E105 lif2: ")


class Wrong(nn.Module):
    """One of the ways in which a loop over time cannot be one step's network."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.fc = nn.Linear(10, 10)
        self.lif1, self.lif2 = snn.Leaky(0.5), snn.Leaky(0.5)

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, spk1, outputs = None, None, torch.zeros_like(x[0]), []
        for step in range(x.shape[0]):
            current = self.fc(x[step])
            if self.how == "the spikes of the step before":
                current = current + spk1
            if self.how == "a membrane between layers" and mem2 is not None:
                current = current + mem2
            if self.how == "a layer that changes" and step == 2:
                current = current * 2
            spk1, mem1 = self.lif1(current, mem1)
            if self.how == "a state that is changed":
                mem1 = mem1 * 0.5
            spk2, mem2 = self.lif2(spk1, mem2)
            outputs.append(mem2 if self.how == "a membrane as the output" else spk2)
        return torch.stack(outputs)


@pytest.mark.parametrize(
    ("how", "code", "text"),
    [
        ("the spikes of the step before", "SFX-E104", "combines the steps 0 and 1"),
        ("a membrane between layers", "SFX-E103", "state variable of the neuron lif2"),
        ("a layer that changes", "SFX-E104", "in another way than at step 0"),
        ("a state that is changed", "SFX-E104", "changed between the steps"),
        ("a membrane as the output", "SFX-E106", "state variable of the neuron lif2"),
    ],
)
def test_loops_that_are_not_one_step(how: str, code: str, text: str) -> None:
    with pytest.raises(SfxError) as caught:
        export(Wrong(how), torch.zeros(4, 1, 10))
    assert caught.value.code == code, caught.value
    assert text in str(caught.value)
    if code != "SFX-E106":
        assert "test_snntorch.py:" in str(caught.value)
