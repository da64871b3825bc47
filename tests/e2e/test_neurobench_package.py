"""NeuroBench's metrics of a Program beside those of its own package, on the same net and input.

In an environment of its own (Python 3.10 or newer): this project, pytest and `neurobench==2.3.0`,
which brings snnTorch. The nets need no rounding, so both sides count the same spikes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("snntorch")
pytest.importorskip("neurobench", reason="neurobench is not installed")

import snntorch as snn  # noqa: E402
from neurobench.benchmarks import Benchmark  # noqa: E402
from neurobench.metrics.static import ConnectionSparsity, ParameterCount  # noqa: E402
from neurobench.metrics.workload import (  # noqa: E402
    ActivationSparsity,
    MembraneUpdates,
    SynapticOperations,
)
from neurobench.models import SNNTorchModel  # noqa: E402
from torch import nn  # noqa: E402

import sfx  # noqa: E402

STEPS = 12


class Net(nn.Module):
    """Layers of whole sixteenths, each before a neuron that does not leak.

    loop  whether the neurons of the first layer feed back to each other
    """

    def __init__(self, *layers: nn.Module, hidden: bool, loop: bool) -> None:
        super().__init__()
        last = len(layers) - 1
        self.layers, self.neurons = nn.ModuleList(layers), nn.ModuleList()
        for i in range(len(layers)):
            how = {"beta": 1.0, "init_hidden": hidden, "output": hidden and i == last}
            if loop and not i:
                self.neurons.append(snn.RLeaky(linear_features=layers[0].out_features, **how))
                nn.init.zeros_(self.neurons[0].recurrent.bias)
            else:
                self.neurons.append(snn.Leaky(**how))
        weights = [w for name, w in self.named_parameters() if name.endswith("weight")]
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for w in weights:
                w.copy_(torch.randint(-3, 7, w.shape, generator=generator) / 16)
        self.weights = sum(w.numel() for w in weights)

    def forward(self, x: torch.Tensor) -> Any:
        for layer, neuron in zip(self.layers, self.neurons, strict=True):
            x = neuron(layer(x))
        return x


class Loop(Net):
    """The same over all steps."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states = [n.reset_mem() for n in self.neurons]
        sent = []
        for step in x:
            y = step
            for i, layer in enumerate(self.layers):
                if isinstance(self.neurons[i], snn.RLeaky):
                    y, mem = self.neurons[i](layer(y), *states[i])
                    states[i] = (y, mem)
                else:
                    y, states[i] = self.neurons[i](layer(y), states[i])
            sent.append(y)
        return torch.stack(sent)


def mlp() -> list[nn.Module]:
    return [
        nn.Linear(20, 16, bias=False),
        nn.Linear(16, 8, bias=False),
        nn.Linear(8, 5, bias=False),
    ]


def cnn() -> list[nn.Module]:
    conv = nn.Conv2d(2, 4, 3, padding=1, stride=2, bias=False)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(4 * 4 * 4, 5, bias=False))
    return [conv, nn.Conv2d(4, 4, 3, padding=1, bias=False), flat]


NETS = [(mlp, (20,), False), (mlp, (20,), True), (cnn, (2, 8, 8), False)]


@pytest.mark.parametrize(("make", "shape", "loop"), NETS)
@pytest.mark.parametrize("largest", [1, 3])
def test_each_metric_is_the_package_s(
    make: Any, shape: tuple[int, ...], loop: bool, largest: int
) -> None:
    rng = np.random.default_rng(0)
    x = (rng.random((1, STEPS, *shape)) < 0.3).astype(np.uint8) * largest
    bundle = sfx.compile(
        Loop(*make(), hidden=False, loop=loop), torch.zeros(STEPS, 1, *shape), calibrate=x
    )
    mine = sfx.report(bundle, x)["neurobench"]
    net = Net(*make(), hidden=True, loop=loop)
    data = torch.utils.data.TensorDataset(torch.from_numpy(x).float(), torch.zeros(1))
    static = [ConnectionSparsity, ParameterCount]
    workload = [ActivationSparsity, SynapticOperations, MembraneUpdates]
    loader = torch.utils.data.DataLoader(data)
    theirs = Benchmark(SNNTorchModel(net), loader, [], [], [static, workload]).run()
    operations = theirs["SynapticOperations"]
    assert mine["weights"] == net.weights == theirs["ParameterCount"] - loop * 16  # its bias
    assert round(mine["connection_sparsity"], 4) == theirs["ConnectionSparsity"] > 0
    assert mine["activation_sparsity"] == pytest.approx(theirs["ActivationSparsity"], abs=1e-12)
    assert mine["effective_acs"] == operations["Effective_ACs"] > 0
    assert mine["effective_macs"] == operations["Effective_MACs"]
    assert (mine["effective_macs"] > 0) == (largest > 1)
    assert mine["dense"] == operations["Dense"]
    assert mine["membrane_updates"] == theirs["MembraneUpdates"]
    assert 0.05 < mine["activation_sparsity"] < 0.95, "spikes to count"
