"""Checkpoints of our own Spikeformer, read back as what `save` wrote."""

from __future__ import annotations

import os
from pathlib import Path

from ...toolchain.ground.errors import InputError
from ..zoo.spikeformer import Spikeformer
from .load import load_torch


def load(path: str | os.PathLike[str]) -> Spikeformer:
    """The model of a checkpoint that `save` wrote, in `eval()`.

    Raises `InputError` for a file that cannot be read, names another model, or whose config or
    tensors do not fit (`load_torch`).
    """
    model, _, _ = load_torch(Path(path))
    if not isinstance(model, Spikeformer):
        raise InputError(
            "SFX-E120",
            f"holds a {type(model).__name__}, not a Spikeformer",
            where=str(path),
            hint="sfx.frontends.checkpoints.load.load_torch reads any model",
        )
    return model
