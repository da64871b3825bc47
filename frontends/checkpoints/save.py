"""Checkpoints of the zoo's networks, as `load` reads them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import torch
from torch import Tensor

from ...toolchain.ground.files import atomic_write
from ..zoo.public_model import FrameModel
from .checkpoint import FORMAT


def save(
    model: FrameModel, path: str | os.PathLike[str], calibration: Tensor | None = None
) -> None:
    """Writes `model` as a checkpoint that names its architecture (plain data and tensors only).

    In one step. Raises InputError (SFX-E603) if it cannot be written.

    calibration  optional training samples, uint8 [K, T, C, H, W], for the quantizer
    """
    content: dict[str, object] = {
        "sfx": FORMAT,
        "model": model.config.model,
        "config": model.config.to_mapping(),
        "state_dict": dict(model.state_dict()),
    }
    if calibration is not None:
        content["calibration"] = calibration
    buffer = io.BytesIO()
    torch.save(content, buffer)
    atomic_write(Path(path), buffer.getvalue())
