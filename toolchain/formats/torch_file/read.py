"""What a `.pt` or `.safetensors` file holds: plain data with tensors; nothing in it is executed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ...ground.errors import InputError
from .. import table
from .zip import read_archive

LEGACY = (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", b"\x80\x02", b"\x80\x03", b"\x80\x04")


def read(path: str | os.PathLike[str]) -> Any:
    """What a `.pt` or `.safetensors` file holds: plain data with tensors, nothing executed.

    A `.safetensors` file gives {name: tensor}, or the checkpoint form if its metadata have `sfx`.
    Raises InputError (SFX-E110 to E115).
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("SFX-E110", "no such file", where=str(file))
    if table.named("safetensors").fits(file):
        return _read_safetensors(file)
    with file.open("rb") as stream:
        head = stream.read(16)
    if head.startswith(table.ZIP):
        return read_archive(file)
    if head.startswith(LEGACY):
        raise InputError(
            "SFX-E110",
            "is a bare pickle or in the torch.save format from before version 1.6",
            where=str(file),
            hint="load it where you trust it and save it again with torch.save, or as "
            ".safetensors; --trust-pickle runs whatever code it holds",
        )
    raise InputError(
        "SFX-E110",
        "is not a torch.save archive" if head else "is empty",
        where=str(file),
        hint=f"torch.save writes them since its version 1.6; sfx reads {table.suffixes()}",
    )


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    where = str(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in sorted(file.keys())}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            "SFX-E110", f"is not a sound safetensors file ({error})", where=where
        ) from error
    if "sfx" not in metadata:
        return tensors
    try:
        head = json.loads(metadata["sfx"])
    except (ValueError, RecursionError) as error:
        raise InputError(
            "SFX-E115", f"metadata 'sfx' is not JSON ({type(error).__name__})", where=where
        ) from error
    if not isinstance(head, dict):
        raise InputError("SFX-E115", "metadata 'sfx' is not a JSON object", where=where)
    content = {**head, "state_dict": {k: v for k, v in tensors.items() if k != "calibration"}}
    if "calibration" in tensors:
        content["calibration"] = tensors["calibration"]
    return content
