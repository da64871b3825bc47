"""The verdict that `sfx verify --json` wrote, read back for the report of the same model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..ground.errors import InputError
from ..ir.digest import same_program
from ..ir.program import Program

MOST_BYTES = 64 << 20
KEYS: dict[str, type | tuple[type, ...]] = {
    "equal": bool,
    "program": str,
    "witness": (str, type(None)),
    "against": str,
    "mode": str,
    "states": bool,
    "samples": int,
    "populations": int,
    "steps": int,
    "compared": int,
    "spikes": int,
    "mismatches": int,
    "silent": list,
    "first_mismatch": (dict, type(None)),
    "per_population": list,
}


def read_verdict(path: Path, program: Program) -> dict[str, Any]:
    """The verdict in a file, if it is one, and of the very integers of `program`.

    Raises InputError: SFX-E218 if it is none, SFX-E709 if it is another Program's.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _refused(path, f"is larger than {MOST_BYTES >> 20} MiB")
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise _refused(path, "is not JSON") from error
    if not isinstance(found, dict):
        raise _refused(path, "is not a verdict")
    if "equal" in found and "program" not in found:
        raise _refused(path, "does not name its Program, because an older version of sfx wrote it")
    wrong = [k for k, kind in KEYS.items() if not isinstance(found.get(k), kind)]
    if wrong:
        raise _refused(path, f"is not a verdict: no valid {', '.join(wrong)}")
    named = [p.get("population") for p in found["per_population"] if isinstance(p, dict)]
    strange = sorted({str(n) for n in named} ^ {p.name for p in program})
    if strange or found["equal"] != (found["mismatches"] == 0):
        what = f"is of another model: {strange[0]}" if strange else "contradicts itself"
        raise _refused(path, what)
    same_program(found["program"], program, str(path), "is the verdict")
    if found["witness"] is not None:
        what = "was made with another Program as the witness (--witness), so it proves nothing here"
        raise _refused(path, what)
    return found


def _refused(path: Path, what: str) -> InputError:
    hint = "give the file that `sfx verify MODEL --input DATA --json FILE` wrote for this model"
    return InputError("SFX-E218", what, where=str(path), hint=hint)
