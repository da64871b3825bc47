"""What several published networks are built of: layers by name, stems, attention, MLPs, blocks.

The names of a layer's modules are keys of public checkpoints and differ between the networks, so a
layer is three modules of its owner, `{name}_conv`, `{name}_bn`, `{name}_lif`, and not a module of
its own. Letters as in `layers`; maps are x [T, B, C, H, W], tokens x [T, B, C, N].
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from .layers import (
    attention_neuron,
    coincidences,
    conv3x3,
    merge_heads,
    neuron,
    per_step,
    pool,
    split_heads,
)
from .public_config import IsotropicConfig, PublicConfig
from .public_model import PublicModel, unused_norm

Conv = type[nn.Conv1d] | type[nn.Conv2d]
"""The kind of a 1x1 kernel: of tokens or of maps."""

# --- layers by name --------------------------------------------------------------------------


def add_conv(owner: nn.Module, name: str, conv: nn.Conv1d | nn.Conv2d, suffix: str = "") -> None:
    """A convolution and its batch norm: `{name}_conv{suffix}`, `{name}_bn{suffix}`."""
    norm = nn.BatchNorm1d if isinstance(conv, nn.Conv1d) else nn.BatchNorm2d
    owner.add_module(f"{name}_conv{suffix}", conv)
    owner.add_module(f"{name}_bn{suffix}", norm(conv.out_channels))


def add_lif(owner: nn.Module, name: str, config: PublicConfig, suffix: str = "") -> None:
    """An ordinary neuron: `{name}_lif{suffix}`."""
    owner.add_module(f"{name}_lif{suffix}", neuron(config))


def current(owner: nn.Module, name: str, x: Tensor, suffix: str = "") -> Tensor:
    """BN(W x)."""
    conv = getattr(owner, f"{name}_conv{suffix}")
    return per_step(x, conv, getattr(owner, f"{name}_bn{suffix}"))


def fire(owner: nn.Module, name: str, x: Tensor, suffix: str = "") -> Tensor:
    """LIF(x)."""
    return cast(Tensor, getattr(owner, f"{name}_lif{suffix}")(x))


def spikes(owner: nn.Module, name: str, x: Tensor, suffix: str = "") -> Tensor:
    """LIF(BN(W x))."""
    return fire(owner, name, current(owner, name, x, suffix), suffix)


# --- stems -----------------------------------------------------------------------------------


class PatchSplitting(nn.Module):
    """Stem of Spikformer and of its spike-driven successor: four stages, then one more convolution.

    Stages `proj_*`, `proj_*1`, ... of widths D/8, D/4, D/2, D; `rpe_*` in place of a position
    embedding, with a neuron if `last_fires`.
    """

    SUFFIXES = ("", "1", "2", "3")

    def __init__(self, config: IsotropicConfig, *, last_fires: bool) -> None:
        super().__init__()
        self.pools = config.pools
        for suffix, (a, b) in zip(self.SUFFIXES, pairwise(config.stem_widths), strict=True):
            add_conv(self, "proj", conv3x3(a, b), suffix)
            add_lif(self, "proj", config, suffix)
        add_conv(self, "rpe", conv3x3(config.dim, config.dim))
        if last_fires:
            add_lif(self, "rpe", config)

    def stage(self, i: int, x: Tensor) -> Tensor:
        """Spikes after stage i, max-pooled (an OR) where the config says so."""
        return self.pooled(i, spikes(self, "proj", x, self.SUFFIXES[i]))

    def pooled(self, i: int, x: Tensor) -> Tensor:
        """The map of stage i, halved where the config says so."""
        return pool(x) if self.pools[i] == "1" else x


# --- attention -------------------------------------------------------------------------------


def add_branches(
    owner: nn.Module, names: Sequence[str], config: PublicConfig, conv: Conv, dim: int, bias: bool
) -> None:
    """LIF(BN(W x)), dim to dim channels, for each name: q, k, v."""
    for name in names:
        add_conv(owner, name, conv(dim, dim, 1, bias=bias))
        add_lif(owner, name, config)


class SpikingSelfAttention(nn.Module):
    """SSA: counts x -> spikes, both [T, B, C, N] or [T, B, C, H, W].

    Per head, with q, k, v = LIF(BN(W x)) in {0, 1}:  a = LIF_0.5(scale (q k^T) v), counts 0..N d
    before the scale; then LIF(BN(W a + b)) of all heads.
    """

    def __init__(
        self,
        config: PublicConfig,
        dim: int,
        *,
        scale: float,
        order: str,
        bias: bool = False,
        conv: type[nn.Conv1d] = nn.Conv1d,
    ) -> None:
        super().__init__()
        self.heads, self.scale, self.order = config.heads, scale, order
        add_branches(self, "qkv", config, conv, dim, bias)
        self.attn_lif = attention_neuron(config)
        add_conv(self, "proj", conv(dim, dim, 1))
        add_lif(self, "proj", config)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of counts x, both [T, B, C, N] or [T, B, C, H, W]."""
        tokens = x.flatten(3) if x.dim() > 4 else x
        q, k, v = (split_heads(spikes(self, name, tokens), self.heads) for name in "qkv")
        attended = merge_heads(coincidences(q, k, v, self.scale, self.order))
        sent = spikes(self, "proj", self.attn_lif(attended))
        return sent.reshape(x.shape) if x.dim() > 4 else sent


