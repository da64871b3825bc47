"""Spikformer: spiking self-attention, residuals that add spikes.

Z. Zhou et al., "Spikformer: When Spiking Neural Network Meets Transformer", ICLR 2023,
arXiv:2209.15425; public code ZK-Zhou/spikformer (MIT). Written anew from a description of its
operations; the parameter counts equal those of the public code.

Letters: T time steps, B samples, C channels, N tokens per step, D token channels, h heads,
d = D / h. x is [T, B, C, H, W]: a static image is given already repeated over T, events as counts.

    stem    4 stages LIF(BN(conv3x3)), max-pool (an OR) after some; then x + LIF(BN(conv3x3 x))
    block   x <- x + SSA(x);  x <- x + MLP(x)         counts: block i (from 0) reads 0..2i+2
    SSA     q, k, v = LIF(BN(W x)); a = LIF_0.5(scale (q k^T) v); LIF(BN(W a))
    MLP     two LIF(BN(W x + b))
    head    W (mean over tokens and T) + b

Checked against the public code, key by key and spike by spike (`benchmarks/authors.py`). Dead, held
but never read: block.N.norm1 and norm2 (weight, bias); in the event code also norm (weight, bias)
and pos_embed [1, N, D]. `Spikformer.keys` also takes `*_linear` (the CIFAR code, whose 1x1
kernels are matrices) and `mlp1_`, `mlp2_` for the MLP's layers.
"""

from __future__ import annotations

import math
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import Readout
from .parts import Block, IsotropicModel, PatchSplitting, SpikeMlp, SpikingSelfAttention, spikes
from .public_model import KeyTable, unused, unused_norm
from .spikformer_config import SPIKFORMER, SpikformerConfig

__all__ = ["SPIKFORMER", "Spikformer", "SpikformerConfig"]


class SpikingPatchSplitting(PatchSplitting):
    """Stem (SPS): x [T, B, C, H, W] -> counts 0..2 [T, B, D, H', W'], H' = H / reduction.

    Four stages of widths D/8, D/4, D/2, D, then a convolution in place of a position embedding
    (RPE): x + LIF(BN(conv3x3 x)).
    """

    def __init__(self, config: SpikformerConfig) -> None:
        super().__init__(config, last_fires=True)

    def forward(self, x: Tensor) -> Tensor:
        """Counts [T, B, D, H', W'] of x [T, B, C, H, W]."""
        for i in range(len(self.pools)):
            x = self.stage(i, x)
        return x + spikes(self, "rpe", x)


# The authors' three codes write these 1x1 kernels over tokens as a Linear, a Conv1d and a Conv2d.
# torch adds the products of each in another order, which decides about a sum at the threshold, so
# each preset computes as its code does. A trace adds in no order and has the plain Conv1d.


class LinearConv(nn.Conv1d):
    """A 1x1 kernel over tokens [B, C, N], added up as the CIFAR code's Linear."""

    def forward(self, x: Tensor) -> Tensor:
        """Currents [B, C', N] of x [B, C, N]."""
        if torch.compiler.is_compiling():
            return super().forward(x)
        tokens = x.transpose(1, 2).contiguous()  # else torch adds the bias in a step of its own
        return functional.linear(tokens, self.weight[..., 0], self.bias).transpose(1, 2)


class MapConv(nn.Conv1d):
    """A 1x1 kernel over tokens [B, C, N] of a square map, added up as the ImageNet code's Conv2d.

    On the DVS code's maps that is as its Conv1d.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Currents [B, C', N] of x [B, C, N]."""
        if torch.compiler.is_compiling():
            return super().forward(x)
        edge = math.isqrt(x.shape[2])
        maps = x.unflatten(2, (edge, edge))
        return functional.conv2d(maps, self.weight[..., None], self.bias).flatten(2)


def _block(config: SpikformerConfig) -> Block:
    """Counts [T, B, D, N] of counts. A bias of q, k and v marks the CIFAR code."""
    cifar = config.qkv_bias
    attention = SpikingSelfAttention(
        config,
        config.dim,
        scale=config.attention_scale,
        order=config.order,
        bias=config.qkv_bias,
        conv=LinearConv if cifar else nn.Conv1d,
    )
    mlp = SpikeMlp(config, config.dim, LinearConv if cifar else MapConv, ("fc1", "fc2"))
    return Block(attention, mlp, dead_norms=config.dim)


class Spikformer(IsotropicModel):
    """x [T, B, C, H, W] -> logits [B, classes], in training too.

    Raises `InputError` SFX-E122 for an input of another shape.
    """

    keys: ClassVar[KeyTable] = KeyTable(
        renames=(
            (r"\bmlp([12])_", r"fc\1_"),
            (r"\b(q|k|v|proj|fc1|fc2)_linear\.", r"\1_conv."),
        ),
        dead=(r"^block\.\d+\.norm[12]\.", r"^pos_embed$", r"^norm\."),
    )

    def __init__(self, config: SpikformerConfig) -> None:
        super().__init__(config)
        self.patch_embed = SpikingPatchSplitting(config)
        if config.dead_position:
            self.pos_embed = unused((1, config.tokens, config.dim))
            self.norm = unused_norm(config.dim)
        self.block = nn.ModuleList(_block(config) for _ in range(config.depth))
        self.head = Readout(config.dim, config.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of x [T, B, C, H, W]."""
        return cast(Tensor, self.head(self.features(x)))

    def embed(self, x: Tensor) -> Tensor:
        """Tokens [T, B, D, N] of x [T, B, C, H, W]."""
        return super().embed(x).flatten(3)
