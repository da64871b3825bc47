"""Max-Former: max-pools of currents in the embeddings, depthwise convolutions before attention.

Y. Fang et al., "Spiking Neural Networks Need High-Frequency Information", NeurIPS 2025,
arXiv:2505.18608; public code bic-L/MaxFormer. Written anew from a description of its operations;
the parameter counts equal those of the public code.

Letters: T time steps, B samples, C channels, N tokens per step, h heads, d = C / h. x is
[T, B, C, H, W]: a static image is given already repeated over T, events as counts. All streams are
real (membrane shortcut); every W reads spikes. `max` is 3x3 of stride 2 on currents, not on spikes:
it lets the largest one through, which no low-pass filter does.

    stem    plain    c = BN(conv3x3(x)); BN(conv3x3(LIF c)) + BN(W LIF c)
            strided  s = LIF(BN(conv3x3/2(x))); BN(conv3x3(LIF(BN(conv3x3/2 s)))) + BN(W/2 s)
            pooled   s = LIF(max BN(conv3x3(LIF(BN(conv3x3(x))))));
                     max BN(conv3x3(LIF(max BN(conv3x3 s)))) + BN(W/4 s)
    down    s = LIF(x); BN(conv3x3(LIF(max BN(conv3x3 s)))) + max BN(W s), before later stages
    block   x <- x + BN(dw LIF(x) + b), or in the last stage x + attention(x);  x <- MLP(x)
    attn    s = LIF(x); q, k, v = LIF(BN(W s)); BN(W LIF_0.5(scale q (k^T v)) + b)
    MLP     x + BN(W LIF(h) + b), h = BN(W LIF(x) + b); with mlp_ratio 1, h + x in place of both
    head    mean over T of W LIF(mean over tokens of x) + b

Checked against the public code, key by key and spike by spike (`benchmarks/authors.py`). There are
no dead parameters. `MaxFormer.keys` also takes `mixer.conv5` for the depthwise 7x7 convolution.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, cast

from torch import Tensor, nn

from .layers import attention_neuron, coincidences, merge_heads, neuron, per_step, pool, split_heads
from .max_former_config import MAX_FORMER, MaxFormerConfig
from .parts import ShortcutMlp, add_branches, add_conv, current, spikes
from .public_model import KeyTable, PublicModel

__all__ = ["MAX_FORMER", "MaxFormer", "MaxFormerConfig"]


class Embed(nn.Module):
    """BN(conv(LIF(x))): currents [T, B, C, H, W] -> currents [T, B, C', H', W'].

    stride  of the convolution, whose padding keeps the size otherwise
    pooled  take the maximum of the currents
    fires   False where x are spikes already: there is no neuron
    """

    def __init__(
        self,
        config: MaxFormerConfig,
        channels: tuple[int, int],
        *,
        kernel: int = 3,
        stride: int = 1,
        pooled: bool = False,
        fires: bool = True,
    ) -> None:
        super().__init__()
        a, b = channels
        self.pooled = pooled
        self.embed_lif = neuron(config) if fires else nn.Identity()
        self.embed_conv = nn.Conv2d(a, b, kernel, stride, kernel // 2, bias=False)
        self.embed_bn = nn.BatchNorm2d(b)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents (or spikes) x."""
        return self.after(self.embed_lif(x))

    def after(self, sent: Tensor) -> Tensor:
        """Currents of what the neuron sent."""
        y = per_step(sent, self.embed_conv, self.embed_bn)
        return pool(y) if self.pooled else y


class PlainStem(nn.Module):
    """x [T, B, C, H, W] -> currents [T, B, D, H, W], of two neurons on one current."""

    def __init__(self, config: MaxFormerConfig) -> None:
        super().__init__()
        half, dim = config.dims[0] // 2, config.dims[0]
        add_conv(self, "proj", nn.Conv2d(config.in_channels, half, 3, padding=1, bias=False))
        self.embed1 = Embed(config, (half, dim))
        self.embed2 = Embed(config, (half, dim), kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, D, H, W] of x [T, B, C, H, W]."""
        x = current(self, "proj", x)
        return cast(Tensor, self.embed1(x) + self.embed2(x))


class StridedStem(nn.Module):
    """x [T, B, C, H, W] -> currents [T, B, D, H / 4, W / 4]."""

    def __init__(self, config: MaxFormerConfig) -> None:
        super().__init__()
        half, dim = config.dims[0] // 2, config.dims[0]
        self.embed1 = Embed(config, (config.in_channels, half), stride=2, fires=False)
        self.embed2 = Embed(config, (half, dim), stride=2)
        self.embed3 = Embed(config, (dim, dim))
        self.embed4 = Embed(config, (half, dim), kernel=1, stride=2, fires=False)

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, D, H / 4, W / 4] of x [T, B, C, H, W]."""
        sent = self.embed2.embed_lif(self.embed1(x))
        return cast(Tensor, self.embed3(self.embed2.after(sent)) + self.embed4(sent))


class PooledStem(nn.Module):
    """x [T, B, C, H, W] -> currents [T, B, D, H / 8, W / 8]."""

    def __init__(self, config: MaxFormerConfig) -> None:
        super().__init__()
        a, b, c, d = (config.dims[0] // n for n in (8, 4, 2, 1))
        add_conv(self, "proj", nn.Conv2d(config.in_channels, a, 3, padding=1, bias=False))
        self.max_embed1 = Embed(config, (a, b), pooled=True)
        self.max_embed2 = Embed(config, (b, c), pooled=True)
        self.max_embed3 = Embed(config, (c, d), pooled=True)
        self.embed1 = Embed(config, (b, d), kernel=1, stride=4, fires=False)

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, D, H / 8, W / 8] of x [T, B, C, H, W]."""
        x = self.max_embed1(current(self, "proj", x))
        sent = self.max_embed2.embed_lif(x)
        return cast(Tensor, self.max_embed3(self.max_embed2.after(sent)) + self.embed1(sent))


class MaxEmbedding(nn.Module):
    """Between stages: currents [T, B, C, H, W] -> currents [T, B, C', H / 2, W / 2]."""

    def __init__(self, config: MaxFormerConfig, channels: tuple[int, int]) -> None:
        super().__init__()
        dim = channels[1]
        self.max_embed1 = Embed(config, channels, pooled=True)
        self.embed1 = Embed(config, (dim, dim))
        self.max_embed2 = Embed(config, channels, kernel=1, pooled=True, fires=False)

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, C', H / 2, W / 2] of currents x [T, B, C, H, W]."""
        sent = self.max_embed1.embed_lif(x)
        return cast(Tensor, self.embed1(self.max_embed1.after(sent)) + self.max_embed2(sent))


class Mixer(nn.Module):
    """x + BN(dw LIF(x) + b), depthwise k x k; for k = 1 x itself: currents [T, B, C, H, W]."""

    def __init__(self, config: MaxFormerConfig, dim: int, kernel: int) -> None:
        super().__init__()
        self.mixes = kernel > 1
        if self.mixes:
            self.conv = nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim)
            self.conv_bn = nn.BatchNorm2d(dim)
            self.conv_neuron = neuron(config)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, C, H, W]."""
        return per_step(self.conv_neuron(x), self.conv, self.conv_bn) + x if self.mixes else x


class ConvBlock(nn.Module):
    """A depthwise convolution, then the MLP, each with its shortcut."""

    def __init__(self, config: MaxFormerConfig, dim: int, kernel: int) -> None:
        super().__init__()
        self.mixer = Mixer(config, dim, kernel)
        self.mlp = ShortcutMlp(config, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, C, H, W]."""
        return cast(Tensor, self.mlp(self.mixer(x)))


