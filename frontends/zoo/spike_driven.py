"""Spike-driven Transformer (v1): attention with AND and OR only, membrane shortcut.

M. Yao et al., "Spike-driven Transformer", NeurIPS 2023, arXiv:2307.01694; public code
BICLab/Spike-Driven-Transformer (Apache-2.0). Written anew from a description of its operations;
the parameter and neuron counts equal those of the public code.

Letters: T time steps, B samples, C channels, N tokens per step, D token channels, h heads,
d = D / h. x is [T, B, C, H, W]: a static image is given already repeated over T, events as counts.

    stem    3 stages LIF(BN(conv3x3)), max-pool (an OR) after some; then c = maxpool(BN(conv3x3)),
            on currents, and x = c + BN(conv3x3(LIF c))
    block   x <- x + SDSA(x);  x <- MLP(x)                       x real, every W reads spikes
    SDSA-1  s = LIF(x); q, k, v = LIF(BN(W s)); m = LIF_0.5(sum over tokens of k AND v), which is
            their OR; BN(W (q AND m) + b)
    MLP     x + BN(W LIF(h) + b), h = BN(W LIF(x) + b); with mlp_ratio 1, h + x in place of both
    head    mean over T of W LIF(mean over tokens of x) + b

Checked against the public code, key by key and spike by spike (`benchmarks/authors.py`). Dead, held
but never read: block.N.attn.talking_heads.weight [h, h, 1].
`SpikeDrivenTransformer.keys` also takes `mlp1_`, `mlp2_` for the MLP's layers. The public network
returns a pair, (logits, hook); ours the logits.
"""

from __future__ import annotations

from typing import ClassVar, cast

from torch import Tensor, nn

from .layers import attention_neuron, merge_heads, neuron, pool, split_heads
from .parts import (
    IsotropicModel,
    PatchSplitting,
    ShortcutMlp,
    add_branches,
    add_conv,
    current,
    fire,
    spikes,
)
from .public_model import KeyTable, Unused
from .spike_driven_config import SPIKE_DRIVEN, SpikeDrivenConfig

__all__ = ["SPIKE_DRIVEN", "SpikeDrivenConfig", "SpikeDrivenTransformer"]


class CurrentPatchSplitting(PatchSplitting):
    """Stem (MS_SPS): x [T, B, C, H, W] -> currents [T, B, D, H', W'], H' = H / reduction.

    Widths D/8, D/4, D/2, D, D. The fourth pool takes the maximum of currents, before the neuron,
    and the pooled map is also what the last convolution is added to.
    """

    def __init__(self, config: SpikeDrivenConfig) -> None:
        super().__init__(config, last_fires=False)

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, D, H', W'] of x [T, B, C, H, W]."""
        for i in range(3):
            x = self.stage(i, x)
        pooled = self.pooled(3, current(self, "proj", x, "3"))
        return current(self, "rpe", fire(self, "proj", pooled, "3")) + pooled


class SpikeDrivenSelfAttention(nn.Module):
    """SDSA-1: currents x [T, B, D, H, W] -> currents [T, B, D, H, W].

    Per head, with q, k, v in {0, 1}:  m = LIF_0.5(sum over tokens of k v) [1, d], then q m, the
    same m for every token; then BN(W (q m) + b). m is the OR over the tokens of
    k AND v: its neuron gets whole numbers, a count of one leaves v = 0.5 = the threshold.
    """

    def __init__(self, config: SpikeDrivenConfig) -> None:
        super().__init__()
        dim = config.dim
        self.heads, self.dilated = config.heads, config.dilate
        self.shortcut_lif = neuron(config)
        add_branches(self, "qkv", config, nn.Conv2d, dim, bias=False)
        self.talking_heads = Unused(weight=(config.heads, config.heads, 1))
        self.talking_heads_lif = attention_neuron(config)
        add_conv(self, "proj", nn.Conv2d(dim, dim, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, D, H, W]."""
        sent = self.shortcut_lif(x)
        q, k, v = (spikes(self, name, sent) for name in "qkv")
        k, v = self._dilate(k), self._dilate(v)
        q, k, v = (split_heads(z.flatten(3), self.heads) for z in (q, k, v))
        mask = self.talking_heads_lif(self._dilate(k * v).sum(dim=3, keepdim=True))
        attended = merge_heads(self._dilate(q * mask)).reshape(x.shape)
        return current(self, "proj", attended)

    def _dilate(self, x: Tensor) -> Tensor:
        """OR over 3x3 of the last two axes: of H, W before the split, of tokens, channels after.

        The second reading is the public code's, whose 3-d pool does not know what the axes mean.
        """
        return pool(x, stride=1) if self.dilated else x


class Block(nn.Module):
    """x <- x + attention(x); x <- MLP(x)."""

    def __init__(self, config: SpikeDrivenConfig, attention: nn.Module) -> None:
        super().__init__()
        self.attn = attention
        self.mlp = ShortcutMlp(config, config.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Currents of currents x, both [T, B, D, H, W]."""
        x = x + self.attn(x)
        return cast(Tensor, self.mlp(x))


class SpikeDrivenTransformer(IsotropicModel):
    """x [T, B, C, H, W] -> logits [B, classes]; in training with `every_step`, [T, B, classes].

    Raises `InputError` SFX-E122 for an input of another shape.
    """

    keys: ClassVar[KeyTable] = KeyTable(
        renames=((r"\bmlp([12])_", r"fc\1_"),),
        dead=(r"^block\.\d+\.attn\.talking_heads\.",),
    )
    attention: ClassVar[type[nn.Module]] = SpikeDrivenSelfAttention

    def __init__(self, config: SpikeDrivenConfig) -> None:
        super().__init__(config)
        self.every_step = config.every_step
        self.patch_embed = CurrentPatchSplitting(config)
        blocks = (Block(config, self.attention(config)) for _ in range(config.depth))
        self.block = nn.ModuleList(blocks)
        self.head_lif = neuron(config)
        self.head = nn.Linear(config.dim, config.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of x [T, B, C, H, W]; every step's in training on request."""
        x = self.features(x)
        logits = self.head(self.head_lif(x.flatten(3).mean(3)))
        return cast(Tensor, logits if self.training and self.every_step else logits.mean(0))
