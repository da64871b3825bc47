"""STAtten: a Spike-driven Transformer whose attention goes over chunks of time steps.

D. Lee et al., "Spiking Transformer with Spatial-Temporal Attention", CVPR 2025, arXiv:2409.19764;
public code Intelligent-Computing-Lab-Yale/STAtten (MIT). Written anew from a description of its
operations.

Letters: T time steps in chunks of g, B samples, C channels, N = H W tokens per step, D token
channels, h heads, d = D / h. x is [T, B, C, H, W]: a static image is given already repeated over T,
events as counts.

    stem, MLP, head   those of `spike_driven`
    block    x <- x + STAtten(x);  x <- MLP(x)                 x real, every W reads spikes
    STAtten  s = LIF(x); q, k, v = LIF(BN(W s)); a = LIF_0.5(q (k^T v) / H) per chunk and head, over
             the g N tokens of all its steps; BN(W a + b)
             dilated: q, k, v and s are max-pooled 3x3, the divisor is H H g, and a s + s takes the
             place of a

Checked against the public code, key by key and spike by spike (`benchmarks/authors.py`). Dead, held
but never read: block.N.attn.talking_heads.weight [h, h, 1]. With `--attention_mode SDT` the public
code is a `spike_driven`. `Statten.keys` also takes `mlp1_`, `mlp2_` for the MLP's layers. The
public network returns a pair, (logits, hook); ours the logits.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from .layers import attention_neuron, merge_heads, neuron, pool, split_heads
from .parts import add_branches, add_conv, current, spikes
from .public_model import Unused
from .spike_driven import SpikeDrivenTransformer
from .statten_config import STATTEN, StattenConfig

__all__ = ["STATTEN", "Statten", "StattenConfig"]


def in_chunks(x: Tensor, steps: int) -> Tensor:
    """[T, B, h, N, d] -> [T/g, B, h, g N, d], the tokens of the g = `steps` steps of each chunk."""
    chunks = x.reshape(-1, steps, *x.shape[1:])
    return chunks.permute(0, 2, 3, 1, 4, 5).flatten(3, 4)


def out_of_chunks(x: Tensor, steps: int) -> Tensor:
    """[T/g, B, h, g N, d] -> [T, B, h, N, d], the inverse of `in_chunks`."""
    apart = x.reshape(*x.shape[:3], steps, -1, x.shape[4])
    return apart.permute(0, 3, 1, 2, 4, 5).flatten(0, 1)


class ChunkedAttention(nn.Module):
    """STAtten: currents x [T, B, D, H, W] -> currents [T, B, D, H, W]."""

    def __init__(self, config: StattenConfig) -> None:
        super().__init__()
        dim = config.dim
        self.heads, self.chunk, self.dilated = config.heads, config.chunk, config.dilate
        self.shortcut_lif = neuron(config)
        add_branches(self, "qkv", config, nn.Conv2d, dim, bias=False)
        self.talking_heads = Unused(weight=(config.heads, config.heads, 1))
        self.attn_lif = attention_neuron(config)
        add_conv(self, "proj", nn.Conv2d(dim, dim, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, D, H, W]."""
        sent = self.shortcut_lif(x)
        q, k, v = (self._dilate(spikes(self, name, sent)) for name in "qkv")
        attended = self.attn_lif(self._attended(q, k, v).reshape(x.shape))
        if self.dilated:
            near = self._dilate(sent)
            attended = attended * near + near
        return current(self, "proj", attended)

    def _attended(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q (k^T v) over each chunk, scaled [T, B, D, N], of spikes [T, B, D, H, W]."""
        edge = q.shape[3]
        scale = 1 / (edge * edge * self.chunk) if self.dilated else 1 / edge
        q, k, v = (in_chunks(split_heads(z.flatten(3), self.heads), self.chunk) for z in (q, k, v))
        return merge_heads(out_of_chunks(q @ ((k.transpose(-2, -1) @ v) * scale), self.chunk))

    def _dilate(self, x: Tensor) -> Tensor:
        """OR over 3x3 pixels of spikes [T, B, D, H, W], if the network is dilated."""
        return pool(x, stride=1) if self.dilated else x


class Statten(SpikeDrivenTransformer):
    """x [T, B, C, H, W] -> logits [B, classes]; in training with `every_step`, [T, B, classes].

    Raises `InputError` SFX-E122 for an input of another shape.
    """

    attention: ClassVar[type[nn.Module]] = ChunkedAttention
