"""`--dump-passes DIR`: the model in text after every step of the compiler, a numbered file each."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ...ground.errors import InputError
from ...ground.files import atomic_write
from ...ir.graph import Graph
from ...ir.program import Program
from ...ir.text import graph_text, program_text

MARK = "# sfx --dump-passes: "
"""How each of these files begins: what lies in the folder without it is not ours to replace."""
NAME = re.compile(r"\d\d-[a-z-]+\.txt")


class Dump:
    """A folder of 00-imported.txt, 01-fold-batch-norm.txt and so on, written as compiling goes on.

    Each file is written in one step. If a pass fails, those of the steps before it are there.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder, or empty it of an earlier dump.

        Raises InputError: SFX-E603 it cannot be made or written to, SFX-E606 it holds files of
        such names that no dump wrote; then nothing in it is touched.
        """
        self.folder, self.count = folder, 0
        try:
            folder.mkdir(exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(0, "it may not be written to")
            earlier = sorted(f for f in folder.iterdir() if NAME.fullmatch(f.name))
            foreign = [f.name for f in earlier if not _is_ours(f)]
        except OSError as error:
            raise _not_written(folder, error) from error
        if foreign:
            raise InputError(
                "SFX-E606",
                f"holds files that no dump of passes wrote: {', '.join(foreign[:4])}",
                where=str(folder),
                hint="name another folder for --dump-passes, or one that does not exist yet",
            )
        try:
            for file in earlier:
                file.unlink()
        except OSError as error:
            raise _not_written(folder, error) from error

    def __call__(self, name: str, form: Graph | Program) -> None:
        """Write what came out of the step `name`. Raises InputError (SFX-E603)."""
        text = graph_text(form) if isinstance(form, Graph) else program_text(form)
        path = self.folder / f"{self.count:02d}-{name}.txt"
        atomic_write(path, f"{MARK}{name}\n{text}".encode(errors="backslashreplace"))
        self.count += 1


def _is_ours(file: Path) -> bool:
    if not file.is_file() or file.is_symlink():
        return False
    with file.open("rb") as stream:
        return stream.read(len(MARK)) == MARK.encode()


def _not_written(folder: Path, error: OSError) -> InputError:
    return InputError(
        "SFX-E603",
        f"cannot be written: {error.strerror or error}",
        where=str(folder),
        hint="name a folder that may be written to, in one that exists",
    )
