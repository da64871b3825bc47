"""Reading a DATA file, whole."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ground.arith import IntArray
from ..ground.errors import InputError
from ..ground.memory import require
from ..ground.npy import NotNumbers, read_npy
from ..ir.program import Input, Population
from .whole import not_negative, whole_events, whole_labels

FRAMES = "frames that SpikingJelly made become DATA by sfx data convert --from spikingjelly FOLDER"
RECORDING = "recordings become DATA by sfx data convert --from recordings PATH"
EVENTS = {"x.npy", "y.npy", "t.npy", "p.npy"}
RECORDINGS = (".aedat4", ".aedat", ".csv", ".dat", ".es", ".h5", ".mat", ".npy", ".raw", ".txt")


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
    """Read a DATA file, the first `limit` samples. Raises InputError.

    SFX-E605 what does not fit into memory, with what is made of it, SFX-E610 what cannot be read,
    SFX-E611 what is not whole numbers, as `whole` says.
    """
    where = str(path)
    hint = "DATA is an .npz file with x [samples, steps, ...] and optionally y [samples]"
    x, y = _arrays(Path(path), hint)
    data = checked(x, y, where)
    return Data(data.x[:limit], None if data.y is None else data.y[:limit])


def checked(x: NDArray[Any], y: NDArray[Any] | None, where: str) -> Data:
    """Data of two arrays. Raises InputError (SFX-E611)."""
    events = whole_events(x, where)
    return Data(events, None if y is None else whole_labels(y, len(events), where))


def _arrays(path: Path, hint: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    where = str(path)
    try:
        with zipfile.ZipFile(path) as file:
            infos = {i.filename: i for i in file.infolist()}
            if "x.npy" not in infos:
                hint = FRAMES if "frames.npy" in infos else hint
                raise InputError("SFX-E610", "has no array 'x'", where=where, hint=hint)
            if infos.keys() >= EVENTS:
                what = "has the events x, y, t, p of one recording"
                raise InputError("SFX-E610", what, where=where, hint=RECORDING)
            found = []
            for name in ("x.npy", "y.npy"):
                if name in infos:
                    with file.open(infos[name]) as stream:
                        ask = partial(_ask, name, where)
                        found.append(read_npy(stream, infos[name].file_size, ask))
    except InputError:
        raise
    except NotNumbers as error:
        raise InputError("SFX-E611", f"an array {error}", where=where, hint=hint) from error
    except zipfile.BadZipFile as error:
        what = f"is not a readable .npz file: {error}"
        hint = RECORDING if Path(path).suffix.lower() in RECORDINGS else hint
        raise InputError("SFX-E610", what, where=where, hint=hint) from error
    except MemoryError as error:
        what = "does not fit into memory"
        raise InputError("SFX-E605", what, where=where, hint=hint) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError("SFX-E610", f"cannot be read: {reason}", where=where, hint=hint) from error
    except Exception as error:  # zlib.error and what zipfile raises for damaged entries
        raise InputError("SFX-E610", f"is damaged: {error}", where=where, hint=hint) from error
    return found[0], found[1] if len(found) > 1 else None


def _ask(name: str, where: str, values: int, dtype: np.dtype[Any]) -> None:
    what = f"array '{name.removesuffix('.npy')}'"
    require(taken(values, dtype, labels=name == "y.npy"), what, where=where)


def taken(values: int, dtype: np.dtype[Any], *, labels: bool = False) -> int:
    """Bytes that an array takes at the worst moment of `checked`, which may make integers of it.

    Floats are compared with their rounded copy, then become int64; so do labels.
    """
    read = values * dtype.itemsize
    if labels:
        return read + 8 * values if dtype.kind in "iu" else read
    if dtype.kind == "f":
        return read + max(read + values, 8 * values)
    return read + values if dtype.kind == "b" else read


def at_every_step(x: NDArray[Any], shape: tuple[int, ...], timesteps: int) -> NDArray[Any]:
    """Samples [K, T, *shape]; those without time [K, *shape], as images are, at every step."""
    if x.shape[1:] != shape:
        return x
    return np.broadcast_to(x[:, None], (len(x), timesteps, *shape))


def check_input(x: NDArray[Any], population: Population, timesteps: int, where: str) -> None:
    """Raise InputError (SFX-E612, E616) if `x` cannot enter the Program's input population."""
    wanted = (timesteps, *population.shape)
    if x.shape[1:] != wanted:
        raise InputError(
            "SFX-E612",
            f"samples have shape {tuple(x.shape[1:])}, but the model takes {wanted} (steps first)",
            where=where,
            hint=f"[samples, steps, *input shape], or images [samples, "
            f"{', '.join(map(str, population.shape))}] that are shown at every step",
        )
    low, high = int(x.min(initial=0)), int(x.max(initial=0))
    takes = population.neuron
    assert isinstance(takes, Input)
    if not takes.signed:
        not_negative(x, where)
    if low < takes.low or high > takes.high:
        raise InputError(
            "SFX-E612",
            f"values reach {low if low < takes.low else high}, but the input takes "
            f"{takes.low}..{takes.high}",
            where=where,
            hint="compile with --calibrate on data of the same kind, or clip the counts",
        )
