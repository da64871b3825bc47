"""`--dump-passes DIR`: the model in text after every step of the compiler, a numbered file each."""

from __future__ import annotations

import re
from pathlib import Path

from ...ground.errors import InputError
from ...ground.files import atomic_write, writable_folder
from ...ir.graph import Graph
from ...ir.program import Program
from ...ir.text import graph_text, program_text

MARK = "# sfx --dump-passes: "
"""How each of these files begins: what lies in the folder without it is not ours to replace."""
NAME = re.compile(r"\d\d-[a-z-]+\.txt")


class Dump:
    """A folder of 00-imported.txt, 01-fold-batch-norm.txt and so on, written as compiling goes on.

    It is made, or emptied of an earlier dump, when the first file is written. Each file is written
    in one step. If a pass fails, those of the steps before it are there.
    """

    def __init__(self, folder: Path) -> None:
        """Raises InputError (SFX-E603, SFX-E606) as `earlier_dump` does."""
        earlier_dump(folder)
        self.folder, self.count = folder, 0

    def __call__(self, name: str, form: Graph | Program) -> None:
        """Write what came out of the step `name`. Raises InputError (SFX-E603, SFX-E606)."""
        if not self.count:
            self._begin()
        text = graph_text(form) if isinstance(form, Graph) else program_text(form)
        path = self.folder / f"{self.count:02d}-{name}.txt"
        atomic_write(path, f"{MARK}{name}\n{text}".encode(errors="backslashreplace"))
        self.count += 1

    def _begin(self) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
            for file in earlier_dump(self.folder):
                file.unlink()
        except OSError as error:
            raise _not_written(self.folder, error.strerror or str(error)) from error


def earlier_dump(folder: Path) -> list[Path]:
    """The files of an earlier dump in `folder`, which a new one replaces. Nothing is changed.

    Raises InputError: SFX-E603 if it is plain that nothing can be written there, SFX-E606 if it
    holds files of such names that no dump wrote.
    """
    if not writable_folder(folder):
        return []
    try:
        files = sorted(f for f in folder.iterdir() if NAME.fullmatch(f.name))
        foreign = [f.name for f in files if not _is_ours(f)]
    except OSError as error:
        raise _not_written(folder, error.strerror or str(error)) from error
    if foreign:
        raise InputError(
            "SFX-E606",
            f"holds files that no dump of passes wrote: {', '.join(foreign[:4])}",
            where=str(folder),
            hint="name another folder for --dump-passes, or one that does not exist yet",
        )
    return files


def _is_ours(file: Path) -> bool:
    if not file.is_file() or file.is_symlink():
        return False
    with file.open("rb") as stream:
        return stream.read(len(MARK)) == MARK.encode()


def _not_written(folder: Path, what: str) -> InputError:
    return InputError(
        "SFX-E603",
        f"cannot be written: {what}",
        where=str(folder),
        hint="name a folder that may be written to, in one that exists",
    )
