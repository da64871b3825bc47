"""QKFormer: token attention without a matrix product, in stages of growing width.

C. Zhou et al., "QKFormer: Hierarchical Spiking Transformer using Q-K Attention", NeurIPS 2024,
arXiv:2403.16552; public code zhouchenlin2096/QKFormer. Written anew from a description of its
operations; the parameter and neuron counts equal those of the public code.

Letters: T time steps, B samples, C channels, N tokens per step, h heads, d = C / h. x is
[T, B, C, H, W]: a static image is given already repeated over T, events as counts.

    stem    stages LIF(BN(conv3x3)), and beside them a shortcut LIF(BN(conv1x1)), added: counts 0..2
    block   x <- x + attention(x);  x <- x + MLP(x)      counts: block i of a stage reads 0..2i+2
    down    two LIF(BN(conv3x3)), a max-pool before one of the two neurons, + LIF(BN(conv1x1/2 x)):
            counts 0..2
    token   q, k = LIF(BN(W x)); m = LIF_0.5(sum over a head's channels of q), which is their OR;
            LIF(BN(W (m AND k) + b))                     all stages but the last
    SSA     q, k, v = LIF(BN(W x)); a = LIF_0.5(scale q (k^T v)); LIF(BN(W a + b))    last stage
    MLP     two LIF(BN(W x + b))
    head    W (mean over tokens and T) + b

Every pool takes the maximum of currents, before the neuron: it is no OR.

Checked against the public code, key by key and spike by spike (`benchmarks/authors.py`). There are
no dead parameters. `QKFormer.keys` also takes `ssa` for the last stage's `attn` (CIFAR and event
codes), `fc1_`, `fc2_` for the MLP's layers (ImageNet), `proj_conv` for `proj3_conv` between stages
(event codes), and matrices or 1-d kernels for 1x1 kernels. The public code takes (W, H) for (H, W)
in one reshape; maps are square here, so that has no effect. It also runs SSA's last neuron over
T * B steps in place of T: at B = 1 that is the same, and at more the membrane goes from one sample
to the next. Here every sample starts from rest, as on the chip.
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
from .public_model import KeyTable, PublicModel
from .qkformer_config import QKFORMER, QKFormerConfig

__all__ = ["QKFORMER", "QKFormer", "QKFormerConfig"]


class Stem(nn.Module):
    """x [T, B, C, H, W] -> counts 0..2 [T, B, C1, H', W'].

    Its layers are `proj_conv`, `proj_bn`, `proj_lif`, then `proj1_conv` and so on; the shortcut
    leaves after `stem_branch` of them, goes round the rest with a stride, and is added.
    """

    def __init__(self, config: QKFormerConfig) -> None:
        super().__init__()
        dim = config.dims[0]
        widths = (config.in_channels, *(dim // divisor for divisor in config.stem_divisors))
        self.pools, self.branch = config.stem_pools, config.stem_branch
        self.prefixes = tuple(f"proj{i or ''}" for i in range(len(self.pools)))
        for prefix, a, b in zip(self.prefixes, widths, widths[1:], strict=False):
            self.add_module(f"{prefix}_conv", conv3x3(a, b))
            self.add_module(f"{prefix}_bn", nn.BatchNorm2d(b))
            self.add_module(f"{prefix}_lif", neuron(config))
        self.proj_res_conv = nn.Conv2d(
            widths[self.branch], dim, 1, stride=config.stem_stride, bias=False
        )
        self.proj_res_bn = nn.BatchNorm2d(dim)
        self.proj_res_lif = neuron(config)

    def forward(self, x: Tensor) -> Tensor:
        """Counts [T, B, C1, H', W'] of x [T, B, C, H, W]."""
        shortcut = x
        for i, prefix in enumerate(self.prefixes):
            shortcut = x if i == self.branch else shortcut
            conv, bn = self.get_submodule(f"{prefix}_conv"), self.get_submodule(f"{prefix}_bn")
            current = per_step(x, conv, bn)
            current = pool(current) if self.pools[i] == "1" else current
            x = self.get_submodule(f"{prefix}_lif")(current)
        shortcut = per_step(shortcut, self.proj_res_conv, self.proj_res_bn)
        return cast(Tensor, x + self.proj_res_lif(shortcut))


class PatchEmbedding(nn.Module):
    """Between two stages: counts x [T, B, C, H, W] -> counts 0..2 [T, B, 2 C, H/2, W/2].

    `down_pools` says which of the two convolutions has the pool: the second in the CIFAR and event
    codes, the first in the ImageNet code.
    """

    def __init__(self, config: QKFormerConfig, dim: int) -> None:
        super().__init__()
        self.pools = config.down_pools
        self.proj3_conv = conv3x3(dim // 2, dim)
        self.proj3_bn = nn.BatchNorm2d(dim)
        self.proj3_lif = neuron(config)
        self.proj4_conv = conv3x3(dim, dim)
        self.proj4_bn = nn.BatchNorm2d(dim)
        self.proj4_lif = neuron(config)
        self.proj_res_conv = nn.Conv2d(dim // 2, dim, 1, stride=2, bias=False)
        self.proj_res_bn = nn.BatchNorm2d(dim)
        self.proj_res_lif = neuron(config)

    def forward(self, x: Tensor) -> Tensor:
        """Counts [T, B, 2 C, H/2, W/2] of counts x [T, B, C, H, W]."""
        hidden = per_step(x, self.proj3_conv, self.proj3_bn)
        hidden = self.proj3_lif(pool(hidden) if self.pools[0] == "1" else hidden)
        current = per_step(hidden, self.proj4_conv, self.proj4_bn)
        spikes = self.proj4_lif(pool(current) if self.pools[1] == "1" else current)
        shortcut = self.proj_res_lif(per_step(x, self.proj_res_conv, self.proj_res_bn))
        return cast(Tensor, spikes + shortcut)


class TokenAttention(nn.Module):
    """Q-K token attention: counts x [T, B, C, H, W] -> spikes [T, B, C, H, W].

    Per head, with q, k in {0, 1}:  m = LIF_0.5(sum over the head's d channels of q) [1, N], then
    m k, the same m for every channel; all heads together LIF(BN(W (m k) + b)). m is the OR over the
    channels of q: its neuron gets whole numbers, a count of one leaves v = 0.5 = the threshold.
    """

    def __init__(self, config: QKFormerConfig, dim: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_conv = nn.Conv1d(dim, dim, 1, bias=False)
        self.q_bn = nn.BatchNorm1d(dim)
        self.q_lif = neuron(config)
        self.k_conv = nn.Conv1d(dim, dim, 1, bias=False)
        self.k_bn = nn.BatchNorm1d(dim)
        self.k_lif = neuron(config)
        self.attn_lif = attention_neuron(config)
        self.proj_conv = nn.Conv1d(dim, dim, 1)
        self.proj_bn = nn.BatchNorm1d(dim)
        self.proj_lif = neuron(config)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of counts x, both [T, B, C, H, W]."""
        tokens = x.flatten(3)
        q = self._split(self.q_lif(per_step(tokens, self.q_conv, self.q_bn)))
        k = self._split(self.k_lif(per_step(tokens, self.k_conv, self.k_bn)))
        mask = self.attn_lif(q.sum(dim=3, keepdim=True))
        attended = (mask * k).flatten(2, 3)
        spikes = self.proj_lif(per_step(attended, self.proj_conv, self.proj_bn))
        return cast(Tensor, spikes.reshape(x.shape))

    def _split(self, x: Tensor) -> Tensor:
        """[T, B, C, N] -> [T, B, h, d, N]."""
        steps, batch, channels, tokens = x.shape
        return x.reshape(steps, batch, self.heads, channels // self.heads, tokens)


class SpikingSelfAttention(nn.Module):
    """SSA: counts x [T, B, C, H, W] -> spikes [T, B, C, H, W].

    Per head, with q, k, v = LIF(BN(W x)) in {0, 1}:  a = LIF_0.5(scale q (k^T v)), counts 0..N d
    before the scale; then LIF(BN(W a + b)) over all heads together.
    """

    def __init__(self, config: QKFormerConfig, dim: int) -> None:
        super().__init__()
        self.heads, self.scale = config.heads, config.attention_scale
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
        self.proj_lif = neuron(config)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of counts x, both [T, B, C, H, W]."""
        tokens = x.flatten(3)
        q = split_heads(self.q_lif(per_step(tokens, self.q_conv, self.q_bn)), self.heads)
        k = split_heads(self.k_lif(per_step(tokens, self.k_conv, self.k_bn)), self.heads)
        v = split_heads(self.v_lif(per_step(tokens, self.v_conv, self.v_bn)), self.heads)
        attended = merge_heads(coincidences(q, k, v, self.scale, "kv"))
        spikes = self.proj_lif(per_step(self.attn_lif(attended), self.proj_conv, self.proj_bn))
        return cast(Tensor, spikes.reshape(x.shape))


class Mlp(nn.Module):
    """Counts x [T, B, C, H, W] -> hidden spikes [T, B, r C, H, W] -> spikes [T, B, C, H, W]."""

    def __init__(self, config: QKFormerConfig, dim: int) -> None:
        super().__init__()
        hidden = config.hidden(dim)
        self.mlp1_conv = nn.Conv2d(dim, hidden, 1)
        self.mlp1_bn = nn.BatchNorm2d(hidden)
        self.mlp1_lif = neuron(config)
        self.mlp2_conv = nn.Conv2d(hidden, dim, 1)
        self.mlp2_bn = nn.BatchNorm2d(dim)
        self.mlp2_lif = neuron(config)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of counts x, both [T, B, C, H, W]."""
        hidden = self.mlp1_lif(per_step(x, self.mlp1_conv, self.mlp1_bn))
        return cast(Tensor, self.mlp2_lif(per_step(hidden, self.mlp2_conv, self.mlp2_bn)))


class TokenBlock(nn.Module):
    """x <- x + token attention(x); x <- x + MLP(x)."""

    def __init__(self, config: QKFormerConfig, dim: int) -> None:
        super().__init__()
        self.tssa = TokenAttention(config, dim)
        self.mlp = Mlp(config, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Counts of counts x, both [T, B, C, H, W]."""
        x = x + self.tssa(x)
        return cast(Tensor, x + self.mlp(x))


class Block(nn.Module):
    """x <- x + SSA(x); x <- x + MLP(x)."""

    def __init__(self, config: QKFormerConfig, dim: int) -> None:
        super().__init__()
        self.attn = SpikingSelfAttention(config, dim)
        self.mlp = Mlp(config, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Counts of counts x, both [T, B, C, H, W]."""
        x = x + self.attn(x)
        return cast(Tensor, x + self.mlp(x))


class QKFormer(PublicModel):
    """x [T, B, C, H, W] -> logits [B, classes], in training too.

    Stage i, from 1, is `patch_embed{i}` and the blocks `stage{i}`.
    Raises `InputError` SFX-E122 for an input of another shape.
    """

    keys: ClassVar[KeyTable] = KeyTable(
        renames=(
            (r"^(stage\d+\.\d+)\.ssa\.", r"\1.attn."),
            (r"\bfc([12])_", r"mlp\1_"),
            (r"^(patch_embed[2-9])\.proj_(conv|bn|lif)\b", r"\1.proj3_\2"),
        )
    )

    def __init__(self, config: QKFormerConfig) -> None:
        super().__init__(config)
        self.stages = len(config.depths)
        for i, (dim, depth) in enumerate(zip(config.dims, config.depths, strict=True), start=1):
            kind = Block if i == self.stages else TokenBlock
            embedding = Stem(config) if i == 1 else PatchEmbedding(config, dim)
            self.add_module(f"patch_embed{i}", embedding)
            self.add_module(f"stage{i}", nn.ModuleList(kind(config, dim) for _ in range(depth)))
        self.head = Readout(config.dim, config.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of x [T, B, C, H, W]."""
        self.check_input(x)
        for i in range(1, self.stages + 1):
            x = self.get_submodule(f"patch_embed{i}")(x)
            for block in self.get_submodule(f"stage{i}").children():
                x = block(x)
        return cast(Tensor, self.head(x))
