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

from itertools import pairwise
from typing import ClassVar, cast

from torch import Tensor, nn

from .layers import Readout, attention_neuron, coincidences, conv3x3, merge_heads, pool, split_heads
from .parts import (
    Block,
    CurrentMlp,
    IsotropicModel,
    add_branches,
    add_conv,
    add_lif,
    current,
    fire,
    spikes,
)
from .public_model import KeyTable
from .spikingformer_config import SPIKINGFORMER, SpikingformerConfig

__all__ = ["SPIKINGFORMER", "Spikingformer", "SpikingformerConfig"]


class SpikingTokenizer(nn.Module):
    """Stem: x [T, B, C, H, W] -> currents [T, B, D, H', W'], H' = H / reduction.

    Widths D/8, D/4, D/2, D, D. Only the first convolution reads values that are not spikes.
    """

    STAGES = ("proj1", "proj2", "proj3", "proj4")

    def __init__(self, config: SpikingformerConfig) -> None:
        super().__init__()
        self.pools = config.pools
        widths = (*config.stem_widths, config.dim)
        add_conv(self, "proj", conv3x3(*widths[:2]))
        for name, (a, b) in zip(self.STAGES, pairwise(widths[1:]), strict=True):
            add_lif(self, name, config)
            add_conv(self, name, conv3x3(a, b))

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, D, H', W'] of x [T, B, C, H, W]."""
        x = current(self, "proj", x)
        for name, pooled in zip(self.STAGES, self.pools, strict=True):
            sent = fire(self, name, x)
            x = current(self, name, pool(sent) if pooled == "1" else sent)
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
        add_lif(self, "proj", config)
        add_branches(self, "qkv", config, nn.Conv1d, dim, bias=False)
        self.attn_lif = attention_neuron(config)
        add_conv(self, "proj", nn.Conv1d(dim, dim, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, D, H, W]."""
        tokens = fire(self, "proj", x).flatten(3)
        q, k, v = (split_heads(spikes(self, name, tokens), self.heads) for name in "qkv")
        attended = merge_heads(coincidences(q, k, v, self.scale, self.order))
        return current(self, "proj", self.attn_lif(attended)).reshape(x.shape)


def _block(config: SpikingformerConfig) -> Block:
    """Currents [T, B, D, H, W] of currents."""
    attention = SpikingSelfAttention(config)
    mlp = CurrentMlp(config, config.dim, nn.Conv2d, ("mlp1", "mlp2"))
    return Block(attention, mlp, dead_norms=config.dim)


class Spikingformer(IsotropicModel):
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
        self.block = nn.ModuleList(_block(config) for _ in range(config.depth))
        self.head = Readout(config.dim, config.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of x [T, B, C, H, W]."""
        return cast(Tensor, self.head(self.features(x)))
