"""The project's Spikeformer: convolutional tokenizer, spatio-temporal attention, all in spikes.

After Y. Li, Y. Lei, X. Yang, "Spikeformer: A Novel Architecture for Training High-Performance
Low-Latency Spiking Neural Network", arXiv:2211.10686, whose parts and names are kept: convolutional
tokenizer (CT), spatio-temporal attention (STA), MLP, classifier (CL). The published network uses
softmax, layer norm and a real-valued residual stream. Here every value that reaches a weight is a
spike or a small count of spikes: no softmax, no layer norm (batch norm folds away), binary q, k, v
(Zhou et al., "Spikformer", arXiv:2209.15425), residuals that add spikes.

Letters: T time steps, B samples, C channels, N tokens per step, D token channels, h heads,
d = D / h. Layout: time first, [T, B, ...]. Only a `MultiStep` neuron and attention over time couple
the steps; the latter is causal or sees the whole sample, as the config says.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..neurons.ge_lif import plif
from ..neurons.multistep import MultiStep, lif
from .public_model import FrameModel
from .spikeformer_config import SPIKEFORMER, SpikeformerConfig

__all__ = [
    "SPIKEFORMER",
    "Spikeformer",
    "SpikeformerConfig",
]


INITIAL_GAIN = 2.0
"""Batch norm's gain before training. At 1 about 3 % of the neurons fire (threshold 1, tau 2) and
almost none after attention, which has no gradient to learn from; at 2 every population fires."""


def neuron(config: SpikeformerConfig, threshold: float | None = None) -> MultiStep:
    """A neuron of the config's kind; `threshold` where it is not the config's ordinary one."""
    kind = plif if config.neuron == "plif" else lif
    return kind(config.tau, config.threshold if threshold is None else threshold)


class ConvStage(nn.Module):
    """One stage of the tokenizer (CT): conv 3x3, batch norm, LIF, 2x2 max-pool of the spikes.

    x [T, B, C, H, W] -> z [T, B, C', H/2, W/2], z = maxpool(LIF(BN(W * x))). The pool sees spikes,
    so it is an OR.
    """

    def __init__(self, in_channels: int, out_channels: int, lif: MultiStep) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.lif = lif
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, C', H/2, W/2] of x [T, B, C, H, W]."""
        steps, batch = x.shape[0], x.shape[1]
        current = self.bn(self.conv(x.flatten(0, 1)))
        spikes = self.lif(current.reshape(steps, batch, *current.shape[1:]))
        pooled = self.pool(spikes.flatten(0, 1))
        return cast(Tensor, pooled.reshape(steps, batch, *pooled.shape[1:]))


class SpikingLinear(nn.Module):
    """Linear on the channels of each token, batch norm over those channels, LIF.

    x [T, B, N, D] -> z [T, B, N, D'], z = LIF(BN(W x)).
    """

    def __init__(self, in_features: int, out_features: int, lif: MultiStep) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias=False)
        self.bn = nn.BatchNorm1d(out_features)
        self.lif = lif

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, N, D'] of x [T, B, N, D]."""
        steps, batch, tokens = x.shape[0], x.shape[1], x.shape[2]
        current = self.linear(x.flatten(0, 1))
        current = self.bn(current.transpose(1, 2)).transpose(1, 2)
        return cast(Tensor, self.lif(current.reshape(steps, batch, tokens, current.shape[2])))


