"""Pickles that the user vouches for: the one place where a file may run code, `--trust-pickle`.

Whole modules (torch.save(model, path)), files from before torch 1.6 and content that
`safe_pickle` refuses. Nothing calls this unless the user said so, and the bundle records it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ...ground.errors import InputError
from .. import table


def load(path: Path) -> Any:
    """What Python's unpickler makes of `path`, tensors on the CPU: runs whatever code it names.

    Raises InputError: SFX-E154 no pickle by its suffix, SFX-E155 it cannot be loaded.
    """
    trusted = [f for f in table.FORMATS if f.pickle]
    if not any(f.fits(path) for f in trusted):
        raise InputError(
            "SFX-E154",
            "is not a pickle, so there is nothing to trust",
            where=str(path),
            hint=f"--trust-pickle is for {' and '.join(s for f in trusted for s in f.suffixes)}; "
            "leave it out",
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # the file's own code may raise anything
        raise InputError(
            "SFX-E155",
            f"cannot be unpickled: {type(error).__name__}: {error}",
            where=str(path),
            hint="the classes that it names must be importable: set PYTHONPATH",
        ) from error
