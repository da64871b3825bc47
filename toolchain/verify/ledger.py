"""What a long comparison has done so far, kept in a file so that it can go on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from ..ground.errors import InputError
from ..ground.files import atomic_write
from ..ir.digest import digest, same_program
from ..ir.program import Program
from .compare import Mismatch, Part, PopulationVerdict


class Ledger:
    """`parts` by label of the piece; written to `path`, if there is one, whenever some are added.

    key: what the comparison is of, and program: of which Program, if that is known. Raises
    InputError (SFX-E705) if the file is of another comparison or cannot be read, SFX-E709 if it is
    of another Program.
    """

    def __init__(self, path: Path | None, key: str, program: Program | None = None) -> None:
        self.parts: dict[str, Part] = {}
        self._path, self._key = path, key
        self._program = "" if program is None or path is None else digest(program)
        if path is None or not path.exists():
            return
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            of = str(data.get("program", self._program))
            same = data["key"] == key
            if same:
                self.parts = {label: _part(*both) for label, both in data["parts"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                "SFX-E705", "is not the record of a comparison", where=str(path)
            ) from error
        if program is not None:
            same_program(of, program, str(path), "is the record of a comparison")
        if not same:
            raise InputError(
                "SFX-E705",
                "is the record of another comparison: the data or options differ",
                where=str(path),
                hint="name a new file, or delete this one",
            )

    def add(self, parts: Mapping[str, Part]) -> None:
        """Keep these too. Raises InputError (SFX-E603) if the file cannot be written."""
        self.parts |= parts
        if self._path is None:
            return
        rows = {
            label: [asdict(part), None if first is None else asdict(first)]
            for label, (part, first) in self.parts.items()
        }
        text = (
            json.dumps({"key": self._key, "program": self._program, "parts": rows}, indent=1) + "\n"
        )
        atomic_write(self._path, text.encode())


def _part(verdict: dict[str, object], first: dict[str, object] | None) -> Part:
    found = None if first is None else Mismatch(**first)  # type: ignore[arg-type]
    return PopulationVerdict(**verdict), found  # type: ignore[arg-type]
