"""Trains a Spikeformer on MNIST and writes model.pt and train.log.

    python examples/mnist/train.py mnist.npz [--out model.pt] [--log train.log]

5,000 of the 60,000 training images are held out: every choice was made on them, and the log shows
them after each epoch. The 10,000 test images are looked at once, after the checkpoint is written.
The seed is fixed and one thread is used, so the same machine gives the same model each time.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from data import HELD_OUT, STEPS, load  # noqa: E402  # beside this file
from training import Log, Recipe, Samples, finish, learn  # noqa: E402  # one folder up

from sfx.frontends.zoo.spikeformer import Spikeformer, SpikeformerConfig  # noqa: E402

CALIBRATION = 64  # training samples that go into the checkpoint
CONFIG = SpikeformerConfig(
    in_channels=1,
    image_size=24,
    stem=(8, 32),
    dim=64,
    depth=1,
    heads=8,
    mlp_ratio=2.0,
    timesteps=STEPS,
    num_classes=10,
    attention="joint",
    tau=2.0,
    attention_scale=0.125,
)
RECIPE = Recipe(epochs=7, batch=128, rate=8e-3, shift=1.0, turn=6.0, stretch=0.06)


def main() -> None:
    """Trains, writes the checkpoint, reports."""
    parser = argparse.ArgumentParser(description="Train a Spikeformer on MNIST.")
    parser.add_argument("data", type=Path, help="mnist.npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--out", type=Path, default=HERE / "model.pt")
    parser.add_argument("--log", type=Path, default=HERE / "train.log")
    options = parser.parse_args()
    torch.set_num_threads(1)  # sums in one order
    torch.manual_seed(RECIPE.seed)
    log = Log(options.log)

    everything = Samples(*map(torch.from_numpy, load(options.data, "train")))
    held = torch.arange(len(everything.y)) % HELD_OUT == 0
    learned = everything.subset(~held)
    model = Spikeformer(CONFIG)
    learn(model, learned, everything.subset(held), RECIPE, log)

    chosen = torch.arange(CALIBRATION) * len(learned.y) // CALIBRATION
    calibration = learned.x[chosen].expand(-1, STEPS, -1, -1, -1).contiguous()
    test = Samples(*map(torch.from_numpy, load(options.data, "test")))
    finish(model, calibration, test, options.out, log)


if __name__ == "__main__":
    main()
