"""SpikingJelly's neurons in a network of the user's own: torch spikes == Program spikes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("spikingjelly", reason="SpikingJelly is not installed")
pytestmark = [
    pytest.mark.needs_torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

from spikingjelly.activation_based import (  # noqa: E402  (after importorskip)
    functional,
    layer,
    neuron,
    surrogate,
)
from tests.unit.frontends.frameworks import check, lively  # noqa: E402
from tests.unit.frontends.models import events  # noqa: E402

from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402
from sfx.frontends.neurons import spikingjelly  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.toolchain.compiler.compile import compile_graph  # noqa: E402
from sfx.toolchain.formats.nir.bridge import to_graph  # noqa: E402
from sfx.toolchain.ground.errors import UnsupportedError  # noqa: E402
from sfx.toolchain.targets import load as load_target  # noqa: E402

T = 6


class Net(nn.Module):
    """conv-BN-neuron, pool, linear-neuron, linear; mean over T."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4, eps=0.0)
        self.first = make()
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(36, 8)
        self.second = make()
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        steps, batch = x.shape[:2]
        y = self.bn(self.conv(x.flatten(0, 1)))
        y = self.pool(self.first(y.unflatten(0, (steps, batch))).flatten(0, 1))
        y = self.second(self.fc(y.flatten(1)).unflatten(0, (steps, batch)))
        return self.head(y).mean(0)


def representable(make: Callable[[], nn.Module], seed: int) -> Net:
    net = Net(make).eval()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in (*net.conv.parameters(), *net.fc.parameters(), *net.head.parameters()):
            p.copy_(torch.randint(-4, 5, p.shape, generator=rng).float() / 4)
        net.bn.weight.fill_(2.0)
        net.bn.bias.fill_(0.25)
    return net


def torch_spikes(net: Net, x: np.ndarray) -> dict[str, np.ndarray]:
    seen: dict[str, np.ndarray] = {}
    handles = [
        getattr(net, name).register_forward_hook(
            lambda m, i, o, name=name: seen.__setitem__(name, o.transpose(0, 1).detach().numpy())
        )
        for name in ("first", "second")
    ]
    functional.reset_net(net)
    net(torch.from_numpy(x).float().transpose(0, 1))
    functional.reset_net(net)
    for handle in handles:
        handle.remove()
    return seen


NEURONS: dict[str, Callable[[], nn.Module]] = {
    "LIF": lambda: neuron.LIFNode(tau=2.0, step_mode="m"),
    "LIF, input not decayed": lambda: neuron.LIFNode(2.0, decay_input=False, step_mode="m"),
    "LIF at rest at -0.5": lambda: neuron.LIFNode(2.0, v_reset=-0.5, step_mode="m"),
    "PLIF, 1/tau = 1/2": lambda: neuron.ParametricLIFNode(init_tau=2.0, step_mode="m"),
    "IF": lambda: neuron.IFNode(step_mode="m"),
}


@pytest.mark.parametrize("kind", NEURONS)
def test_program_spikes_are_torch_spikes(kind: str) -> None:
    net = representable(NEURONS[kind], seed=1)
    x = (np.random.default_rng(1).random((4, T, 2, 6, 6)) < 0.4).astype(np.int64)
    truth = torch_spikes(net, x)
    assert all(0 < s.mean() < 1 for s in truth.values()), "silent or saturated"
    graph = to_graph(export(net, torch.zeros(T, 1, 2, 6, 6)))
    assert not net.first.v.any() if isinstance(net.first.v, Tensor) else net.first.v is not None
    compiled = compile_graph(graph, load_target("loihi"), x)
    program = compiled.placed.program
    mine = ReferenceBackend().layers(program, x)
    for name, spikes in truth.items():
        population = next(p for p in program if p.module == name)
        assert np.array_equal(mine[population.name].reshape(spikes.shape), spikes), name
    assert all(r.exact for r in compiled.records if r.population in ("first", "second"))


class Looped(nn.Module):
    """Single-step mode: the model loops itself, an image is shown at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = layer.SeqToANNContainer  # a class among the attributes is no module
        self.net = nn.Sequential(
            layer.Conv2d(2, 4, 3), layer.BatchNorm2d(4), neuron.IFNode(), layer.MaxPool2d(2),
            layer.Flatten(), layer.Dropout(0.5), layer.Linear(16, 6),
            neuron.LIFNode(2.0, decay_input=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        functional.reset_net(self)
        rate = 0
        for _ in range(T):
            rate = rate + self.net(x)
        return rate / T


def test_single_step_mode_with_the_loop_in_the_model() -> None:
    net = lively(Looped())
    x = events(1, 3, 2, 6, 6, seed=2).float().expand(T, -1, -1, -1, -1)
    graph = check(net, x, neuron.BaseNode, lambda: net(x[0]), input_layout="B", example=x[:1, :1])
    assert graph.timesteps == T
    assert {n.name for n in graph} >= {"net.0", "net.1", "net.2", "net.3", "net.6", "net.7"}


def test_single_step_mode_with_the_loop_outside() -> None:
    net = lively(Looped()).net
    x = events(T, 3, 2, 6, 6, seed=3).float()
    functional.reset_net(net)
    check(net, x, neuron.BaseNode, lambda: [net(step) for step in x], input_layout="step")


def test_containers_and_layers_in_multi_step_mode() -> None:
    net = nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)),
        layer.MultiStepContainer(neuron.IFNode()),
        layer.MaxPool2d(2, step_mode="m"),
        layer.Flatten(step_mode="m"),
        layer.Linear(16, 6, step_mode="m"),
        neuron.LIFNode(2.0, v_reset=None, step_mode="m"),
    )
    x = events(T, 3, 2, 6, 6, seed=4).float()
    lively(net)
    net[0][0].weight.data.mul_(2)
    functional.reset_net(net)
    check(net, x, neuron.BaseNode, lambda: net(x))


def test_the_states_of_a_used_model_are_left_alone() -> None:
    net = lively(Net(NEURONS["LIF"]))
    x = (torch.rand(T, 2, 2, 6, 6) < 0.4).float()
    net(x)
    before = net.first.v.clone()
    clean = export(representable(NEURONS["LIF"], 1), x[:, :1])
    assert torch.equal(net.first.v, before)
    functional.reset_net(net)
    assert set(clean.nodes) == set(export(net, x[:, :1]).nodes)


def test_layers_with_a_state_of_their_own_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="SynapseFilter keeps a state"):
        spikingjelly.read(layer.SynapseFilter(tau=2.0), 1e-3, "filter")


def test_other_neurons_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="QIFNode is not mapped"):
        spikingjelly.read(neuron.QIFNode(step_mode="m"), 1e-3, "lif")
    derived = type("LIAFNode", (neuron.LIFNode,), {"__module__": neuron.__name__})
    with pytest.raises(UnsupportedError, match="LIAFNode is not mapped"):
        spikingjelly.read(derived(), 1e-3, "lif")
    analog = surrogate.Sigmoid(spiking=False)
    with pytest.raises(UnsupportedError, match="analog output"):
        spikingjelly.read(neuron.IFNode(surrogate_function=analog), 1e-3, "lif")


def test_layers_are_no_neurons() -> None:
    assert spikingjelly.read(layer.Conv2d(1, 1, 1, step_mode="m"), 1e-3, "conv") is None
