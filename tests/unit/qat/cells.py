"""Small nets whose neurons are several populations, or whose layers are read more than once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sfx
from sfx.toolchain.formats.bundle import bundle as bundles
from sfx.toolchain.formats.fine_tuned import USUAL
from sfx.toolchain.qat.model import QatModel

STEPS, INPUTS, HIDDEN, CLASSES = 4, 12, 20, 5


def samples(count: int = 32, seed: int = 0) -> np.ndarray:
    """Events [count, STEPS, INPUTS]."""
    return (np.random.default_rng(seed).random((count, STEPS, INPUTS)) < 0.4).astype(np.int64)


class Feedforward(nn.Module):
    """Two layers around a snnTorch Leaky, beta 0.9; its defaults subtract."""

    def __init__(self, **options: object) -> None:
        snntorch = pytest.importorskip("snntorch")
        super().__init__()
        torch.manual_seed(0)
        self.f1, self.f2 = nn.Linear(INPUTS, HIDDEN), nn.Linear(HIDDEN, CLASSES)
        self.l1 = snntorch.Leaky(beta=0.9, **options)
        with torch.no_grad():
            self.f1.weight.mul_(4)

    def forward(self, x: Tensor) -> Tensor:
        membrane, out = self.l1.init_leaky(), []
        for step in x:
            spikes, membrane = self.l1(self.f1(step), membrane)
            out.append(self.f2(spikes))
        return torch.stack(out).mean(0)


class Current(nn.Module):
    """Two layers around a snnTorch Synaptic: a current that leaks, and a membrane."""

    def __init__(self) -> None:
        snntorch = pytest.importorskip("snntorch")
        super().__init__()
        torch.manual_seed(0)
        self.f1, self.f2 = nn.Linear(INPUTS, HIDDEN), nn.Linear(HIDDEN, CLASSES)
        self.l1 = snntorch.Synaptic(alpha=0.6, beta=0.8, reset_mechanism="zero", reset_delay=False)

    def forward(self, x: Tensor) -> Tensor:
        (current, membrane), out = self.l1.init_synaptic(), []
        for step in x:
            spikes, current, membrane = self.l1(self.f1(step), current, membrane)
            out.append(self.f2(spikes))
        return torch.stack(out).mean(0)


class Recurrent(nn.Module):
    """The same around an RLeaky: subtracting or to zero, all to all or one to one."""

    def __init__(self, reset: str = "zero", *, all_to_all: bool = True) -> None:
        snntorch = pytest.importorskip("snntorch")
        super().__init__()
        torch.manual_seed(0)
        self.f1, self.f2 = nn.Linear(INPUTS, HIDDEN), nn.Linear(HIDDEN, CLASSES)
        own = {"linear_features": HIDDEN} if all_to_all else {"V": torch.rand(HIDDEN)}
        self.l1 = snntorch.RLeaky(
            beta=0.8,
            all_to_all=all_to_all,
            reset_mechanism=reset,
            reset_delay=reset == "subtract",
            **own,
        )
        with torch.no_grad():
            self.f1.weight.mul_(4)

    def forward(self, x: Tensor) -> Tensor:
        (spikes, membrane), out = self.l1.reset_mem(), []
        for step in x:
            spikes, membrane = self.l1(self.f1(step), spikes, membrane)
            out.append(self.f2(spikes))
        return torch.stack(out).sum(0)


class Residual(nn.Module):
    """A membrane residual: the first layer is read by two populations."""

    def __init__(self) -> None:
        neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
        super().__init__()
        torch.manual_seed(0)
        self.f1, self.f2 = nn.Linear(INPUTS, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.n1, self.n2 = (neuron.LIFNode(step_mode="m") for _ in range(2))
        self.out = nn.Linear(HIDDEN, CLASSES)
        with torch.no_grad():
            self.f1.weight.mul_(5)
            self.f2.weight.mul_(5)

    def forward(self, x: Tensor) -> Tensor:
        first = self.f1(x)
        return self.out(self.n2(first + self.f2(self.n1(first)))).mean(0)


class Shared(nn.Module):
    """One layer that is used twice."""

    def __init__(self) -> None:
        neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
        super().__init__()
        torch.manual_seed(0)
        self.f1, self.f2 = nn.Linear(INPUTS, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.n1, self.n2, self.n3 = (neuron.LIFNode(step_mode="m") for _ in range(3))
        self.out = nn.Linear(HIDDEN, CLASSES)
        with torch.no_grad():
            self.f1.weight.mul_(5)
            self.f2.weight.mul_(5)

    def forward(self, x: Tensor) -> Tensor:
        spikes = self.n2(self.f2(self.n1(self.f1(x))))
        return self.out(self.n3(self.f2(spikes))).mean(0)


KINDS = (
    (Feedforward, {}),
    (Feedforward, {"reset_mechanism": "zero"}),
    (Recurrent, {"reset": "subtract"}),
    (Recurrent, {"reset": "zero"}),
    (Recurrent, {"all_to_all": False}),
    (Recurrent, {"reset": "subtract", "all_to_all": False}),
    (Residual, {}),
    (Shared, {}),
    (Current, {}),
)
"""Every kind of net, with its options."""


def prepared(
    net: nn.Module,
    bits: int = 8,
    x: np.ndarray | None = None,
    train: tuple[str, ...] = USUAL,
) -> QatModel:
    """Ready to be fine-tuned."""
    options, x = sfx.qat.Options(bits=bits, effort=0.1), samples() if x is None else x
    return sfx.qat.prepare(net, calibrate=x, options=options, train=train)


def body(model: object, folder: Path) -> bytes:
    """The bundle that `model` compiles to, without its manifest."""
    bundles.write(bundles.Bundle(sfx.compile(model).placed, b"", {}), folder / "body.sfx")
    return (folder / "body.sfx").read_bytes()
