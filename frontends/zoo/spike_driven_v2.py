"""Spike-driven Transformer v2 (Meta-SpikeFormer): convolution blocks, then attention blocks.

M. Yao et al., "Spike-driven Transformer V2: Meta Spiking Neural Network Architecture Inspiring the
Design of Next-generation Neuromorphic Chips", ICLR 2024, arXiv:2404.03663; public code
BICLab/Spike-Driven-Transformer-V2. Written anew from a description of its operations; the
parameter counts equal those of the public code.

Letters: T time steps, B samples, C channels, N tokens per step, h heads, d = C / h. x is
[T, B, C, H, W]: a static image is given already repeated over T. All streams are real (membrane
shortcut); every W but those inside RepConv and after the depthwise convolution reads spikes.

    down    BN(conv(x) + b), or of LIF(x) in all but the first: 7x7/2, 3x3/2, 3x3/2, 3x3/2, 3x3/1
    conv    x <- x + SepConv(x);  x <- x + BN(conv3x3(LIF(BN(conv3x3(LIF(x))))))
    SepConv BN(W dw7x7(LIF(BN(W LIF(x)))))
    block   x <- x + SDSA(x);  x <- x + MLP(x)
    SDSA-3  s = LIF(x); q, k, v = LIF(R s); a = LIF_0.5(scale q (k^T v)); R a,
            each R = BN(RepConv)
    MLP     twice BN(W LIF(x) + b)
    head    mean over T of W LIF(mean over tokens of x) + b

Checked against the public code, key by key and spike by spike (`benchmarks/authors.py`). There are
no dead parameters. `SpikeDrivenTransformerV2.keys` also takes `mlp1_`, `mlp2_` for the MLP's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...toolchain.ground.errors import InputError
from .layers import (
    attention_neuron,
    coincidences,
    conv3x3,
    merge_heads,
    neuron,
    per_step,
    split_heads,
)
from .meta_former import CONV_EXPANSION, SEPARABLE_EXPANSION, MetaFormer
from .parts import CurrentMlp, fire
from .public_config import PublicConfig
from .public_model import KeyTable
from .spike_driven_v2_config import SPIKE_DRIVEN_V2, SpikeDrivenV2Config

__all__ = ["SPIKE_DRIVEN_V2", "SpikeDrivenTransformerV2", "SpikeDrivenV2Config"]


class Downsampling(nn.Module):
    """BN(conv(LIF(x)) + b), without LIF where it reads the network's input.

    x [T, B, C, H, W] -> currents [T, B, C', H', W'].
    """

    def __init__(
        self,
        config: PublicConfig,
        channels: tuple[int, int],
        *,
        kernel: int = 3,
        stride: int = 2,
        spikes: bool = True,
    ) -> None:
        super().__init__()
        self.encode_lif = neuron(config) if spikes else nn.Identity()
        self.encode_conv = nn.Conv2d(*channels, kernel, stride, padding=kernel // 2)
        self.encode_bn = nn.BatchNorm2d(channels[1])

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, C', H', W'] of x [T, B, C, H, W]."""
        return per_step(self.encode_lif(x), self.encode_conv, self.encode_bn)


class SeparableConv(nn.Module):
    """SepConv: BN(W dw7x7(LIF(BN(W LIF(x))))), currents [T, B, C, H, W] -> the same shape."""

    def __init__(self, config: PublicConfig, dim: int) -> None:
        super().__init__()
        hidden = SEPARABLE_EXPANSION * dim
        self.lif1 = neuron(config)
        self.pwconv1 = nn.Conv2d(dim, hidden, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.lif2 = neuron(config)
        self.dwconv = nn.Conv2d(hidden, hidden, 7, padding=3, groups=hidden, bias=False)
        self.pwconv2 = nn.Conv2d(hidden, dim, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, C, H, W]."""
        hidden = per_step(self.lif1(x), self.pwconv1, self.bn1)
        return per_step(self.lif2(hidden), self.dwconv, self.pwconv2, self.bn2)


class ConvBlock(nn.Module):
    """x <- x + SepConv(x); x <- x + two of BN(conv3x3(LIF(x))), hidden width 4 C."""

    def __init__(self, config: PublicConfig, dim: int) -> None:
        super().__init__()
        self.Conv = SeparableConv(config, dim)
        self.lif1 = neuron(config)
        self.conv1 = conv3x3(dim, CONV_EXPANSION * dim)
        self.bn1 = nn.BatchNorm2d(CONV_EXPANSION * dim)
        self.lif2 = neuron(config)
        self.conv2 = conv3x3(CONV_EXPANSION * dim, dim)
        self.bn2 = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, C, H, W]."""
        x = self.Conv(x) + x
        hidden = per_step(self.lif1(x), self.conv1, self.bn1)
        return x + per_step(self.lif2(hidden), self.conv2, self.bn2)


class BorderNorm(nn.Module):
    """Batch norm of a map, then a border one pixel wide that holds what the norm makes of 0.

    x [B, C, H, W] -> [B, C, H + 2, W + 2]. In training the statistics are those of the map without
    its border, and the border follows the running ones. In `eval()` both are one affine map, so
    the zeros may as well come first: a trace of `RepConv` takes them from its first convolution's
    padding.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """The normalized map with its border, [B, C, H + 2, W + 2] of x [B, C, H, W]."""
        inner: Tensor = functional.pad(self.bn(x), (1, 1, 1, 1))
        within = functional.pad(torch.ones_like(x[:1, :1]), (1, 1, 1, 1))
        border = torch.ones_like(within) - within
        return inner + border * self.of_zero()

    def of_zero(self) -> Tensor:
        """What the norm, with its running statistics, makes of 0: [C, 1, 1]."""
        bn = self.bn
        mean, variance = cast(Tensor, bn.running_mean), cast(Tensor, bn.running_var)
        value = bn.bias - mean * bn.weight / torch.sqrt(variance + bn.eps)
        return value[:, None, None]


class RepConv(nn.Module):
    """1x1, batch norm with border, depthwise 3x3 without padding, 1x1, batch norm: [B, C, H, W].

    Linear in `eval()`, and equal to one dense 3x3 convolution with zero padding and a bias: for
    kernels A (1x1), s = gain of the first norm and b = its value at 0, D (depthwise), P (1x1),
    W[o, i, y, x] = sum over c of P[o, c] D[c, y, x] s[c] A[c, i] and the bias sum over c, y, x of
    P[o, c] D[c, y, x] b[c], the last norm on top.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(dim, dim, 1, bias=False),
            BorderNorm(dim),
            nn.Sequential(
                nn.Conv2d(dim, dim, 3, groups=dim, bias=False),
                nn.Conv2d(dim, dim, 1, bias=False),
                nn.BatchNorm2d(dim),
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Currents of x, both [B, C, H, W]."""
        if self.training or not torch.compiler.is_compiling():
            return cast(Tensor, self.body(x))
        first, norm, rest = self.body
        # In a trace: a border of 0 before the norm instead of norm(0) after it, so that only plain
        # convolutions and norms are left. One map, but rounded otherwise, so not what is run.
        padded = functional.conv2d(x, first.weight, padding=1)
        return cast(Tensor, rest(norm.bn(padded)))


def _reparameterized(dim: int) -> nn.Sequential:
    return nn.Sequential(RepConv(dim), nn.BatchNorm2d(dim))


class SpikeDrivenSelfAttention(nn.Module):
    """SDSA-3: currents x [T, B, C, H, W] -> currents [T, B, C, H, W].

    s = LIF(x); per head, with q, k, v = LIF(BN(RepConv s)):  a = LIF_0.5(scale q (k^T v)), counts
    0..N d before the scale; then BN(RepConv a).
    """

    def __init__(self, config: SpikeDrivenV2Config, dim: int) -> None:
        super().__init__()
        self.heads, self.scale = config.heads, config.attention_scale
        self.head_lif = neuron(config)
        for name in "qkv":
            self.add_module(f"{name}_conv", _reparameterized(dim))
        for name in "qkv":
            self.add_module(f"{name}_lif", neuron(config))
        self.attn_lif = attention_neuron(config)
        self.proj_conv = _reparameterized(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, C, H, W]."""
        spikes = self.head_lif(x)
        q, k, v = (self._branch(name, spikes) for name in "qkv")
        attended = merge_heads(coincidences(q, k, v, self.scale, "kv"))
        return per_step(self.attn_lif(attended).reshape(x.shape), self.proj_conv)

    def _branch(self, name: str, spikes: Tensor) -> Tensor:
        """q, k or v [T, B, h, N, d] of spikes [T, B, C, H, W]."""
        currents = per_step(spikes, getattr(self, f"{name}_conv"))
        return split_heads(fire(self, name, currents).flatten(3), self.heads)


class Block(nn.Module):
    """x <- x + SDSA(x); x <- x + MLP(x)."""

    def __init__(self, config: SpikeDrivenV2Config, dim: int) -> None:
        super().__init__()
        self.attn = SpikeDrivenSelfAttention(config, dim)
        self.mlp = CurrentMlp(config, dim, nn.Conv1d, ("fc1", "fc2"))

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, C, H, W]."""
        x = x + self.attn(x)
        return cast(Tensor, x + self.mlp(x.flatten(3)).reshape(x.shape))


class SpikeDrivenTransformerV2(MetaFormer):
    """x [T, B, C, H, W] -> logits [B, classes].

    With `distillation`, training gives the pair (logits, logits of the second read-out), both
    [B, classes], and `eval()` their mean.

    Raises `InputError` SFX-E122 for an input of another shape.
    """

    keys: ClassVar[KeyTable] = KeyTable(renames=((r"\bmlp([12])_", r"fc\1_"),))
    downsampling = Downsampling
    conv_block = ConvBlock
    attention_block = Block
    config: SpikeDrivenV2Config

    def __init__(self, config: SpikeDrivenV2Config) -> None:
        super().__init__(config)
        self.lif = neuron(config)
        self.head = nn.Linear(config.dims[3], config.num_classes)
        taught = nn.Linear(config.dims[3], config.num_classes) if config.distillation else None
        self.head_kd = taught

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As `PublicModel.load_state_dict`.

        Raises `InputError` SFX-E172 where the state has a second read-out and the config has none,
        or the other way round: `eval()` gives the mean of both, so the answer depends on it.
        """
        has = any(self.keys.rename(key).startswith("head_kd.") for key in state_dict)
        if strict and has != self.config.distillation:
            found = "head_kd, a second read-out" if has else "no head_kd, no second read-out"
            raise InputError(
                "SFX-E172",
                f"has {found}, but the config has distillation: {not has}".lower(),
                where=f"{self.config.model} state_dict",
                hint="set distillation in the config: true for checkpoints of training with a "
                "teacher (the sizes named _kd), false for the others",
            )
        return super().load_state_dict(state_dict, strict, assign)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits [B, classes] of x [T, B, C, H, W]; with distillation a pair in training."""
        spikes = self.lif(self.features(x).flatten(3).mean(3))
        logits = cast(Tensor, self.head(spikes).mean(0))
        if self.head_kd is None:
            return logits
        taught = cast(Tensor, self.head_kd(spikes).mean(0))
        return (logits, taught) if self.training else (logits + taught) / 2
