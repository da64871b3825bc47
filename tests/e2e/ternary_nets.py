"""Small nets of neurons with spikes of both signs, written as their authors write them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfx.frontends.neurons.integer import ternary_lif
from tests.e2e.integer_nets import conv


class Act(nn.Module):
    """A loop over its own number of steps on [T, B, C, H, W]; fires at half of its threshold."""

    def __init__(self, step: int, ratio: float = 1.0) -> None:
        super().__init__()
        self.step, self.level, self.ratio = step, 1.0, ratio

    def forward(self, x: Tensor) -> Tensor:
        _time, _batch, _channels, _height, _width = x.shape  # they unpack it
        u = torch.zeros_like(x[0])
        out = []
        for i in range(self.step):
            u = u * 0.25 + x[i]
            s = torch.sign(u / self.level)
            s[torch.abs(u / self.level) < 0.5] = 0.0
            u = u * (1 - torch.abs(s))
            out.append(s * self.ratio)
        return torch.stack(out)


class Once(nn.Module):
    """Keeps nothing, on any shape: round(clamp(x, -1, 1))."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.round(torch.clamp(x, -1, 1))


class Steps(nn.Module):
    """A layer over [T, B, ...], step and sample together."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])  # type: ignore[no-any-return]


class Ternary(nn.Module):
    """Convolution, attention q (k^T v) of signed spikes with a residual of them, a classifier."""

    def __init__(self, steps: int = 4, dim: int = 6, classes: int = 3) -> None:
        super().__init__()
        self.stem, self.first = Steps(conv(2, dim, 3, stride=2)), Act(steps)
        self.maps = nn.ModuleList(Steps(conv(dim, dim)) for _ in "qkv")
        self.q, self.k, self.v = Act(steps), Act(steps, 0.5), ternary_lif(0.5, 1.0, soft=True)
        self.after = ternary_lif(1.0, 1.0)
        self.pool = Steps(nn.AvgPool2d(2))
        self.last = ternary_lif(1.0, 0.75, soft=True)
        self.head = nn.Linear(dim * 4, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.stem(x))
        q, k, v = (
            n(m(x)).flatten(3) for m, n in zip(self.maps, (self.q, self.k, self.v), strict=True)
        )
        mixed = (v @ k.transpose(-1, -2)) @ q
        x = x + self.after(mixed.view(x.shape) * 0.25)
        return self.head(self.last(self.pool(x)).flatten(2)).mean(0)  # type: ignore[no-any-return]


class OneStep(nn.Module):
    """Neurons without a memory, [B, C, H, W]."""

    def __init__(self, dim: int = 6, classes: int = 3) -> None:
        super().__init__()
        self.stem, self.first = conv(2, dim, 3, stride=2), Once()
        self.next, self.second = conv(dim, dim, 3), Once()
        self.head = nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.stem(x))
        x = x + self.second(self.next(x))
        return self.head(x.flatten(2).mean(2))  # type: ignore[no-any-return]
