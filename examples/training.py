"""What the MNIST and N-MNIST examples share: the training loop, the log and the figures at its end.

Surrogate gradients through Norse's neurons, deep supervision (a classifier on every block), AdamW
with a one-cycle rate, samples moved, turned and stretched a little; then batch norm's statistics
are taken afresh over the training set. The last epoch's weights are kept.

Frames are uint8 event counts [K, S, C, H, W]; S is T, or 1 for an image that every step repeats.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from quick import quicken, see_once
from scipy.stats import beta
from torch import Tensor
from torch.nn import functional

from sfx.frontends.checkpoints.spikeformer import save
from sfx.frontends.zoo.spikeformer import (
    Spikeformer,
    deep_supervision_loss,
    firing_rates,
    settle_batch_norm,
)

EVALUATED = 250
"""Samples of one batch without gradients."""


@dataclass(frozen=True)
class Samples:
    """Frames x, uint8 [K, S, C, H, W] with S = T or 1, and labels y, int64 [K]."""

    x: Tensor
    y: Tensor

    def subset(self, index: Tensor) -> Samples:
        """The samples that `index` picks."""
        return Samples(self.x[index], self.y[index])

    def batches(self, size: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The samples in order, time first: x float [T, B, C, H, W], y [B]."""
        for x, y in zip(self.x.split(size), self.y.split(size), strict=True):
            yield _time_first(x, steps), y


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    rate       Adam's highest learning rate
    smoothing  of the labels
    shift      pixels a sample is moved by at most, in x and in y
    turn       degrees it is turned by at most
    stretch    share by which it grows or shrinks at most, in x and in y
    mode       how moved pixels are read: `bilinear` (images; rounded) or `nearest` (event counts)
    """

    epochs: int
    batch: int
    rate: float
    smoothing: float = 0.1
    shift: float = 2.0
    turn: float = 10.0
    stretch: float = 0.1
    mode: str = "bilinear"
    decay: float = 1e-2
    seed: int = 1


def moved(x: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Frames x [B, S, C, H, W], float, each sample moved, turned and stretched; whole numbers."""
    count, size = len(x), x.shape[-1]

    def draw() -> Tensor:
        return 2 * torch.rand(count, generator=generator) - 1  # -1..1

    angle = draw() * math.radians(recipe.turn)
    wide, high = 1 + draw() * recipe.stretch, 1 + draw() * recipe.stretch
    right, down = draw() * 2 * recipe.shift / size, draw() * 2 * recipe.shift / size
    rows = [
        torch.stack([wide * angle.cos(), -high * angle.sin(), right], 1),
        torch.stack([wide * angle.sin(), high * angle.cos(), down], 1),
    ]
    frames = x.flatten(1, 2)
    where = torch.stack(rows, 1).to(x.device)
    grid = functional.affine_grid(where, list(frames.shape), align_corners=False)
    sampled = functional.grid_sample(frames, grid, recipe.mode, align_corners=False)
    return sampled.round().reshape(x.shape)