class SpikingSelfAttention(nn.Module):
    """x + BN(W a + b), a = LIF_0.5(scale q (k^T v)): currents [T, B, C, H, W] -> the same."""

    def __init__(self, config: MaxFormerConfig, dim: int) -> None:
        super().__init__()
        self.heads, self.scale = config.heads, config.attention_scale
        self.x_lif = neuron(config)
        add_branches(self, "qkv", config, nn.Conv1d, dim, bias=False)
        self.attn_lif = attention_neuron(config)
        add_conv(self, "proj", nn.Conv1d(dim, dim, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, C, H, W]."""
        sent = self.x_lif(x).flatten(3)
        q, k, v = (split_heads(spikes(self, name, sent), self.heads) for name in "qkv")
        attended = self.attn_lif(merge_heads(coincidences(q, k, v, self.scale, "kv")))
        return current(self, "proj", attended).reshape(x.shape) + x


class AttentionBlock(nn.Module):
    """Attention, then the MLP, each with its shortcut."""

    def __init__(self, config: MaxFormerConfig, dim: int) -> None:
        super().__init__()
        self.attn = SpikingSelfAttention(config, dim)
        self.mlp = ShortcutMlp(config, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, C, H, W]."""
        return cast(Tensor, self.mlp(self.attn(x)))


class MaxFormer(PublicModel):
    """x [T, B, C, H, W] -> logits [B, classes].

    Raises `InputError` SFX-E122 for an input of another shape.
    """

    keys: ClassVar[KeyTable] = KeyTable(renames=((r"\bmixer\.conv5", "mixer.conv"),))
    STEMS: ClassVar = {"plain": PlainStem, "strided": StridedStem, "pooled": PooledStem}
    config: MaxFormerConfig

    def __init__(self, config: MaxFormerConfig) -> None:
        super().__init__(config)
        self.patch_embed1 = self.STEMS[config.stem](config)
        for i, channels in enumerate(pairwise(config.dims), 2):
            self.add_module(f"patch_embed{i}", MaxEmbedding(config, channels))
        *early, last = zip(config.dims, config.depths, strict=True)
        for i, ((dim, depth), kernel) in enumerate(zip(early, config.kernels, strict=True), 1):
            blocks = nn.ModuleList(ConvBlock(config, dim, kernel) for _ in range(depth))
            self.add_module(f"stage{i}", blocks)
        attention = nn.ModuleList(AttentionBlock(config, last[0]) for _ in range(last[1]))
        self.add_module(f"stage{len(config.dims)}", attention)
        self.head_lif = neuron(config)
        self.head = nn.Linear(config.dim, config.num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Currents [T, B, D, H', W'] of x [T, B, C, H, W], H' = H / reduction."""
        for i in range(1, len(self.config.dims) + 1):
            x = getattr(self, f"patch_embed{i}")(x)
            for block in cast(nn.ModuleList, getattr(self, f"stage{i}")):
                x = block(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of x [T, B, C, H, W]."""
        self.check_input(x)
        sent = self.head_lif(self.features(x).flatten(3).mean(3))
        if self.config.stem == "strided":  # float32 rounds the two otherwise, as the authors' codes
            return cast(Tensor, self.head(sent).mean(0))
        return cast(Tensor, self.head(sent.mean(0)))
