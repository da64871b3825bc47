"""The file that a training goes on from, and its log: written in one step after every epoch."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from ...toolchain.formats.torch_file.read import read
from ...toolchain.ground.errors import InputError
from ...toolchain.ground.files import atomic_write
from .loop import Epoch


def fingerprint(settings: Mapping[str, Any]) -> str:
    """Of a configuration: a training goes on with the one that it began with."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def write_state(path: Path, state: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """What `Training.state` gives, with the configuration that it belongs to. Raises SFX-E603."""
    buffer = io.BytesIO()
    torch.save({"settings": fingerprint(settings), **state}, buffer)
    atomic_write(path, buffer.getvalue())


def read_state(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same back; nothing in the file is executed.

    Raises InputError: SFX-E110 to E114 a file that cannot be read, SFX-E387 the state of another
    configuration.
    """
    state = read(path)
    if not isinstance(state, dict) or state.get("settings") != fingerprint(settings):
        raise InputError(
            "SFX-E387",
            "was begun with another configuration",
            where=str(path),
            hint="put the old one back, or train in another folder",
        )
    return state


def write_log(path: Path, epochs: Sequence[Epoch]) -> None:
    """A line per epoch (CSV); empty where nothing was measured. Raises SFX-E603."""
    text = io.StringIO()
    rows = csv.DictWriter(text, [f.name for f in fields(Epoch)], lineterminator="\n")
    rows.writeheader()
    for epoch in epochs:
        values = {k: "" if v is None else v for k, v in asdict(epoch).items()}
        rows.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in values.items()})
    atomic_write(path, text.getvalue().encode())