class SpikingAttention(nn.Module):
    """Spatio-temporal attention (STA) on spikes, in one of its modes.

    x [T, B, N, D] -> z [T, B, N, D]; per head, with q, k, v = SpikingLinear(x) in {0, 1}:

        spatial    kv[t] = sum over n of k[t, n] v[t, n]^T                      counts 0..N
        temporal   kv[t, n] = sum over s of k[s, n] v[s, n]^T                   counts 0..T
        joint      kv[t] = sum over s and n of k[s, n] v[s, n]^T                counts 0..T N
        a[t, n] = LIF(scale * kv^T q[t, n])        [d], threshold of its own
        z[t] = SpikingLinear(a[t])                 over all heads

    s runs over this and all earlier steps where the attention is causal, else over all steps of the
    sample. Each is softmax-free attention q (k^T v), equal to (q k^T) v, over the tokens of a step,
    the steps of a token, or both.
    """

    def __init__(self, config: SpikeformerConfig, mode: str) -> None:
        super().__init__()
        dim = config.dim
        self.heads = config.heads
        self.scale = config.attention_scale
        self.mode = mode
        self.causal = config.causal
        self.q = SpikingLinear(dim, dim, neuron(config))
        self.k = SpikingLinear(dim, dim, neuron(config))
        self.v = SpikingLinear(dim, dim, neuron(config))
        self.attn_lif = neuron(config, config.attention_threshold)
        self.proj = SpikingLinear(dim, dim, neuron(config))

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, N, D] of x [T, B, N, D]."""
        q, k, v = self._split(self.q(x)), self._split(self.k(x)), self._split(self.v(x))
        if self.mode == "temporal":
            kv = self._over_time(k.unsqueeze(-1) * v.unsqueeze(-2))
            attended = (q.unsqueeze(-2) @ kv).squeeze(-2)
        else:
            kv = k.transpose(-2, -1) @ v
            attended = q @ (self._over_time(kv) if self.mode == "joint" else kv)
        merged = (attended * self.scale).permute(0, 1, 3, 2, 4).reshape(x.shape)
        return cast(Tensor, self.proj(self.attn_lif(merged)))

    def _over_time(self, kv: Tensor) -> Tensor:
        """The sum over the steps that each step may see, [T or 1, ...]."""
        return torch.cumsum(kv, dim=0) if self.causal else kv.sum(dim=0, keepdim=True)

    def _split(self, x: Tensor) -> Tensor:
        """[T, B, N, D] -> [T, B, h, N, d]."""
        steps, batch, tokens, dim = x.shape
        split = x.reshape(steps, batch, tokens, self.heads, dim // self.heads)
        return split.permute(0, 1, 3, 2, 4)


class Mlp(nn.Module):
    """Two `SpikingLinear` layers: x [T, B, N, D] -> hidden [T, B, N, r*D] -> z [T, B, N, D]."""

    def __init__(self, config: SpikeformerConfig) -> None:
        super().__init__()
        self.fc1 = SpikingLinear(config.dim, config.hidden, neuron(config))
        self.fc2 = SpikingLinear(config.hidden, config.dim, neuron(config))

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, N, D] of x [T, B, N, D]."""
        return cast(Tensor, self.fc2(self.fc1(x)))


class Block(nn.Module):
    """One encoder block: x <- x + STA(x); x <- x + MLP(x).

    Divided attention is two, temporal before spatial as in the paper: x <- x + STA_t(x);
    x <- x + STA_s(x). The residuals add spikes, so block i (from 0) sees counts 0..ri+1 and leaves
    0..ri+r+1, with r = 2, or r = 3 where the attention is divided.
    """

    def __init__(self, config: SpikeformerConfig) -> None:
        super().__init__()
        divided = config.attention == "divided"
        self.temporal = SpikingAttention(config, "temporal") if divided else None
        self.attn = SpikingAttention(config, "spatial" if divided else config.attention)
        self.mlp = Mlp(config)

    def forward(self, x: Tensor) -> Tensor:
        """Counts [T, B, N, D] of counts x [T, B, N, D]."""
        if self.temporal is not None:
            x = x + self.temporal(x)
        x = x + self.attn(x)
        return cast(Tensor, x + self.mlp(x))


