"""The SHA-256 of a Program: what binds a verdict, a ledger or a replay file to its integers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from ..ground.errors import InputError
from .codec import encode
from .program import Program


def digest(program: Program) -> str:
    """64 hexadecimal digits over every field and array, in the form that bundles keep.

    Equal for equal integers, wherever they are placed and however they came to be; a delay, a name
    or a weight more or less gives another one. Facts say nothing that the integers do not, so they
    are left out.
    """
    arrays: list[NDArray[Any]] = []
    bare = replace(program, facts=None)
    body = json.dumps(encode(bare, arrays), sort_keys=True, separators=(",", ":"))
    found = hashlib.sha256(body.encode())
    for array in arrays:
        found.update(f"{array.shape} {array.dtype.str}".encode())
        found.update(array.astype(array.dtype.newbyteorder("<"), order="C").tobytes())
    return found.hexdigest()


def same_program(found: str, program: Program, where: str, what: str) -> None:
    """Raise InputError (SFX-E709) if `found`, the digest in a file, is not that of `program`."""
    own = digest(program)
    if found != own:
        raise InputError(
            "SFX-E709",
            f"{what} of another Program, {found[:12]}...; that of {program.name!r} is "
            f"{own[:12]}...",
            where=where,
            hint="the integers, delays or names differ: make the file again for this model, or "
            "give the model that it was made for",
        )
