"""The exit status of a command, and what is printed of an error instead of a traceback."""

from __future__ import annotations

import errno
from collections.abc import Callable

from rich.text import Text

from ...ground.errors import InputError, SfxError
from .consoles import err

MEMORY_MESSAGES = (
    "cannot allocate memory",
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "unable to allocate",
    "failed to map segment",
    "bad_alloc",
    "can't start new thread",  # there was no memory for its stack
)
"""In the messages of libraries that raise something else than MemoryError."""


def status_of(command: Callable[[], object]) -> int:
    """Run it; the exit status. Errors of ours, Ctrl-C and a lack of memory are told on stderr."""
    try:
        command()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        err.print(str(end.code), soft_wrap=True)
        return 1
    except SfxError as error:
        return _print_error(error)
    except KeyboardInterrupt:
        err.print("interrupted")
        return 130
    except Exception as error:
        if not ran_out(error):
            raise
        reason = " ".join(str(error).split()) or "an allocation failed"
    return _print_error(  # here the arrays of the frames that failed are gone
        InputError(
            "SFX-E605",
            f"there was not enough memory: {reason}",
            hint="fewer samples (--limit), a smaller model, or a machine with more memory",
        )
    )


def ran_out(error: BaseException) -> bool:
    """True for a lack of memory, whoever says it."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError | ImportError) and any(
        message in text for message in MEMORY_MESSAGES
    )


def _print_error(error: SfxError) -> int:
    many = f": {len(error.problems)} problem(s)" if len(error.problems) > 1 else ""
    err.print(Text.assemble(("error", "bold red"), many))
    for problem in error.problems:
        err.print(str(problem), soft_wrap=True)
    if error.during:
        err.print(f"  {error.during}", soft_wrap=True)
    return error.exit_status
