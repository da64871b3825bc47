"""Spikingformer: Spikformer with a real-valued (membrane) shortcut, so that weights see spikes.

C. Zhou et al., "Spikingformer: Spike-driven Residual Learning for Transformer-based Spiking Neural
Network", arXiv:2304.11954; public code zhouchenlin2096/Spikingformer (Apache-2.0). Written anew
from a description of its operations; the parameter counts equal those of the public code.

Letters: T time steps, B samples, C channels, N tokens per step, D token channels, h heads,
d = D / h. x is [T, B, C, H, W]: a static image is given already repeated over T, events as counts.

    stem    BN(conv3x3), then 4 times BN(conv3x3(LIF x)), max-pool (an OR) after some of the LIF
    block   x <- x + SSA(x);  x <- x + MLP(x)                    x real, every W reads spikes
    SSA     s = LIF(x); q, k, v = LIF(BN(W s)); a = LIF_0.5(scale (q k^T) v); BN(W a + b)
    MLP     twice BN(W LIF(x) + b)
    head    W (mean over tokens and T of the real x) + b, no neuron before it

tau is 2 on images and 1.5 in every neuron on events.

Checked against the public code, key by key and spike by spike (`benchmarks/authors.py`). Dead, held
but never read: block.N.norm1 and norm2 (weight, bias).
`Spikingformer.keys` also takes the stem's layers as `proj_conv1` for `proj1_conv`, the MLP's as
`fc1_` for `mlp1_`, and matrices or 1-d kernels for 1x1 kernels.
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
from .public_model import KeyTable, PublicModel, unused_norm
from .spikingformer_config import SPIKINGFORMER, SpikingformerConfig

__all__ = ["SPIKINGFORMER", "Spikingformer", "SpikingformerConfig"]


class SpikingTokenizer(nn.Module):
    """Stem: x [T, B, C, H, W] -> currents [T, B, D, H', W'], H' = H / reduction.

    Widths D/8, D/4, D/2, D, D. Only the first convolution reads values that are not spikes.
    """

    def __init__(self, config: SpikingformerConfig) -> None:
        super().__init__()
        dim = config.dim
        self.pools = config.pools
        self.proj_conv = conv3x3(config.in_channels, dim // 8)
        self.proj_bn = nn.BatchNorm2d(dim // 8)
        self.proj1_lif = neuron(config)
        self.proj1_conv = conv3x3(dim // 8, dim // 4)
        self.proj1_bn = nn.BatchNorm2d(dim // 4)
        self.proj2_lif = neuron(config)
        self.proj2_conv = conv3x3(dim // 4, dim // 2)
        self.proj2_bn = nn.BatchNorm2d(dim // 2)
        self.proj3_lif = neuron(config)
        self.proj3_conv = conv3x3(dim // 2, dim)
        self.proj3_bn = nn.BatchNorm2d(dim)
        self.proj4_lif = neuron(config)
        self.proj4_conv = conv3x3(dim, dim)
        self.proj4_bn = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, D, H', W'] of x [T, B, C, H, W]."""
        stages = (
            (self.proj1_lif, self.proj1_conv, self.proj1_bn),
            (self.proj2_lif, self.proj2_conv, self.proj2_bn),
            (self.proj3_lif, self.proj3_conv, self.proj3_bn),
            (self.proj4_lif, self.proj4_conv, self.proj4_bn),
        )
        x = per_step(x, self.proj_conv, self.proj_bn)
        for (lif, conv, bn), pooled in zip(stages, self.pools, strict=True):
            spikes = lif(x)
            spikes = pool(spikes) if pooled == "1" else spikes
            x = per_step(spikes, conv, bn)
        return x


