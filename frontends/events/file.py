"""What the readers of untrusted recordings share: the bytes of a file, and the refusal of one."""

from __future__ import annotations

import os
from pathlib import Path

from ...toolchain.ground.errors import InputError

MOST_OF_LINE = 4096
"""Bytes of a header's line at most."""


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


def head_lines(content: bytes) -> tuple[list[str], int]:
    """Lines of a Prophesee file that begin with '%', and where what follows them begins.

    '% end' is the last one where it is there, else the last that begins with '%'.
    """
    lines, at = [], 0
    while content[at : at + 1] == b"%":
        end = content.find(b"\n", at, at + MOST_OF_LINE)
        if end < 0:
            break
        lines.append(content[at:end].decode("latin1").rstrip("\r"))
        at = end + 1
        if lines[-1].strip() == "% end":
            break
    return lines, at
