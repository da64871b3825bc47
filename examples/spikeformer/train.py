"""Trains the Spikeformer on the digits of data.py, through its spikes, and writes model.pt.

    python examples/spikeformer/train.py [--out model.pt] [--log train.log] [--hold-out]

Surrogate gradients through Norse's neurons, deep supervision (a classifier on every block), Adam
with a one-cycle rate, digits shifted by up to one pixel; then batch norm's statistics are taken
afresh over the training set. The last epoch's weights are written; the test set is looked at once,
after training. `--hold-out` sets a tenth of the training set aside and reports its accuracy after
every epoch instead: it is what the stem's width below was chosen with.

The seed is fixed and one thread is used, so the same machine gives the same model each time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from data import STEPS, load
from torch import Tensor

from sfx.frontends.checkpoints.spikeformer import save
from sfx.frontends.zoo.spikeformer import (
    Spikeformer,
    SpikeformerConfig,
    deep_supervision_loss,
    firing_rates,
    settle_batch_norm,
)

HERE = Path(__file__).parent
SEED = 1
EPOCHS = 60
BATCH = 64
RATE = 6e-3  # Adam's highest learning rate
SMOOTHING = 0.1  # of the labels
CALIBRATION = 64  # training samples that go into the checkpoint
CONFIG = SpikeformerConfig(
    in_channels=2,
    image_size=16,
    stem=(32,),
    dim=32,
    depth=2,
    heads=4,
    mlp_ratio=2.0,
    timesteps=STEPS,
    num_classes=10,
    attention="joint",
    tau=2.0,
    attention_scale=0.125,
)


@dataclass(frozen=True)
class Samples:
    """Events x, float 0/1 [K, T, C, H, W], and labels y [K]."""

    x: Tensor
    y: Tensor

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The samples in order, time first: x [T, B, C, H, W], y [B]."""
        for x, y in zip(self.x.split(size), self.y.split(size), strict=True):
            yield x.transpose(0, 1), y

    def subset(self, index: Tensor) -> Samples:
        """The samples that `index` picks."""
        return Samples(self.x[index], self.y[index])


def samples(split: str) -> Samples:
    """The recorded digits of one split as tensors."""
    recording = load(split)
    return Samples(torch.from_numpy(recording.x).float(), torch.from_numpy(recording.y))


def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each sample of x [K, T, C, H, W] moved by -1, 0 or 1 pixel in y and in x."""
    size = x.shape[-1]
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    moves = torch.randint(0, 3, (len(x), 2), generator=generator).tolist()
    pairs = zip(padded, moves, strict=True)
    return torch.stack([sample[..., i : i + size, j : j + size] for sample, (i, j) in pairs])


def train(model: Spikeformer, data: Samples, epochs: int) -> Iterator[tuple[float, float]]:
    """Trains `model` in place; after each epoch yields its mean loss and training accuracy."""
    generator = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=1e-2)
    per_epoch = -(-len(data.y) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=RATE, total_steps=epochs * per_epoch, pct_start=0.2
    )
    for _ in range(epochs):
        model.train()
        total, right = 0.0, 0
        shuffled = data.subset(torch.randperm(len(data.y), generator=generator))
        moved = Samples(shifted(shuffled.x, generator), shuffled.y)
        for x, y in moved.batches(BATCH):
            logits = model(x)
            loss = deep_supervision_loss(logits, y, smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(y)
            right += int((logits[-1].argmax(1) == y).sum())
        yield total / len(data.y), right / len(data.y)


def accuracy(model: Spikeformer, data: Samples) -> float:
    """Share of `data` that the deployed classifier gets right."""
    model.eval()
    with torch.no_grad():
        right = sum(int((model(x).argmax(1) == y).sum()) for x, y in data.batches(120))
    return right / len(data.y)


def calibration(data: Samples) -> Tensor:
    """Training samples spread evenly over the training set, uint8 [64, T, C, H, W]."""
    index = torch.arange(CALIBRATION) * len(data.y) // CALIBRATION
    return data.x[index].to(torch.uint8)


def learn(
    learned: Samples, validation: Samples, epochs: int, log: Callable[[str], None]
) -> Spikeformer:
    """A model trained by the recipe above; the log says how `validation` does after every epoch."""
    torch.set_num_threads(1)  # sums in one order; the net is too small to gain from a second
    torch.manual_seed(SEED)
    started = time.process_time()
    model = Spikeformer(CONFIG)
    log(f"{CONFIG}")
    log(f"{sum(p.numel() for p in model.parameters())} parameters, {len(learned.y)} samples")
    for epoch, (loss, right) in enumerate(train(model, learned, epochs), 1):
        line = f"epoch {epoch:3d}  loss {loss:.4f}  train {100 * right:6.2f} %"
        if len(validation.y):
            line += f"  held out {100 * accuracy(model, validation):6.2f} %"
        log(f"{line}  {time.process_time() - started:6.1f} s of CPU")
    settle_batch_norm(model, (x for x, _ in learned.batches(BATCH)))
    return model


class Log:
    """Prints lines and keeps them in a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def __call__(self, line: str) -> None:
        print(line, flush=True)
        self._file.write(line + "\n")
        self._file.flush()


def main() -> None:
    """Trains, reports, writes the checkpoint."""
    parser = argparse.ArgumentParser(description="Train the example Spikeformer.")
    parser.add_argument("--out", type=Path, default=HERE / "model.pt")
    parser.add_argument("--log", type=Path, default=HERE / "train.log")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--hold-out", action="store_true", help="set a tenth aside, save nothing")
    options = parser.parse_args()
    log = Log(options.log)
    data = samples("train")
    held = torch.arange(len(data.y)) % 10 == 0 if options.hold_out else torch.zeros(len(data.y)) > 0
    learned, validation = data.subset(~held), data.subset(held)
    model = learn(learned, validation, options.epochs, log)

    last = validation if options.hold_out else samples("test")
    name = "held out" if options.hold_out else "test"
    log(f"firing rate per population ({name}, spikes per neuron and step)")
    for path, rate in firing_rates(model, (x for x, _ in last.batches(120))).items():
        log(f"  {path:28s} {100 * rate:6.2f} %")
    log(f"{name} accuracy {100 * accuracy(model, last):.2f} % of {len(last.y)} samples")
    if not options.hold_out:
        save(model, options.out, calibration(data))
        log(f"{options.out.name}: {options.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
