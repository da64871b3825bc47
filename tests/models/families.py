"""The published families of spiking transformers, small: ours, and blocks in SpikingJelly's style.

A block is tokens [T, B, N, C] -> the same, with layers over [T * B, ...] and neurons over [T, ...],
as the authors' repositories have it.
"""

from __future__ import annotations

from typing import Any

import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn

from sfx.frontends import zoo
from tests.models.case import Cases

CASES = Cases()


def published(name: str, **config: Any) -> nn.Module:
    """A published network of `sfx.frontends.zoo`."""
    return zoo.build(name, config)


SMALL: dict[str, Any] = {"timesteps": 3, "image_size": 8, "num_classes": 4, "mlp_ratio": 1.0}
for _name, _config in {
    "spikformer": {"dim": 16},
    "spikingformer": {"dim": 16, "attention_threshold": 0.125},
    "spike_driven": {"dim": 16},
    "statten": {"dim": 16, "chunk": 3},
    "qkformer": {"dim": 32},
    "max_former": {"dim": 16},
    "sglformer": {"dim": 16, "attention_threshold": 0.125},
    "spike_driven_v2": {
        "dims": (4, 4, 8, 8),
        "image_size": 16,
        "attention_threshold": 0.125,
        "attention_scale": 1.0,
    },
}.items():
    _all: dict[str, Any] = {"name": _name, **SMALL, **_config}
    _facts: dict[str, Any] = {"seed": 35, "rate": 0.7} if _name == "spike_driven_v2" else {}
    CASES.each("zoo", published, 3, 3, _all["image_size"], _all["image_size"],
               options={_name: _all}, **_facts)  # fmt: skip

CASES.each("Spikeformer", published, 4, 2, 4, 4, options={
    key: {"name": "spikeformer", "image_size": 4, "stem": (), "dim": 8, "depth": 1, "heads": 2,
          "timesteps": 4, "num_classes": 3} | given
    for key, given in {
        "joint": {"attention": "joint"},
        "joint, not causal": {"attention": "joint", "causal": False},
        "spatial": {"attention": "spatial"},
        "temporal": {"attention": "temporal", "_seed": 10},
        "divided": {"attention": "divided", "_seed": 35},
        "divided, not causal": {"attention": "divided", "causal": False, "_seed": 9},
        "plif": {"attention": "spatial", "neuron": "plif"},
    }.items()
})  # fmt: skip


def fire(threshold: float = 1.0) -> nn.Module:
    """The neuron of every family."""
    return neuron.LIFNode(tau=2.0, v_threshold=threshold, detach_reset=True, step_mode="m")


class Branch(nn.Module):
    """Linear, batch norm and neuron on tokens."""

    def __init__(self, width: int, out: int, threshold: float = 1.0) -> None:
        super().__init__()
        self.linear, self.bn, self.lif = nn.Linear(width, out), nn.BatchNorm1d(out), fire(threshold)

    def forward(self, x: Tensor) -> Tensor:
        T, B, N, _ = x.shape
        y = self.bn(self.linear(x.flatten(0, 1)).transpose(-1, -2)).transpose(-1, -2)
        return self.lif(y.reshape(T, B, N, -1).contiguous())


class SSA(nn.Module):
    """Spikformer's attention: (q k^T) v, scaled, through a neuron at 1/2."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, 0.125
        self.q, self.k, self.v = (Branch(dim, dim) for _ in range(3))
        self.attn_lif, self.proj = fire(0.5), Branch(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        T, B, N, C = x.shape
        q, k, v = (b(x).reshape(T, B, N, self.heads, C // self.heads).permute(0, 1, 3, 2, 4)
                   for b in (self.q, self.k, self.v))  # fmt: skip
        y = (q @ k.transpose(-2, -1)) @ v * self.scale
        return self.proj(self.attn_lif(y.transpose(2, 3).reshape(T, B, N, C).contiguous()))


class SDSA(nn.Module):
    """The spike-driven attention: q times the column sums of k * v through a neuron."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.q, self.k, self.v = (Branch(dim, dim) for _ in range(3))
        self.talking, self.proj = fire(0.5), Branch(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.q(x), self.k(x), self.v(x)
        kv = k.mul(v).sum(dim=-2, keepdim=True)
        return self.proj(q.mul(self.talking(kv)))


class QKToken(nn.Module):
    """QKFormer's token attention: a neuron over the channel sums of q masks k."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k = Branch(dim, dim), Branch(dim, dim)
        self.attn_lif, self.proj = fire(0.5), Branch(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        T, B, N, C = x.shape
        q, k = (b(x).reshape(T, B, N, self.heads, C // self.heads) for b in (self.q, self.k))
        mask = self.attn_lif(torch.sum(q, dim=4, keepdim=True))
        return self.proj(torch.mul(mask, k).reshape(T, B, N, C))


class Transformer(nn.Module):
    """A stem, an attention and an MLP with shortcuts, the mean over tokens and steps.

    The image is shown at each of T steps where `T` is given.
    """

    def __init__(self, attention: type[nn.Module], T: int | None = None) -> None:
        super().__init__()
        self.T = T
        self.stem, self.bn, self.lif = nn.Conv2d(2, 8, 2, 2, bias=False), nn.BatchNorm2d(8), fire()
        self.attn, self.fc1, self.fc2 = attention(8, 2), Branch(8, 16), Branch(16, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.T is not None:
            x = x.unsqueeze(0).repeat(self.T, 1, 1, 1, 1)
        T, B, _, H, W = x.shape
        x = self.bn(self.stem(x.flatten(0, 1)))
        x = self.lif(x.reshape(T, B, -1, H // 2, W // 2).contiguous())
        x = x.flatten(-2).transpose(-1, -2)
        x = x + self.attn(x)
        x = x + self.fc2(self.fc1(x))
        return self.head(x.mean(2)).mean(0)


CASES.each("authors' style", Transformer, 4, 2, 4, 4, options={
    "Spikformer": {"attention": SSA, "_seed": 1},
    "spike-driven": {"attention": SDSA},
    "QKFormer": {"attention": QKToken},
    "an image": {"attention": SSA, "T": 4, "_input_layout": "B", "_seed": 1},
})  # fmt: skip
CASES.each("authors' style", Transformer, 1, 2, 4, 4, options={
    "T = 1": {"attention": SDSA},
    "an image, T = 1": {"attention": SSA, "T": 1, "_input_layout": "B", "_seed": 2},
})  # fmt: skip
