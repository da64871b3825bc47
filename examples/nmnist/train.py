"""Trains a Spikeformer on 1,000 N-MNIST recordings and writes model.pt and train.log.

    python examples/nmnist/train.py nmnist_small.npz [--out model.pt] [--log train.log] [--hold-out]

`--hold-out` sets a fifth of the training recordings aside, reports them after every epoch and saves
nothing: it is what the settings were chosen with. Without it all 1,000 are trained on and the 100
test recordings are looked at once, after the checkpoint is written.
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
    in_channels=2,
    image_size=32,
    stem=(8, 16),
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
RECIPE = Recipe(epochs=80, batch=32, rate=4e-3, mode="nearest")


def main() -> None:
    """Trains, writes the checkpoint, reports."""
    parser = argparse.ArgumentParser(description="Train a Spikeformer on N-MNIST recordings.")
    parser.add_argument("data", type=Path, help="nmnist_small.npz with events, offsets, labels")
    parser.add_argument("--out", type=Path, default=HERE / "model.pt")
    parser.add_argument("--log", type=Path, default=HERE / "train.log")
    parser.add_argument("--hold-out", action="store_true", help="set a fifth aside, save nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)  # sums in one order
    torch.manual_seed(RECIPE.seed)
    log = Log(options.log)

    everything = Samples(*map(torch.from_numpy, load(options.data, "train")))
    held = torch.arange(len(everything.y)) % HELD_OUT == 0
    held &= torch.tensor(options.hold_out)
    learned = everything.subset(~held)
    model = Spikeformer(CONFIG)
    learn(model, learned, everything.subset(held), RECIPE, log)
    if options.hold_out:
        return

    chosen = torch.arange(CALIBRATION) * len(learned.y) // CALIBRATION
    test = Samples(*map(torch.from_numpy, load(options.data, "test")))
    finish(model, learned.x[chosen], test, options.out, log)


if __name__ == "__main__":
    main()
