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

from spikingjelly.activation_based import functional, neuron  # noqa: E402  (after importorskip)

from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402
from sfx.frontends.neurons import spikingjelly  # noqa: E402
from sfx.frontends.torch_export import export  # noqa: E402
from sfx.toolchain.compiler import compile_graph  # noqa: E402
from sfx.toolchain.errors import UnsupportedError  # noqa: E402
from sfx.toolchain.ir.nir_bridge import to_graph  # noqa: E402
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


def test_single_step_mode_is_refused_with_the_remedy() -> None:
    with pytest.raises(UnsupportedError, match="set_step_mode") as caught:
        spikingjelly.read(neuron.LIFNode(), 1e-3, "blocks.0.lif")
    assert "SFX-E105 blocks.0.lif" in str(caught.value)


def test_other_neurons_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="QIFNode is not mapped"):
        spikingjelly.read(neuron.QIFNode(step_mode="m"), 1e-3, "lif")


def test_layers_are_no_neurons() -> None:
    from spikingjelly.activation_based import layer

    assert spikingjelly.read(layer.Conv2d(1, 1, 1, step_mode="m"), 1e-3, "conv") is None
