"""Reading a DATA file, whole."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfx.toolchain.arith import IntArray
from sfx.toolchain.errors import InputError
from sfx.toolchain.ir.program import Population
from sfx.toolchain.npy import NotNumbers, read_npy


@dataclass(frozen=True, eq=False)
class Data:
    """Samples and labels. x keeps its file's integer type (events are small)."""

    x: NDArray[Any]
    y: IntArray | None

    @property
    def samples(self) -> int:
        """K."""
        return len(self.x)


def read(path: str | Path, limit: int | None = None) -> Data:
    """Read a DATA file, the first `limit` samples. Raises InputError (SFX-E610, SFX-E611)."""
    where = str(path)
    hint = "DATA is an .npz file with x [samples, steps, ...] and optionally y [samples]"
    x, y = _arrays(Path(path), hint)
    if x.dtype.kind not in "biuf":
        raise InputError("SFX-E611", f"x has type {x.dtype}; numbers are needed", where=where)
    if x.dtype.kind == "f" and not np.array_equal(x, np.rint(x)):
        raise InputError(
            "SFX-E611",
            "x holds fractions or NaN; events are whole numbers",
            where=where,
            hint="bin events into counts per pixel, polarity and step",
        )
    if x.ndim < 2:
        raise InputError("SFX-E611", f"x has shape {x.shape}", where=where, hint=hint)
    if y is not None and (y.dtype.kind not in "iu" or y.shape != x.shape[:1]):
        raise InputError(
            "SFX-E611",
            f"y has shape {y.shape} and type {y.dtype} for {len(x)} samples",
            where=where,
        )
    if len(x) == 0:
        raise InputError("SFX-E611", "x holds no sample", where=where)
    whole = x if x.dtype.kind in "iu" else x.astype(np.int64)
    return Data(whole[:limit], None if y is None else y[:limit].astype(np.int64))


def _arrays(path: Path, hint: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    where = str(path)
    try:
        with zipfile.ZipFile(path) as file:
            infos = {i.filename: i for i in file.infolist()}
            if "x.npy" not in infos:
                raise InputError("SFX-E610", "has no array 'x'", where=where, hint=hint)
            found = []
            for name in ("x.npy", "y.npy"):
                if name in infos:
                    with file.open(infos[name]) as stream:
                        found.append(read_npy(stream, infos[name].file_size))
    except InputError:
        raise
    except NotNumbers as error:
        raise InputError("SFX-E611", f"an array {error}", where=where, hint=hint) from error
    except zipfile.BadZipFile as error:
        what = f"is not a readable .npz file: {error}"
        raise InputError("SFX-E610", what, where=where, hint=hint) from error
    except MemoryError as error:
        raise InputError("SFX-E610", "does not fit into memory", where=where) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError("SFX-E610", f"cannot be read: {reason}", where=where, hint=hint) from error
    except Exception as error:  # zlib.error and what zipfile raises for damaged entries
        raise InputError("SFX-E610", f"is damaged: {error}", where=where, hint=hint) from error
    return found[0], found[1] if len(found) > 1 else None


def at_every_step(x: NDArray[Any], shape: tuple[int, ...], timesteps: int) -> NDArray[Any]:
    """Samples [K, T, *shape]; those without time [K, *shape], as images are, at every step."""
    if x.shape[1:] != shape:
        return x
    return np.broadcast_to(x[:, None], (len(x), timesteps, *shape))


def check_input(x: NDArray[Any], population: Population, timesteps: int, where: str) -> None:
    """Raise InputError (SFX-E612) if `x` cannot enter the Program's input population."""
    wanted = (timesteps, *population.shape)
    if x.shape[1:] != wanted:
        raise InputError(
            "SFX-E612",
            f"samples have shape {tuple(x.shape[1:])}, the model takes {wanted} (steps first)",
            where=where,
        )
    low, high = int(x.min(initial=0)), int(x.max(initial=0))
    if low < 0 or high > population.high:
        raise InputError(
            "SFX-E612",
            f"values reach {low if low < 0 else high}, the input takes 0..{population.high}",
            where=where,
            hint="compile with --calibrate on data of the same kind, or clip the counts",
        )