class Classifier(nn.Module):
    """Classifier (CL): logits = mean over T of W (mean over tokens of x[t]) + b."""

    def __init__(self, config: SpikeformerConfig) -> None:
        super().__init__()
        self.fc = nn.Linear(config.dim, config.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of counts x [T, B, N, D]."""
        return cast(Tensor, self.fc(x.mean(dim=2)).mean(dim=0))


class SpikeReader(nn.Module):
    """A block's classifier on spikes: what the tokenizer and the layers up to the block send."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, pooled: Tensor, *added: Tensor) -> Tensor:
        """Logits [B, classes] of the tokenizer's spikes [T, B, D, H, W] and what the residuals add
        to them [T, B, N, D] each.
        """
        counts = pooled.flatten(3).transpose(2, 3)
        for spikes in added:
            counts = counts + spikes
        return cast(Tensor, self.classifier(counts))


class Spikeformer(FrameModel):
    """Tokenizer, `depth` blocks, a classifier on each block (deep supervision).

    x [T, B, C, H, W], event counts. In training it returns the logits of every block, a tuple of
    `depth` tensors [B, classes]; in `eval()` only the last block's, one tensor [B, classes]: the
    one that is deployed.
    """

    config: SpikeformerConfig

    def __init__(self, config: SpikeformerConfig) -> None:
        super().__init__()
        self.config = config
        widths = (config.in_channels, *config.stem, config.dim)
        self.tokenizer = nn.ModuleList(ConvStage(a, b, neuron(config)) for a, b in pairwise(widths))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.classifiers = nn.ModuleList(Classifier(config) for _ in range(config.depth))

        for norm in _batch_norms(self):
            nn.init.constant_(norm.weight, INITIAL_GAIN)

    def tokens(self, x: Tensor) -> Tensor:
        """Spikes [T, B, N, D] of frames x [T, B, C, H, W]: the convolutional tokenizer (CT)."""
        for stage in self.tokenizer:
            x = stage(x)
        return x.flatten(3).transpose(2, 3)

    def earlier_heads(self) -> tuple[tuple[nn.Module, tuple[str, ...]], ...]:
        """Copies of the classifiers of every block but the last, on the spikes that they count."""
        names = [f"tokenizer.{len(self.tokenizer) - 1}.pool"]
        divided = self.config.attention == "divided"
        parts = (*(["temporal.proj.lif"] if divided else []), "attn.proj.lif", "mlp.fc2.lif")
        heads = []
        for i, classifier in enumerate(list(self.classifiers)[:-1]):
            names += [f"blocks.{i}.{part}" for part in parts]
            reader = SpikeReader(cast(Classifier, copy.deepcopy(classifier)))
            heads.append((reader, tuple(names)))
        return tuple(heads)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits [B, classes]: the last block's in `eval()`, every block's in training.

        Raises `InputError` SFX-E122 if x is not [T, B, C, H, W] with the config's C, H and W.
        """
        self.check_input(x, "time first, then samples, then the channels and size of the config")
        x = self.tokens(x)
        logits = []
        for block, classifier in zip(self.blocks, self.classifiers, strict=True):
            x = block(x)
            if self.training:
                logits.append(classifier(x))
        return tuple(logits) if self.training else cast(Tensor, self.classifiers[-1](x))


def firing_rates(model: nn.Module, batches: Iterable[Tensor]) -> dict[str, float]:
    """Mean spikes per neuron and step of each `MultiStep` over `batches`, by module path.

    batches  inputs [T, B, C, H, W]; the model runs in the mode it is in
    """
    spikes: dict[str, float] = {}
    sites: dict[str, int] = {}

    def count(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            spikes[name] = spikes.get(name, 0.0) + float(output.detach().sum())
            sites[name] = sites.get(name, 0) + output.numel()

        return hook

    neurons = {n: m for n, m in model.named_modules() if isinstance(m, MultiStep)}
    handles = [m.register_forward_hook(count(n)) for n, m in neurons.items()]
    try:
        with torch.no_grad():
            for x in batches:
                model(x)
    finally:
        for handle in handles:
            handle.remove()
    return {n: spikes[n] / sites[n] for n in spikes}


def settle_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Sets every batch norm's running statistics to their plain average over `batches`.

    For an untrained net, which is silent past its tokenizer in `eval()` because batch norm starts
    with other statistics; and after training, whose running averages follow the last few batches.

    batches  inputs [T, B, C, H, W]

    Leaves the model in `eval()`.
    """
    norms = _batch_norms(model)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # type: ignore[assignment]  # PyTorch's word for the plain average
    model.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    model.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _batch_norms(model: nn.Module) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    return [m for m in model.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
