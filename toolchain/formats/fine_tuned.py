"""A fine-tuned model on disk: `.safetensors`, integers and what training continues from.

Metadata `sfx`: {"sfx": 3, "model": "qat", "program", "template", "bits", "target", "reduce",
"origins"}, and "train" where that is not weights and biases: the trained Program and the one that
training started from, in the bundle's own form (`sfx.toolchain.ir.codec`), and which layers of the
model its projections carry (`ir/carried.py`).
Tensors: `program/N`, the arrays of both Programs, `absent/N`, 1 where layer N has no synapse, and
the module's state_dict.
Nothing in a file is imported or called, and torch is not needed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ground.errors import InputError, SfxError
from ..ground.files import atomic_write
from ..ir.carried import Carried, Constant, Origins
from ..ir.check_program import check_program
from ..ir.codec import CodecError, decode, encode
from ..ir.find_facts import with_facts
from ..ir.phases import in_phase_order
from ..ir.program import Conv2d, Dense, Program, Projection

FORMAT = 3
MORE = 4
READ = (1, 2, FORMAT, MORE)
"""Format 1 states no facts of its Programs; they are found when it is read. Format 2 does not say
which layers its projections carry: each has parameters of its own. Format 4 says what is trained,
and is written only where that is not weights and biases.
"""
USUAL = ("weights", "biases")
"""What of a Program fine-tuning changes unless more is asked."""
TRAINED = (*USUAL, "thresholds", "leaks", "scales")
"""What it may change."""
KIND = "qat"
ARRAYS = "program/"
ABSENT = "absent/"


@dataclass(frozen=True, eq=False)
class Stored:
    """What a file holds: both Programs, checked; the template's other fields; the parameters."""

    program: Program
    template: Program
    bits: dict[str, int]
    target: str
    reduce: str
    state: dict[str, NDArray[Any]]
    origins: Origins = field(default_factory=Origins)
    train: tuple[str, ...] = USUAL


def write(stored: Stored, path: str | Path) -> None:
    """Write `stored` atomically. Raises InputError (SFX-E603) if it cannot be written."""
    from safetensors.numpy import save as to_bytes

    arrays: list[NDArray[Any]] = []
    head = {
        "sfx": FORMAT,
        "model": KIND,
        "program": encode(stored.program, arrays),
        "template": encode(stored.template, arrays),
        "bits": dict(stored.bits),
        "target": stored.target,
        "reduce": stored.reduce,
        "origins": _said(stored.origins),
    }
    if stored.train != USUAL:
        head |= {"sfx": MORE, "train": list(stored.train)}
    missing = {
        f"{ABSENT}{i:05d}": c.absent.astype(np.uint8)
        for i, c in enumerate(stored.origins.weights)
        if c.absent is not None
    }
    tensors = {f"{ARRAYS}{i:05d}": np.array(a, order="C") for i, a in enumerate(arrays)}
    metadata = {"sfx": json.dumps(head, sort_keys=True, separators=(",", ":"))}
    atomic_write(Path(path), to_bytes(tensors | missing | stored.state, metadata))


def is_fine_tuned(path: str | Path) -> bool:
    """True if the header of the safetensors file `path` says that `write` made it."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return _head(file.metadata()).get("model") == KIND
    except (SafetensorError, OSError, ValueError, RecursionError):
        return False


def read(path: str | Path) -> Stored:
    """The file's content without torch. Raises InputError (SFX-E363), SfxError for its Program."""
    try:
        head, tensors = _open(path)
        if head.get("sfx") not in READ or head.get("model") != KIND:
            raise CodecError(f"it declares {head.get('model')!r} of format {head.get('sfx')!r}")
        names = sorted(n for n in tensors if n.startswith(ARRAYS))
        arrays = [tensors.pop(n) for n in names]
        if any(a.dtype.kind not in "iu" for a in arrays):
            raise CodecError("an array does not hold integers")
        program = in_phase_order(decode(head["program"], arrays, Program))
        start = in_phase_order(decode(head["template"], arrays, Program))
        absent = {k: tensors.pop(k) for k in list(tensors) if k.startswith(ABSENT)}
        origins = _origins(head.get("origins"), absent, start)
        bits, target, reduce = head["bits"], head["target"], head["reduce"]
        train = _trained(head.get("train", list(USUAL)))
        if not isinstance(bits, dict) or not all(b in range(2, 17) for b in bits.values()):
            raise CodecError("bits are not a table of 2..16")
        if not isinstance(target, str) or reduce not in ("mean", "sum", "none", "max", "weighted"):
            raise CodecError("target or reduce is unknown")
        check_program(program, balanced=False)
        check_program(start, balanced=False)
        program, start = with_facts(program), with_facts(start)
    except SfxError:
        raise
    except (CodecError, LookupError, ValueError, TypeError, AttributeError, RecursionError) as e:
        raise damaged(path, str(e) or type(e).__name__) from e
    if not all(np.isfinite(v).all() for v in tensors.values()):
        raise damaged(path, "a parameter is NaN or infinite")
    return Stored(program, start, bits, target, reduce, tensors, origins, train)


