"""SGLFormer: convolutions, attention within windows and attention over all tokens, in one block.

H. Zhang et al., "SGLFormer: Spiking Global-Local-Fusion Transformer with high performance",
Frontiers in Neuroscience 18, 2024, 10.3389/fnins.2024.1371290; public code ZhangHanN1/SGLFormer
(MIT). Written anew from a description of its operations; the parameter counts equal those of the
public code.

Letters: T time steps, B samples, C channels, N tokens per step, D token channels, h heads,
d = D / h. x is [T, B, C, H, W]: a static image is given already repeated over T, events as counts.
Residual streams carry whole numbers, the spikes that were added up. L(W, x) = LIF(BN(W x)).

    stem    5 times L(conv3x3, x), some with a max-pool of currents before the neuron
    local   y = x + L(dw3x3, x);  y + L(W, L(dw3x3, L(W, y))), hidden width 4 D
    window  attention within each of 2 x 2 windows: pixels of equal parity, not neighbours
    attn    q, k, v = L(W x); L(W, LIF_0.5(scale (q k^T) v))
    MLP     L(W, L(W, x))
    units   x <- x + local(x), window, MLP, attn, MLP, attn, MLP, each x <- x + .(x); the read-out
            is W BN(sum over tokens n and steps t of w[c, n, t] x[t, c, n] + b) + b
    blocks  x <- x + local(x), window, MLP; then x <- x + attn(x), x <- x + MLP(x); the read-out is
            W (mean over tokens and T of x) + b

Checked against the public code, key by key and spike by spike (`benchmarks/authors.py`). Dead, held
but never read: blocks.N.norm1 and norm2 of the form `blocks`.
"""

from __future__ import annotations

from itertools import pairwise
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
from .parts import Block, SpikeMlp, SpikingSelfAttention, add_conv, add_lif, current, fire
from .public_model import KeyTable, PublicModel
from .sglformer_config import SGLFORMER, SGLFormerConfig

__all__ = ["SGLFORMER", "SGLFormer", "SGLFormerConfig"]

LOCAL_EXPANSION = 4
"""Hidden width of the local convolutions over D (fixed in the public code)."""
WINDOWS = 2
"""Windows of local attention per edge of a map."""


class Layer(nn.Module):
    """LIF(BN(W x)), the maximum of currents taken before the neuron if `pooled`.

    x [T, B, C, H, W] -> spikes [T, B, C', H', W']. `name` is that of the convolution in the keys.
    """

    def __init__(
        self, config: SGLFormerConfig, name: str, conv: nn.Conv2d, pooled: bool = False
    ) -> None:
        super().__init__()
        self.name, self.pooled = name, pooled
        self.add_module(name, conv)
        self.bn = nn.BatchNorm2d(conv.out_channels)
        self.lif = neuron(config)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of x."""
        y = per_step(x, getattr(self, self.name), self.bn)
        return cast(Tensor, self.lif(pool(y) if self.pooled else y))


def _pointwise(config: SGLFormerConfig, a: int, b: int) -> Layer:
    return Layer(config, "conv1x1", nn.Conv2d(a, b, 1, bias=False))


def _depthwise(config: SGLFormerConfig, dim: int) -> Layer:
    conv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim, bias=False)
    return Layer(config, "conv3x3", conv)


class UnitStem(nn.Module):
    """The stem's convolutions but the first, `conv1` to `conv4`."""

    def __init__(self, config: SGLFormerConfig) -> None:
        super().__init__()
        widths = pairwise(config.widths[1:])
        for i, (pooled, (a, b)) in enumerate(zip(config.pools[1:], widths, strict=True), 1):
            self.add_module(f"conv{i}", Layer(config, "conv3x3", conv3x3(a, b), pooled == "1"))

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, D, H', W'] of spikes x [T, B, C, H, W]."""
        for layer in self.children():
            x = layer(x)
        return x


class BlockStem(nn.Module):
    """All of the stem's convolutions, `proj` to `proj4`."""

    def __init__(self, config: SGLFormerConfig) -> None:
        super().__init__()
        names = ("proj", "proj1", "proj2", "proj3", "proj4")
        self.pools = dict(zip(names, config.pools, strict=True))
        for name, (a, b) in zip(self.pools, pairwise(config.widths), strict=True):
            add_conv(self, name, conv3x3(a, b))
            add_lif(self, name, config)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, D, H', W'] of x [T, B, C, H, W]."""
        for name, pooled in self.pools.items():
            y = current(self, name, x)
            x = fire(self, name, pool(y) if pooled == "1" else y)
        return x


class LocalConvs(nn.Module):
    """y + L(W, L(dw3x3, L(W, y))), y = x + L(dw3x3, x): counts [T, B, D, H, W] -> counts."""

    def __init__(self, config: SGLFormerConfig) -> None:
        super().__init__()
        dim, hidden = config.dim, LOCAL_EXPANSION * config.dim
        self.conv = _depthwise(config, dim)
        self.conv1x1_1 = _pointwise(config, dim, hidden)
        self.dwconv3x3 = _depthwise(config, hidden)
        self.conv1x1_2 = _pointwise(config, hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Counts of counts x, both [T, B, D, H, W]."""
        x = x + self.conv(x)
        return cast(Tensor, self.conv1x1_2(self.dwconv3x3(self.conv1x1_1(x))) + x)


