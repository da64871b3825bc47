"""Small nets of integer neurons, written as their authors write them: plain autograd functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sfx.frontends.neurons.integer import MultiSpike, integer_lif


class Quant(torch.autograd.Function):
    """Rounds; its gradient does not matter here."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        return torch.round(torch.clamp(x, min=low, max=high))


class Spikes(nn.Module):
    """As the Spike-driven Transformer V3 has it: whole numbers 0..D, divided by D or by `norm`."""

    def __init__(self, top: int = 4, norm: int | None = None) -> None:
        super().__init__()
        self.top, self.norm = top, top if norm is None else norm

    def forward(self, x: Tensor) -> Tensor:
        return Quant.apply(x, 0, self.top) / self.norm  # type: ignore[no-untyped-call,no-any-return]


class Update(nn.Module):
    """As SpikeYOLO has it: a loop over T inside, a quarter of the membrane kept."""

    def __init__(self) -> None:
        super().__init__()
        self.q = Spikes(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        spike = torch.zeros_like(x[0])
        output = torch.zeros_like(x)
        old: Any = 0
        for i in range(x.shape[0]):
            mem = (old - spike.detach()) * 0.25 + x[i] if i >= 1 else x[i]
            spike = self.q(mem)
            old = mem.clone()
            output[i] = spike
        return output


def conv(a: int, b: int, kernel: int = 1, **how: Any) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(a, b, kernel, padding=kernel // 2, bias=False, **how), nn.BatchNorm2d(b)
    )


class Attention(nn.Module):
    """Linear attention of whole numbers: q (k^T v)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.head = Spikes()
        self.maps = nn.ModuleList(conv(dim, dim) for _ in "qkv")
        self.spikes = nn.ModuleList(Spikes() for _ in "qkv")
        self.after = Spikes()
        self.project = conv(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        B, C, H, W = x.shape
        x = self.head(x)
        q, k, v = (
            s(to(x)).flatten(2).transpose(-1, -2).reshape(B, H * W, self.heads, -1).transpose(1, 2)
            for s, to in zip(self.spikes, self.maps, strict=True)
        )
        x = (q @ (k.transpose(-2, -1) @ v)) * 0.25
        x = self.after(x.transpose(2, 3).reshape(B, C, H * W)).reshape(B, C, H, W)
        made: Tensor = self.project(x)
        return made


class SmallV3(nn.Module):
    """A stem, a separable convolution, attention, an MLP; membrane residuals, [B, C, H, W]."""

    def __init__(self, dim: int = 8, heads: int = 2, classes: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(2, dim, 3, stride=2), Spikes(), conv(dim, dim, 3))
        wide = 2 * dim
        self.separable = nn.Sequential(
            Spikes(), conv(dim, wide), Spikes(), conv(wide, wide, 3, groups=wide),
            Spikes(), conv(wide, dim),
        )  # fmt: skip
        self.attention = Attention(dim, heads)
        self.mlp = nn.Sequential(Spikes(), conv(dim, wide), MultiSpike(4), conv(wide, dim))
        self.spike = Spikes(4, 1)
        self.head = nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.separable(x)
        x = x + self.attention(x)
        x = x + self.mlp(x)
        return self.head(self.spike(x.flatten(2).mean(2)))  # type: ignore[no-any-return]


class OverTime(nn.Module):
    """I-LIF at T > 1: SpikeYOLO's module, then one of ours, that remember."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 8)
        self.first, self.second = Update(), integer_lif(keep=0.5, most=3)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.b(self.first(self.a(x))))).mean(0)  # type: ignore[no-any-return]


def representable(model: nn.Module, seed: int, gain: float = 2.0) -> nn.Module:
    """Weights in quarters, half of them 0; batch norm of unit variance, a dyadic gain and shift."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            quarters = torch.randint(-3, 5, parameter.shape, generator=rng).float() / 4
            parameter.copy_(quarters * (torch.rand(parameter.shape, generator=rng) < 0.5))
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.eps = 0.0
                norm.running_var.fill_(1.0)  # type: ignore[union-attr]
                norm.running_mean.zero_()  # type: ignore[union-attr]
                norm.weight.fill_(gain)
                norm.bias.fill_(0.5)
    return model.eval()


def counts(model: nn.Module, x: np.ndarray, given: Any) -> dict[str, np.ndarray]:
    """Path -> what every integer neuron sends, spikes counted; `output`: what the model returns."""
    seen: dict[str, np.ndarray] = {}

    def keep(name: str, norm: float) -> Any:
        def record(module: object, inputs: object, output: Tensor) -> None:
            seen[name] = (output * norm).numpy()

        return record

    kinds = (Spikes, MultiSpike)
    modules = [(n, m) for n, m in model.named_modules() if isinstance(m, kinds)]
    handles = [m.register_forward_hook(keep(n, float(m.norm))) for n, m in modules]
    with torch.no_grad():
        seen["output"] = model(given(torch.from_numpy(x).float())).numpy()
    for handle in handles:
        handle.remove()
    return seen
