"""Models as snnTorch's tutorials and users write them."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
from snntorch import surrogate, utils
from torch import Tensor, nn

from tests.models.case import Cases

CASES = Cases()


@CASES.add(5, 6, input_layout="B")
class Tutorial5(nn.Module):
    """ "Training spiking neural networks with snntorch": an image at every step, records kept."""

    def __init__(self, beta: float = 0.5) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 8), snn.Leaky(beta=beta)
        self.fc2, self.lif2 = nn.Linear(8, 4), snn.Leaky(beta=beta)

    def forward(self, x: Tensor) -> Any:
        mem1 = self.lif1.init_leaky()
        mem2 = self.lif2.init_leaky()
        spk2_rec, mem2_rec = [], []
        for _step in range(5):
            cur1 = self.fc1(x)
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = self.fc2(spk1)
            spk2, mem2 = self.lif2(cur2, mem2)
            spk2_rec.append(spk2)
            mem2_rec.append(mem2)
        return torch.stack(spk2_rec, dim=0), torch.stack(mem2_rec, dim=0)


def tutorial_6(beta: float = 0.5) -> nn.Module:
    """Surrogate gradients in a convolutional SNN: one nn.Sequential, states inside."""
    spike_grad = surrogate.fast_sigmoid(slope=25)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3),
        nn.MaxPool2d(2),
        snn.Leaky(beta=beta, spike_grad=spike_grad, init_hidden=True),
        nn.Conv2d(3, 4, 2),
        snn.Leaky(beta=beta, spike_grad=spike_grad, init_hidden=True),
        nn.Flatten(),
        nn.Linear(4 * 4, 5),
        snn.Leaky(beta=beta, spike_grad=spike_grad, init_hidden=True, output=True),
    )


CASES.add(4, 2, 8, 8, input_layout="step")(tutorial_6)


@CASES.add(4, 2, 8, 8)
class ForwardPass(nn.Module):
    """forward_pass(net, data) of the tutorials: utils.reset, then a loop over the frames."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tutorial_6()

    def forward(self, data: Tensor) -> Tensor:
        spk_rec = []
        utils.reset(self.net)
        for step in range(data.size(0)):
            spk_out, _mem = self.net(data[step])
            spk_rec.append(spk_out)
        return torch.stack(spk_rec)


@CASES.add(5, 6)
class Quickstart(nn.Module):
    """Layers with init_hidden=True called by name; spikes summed over the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, 8), nn.Linear(8, 4)
        self.lif1 = snn.Leaky(beta=0.5, init_hidden=True, spike_grad=surrogate.atan())
        self.lif2 = snn.Leaky(beta=0.5, init_hidden=True, learn_beta=True, learn_threshold=True)

    def forward(self, x: Tensor) -> Tensor:
        total = torch.zeros(x.shape[1], 4)
        for step in x:
            total = total + self.lif2(self.fc2(self.lif1(self.fc1(step))))
        return total


@CASES.add(5, 6, input_layout="step", name="StateInStateOut")
class StateInStateOut(nn.Module):
    """One step with its state: forward(x, state) -> (spikes, state)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 8), snn.Leaky(beta=0.5)
        self.fc2, self.lif2 = nn.Linear(8, 4), snn.Leaky(beta=0.5)

    def forward(self, x: Tensor, state: Any = None) -> Any:
        mem1, mem2 = state if state is not None else (None, None)
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk2, (mem1, mem2)


class Loop(nn.Module):
    """The usual loop around one kind of neuron in two layers."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.init = getattr(snn, kind)
        self.fc1, self.fc2 = nn.Linear(6, 8), nn.Linear(8, 8)
        self.a, self.b = self.init(**options), self.init(**options)
        self.kind = kind.lower()

    def forward(self, x: Tensor) -> Tensor:
        a, b = (getattr(n, f"init_{self.kind}")() for n in (self.a, self.b))
        a, b = (s if isinstance(s, tuple) else (s,) for s in (a, b))
        spikes = []
        for step in x:
            first, a = self._states(self.a(self.fc1(step), *a))
            second, b = self._states(self.b(self.fc2(first), *b))
            spikes.append(second)
        return torch.stack(spikes, dim=0)

    def _states(self, made: Any) -> Any:
        return (made[0], tuple(made) if self.kind.startswith("r") else tuple(made[1:]))


LEAKY: dict[str, Any] = {"kind": "Leaky", "beta": 0.5}
SYNAPTIC: dict[str, Any] = {"kind": "Synaptic", "alpha": 0.5, "beta": 0.5}
AT_ONCE: dict[str, Any] = {"reset_mechanism": "zero", "reset_delay": False}
CASES.each("neuron", Loop, 5, 6, options={
    "Leaky": LEAKY,
    "Leaky zero": LEAKY | {"reset_mechanism": "zero"},
    "Leaky zero at once": LEAKY | AT_ONCE,
    "Leaky 0.9": LEAKY | {"beta": 0.9, "_exact": False},
    "Leaky 1 (integrates)": LEAKY | {"beta": 1.0},
    "Leaky learned": LEAKY | {"learn_beta": True, "threshold": 0.75, "learn_threshold": True},
    "Synaptic": SYNAPTIC,
    "Synaptic zero at once": SYNAPTIC | AT_ONCE,
    "RLeaky": {"kind": "RLeaky", "beta": 0.5, "linear_features": 8},
    "RLeaky zero at once": {"kind": "RLeaky", "beta": 0.5, "linear_features": 8} | AT_ONCE,
    "RLeaky each its own": {"kind": "RLeaky", "beta": 0.5, "all_to_all": False, "V": -0.5},
    "RSynaptic": {"kind": "RSynaptic", "alpha": 0.5, "beta": 0.5, "linear_features": 8,
                  "_exact": False},
    "RSynaptic each its own": SYNAPTIC | {"kind": "RSynaptic", "all_to_all": False, "V": 0.25},
})  # fmt: skip


@CASES.add(4, 2, 4, 4)
class RecurrentConvolution(nn.Module):
    """RLeaky and RSynaptic with a convolution for their own spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.a = snn.RLeaky(beta=0.5, conv2d_channels=3, kernel_size=3)
        self.fc = nn.Linear(48, 4)
        self.b = snn.Leaky(beta=0.5)

    def forward(self, x: Tensor) -> Tensor:
        spk1, mem1 = self.a.init_rleaky()
        mem2 = self.b.init_leaky()
        out = []
        for step in x:
            spk1, mem1 = self.a(self.conv(step), spk1, mem1)
            spk2, mem2 = self.b(self.fc(spk1.flatten(1)), mem2)
            out.append(spk2)
        return torch.stack(out)
