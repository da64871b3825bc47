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

from .layers import Readout, attention_neuron, conv3x3, pool
from .parts import (
    Block,
    SpikeMlp,
    SpikingSelfAttention,
    add_branches,
    add_conv,
    add_lif,
    current,
    fire,
    spikes,
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
            add_conv(self, prefix, conv3x3(a, b))
            add_lif(self, prefix, config)
        a, stride = widths[self.branch], config.stem_stride
        add_conv(self, "proj_res", nn.Conv2d(a, dim, 1, stride=stride, bias=False))
        add_lif(self, "proj_res", config)

    def forward(self, x: Tensor) -> Tensor:
        """Counts [T, B, C1, H', W'] of x [T, B, C, H, W]."""
        shortcut = x
        for i, prefix in enumerate(self.prefixes):
            shortcut = x if i == self.branch else shortcut
            x = fire(self, prefix, _pooled(current(self, prefix, x), self.pools[i]))
        return x + spikes(self, "proj_res", shortcut)


class PatchEmbedding(nn.Module):
    """Between two stages: counts x [T, B, C, H, W] -> counts 0..2 [T, B, 2 C, H/2, W/2].

    `down_pools` says which of the two convolutions has the pool: the second in the CIFAR and event
    codes, the first in the ImageNet code.
    """

    def __init__(self, config: QKFormerConfig, dim: int) -> None:
        super().__init__()
        self.pools = config.down_pools
        for name, a in (("proj3", dim // 2), ("proj4", dim)):
            add_conv(self, name, conv3x3(a, dim))
            add_lif(self, name, config)
        add_conv(self, "proj_res", nn.Conv2d(dim // 2, dim, 1, stride=2, bias=False))
        add_lif(self, "proj_res", config)

    def forward(self, x: Tensor) -> Tensor:
        """Counts [T, B, 2 C, H/2, W/2] of counts x [T, B, C, H, W]."""
        sent = x
        for name, pooled in zip(("proj3", "proj4"), self.pools, strict=True):
            sent = fire(self, name, _pooled(current(self, name, sent), pooled))
        return sent + spikes(self, "proj_res", x)


def _pooled(x: Tensor, digit: str) -> Tensor:
    return pool(x) if digit == "1" else x


class TokenAttention(nn.Module):
    """Q-K token attention: counts x [T, B, C, H, W] -> spikes [T, B, C, H, W].

    Per head, with q, k in {0, 1}:  m = LIF_0.5(sum over the head's d channels of q) [1, N], then
    m k, the same m for every channel; then LIF(BN(W (m k) + b)). m is the OR over the
    channels of q: its neuron gets whole numbers, a count of one leaves v = 0.5 = the threshold.
    """

    def __init__(self, config: QKFormerConfig, dim: int) -> None:
        super().__init__()
        self.heads = config.heads
        add_branches(self, "qk", config, nn.Conv1d, dim, bias=False)
        self.attn_lif = attention_neuron(config)
        add_conv(self, "proj", nn.Conv1d(dim, dim, 1))
        add_lif(self, "proj", config)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of counts x, both [T, B, C, H, W]."""
        tokens = x.flatten(3)
        q, k = (self._split(spikes(self, name, tokens)) for name in "qk")
        mask = self.attn_lif(q.sum(dim=3, keepdim=True))
        attended = (mask * k).flatten(2, 3)
        return spikes(self, "proj", attended).reshape(x.shape)

    def _split(self, x: Tensor) -> Tensor:
        """[T, B, C, N] -> [T, B, h, d, N]."""
        steps, batch, channels, tokens = x.shape
        return x.reshape(steps, batch, self.heads, channels // self.heads, tokens)


def _block(config: QKFormerConfig, dim: int, *, last: bool) -> Block:
    """x <- x + attention(x); x <- x + MLP(x): SSA in the last stage, token attention before."""
    mlp = ("mlp1", "mlp2")
    if not last:
        attention: nn.Module = TokenAttention(config, dim)
        return Block(attention, SpikeMlp(config, dim, nn.Conv2d, mlp), name="tssa")
    attention = SpikingSelfAttention(config, dim, scale=config.attention_scale, order="kv")
    return Block(attention, SpikeMlp(config, dim, nn.Conv2d, mlp))


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
            embedding = Stem(config) if i == 1 else PatchEmbedding(config, dim)
            self.add_module(f"patch_embed{i}", embedding)
            blocks = (_block(config, dim, last=i == self.stages) for _ in range(depth))
            self.add_module(f"stage{i}", nn.ModuleList(blocks))
        self.head = Readout(config.dim, config.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of x [T, B, C, H, W]."""
        self.check_input(x)
        for i in range(1, self.stages + 1):
            x = getattr(self, f"patch_embed{i}")(x)
            for block in getattr(self, f"stage{i}").children():
                x = block(x)
        return cast(Tensor, self.head(x))
