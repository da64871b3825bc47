"""What `sfx train` reads: its configuration, and the state that a training goes on from."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any

CONFIG = b"""[model]
name = "spikeformer"
dim = 8

[data]
train = "train.npz"
test = "test.npz"
validation = 0.1
crop = [8, 8]

[train]
epochs = 3
batch = 8
rate = 1e-2
blocks = [0.5, 1.0]

[augment]
shift = 1
mode = "whole"

[qat]
bits = 4

[qat.train]
epochs = 1
batch = 4
rate = 1e-3
"""
RECORDED = b"""[model]
checkpoint = "model.pt"
[data]
set = "nmnist"
path = "N-MNIST"
[train]
epochs = 1
batch = 1
rate = 1
[events]
flip = 0.5
jitter = 10.0
"""


def read_config(path: Path) -> object:
    from sfx.frontends.training.config import read_config

    return read_config(path)


def configs(folder: Path) -> list[bytes]:
    return [CONFIG, RECORDED]


def _training() -> Any:
    from sfx.frontends.training.loop import Training
    from sfx.frontends.training.recipe import Recipe
    from tests.unit.training.nets import network, patterns

    return Training(
        network(depth=1),
        patterns(8),
        Recipe(2, 4, 1e-2, keep="best"),
        steps=3,
        validation=patterns(4),
    )


def read_state(path: Path) -> object:
    """It is taken over, and the training goes on by an epoch."""
    from sfx.frontends.training.kept import read_state

    training = _training()
    training.restore(read_state(path, {}))
    if not training.done:
        training.epoch()
    return training


@functools.cache
def _state() -> bytes:
    import torch

    from sfx.frontends.training.kept import fingerprint

    training = _training()
    training.epoch()
    buffer = io.BytesIO()
    torch.save({"settings": fingerprint({}), **training.state()}, buffer)
    return buffer.getvalue()


def states(folder: Path) -> list[bytes]:
    return [_state()]