def train(model: Spikeformer, data: Samples, recipe: Recipe) -> Iterator[tuple[float, float]]:
    """Trains `model` in place; after each epoch yields its mean loss and training accuracy."""
    generator = torch.Generator().manual_seed(recipe.seed)
    quicken(model)
    if data.x.shape[1] == 1:
        see_once(model)
    steps = model.config.timesteps
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    per_epoch = len(data.y) // recipe.batch  # an incomplete last batch is left out
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=recipe.rate, total_steps=recipe.epochs * per_epoch, pct_start=0.2
    )
    for _ in range(recipe.epochs):
        model.train()
        total, right = 0.0, 0
        order = torch.randperm(len(data.y), generator=generator)
        for index in order[: per_epoch * recipe.batch].split(recipe.batch):
            x = moved(data.x[index].float(), recipe, generator)
            y = data.y[index]
            logits = model(_time_first(x, steps))
            loss = deep_supervision_loss(logits, y, smoothing=recipe.smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(y)
            right += int((logits[-1].argmax(1) == y).sum())
        yield total / len(order), right / (per_epoch * recipe.batch)


def settle(model: Spikeformer, data: Samples, recipe: Recipe) -> None:
    """Batch norm's statistics, afresh, over samples as they were trained on; then `eval()`."""
    generator = torch.Generator().manual_seed(recipe.seed)
    steps = model.config.timesteps
    order = torch.randperm(len(data.y), generator=generator)  # a batch must not be of one class
    batches = order[: len(order) // recipe.batch * recipe.batch].split(recipe.batch)
    frames = (moved(data.x[index].float(), recipe, generator) for index in batches)
    settle_batch_norm(model, (_time_first(x, steps) for x in frames))


def correct(model: Spikeformer, data: Samples) -> int:
    """How many of the samples the deployed classifier gets right."""
    model.eval()
    batches = data.batches(EVALUATED, model.config.timesteps)
    with torch.no_grad():
        return sum(int((model(x).argmax(1) == y).sum()) for x, y in batches)


def interval(right: int, samples: int, level: float = 0.95) -> tuple[float, float]:
    """Exact confidence interval of an accuracy (Clopper and Pearson 1934)."""
    tail = (1 - level) / 2
    low = 0.0 if right == 0 else float(beta.ppf(tail, right, samples - right + 1))
    high = 1.0 if right == samples else float(beta.ppf(1 - tail, right + 1, samples - right))
    return low, high


def result(name: str, right: int, samples: int) -> str:
    """The line that a log ends with."""
    low, high = interval(right, samples)
    return (
        f"{name} accuracy {100 * right / samples:.2f} % ({right} of {samples}), "
        f"95 % confidence {100 * low:.2f} to {100 * high:.2f} %"
    )


class Log:
    """Prints lines and keeps them in a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def __call__(self, line: str) -> None:
        print(line, flush=True)
        self._file.write(line + "\n")
        self._file.flush()


def learn(
    model: Spikeformer, learned: Samples, held: Samples, recipe: Recipe, log: Callable[[str], None]
) -> None:
    """Trains on `learned` and settles; the log says how `held` does after every epoch."""
    started = time.process_time()
    log(f"{model.config}")
    log(f"{recipe}")
    parameters = sum(p.numel() for p in model.parameters())
    log(f"{parameters} parameters, {len(learned.y)} samples, {len(held.y)} held out")
    for epoch, (loss, right) in enumerate(train(model, learned, recipe), 1):
        line = f"epoch {epoch:3d}  loss {loss:.4f}  train {100 * right:6.2f} %"
        if len(held.y):
            line += f"  held out {100 * correct(model, held) / len(held.y):6.2f} %"
        log(f"{line}  {time.process_time() - started:6.0f} s of CPU")
    settle(model, learned, recipe)
    if len(held.y):
        log(result("held out", correct(model, held), len(held.y)))


def finish(
    model: Spikeformer, calibration: Tensor, test: Samples, out: Path, log: Callable[[str], None]
) -> None:
    """Writes the checkpoint, then looks at the test set, once.

    calibration  training samples for the quantizer, uint8 [K, T, C, H, W]
    """
    save(model, out, calibration)
    log(f"{out.name}: {out.stat().st_size / 1e3:.0f} kB")
    log("firing rate per population (test, spikes per neuron and step)")
    batches = test.batches(EVALUATED, model.config.timesteps)
    for path, rate in firing_rates(model, (x for x, _ in batches)).items():
        log(f"  {path:28s} {100 * rate:6.2f} %")
    log(result("test", correct(model, test), len(test.y)))


def _time_first(x: Tensor, steps: int) -> Tensor:
    """[B, S, C, H, W] -> float [T, B, C, H, W]; an image stands at every step."""
    whole = x.float().transpose(0, 1)
    return whole.expand(steps, *whole.shape[1:]) if len(whole) == 1 else whole
