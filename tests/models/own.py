"""Models in our own neuron modules, in every way they may be called."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfx.frontends.neurons.ge_lif import GreaterEqualLIF, ge_lif, plif
from sfx.frontends.neurons.multistep import lif
from tests.models.case import Cases

CASES = Cases()


@CASES.add(5, 6)
class MultiSteps(nn.Module):
    """All three, one after the other, with an average read-out."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.neurons = nn.ModuleList([lif(threshold=0.5), plif(threshold=0.5), ge_lif()])
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer, n in zip(self.layers, self.neurons, strict=True):
            x = n(layer(x))
        return self.head(x).mean(0)


@CASES.add(5, 6)
class CellInALoop(nn.Module):
    """A cell with its membrane handed on."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.cell, self.out = nn.Linear(6, 8), GreaterEqualLIF(), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        v, total = None, torch.zeros(x.shape[1], 3)
        for step in x:
            z, v = self.cell(self.fc(step), v)
            total = total + self.out(z)
        return total


@CASES.add(5, 6)
class Twice(nn.Module):
    """One block called twice: a MultiStep starts from rest with every call."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.n = nn.Linear(6, 6), ge_lif()

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            x = self.n(self.fc(x))
        return x


@CASES.add(4, 2, 6, 6, input_layout="BT")
class Convolutions(nn.Module):
    """Depthwise and strided convolutions, a residual, an average pool; samples first."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.n1, self.n2 = ge_lif(), ge_lif()
        self.pool, self.head = nn.AvgPool2d(2), nn.Linear(36, 3)

    def forward(self, x: Tensor) -> Tensor:
        B, T = x.shape[:2]
        x = x.transpose(0, 1)
        x = self.n1(self.a(x.flatten(0, 1)).unflatten(0, (T, B)))
        x = x + self.n2(self.b(x.flatten(0, 1)).unflatten(0, (T, B)))
        return self.head(self.pool(x.flatten(0, 1)).flatten(1)).unflatten(0, (T, B)).sum(0)
