"""Spike-driven Transformer v3 (E-SpikeFormer): v2's stages with integer neurons.

M. Yao et al., "Scaling Spike-driven Transformer with Efficient Spike Firing Approximation
Training", IEEE TPAMI 47(4), 2025, arXiv:2411.16061; public code
BICLab/Spike-Driven-Transformer-V3, `SDT_V3/Classification/Model_Base`. Written anew from a
description of its operations; the parameter counts equal those of the public code.

Letters: T time steps, B samples, C channels, N tokens per step, h heads, d = C / h, D spikes of one
step. x is [T, B, C, H, W], T = 1 in the published networks. All streams are real (membrane
shortcut). S(x) = round(clamp(x, 0, D)) / D is a neuron without a memory: its whole number is a
graded spike, or D binary ones in D virtual steps. Every W reads such numbers.

    down    BN(conv(x) + b), or of S(x) in all but the first: 7x7/2, 3x3/2, 3x3/2, 3x3/2, 3x3/1
    conv    x <- x + SepConv7(x);  x <- x + BN(conv3x3(S(BN(conv3x3(S(x))))))
    SepConv BN(W S(BN(dw S(BN(W S(x)))))), depthwise 7x7 in the stages of convolutions, else 3x3
    block   x <- x + SepConv3(x);  x <- x + attention(x);  x <- x + MLP(x)
    attn    s = S(x); q, k = S(BN(W s)) of C channels, v of 4 C; BN(W S(2 / sqrt(d) (q k^T) v))
    MLP     twice BN(W S(x) + b)
    head    mean over T of W round(clamp(m, 0, D)) + b, m the mean over tokens of x

Checked against the public code, key by key and spike by spike (`benchmarks/authors.py`). There are
no dead parameters. The public network takes [B, C, H, W] for our [1, B, C, H, W].
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from ..neurons.integer import MultiSpike
from .layers import conv3x3, merge_heads, per_step, split_heads
from .meta_former import CONV_EXPANSION, SEPARABLE_EXPANSION, MetaFormer
from .spike_driven_v3_config import SPIKE_DRIVEN_V3, SpikeDrivenV3Config

__all__ = ["SPIKE_DRIVEN_V3", "SpikeDrivenTransformerV3", "SpikeDrivenV3Config"]

VALUE_EXPANSION = 4
"""Channels of v over those of q and k."""


def _with_norm(conv: nn.Conv2d) -> nn.Sequential:
    """A convolution and its batch norm, keys `0.weight`, `1.weight`, ..."""
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels))


def _pointwise(a: int, b: int) -> nn.Sequential:
    return _with_norm(nn.Conv2d(a, b, 1, bias=False))


class Downsampling(nn.Module):
    """BN(conv(S(x)) + b), without S where it reads the network's input.

    x [T, B, C, H, W] -> currents [T, B, C', H', W'].
    """

    def __init__(
        self,
        config: SpikeDrivenV3Config,
        channels: tuple[int, int],
        *,
        kernel: int = 3,
        stride: int = 2,
        spikes: bool = True,
    ) -> None:
        super().__init__()
        a, b = channels
        self.encode_conv = nn.Conv2d(a, b, kernel, stride, kernel // 2)
        self.encode_bn = nn.BatchNorm2d(b)
        self.encode_spike = MultiSpike(config.most) if spikes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, C', H', W'] of x [T, B, C, H, W]."""
        return per_step(self.encode_spike(x), self.encode_conv, self.encode_bn)


class SeparableConv(nn.Module):
    """SepConv: BN(W S(BN(dw S(BN(W S(x)))))), currents [T, B, C, H, W] -> the same shape."""

    def __init__(self, config: SpikeDrivenV3Config, dim: int, kernel: int) -> None:
        super().__init__()
        hidden = SEPARABLE_EXPANSION * dim
        depthwise = nn.Conv2d(
            hidden, hidden, kernel, padding=kernel // 2, groups=hidden, bias=False
        )
        self.spike1 = MultiSpike(config.most)
        self.pwconv1 = _pointwise(dim, hidden)
        self.spike2 = MultiSpike(config.most)
        self.dwconv = _with_norm(depthwise)
        self.spike3 = MultiSpike(config.most)
        self.pwconv2 = _pointwise(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, C, H, W]."""
        x = per_step(self.spike1(x), self.pwconv1)
        x = per_step(self.spike2(x), self.dwconv)
        return per_step(self.spike3(x), self.pwconv2)


class ConvBlock(nn.Module):
    """x <- x + SepConv(x); x <- x + two of BN(conv3x3(S(x))), hidden width 4 C."""

    def __init__(self, config: SpikeDrivenV3Config, dim: int) -> None:
        super().__init__()
        self.Conv = SeparableConv(config, dim, kernel=7)
        self.spike1 = MultiSpike(config.most)
        self.conv1 = conv3x3(dim, CONV_EXPANSION * dim)
        self.bn1 = nn.BatchNorm2d(CONV_EXPANSION * dim)
        self.spike2 = MultiSpike(config.most)
        self.conv2 = conv3x3(CONV_EXPANSION * dim, dim)
        self.bn2 = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, C, H, W]."""
        x = self.Conv(x) + x
        hidden = per_step(self.spike1(x), self.conv1, self.bn1)
        return x + per_step(self.spike2(hidden), self.conv2, self.bn2)


class LinearAttention(nn.Module):
    """Currents x [T, B, C, H, W] -> currents [T, B, C, H, W].

    s = S(x); per head, with q, k = S(BN(W s)) [N, d] and v [N, 4 d]:  a = S(2 / sqrt(d) (q k^T) v);
    then BN(W a). q, k and v are whole numbers over D, so (q k^T) v is one over D^3.
    """

    def __init__(self, config: SpikeDrivenV3Config, dim: int) -> None:
        super().__init__()
        self.heads, self.scale = config.heads, (dim // config.heads) ** -0.5 * 2
        self.order = config.order
        self.head_spike = MultiSpike(config.most)
        for name, width in (("q", dim), ("k", dim), ("v", VALUE_EXPANSION * dim)):
            self.add_module(f"{name}_conv", _pointwise(dim, width))
            self.add_module(f"{name}_spike", MultiSpike(config.most))
        self.attn_spike = MultiSpike(config.most)
        self.proj_conv = _pointwise(VALUE_EXPANSION * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, C, H, W]."""
        sent = self.head_spike(x)
        q, k, v = (self._branch(name, sent) for name in "qkv")
        if self.order == "qk":
            products = (q @ k.transpose(-2, -1)) @ v
        else:
            products = q @ (k.transpose(-2, -1) @ v)
        spikes = self.attn_spike(merge_heads(products * self.scale))
        return per_step(spikes.reshape(*spikes.shape[:3], *x.shape[3:]), self.proj_conv)

    def _branch(self, name: str, sent: Tensor) -> Tensor:
        """q, k or v [T, B, h, N, d] of what the first neuron sent, [T, B, C, H, W]."""
        currents = per_step(sent, getattr(self, f"{name}_conv"))
        return split_heads(getattr(self, f"{name}_spike")(currents).flatten(3), self.heads)


class Mlp(nn.Module):
    """Twice BN(W S(x) + b): currents [T, B, C, H, W] -> the same shape."""

    def __init__(self, config: SpikeDrivenV3Config, dim: int) -> None:
        super().__init__()
        hidden = config.hidden(dim)
        for name, a, b in (("fc1", dim, hidden), ("fc2", hidden, dim)):
            self.add_module(f"{name}_conv", nn.Conv1d(a, b, 1))
            self.add_module(f"{name}_bn", nn.BatchNorm1d(b))
            self.add_module(f"{name}_spike", MultiSpike(config.most))

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, C, H, W]."""
        y = x.flatten(3)
        for name in ("fc1", "fc2"):
            spike, conv, norm = (getattr(self, f"{name}_{p}") for p in ("spike", "conv", "bn"))
            y = per_step(spike(y), conv, norm)
        return y.reshape(x.shape)


class Block(nn.Module):
    """x <- x + SepConv(x); x <- x + attention(x); x <- x + MLP(x)."""

    def __init__(self, config: SpikeDrivenV3Config, dim: int) -> None:
        super().__init__()
        self.conv = SeparableConv(config, dim, kernel=3)
        self.attn = LinearAttention(config, dim)
        self.mlp = Mlp(config, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, C, H, W]."""
        x = x + self.conv(x)
        x = x + self.attn(x)
        return cast(Tensor, x + self.mlp(x))


class SpikeDrivenTransformerV3(MetaFormer):
    """x [T, B, C, H, W] -> logits [B, classes].

    Raises `InputError` SFX-E122 for an input of another shape.
    """

    downsampling = Downsampling
    conv_block = ConvBlock
    attention_block = Block
    config: SpikeDrivenV3Config

    def __init__(self, config: SpikeDrivenV3Config) -> None:
        super().__init__(config)
        self.head = nn.Linear(config.dims[3], config.num_classes)
        self.spike = MultiSpike(config.most, norm=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of x [T, B, C, H, W]."""
        spikes = self.spike(self.features(x).flatten(3).mean(3))
        return cast(Tensor, self.head(spikes).mean(0))
