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

from typing import ClassVar, cast

from torch import Tensor, nn

from .layers import (
    Readout,
    attention_neuron,
    coincidences,
    conv3x3,
    merge_heads,
    neuron,
    per_step,
    pool,
    split_heads,
)
from .public_model import KeyTable, PublicModel, unused, unused_norm
from .spikformer_config import SPIKFORMER, SpikformerConfig

__all__ = ["SPIKFORMER", "Spikformer", "SpikformerConfig"]


class SpikingPatchSplitting(nn.Module):
    """Stem (SPS): x [T, B, C, H, W] -> counts 0..2 [T, B, D, H', W'], H' = H / reduction.

    Four stages of widths D/8, D/4, D/2, D, then a convolution in place of a position embedding
    (RPE): x + LIF(BN(conv3x3 x)).
    """

    def __init__(self, config: SpikformerConfig) -> None:
        super().__init__()
        dim = config.dim
        self.pools = config.pools
        self.proj_conv = conv3x3(config.in_channels, dim // 8)
        self.proj_bn = nn.BatchNorm2d(dim // 8)
        self.proj_lif = neuron(config)
        self.proj_conv1 = conv3x3(dim // 8, dim // 4)
        self.proj_bn1 = nn.BatchNorm2d(dim // 4)
        self.proj_lif1 = neuron(config)
        self.proj_conv2 = conv3x3(dim // 4, dim // 2)
        self.proj_bn2 = nn.BatchNorm2d(dim // 2)
        self.proj_lif2 = neuron(config)
        self.proj_conv3 = conv3x3(dim // 2, dim)
        self.proj_bn3 = nn.BatchNorm2d(dim)
        self.proj_lif3 = neuron(config)
        self.rpe_conv = conv3x3(dim, dim)
        self.rpe_bn = nn.BatchNorm2d(dim)
        self.rpe_lif = neuron(config)

    def forward(self, x: Tensor) -> Tensor:
        """Counts [T, B, D, H', W'] of x [T, B, C, H, W]."""
        stages = (
            (self.proj_conv, self.proj_bn, self.proj_lif),
            (self.proj_conv1, self.proj_bn1, self.proj_lif1),
            (self.proj_conv2, self.proj_bn2, self.proj_lif2),
            (self.proj_conv3, self.proj_bn3, self.proj_lif3),
        )
        for (conv, bn, lif), pooled in zip(stages, self.pools, strict=True):
            x = lif(per_step(x, conv, bn))
            x = pool(x) if pooled == "1" else x
        return cast(Tensor, x + self.rpe_lif(per_step(x, self.rpe_conv, self.rpe_bn)))


class SpikingSelfAttention(nn.Module):
    """SSA: counts x [T, B, D, N] -> spikes [T, B, D, N].

    Per head, with q, k, v = LIF(BN(W x)) in {0, 1}:  a = LIF_0.5(scale (q k^T) v), counts 0..N d
    before the scale; then LIF(BN(W a + b)) over all heads together.
    """

    def __init__(self, config: SpikformerConfig) -> None:
        super().__init__()
        dim, bias = config.dim, config.qkv_bias
        self.heads, self.scale, self.order = config.heads, config.attention_scale, config.order
        self.q_conv = nn.Conv1d(dim, dim, 1, bias=bias)
        self.q_bn = nn.BatchNorm1d(dim)
        self.q_lif = neuron(config)
        self.k_conv = nn.Conv1d(dim, dim, 1, bias=bias)
        self.k_bn = nn.BatchNorm1d(dim)
        self.k_lif = neuron(config)
        self.v_conv = nn.Conv1d(dim, dim, 1, bias=bias)
        self.v_bn = nn.BatchNorm1d(dim)
        self.v_lif = neuron(config)
        self.attn_lif = attention_neuron(config)
        self.proj_conv = nn.Conv1d(dim, dim, 1)
        self.proj_bn = nn.BatchNorm1d(dim)
        self.proj_lif = neuron(config)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, D, N] of counts x [T, B, D, N]."""
        q = split_heads(self.q_lif(per_step(x, self.q_conv, self.q_bn)), self.heads)
        k = split_heads(self.k_lif(per_step(x, self.k_conv, self.k_bn)), self.heads)
        v = split_heads(self.v_lif(per_step(x, self.v_conv, self.v_bn)), self.heads)
        attended = merge_heads(coincidences(q, k, v, self.scale, self.order))
        spikes = self.attn_lif(attended)
        return cast(Tensor, self.proj_lif(per_step(spikes, self.proj_conv, self.proj_bn)))


class Mlp(nn.Module):
    """Counts x [T, B, D, N] -> hidden spikes [T, B, r D, N] -> spikes [T, B, D, N]."""

    def __init__(self, config: SpikformerConfig) -> None:
        super().__init__()
        dim, hidden = config.dim, config.hidden(config.dim)
        self.fc1_conv = nn.Conv1d(dim, hidden, 1)
        self.fc1_bn = nn.BatchNorm1d(hidden)
        self.fc1_lif = neuron(config)
        self.fc2_conv = nn.Conv1d(hidden, dim, 1)
        self.fc2_bn = nn.BatchNorm1d(dim)
        self.fc2_lif = neuron(config)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, D, N] of counts x [T, B, D, N]."""
        hidden = self.fc1_lif(per_step(x, self.fc1_conv, self.fc1_bn))
        return cast(Tensor, self.fc2_lif(per_step(hidden, self.fc2_conv, self.fc2_bn)))


class Block(nn.Module):
    """x <- x + SSA(x); x <- x + MLP(x). The two norms are dead: no forward pass reads them."""

    def __init__(self, config: SpikformerConfig) -> None:
        super().__init__()
        self.norm1 = unused_norm(config.dim)
        self.attn = SpikingSelfAttention(config)
        self.norm2 = unused_norm(config.dim)
        self.mlp = Mlp(config)

    def forward(self, x: Tensor) -> Tensor:
        """Counts [T, B, D, N] of counts x [T, B, D, N]."""
        x = x + self.attn(x)
        return cast(Tensor, x + self.mlp(x))


class Spikformer(PublicModel):
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
        self.block = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.head = Readout(config.dim, config.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of x [T, B, C, H, W]."""
        self.check_input(x)
        x = self.patch_embed(x).flatten(3)
        for block in self.block:
            x = block(x)
        return cast(Tensor, self.head(x))
