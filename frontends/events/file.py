"""What the readers of untrusted recordings share: the bytes of a file, and the refusal of one."""

from __future__ import annotations

import os
from pathlib import Path

from ...toolchain.ground.errors import InputError


def refuse(code: str, path: str | os.PathLike[str], what: str, hint: str) -> InputError:
    """The error that says what is wrong with the file at `path` and what was expected."""
    return InputError(code, what, where=str(path), hint=hint)


def read_bytes(path: str | os.PathLike[str], code: str, hint: str) -> bytes:
    """The file's content. Raises `InputError` `code` if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise refuse(code, path, f"cannot be read: {reason}", hint) from error
