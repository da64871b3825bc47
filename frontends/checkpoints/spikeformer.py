"""Checkpoints of our own Spikeformer: written, and read back."""

from __future__ import annotations

import io
import os
from pathlib import Path

import torch
from torch import Tensor

from ...toolchain.ground.errors import InputError
from ...toolchain.ground.files import atomic_write
from ..zoo.spikeformer import Spikeformer
from .load import load_torch


def save(
    model: Spikeformer, path: str | os.PathLike[str], calibration: Tensor | None = None
) -> None:
    """Writes `model` as a checkpoint that names its architecture (plain data and tensors only).

    In one step. Raises InputError (SFX-E603) if it cannot be written.

    calibration  optional training samples, uint8 [K, T, C, H, W], for the quantizer
    """
    content: dict[str, object] = {
        "sfx": 1,
        "model": "spikeformer",
        "config": model.config.to_mapping(),
        "state_dict": dict(model.state_dict()),
    }
    if calibration is not None:
        content["calibration"] = calibration
    buffer = io.BytesIO()
    torch.save(content, buffer)
    atomic_write(Path(path), buffer.getvalue())


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
