"""Small parts that the published networks share.

Letters: T time steps, B samples, C channels, N tokens, h heads, d = C / h. Layout: time first.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from ..neurons.ge_lif import ge_lif
from ..neurons.multistep import MultiStep
from .public_config import PublicConfig


def neuron(config: PublicConfig) -> MultiStep:
    """The network's ordinary neuron."""
    return ge_lif(config.tau, config.threshold)


def attention_neuron(config: PublicConfig) -> MultiStep:
    """The neuron inside the attention, with its own threshold."""
    return ge_lif(config.tau, config.attention_threshold)


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """3x3, same size, no bias (a batch norm follows)."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)


def per_step(x: Tensor, *layers: nn.Module) -> Tensor:
    """The layers on every step and sample by itself: x [T, B, C, ...] -> [T, B, C', ...]."""
    y = x.flatten(0, 1)
    for layer in layers:
        y = layer(y)
    return y.reshape(x.shape[0], x.shape[1], *y.shape[1:])


def pool(x: Tensor, stride: int = 2) -> Tensor:
    """Max-pool 3x3, padding 1: x [T, B, C, H, W] -> [T, B, C, H/stride, W/stride].

    On spikes it is an OR; on currents, before a neuron, it is not.
    """
    y = functional.max_pool2d(x.flatten(0, 1), kernel_size=3, stride=stride, padding=1)
    return y.reshape(x.shape[0], x.shape[1], *y.shape[1:])


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[T, B, C, N] -> [T, B, h, N, d]; channel c is channel c % d of head c // d."""
    steps, batch, channels, tokens = x.shape
    return x.reshape(steps, batch, heads, channels // heads, tokens).transpose(3, 4)


def merge_heads(x: Tensor) -> Tensor:
    """[T, B, h, N, d] -> [T, B, C, N], the inverse of `split_heads`."""
    return x.transpose(3, 4).flatten(2, 3)


def coincidences(q: Tensor, k: Tensor, v: Tensor, scale: float, order: str) -> Tensor:
    """scale (q k^T) v per head, [T, B, h, N, d]: spiking self-attention without its neuron.

    q, k, v  spikes [T, B, h, N, d]; so the sums are whole numbers, 0..N d
    order    `qk`: (q k^T scale) v; `kv`: q (k^T v) scale. Equal for a scale that is a power of 2
    """
    if order == "qk":
        return ((q @ k.transpose(-2, -1)) * scale) @ v
    return (q @ (k.transpose(-2, -1) @ v)) * scale


class Readout(nn.Linear):
    """Logits [B, classes] = W (mean over tokens and T of x) + b, of x [T, B, C, ...]."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of x [T, B, C, ...]."""
        return super().forward(x.flatten(3).mean(3).mean(0))
