"""Small networks for fine-tuning, and a few steps of it."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from sfx.frontends.zoo.spikeformer import Spikeformer, SpikeformerConfig, settle_batch_norm
from sfx.toolchain.app.api.tuning import prepare
from sfx.toolchain.compiler.quantize.options import Options
from sfx.toolchain.qat.model import QatModel, Template

T, SAMPLES, CLASSES = 4, 6, 4


def events(samples: int = SAMPLES, seed: int = 0) -> np.ndarray:
    """[K, T, 2, 8, 8]: each class has its own quarter of the image."""
    rng = np.random.default_rng(seed)
    x = rng.random((samples, T, 2, 8, 8)) < 0.15
    for k in range(samples):
        row, column = divmod(k % CLASSES, 2)
        x[k, :, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] |= rng.random() < 0.9
    return x.astype(np.int64)


def labels(samples: int = SAMPLES) -> Tensor:
    """Of `events`."""
    return torch.arange(samples) % CLASSES


def time_first(x: np.ndarray) -> Tensor:
    """[K, T, ...] -> float [T, K, ...]."""
    return torch.from_numpy(x).float().transpose(0, 1)


@cache
def spikeformer(attention: str = "joint", causal: bool = True) -> Spikeformer:
    """Untrained, with batch norms that make every population fire."""
    torch.manual_seed(2)
    config = SpikeformerConfig(
        image_size=8, stem=(6,), dim=8, heads=2, depth=1, timesteps=T, num_classes=CLASSES,
        attention=attention, attention_scale=1.5, causal=causal,
    )  # fmt: skip
    model = Spikeformer(config)
    settle_batch_norm(model, [time_first(events(16, seed=3))])
    return model


@cache
def _template(attention: str, causal: bool, bits: int) -> Template:
    samples = events(16, seed=3)
    options = Options(bits=bits, effort=0.2)
    return prepare(spikeformer(attention, causal), calibrate=samples, options=options).template


def prepared(attention: str = "joint", causal: bool = True, bits: int = 8) -> QatModel:
    """The small Spikeformer, ready to be fine-tuned."""
    return QatModel(_template(attention, causal, bits))


def train(model: QatModel, x: np.ndarray, y: Tensor, steps: int, rate: float) -> list[float]:
    """Losses of a user's own loop."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    losses = []
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(model(time_first(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