def _trained(said: Any) -> tuple[str, ...]:
    """What is trained. Raises CodecError."""
    if not isinstance(said, list) or not all(k in TRAINED for k in said):
        raise CodecError("what is trained is unknown")
    return tuple(said)


def _said(origins: Origins) -> dict[str, Any]:
    """The origins as JSON."""
    return {
        "weights": [
            {"layer": c.layer, "projections": list(c.projections), "scale": c.scale.tolist()}
            for c in origins.weights
        ],
        "constants": [
            {
                "population": c.population,
                "projections": list(c.projections),
                "threshold": c.threshold,
            }
            for c in origins.constants
        ],
    }


def _origins(said: Any, absent: dict[str, NDArray[Any]], program: Program) -> Origins:
    """What `_said` wrote, checked with its Program. Raises CodecError, LookupError, TypeError."""
    if said is None:
        return Origins()
    by_name = {j.name: j for j in program.projections}
    taken: set[str] = set()

    def group(names: Any) -> list[Projection]:
        found = [by_name[n] for n in names]
        ends = {(j.pre, j.post, j.port) for j in found}
        weighted = all(isinstance(j.connection, Dense | Conv2d) for j in found)
        if len(ends) != 1 or not weighted or taken & set(names) or len(set(names)) < len(names):
            raise CodecError("origins do not fit the projections")
        taken.update(names)
        return found

    weights = []
    for i, c in enumerate(said["weights"]):
        found = group(c["projections"])
        shape, scale = found[0].connection.weights.shape, np.array(c["scale"], np.float64)
        without = absent.get(f"{ABSENT}{i:05d}")
        fits = scale.shape in ((1,), shape[:1]) and np.isfinite(scale).all() and scale.all()
        if not (fits and (without is None or without.shape == shape)):
            raise CodecError("origins do not fit the weights")
        mask = None if without is None else without != 0
        weights.append(Carried(str(c["layer"]), tuple(c["projections"]), scale, mask))
    constants = []
    for c in said["constants"]:
        found = group(c["projections"])
        shapes = {j.connection.weights.shape for j in found}
        size, unit = program[found[0].post].size, float(c["threshold"])
        if found[0].post != c["population"] or shapes != {(size, 1)} or not np.isfinite(unit):
            raise CodecError("origins do not fit the constants")
        constants.append(Constant(c["population"], tuple(c["projections"]), unit))
    return Origins(tuple(weights), tuple(constants))


def _open(path: str | Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118  (no mapping)
    except FileNotFoundError as error:
        raise InputError("SFX-E363", "no such file", where=str(path)) from error
    except (SafetensorError, OSError) as error:
        raise damaged(path, str(error)) from error
    return _head(metadata), tensors


def _head(metadata: dict[str, str] | None) -> dict[str, Any]:
    """What the metadata say under `sfx`, nothing if it is no table. Raises ValueError: no JSON."""
    head = json.loads((metadata or {}).get("sfx", "{}"))
    return head if isinstance(head, dict) else {}


def damaged(path: str | Path, what: str) -> InputError:
    """SFX-E363, with what is wrong."""
    return InputError(
        "SFX-E363",
        f"not a readable fine-tuned model: {what}",
        where=str(path),
        hint="such files are written by sfx.qat.save",
    )
