"""stdout and stderr that a command survives: closed, full, without a reader, of any encoding."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Any

UNUSABLE = 2
"""Exit status where stdout could not be written."""


class Patient(io.RawIOBase):
    """Writes to a descriptor; after the first error it takes everything and writes nothing.

    So a command whose reader has gone (`| head -1`) still writes its files and ends as it would
    have; any other error is kept in `failed` and told at the end.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.failed: OSError | None = None
        self._descriptor, self._off = descriptor, False

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """True for a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        """How many bytes are done with. Raises nothing."""
        size = memoryview(data).nbytes
        while not self._off:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # a pipe that does not wait for its reader
                select.select([], [self._descriptor], [])
            except BrokenPipeError:
                self._off = True
            except OSError as error:
                self._off, self.failed = True, error
        return size

    def ended(self, status: int) -> int:
        """The exit status of a command that ends with `status`, once all is written."""
        if sys.stdout is not None:
            sys.stdout.flush()
        if self.failed is None:
            return status
        print(
            f"error\nSFX-E690 stdout: cannot be written: {self.failed.strerror}\n"
            "  -> name a file, or send it where there is space",
            file=sys.stderr,
        )
        return UNUSABLE


def guard() -> Patient | None:
    """Patient streams from now on; descriptor 1, for all that writes past Python, is stderr's.

    Returns that of stdout, None if stdout is closed or is not the process's own. Closed ones
    become /dev/null, lest the next file that is opened takes their place.
    """
    for descriptor in range(3):
        _open(descriptor)
    if sys.stderr is not None and sys.stderr is sys.__stderr__:
        sys.stderr = _text(Patient(2), sys.stderr)
    text = sys.stdout
    if text is not sys.__stdout__ or text is None:
        raw = getattr(getattr(text, "buffer", None), "raw", None)
        return raw if isinstance(raw, Patient) else None  # ours: the second command in a process
    stdout = Patient(os.dup(1))
    text.flush()
    os.dup2(2, 1)
    sys.stdout = _text(stdout, text)
    return stdout


def _open(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _text(raw: Patient, like: Any) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=like.encoding,
        errors="backslashreplace",  # what an encoding lacks is shown as \\u2026
        line_buffering=True,
    )