class MapAttention(nn.Module):
    """L(W, LIF_0.5(scale (q k^T) v)): counts x -> spikes, both [T, B, D, H, W].

    windows  attend within each of windows x windows sets of pixels; 1: over all tokens
    """

    def __init__(self, config: SGLFormerConfig, windows: int = 1) -> None:
        super().__init__()
        self.heads, self.scale, self.windows = config.heads, config.attention_scale, windows
        for name in ("q_conv", "k_conv", "v_conv", "proj_conv"):
            self.add_module(name, _pointwise(config, config.dim, config.dim))
        self.attn_lif = attention_neuron(config)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of counts x, both [T, B, D, H, W]."""
        y = self._parted(x)
        q, k, v = (split_heads(getattr(self, f"{n}_conv")(y).flatten(3), self.heads) for n in "qkv")
        sent = merge_heads(self.attn_lif(coincidences(q, k, v, self.scale, "qk")))
        return self._joined(cast(Tensor, self.proj_conv(sent.reshape(y.shape))))

    def _parted(self, x: Tensor) -> Tensor:
        """[T, B, D, H, W] -> [T, B n n, D, H / n, W / n]: every n-th pixel is in one window."""
        n = self.windows
        if n == 1:
            return x
        steps, batch, dim, height, width = x.shape
        parts = x.reshape(steps, batch, dim, height // n, n, width // n, n)
        moved = parts.permute(0, 1, 4, 6, 2, 3, 5)
        return moved.reshape(steps, -1, dim, height // n, width // n)

    def _joined(self, x: Tensor) -> Tensor:
        """The inverse of `_parted`."""
        n = self.windows
        if n == 1:
            return x
        steps, _, dim, height, width = x.shape
        parts = x.reshape(steps, -1, n, n, dim, height, width).permute(0, 1, 4, 5, 2, 6, 3)
        return parts.reshape(steps, -1, dim, height * n, width * n)


class MapMlp(nn.Module):
    """L(W, L(W, x)): counts [T, B, D, H, W] -> spikes of the same shape."""

    def __init__(self, config: SGLFormerConfig) -> None:
        super().__init__()
        hidden = config.hidden(config.dim)
        self.mlp1 = _pointwise(config, config.dim, hidden)
        self.mlp2 = _pointwise(config, hidden, config.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of counts x, both [T, B, D, H, W]."""
        return cast(Tensor, self.mlp2(self.mlp1(x)))


class Residual(nn.Module):
    """x <- x + part(x) for each part in order."""

    def forward(self, x: Tensor) -> Tensor:
        """The stream after the parts, of the stream x before them, of the same shape."""
        for part in self.children():
            x = x + part(x)
        return x


class Unit(Residual):
    """Local convolutions, attention in windows, then twice attention over all, each with an MLP."""

    def __init__(self, config: SGLFormerConfig) -> None:
        super().__init__()
        self.loc = LocalConvs(config)
        self.ssa1, self.mlp1 = MapAttention(config, WINDOWS), MapMlp(config)
        self.ssa2, self.mlp2 = MapAttention(config), MapMlp(config)
        self.ssa3, self.mlp3 = MapAttention(config), MapMlp(config)


class LocalBlock(Residual):
    """Local convolutions, attention in windows and an MLP."""

    def __init__(self, config: SGLFormerConfig) -> None:
        super().__init__()
        self.local1 = LocalConvs(config)
        self.local2_SSA = MapAttention(config, WINDOWS)
        self.local2_MLP = MapMlp(config)


class SGLFormer(PublicModel):
    """x [T, B, C, H, W] -> logits [B, classes].

    Raises `InputError` SFX-E122 for an input of another shape.
    """

    keys: ClassVar[KeyTable] = KeyTable(dead=(r"^blocks\.\d+\.norm[12]\.",))
    config: SGLFormerConfig

    def __init__(self, config: SGLFormerConfig) -> None:
        super().__init__(config)
        dim = config.dim
        if config.form == "units":
            first = conv3x3(*config.widths[:2])
            self.stem = nn.Sequential()
            self.stem.add_module("conv", Layer(config, "conv3x3", first, config.pools[0] == "1"))
            self.tokenizer = UnitStem(config)
            self.blocks = nn.Sequential(*(Unit(config) for _ in range(config.depth)))
            window = (config.tokens, config.timesteps)
            self.full_size_conv = nn.Conv2d(dim, dim, window, groups=dim)
            self.bn = nn.BatchNorm2d(dim)
            self.head = nn.Linear(dim, config.num_classes)
        else:
            self.patch_embed = BlockStem(config)
            self.localblock = nn.ModuleList([LocalBlock(config)])
            self.blocks = nn.Sequential(*(self._block(config) for _ in range(config.depth)))
            self.head = Readout(dim, config.num_classes)

    @staticmethod
    def _block(config: SGLFormerConfig) -> Block:
        scale = config.attention_scale
        attention = SpikingSelfAttention(config, config.dim, scale=scale, order="kv")
        mlp = SpikeMlp(config, config.dim, nn.Conv1d, ("fc1", "fc2"))
        return Block(attention, mlp, dead_norms=config.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of x [T, B, C, H, W]."""
        self.check_input(x)
        if self.config.form == "blocks":
            x = self.localblock[0](self.patch_embed(x))
            return cast(Tensor, self.head(self.blocks(x.flatten(3))))
        x = self.blocks(self.tokenizer(self.stem(x)))
        weighed = self.bn(self.full_size_conv(x.flatten(3).permute(1, 2, 3, 0)))
        return cast(Tensor, self.head(weighed.flatten(1)))
