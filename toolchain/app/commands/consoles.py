"""The two consoles, and who may write to stdout: the answer of a command, no library."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import wraps
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ...ground.errors import InputError
from ...ground.files import noting
from ...ground.shown import visible

P = ParamSpec("P")
R = TypeVar("R")


class PlainConsole(Console):
    """Prints what it is given and nothing that the text itself asks for.

    No markup and no emoji codes are read out of it, and what cannot be printed is shown escaped,
    so that a name from a stranger's file colours nothing and moves no cursor.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, highlight=False, markup=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """The segments of `renderable`, their text made visible; Rich's own controls stay."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)

    def write_to(self, stream: IO[str] | None) -> None:
        """From now on to `stream`; None: to what sys.stdout or sys.stderr is at the time."""
        self._file = stream


out = PlainConsole()
err = PlainConsole(stderr=True)
_stdout: list[IO[str] | None] = []
"""What sys.stdout was when the command started."""
TELLING = ("json_file", "csv")
"""Parameters of commands that name a file, or with '-' stdout."""


def is_stdout(path: object) -> bool:
    """True if '-' stands where a file may."""
    return str(path) == "-"


def print_alone(text: str) -> None:
    """To stdout, what was asked for with '-'."""
    stream = _stdout[-1] if _stdout else sys.stdout
    if stream is not None:
        stream.write(text)
        stream.flush()


def answering(command: Callable[P, R]) -> Callable[P, R]:
    """`command`, with stdout for its answer: what libraries print meanwhile goes to stderr.

    With '-' the answer is what was asked for, and `out` prints to stderr. Raises InputError
    (SFX-E690) if two ask for it, or if it is closed. Ctrl-C says what was written and ends the
    command with status 130.
    """

    @wraps(command)
    def alone(*arguments: P.args, **options: P.kwargs) -> R:
        asked = [name for name in TELLING if is_stdout(options.get(name))]
        _check(len(asked))
        _stdout.append(sys.stdout)
        out.write_to(sys.stderr if asked else sys.stdout)
        try:
            with redirect_stdout(sys.stderr), noting() as written:
                return command(*arguments, **options)
        except KeyboardInterrupt:
            err.print(_interrupted(written, options.get("resume")), soft_wrap=True)
            raise typer.Exit(130) from None
        finally:
            out.write_to(None)
            _stdout.pop()

    return alone


def _check(asked: int) -> None:
    if asked > 1:
        raise InputError(
            "SFX-E690",
            "--json and --csv both ask for stdout",
            where="-",
            hint="write one of them to a file",
        )
    if asked and sys.stdout is None:
        raise InputError("SFX-E690", "stdout is closed", where="-", hint="name a file instead of -")


def _interrupted(written: list[Path], resumed: object) -> str:
    """What is there of a command that was interrupted."""
    if not written:
        return "interrupted; nothing was written"
    lines = [f"{p}: the same command goes on from it" if p == resumed else str(p) for p in written]
    return "\n".join(["interrupted; kept is", *(f"  {line}" for line in lines)])