# --- MLPs ------------------------------------------------------------------------------------


class SpikeMlp(nn.Module):
    """Two LIF(BN(W x + b)): counts [T, B, C, ...] -> hidden spikes -> spikes of the same shape.

    layers: the names of the two, as the checkpoints have them.
    """

    def __init__(self, config: PublicConfig, dim: int, conv: Conv, layers: tuple[str, str]) -> None:
        super().__init__()
        self.layers = layers
        hidden = config.hidden(dim)
        for name, a, b in zip(layers, (dim, hidden), (hidden, dim), strict=True):
            add_conv(self, name, conv(a, b, 1))
            add_lif(self, name, config)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of counts x, of the same shape."""
        first, second = self.layers
        return spikes(self, second, spikes(self, first, x))


class CurrentMlp(nn.Module):
    """Two BN(W LIF(x) + b): currents [T, B, C, ...] -> hidden currents -> currents, same shape."""

    def __init__(self, config: PublicConfig, dim: int, conv: Conv, layers: tuple[str, str]) -> None:
        super().__init__()
        self.layers = layers
        hidden = config.hidden(dim)
        for name, a, b in zip(layers, (dim, hidden), (hidden, dim), strict=True):
            add_lif(self, name, config)
            add_conv(self, name, conv(a, b, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, of the same shape."""
        for name in self.layers:
            x = current(self, name, fire(self, name, x))
        return x


class ShortcutMlp(CurrentMlp):
    """x + BN(W LIF(h) + b), h = BN(W LIF(x) + b): currents [T, B, D, H, W], h of r D channels.

    Where r D = D the public codes add h to the stream as well: it becomes x + h, and the second
    neuron reads that sum.
    """

    def __init__(self, config: PublicConfig, dim: int) -> None:
        super().__init__(config, dim, nn.Conv2d, ("fc1", "fc2"))
        self.same_width = config.hidden(dim) == dim

    def forward(self, x: Tensor) -> Tensor:
        """The stream after the MLP, of the stream x before it, both [T, B, D, H, W]."""
        hidden = current(self, "fc1", fire(self, "fc1", x))
        if self.same_width:
            x = hidden = x + hidden
        return current(self, "fc2", fire(self, "fc2", hidden)) + x


# --- blocks and networks ---------------------------------------------------------------------


class Block(nn.Module):
    """x <- x + attention(x); x <- x + MLP(x).

    With `dead_norms` the block holds two norms that no forward pass reads.
    """

    def __init__(
        self, attention: nn.Module, mlp: nn.Module, dead_norms: int = 0, name: str = "attn"
    ) -> None:
        super().__init__()
        self.attention_name = name
        if dead_norms:
            self.norm1 = unused_norm(dead_norms)
        self.add_module(name, attention)
        if dead_norms:
            self.norm2 = unused_norm(dead_norms)
        self.mlp = mlp

    def forward(self, x: Tensor) -> Tensor:
        """The stream after the block, of the stream x before it, of the same shape."""
        x = x + getattr(self, self.attention_name)(x)
        return cast(Tensor, x + self.mlp(x))


class IsotropicModel(PublicModel):
    """A stem `patch_embed`, then the blocks `block`, all of one width."""

    patch_embed: nn.Module
    block: nn.ModuleList

    def features(self, x: Tensor) -> Tensor:
        """What leaves the last block, of x [T, B, C, H, W]."""
        self.check_input(x)
        x = self.embed(x)
        for block in self.block:
            x = block(x)
        return x

    def embed(self, x: Tensor) -> Tensor:
        """What enters the first block."""
        return cast(Tensor, self.patch_embed(x))