class SpikingSelfAttention(nn.Module):
    """SSA: currents x [T, B, D, H, W] -> currents [T, B, D, H, W].

    s = LIF(x); per head, with q, k, v = LIF(BN(W s)):  a = LIF_0.5(scale (q k^T) v), counts 0..N d
    before the scale; then BN(W a + b).
    """

    def __init__(self, config: SpikingformerConfig) -> None:
        super().__init__()
        dim = config.dim
        self.heads, self.scale, self.order = config.heads, config.attention_scale, config.order
        self.proj_lif = neuron(config)
        self.q_conv = nn.Conv1d(dim, dim, 1, bias=False)
        self.q_bn = nn.BatchNorm1d(dim)
        self.q_lif = neuron(config)
        self.k_conv = nn.Conv1d(dim, dim, 1, bias=False)
        self.k_bn = nn.BatchNorm1d(dim)
        self.k_lif = neuron(config)
        self.v_conv = nn.Conv1d(dim, dim, 1, bias=False)
        self.v_bn = nn.BatchNorm1d(dim)
        self.v_lif = neuron(config)
        self.attn_lif = attention_neuron(config)
        self.proj_conv = nn.Conv1d(dim, dim, 1)
        self.proj_bn = nn.BatchNorm1d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, D, H, W]."""
        spikes = self.proj_lif(x).flatten(3)
        q = split_heads(self.q_lif(per_step(spikes, self.q_conv, self.q_bn)), self.heads)
        k = split_heads(self.k_lif(per_step(spikes, self.k_conv, self.k_bn)), self.heads)
        v = split_heads(self.v_lif(per_step(spikes, self.v_conv, self.v_bn)), self.heads)
        attended = merge_heads(coincidences(q, k, v, self.scale, self.order))
        return per_step(self.attn_lif(attended), self.proj_conv, self.proj_bn).reshape(x.shape)


class Mlp(nn.Module):
    """Currents x [T, B, D, H, W] -> hidden [T, B, r D, H, W] -> currents [T, B, D, H, W]."""

    def __init__(self, config: SpikingformerConfig) -> None:
        super().__init__()
        dim, hidden = config.dim, config.hidden(config.dim)
        self.mlp1_lif = neuron(config)
        self.mlp1_conv = nn.Conv2d(dim, hidden, 1)
        self.mlp1_bn = nn.BatchNorm2d(hidden)
        self.mlp2_lif = neuron(config)
        self.mlp2_conv = nn.Conv2d(hidden, dim, 1)
        self.mlp2_bn = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, D, H, W]."""
        hidden = per_step(self.mlp1_lif(x), self.mlp1_conv, self.mlp1_bn)
        return per_step(self.mlp2_lif(hidden), self.mlp2_conv, self.mlp2_bn)


class Block(nn.Module):
    """x <- x + SSA(x); x <- x + MLP(x). The two norms are dead: no forward pass reads them."""

    def __init__(self, config: SpikingformerConfig) -> None:
        super().__init__()
        self.norm1 = unused_norm(config.dim)
        self.attn = SpikingSelfAttention(config)
        self.norm2 = unused_norm(config.dim)
        self.mlp = Mlp(config)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, D, H, W]."""
        x = x + self.attn(x)
        return cast(Tensor, x + self.mlp(x))


class Spikingformer(PublicModel):
    """x [T, B, C, H, W] -> logits [B, classes], in training too.

    Raises `InputError` SFX-E122 for an input of another shape.
    """

    keys: ClassVar[KeyTable] = KeyTable(
        renames=(
            (r"^patch_embed\.proj_(conv|bn)([1-4])\.", r"patch_embed.proj\2_\1."),
            (r"^patch_embed\.block0_", "patch_embed.proj_"),
            (r"^patch_embed\.block([1-4])_", r"patch_embed.proj\1_"),
            (r"\bfc([12])_", r"mlp\1_"),
        ),
        dead=(r"^block\.\d+\.norm[12]\.",),
    )

    def __init__(self, config: SpikingformerConfig) -> None:
        super().__init__(config)
        self.patch_embed = SpikingTokenizer(config)
        self.block = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.head = Readout(config.dim, config.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of x [T, B, C, H, W]."""
        self.check_input(x)
        x = self.patch_embed(x)
        for block in self.block:
            x = block(x)
        return cast(Tensor, self.head(x))
