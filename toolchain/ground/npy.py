"""Arrays from `.npy` bytes that a stranger may have written: one way in, one kind of error.

`np.load` raises whatever its parts raise (SyntaxError, TokenError, MemoryError) and allocates what
a header claims before it looks whether the values are there.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

NUMBERS = "biuf"
"""Kinds of dtype that are read: booleans, integers, floats."""
RECORDS = "V"
"""Kind of a structured dtype, of which each field is one number; read where it is asked for."""


_format: Any = npy_format  # numpy ships it without types
_HEADERS = {1: _format.read_array_header_1_0, 2: _format.read_array_header_2_0}


class NotNumbers(ValueError):
    """A sound array of text, dates or objects."""


def read_npy(
    stream: IO[bytes],
    size: int,
    ask: Callable[[int, np.dtype[Any]], None] = lambda values, dtype: None,
    kinds: str = NUMBERS,
) -> NDArray[Any]:
    """The array in a stream of `size` bytes, of which none may be missing or left over.

    ask    called with the number of values and their type before memory is taken for them
    kinds  the kinds of dtype that are wanted

    Raises NotNumbers for other dtypes, ValueError for anything else but a sound array.
    """
    try:
        major, _ = _format.read_magic(stream)
        shape, fortran, dtype = _HEADERS[major](stream)
    except Exception as error:  # numpy parses the header as Python: it can raise anything
        raise ValueError(f"no npy header ({type(error).__name__})") from error
    if dtype.hasobject:
        raise ValueError("holds pickled objects")
    if dtype.kind not in kinds or (dtype.kind == RECORDS and not _plain_fields(dtype)):
        raise NotNumbers(f"holds {dtype}; numbers are needed")
    if any(n < 0 for n in shape):
        raise ValueError(f"an array of shape {shape}")
    start, claimed = stream.tell(), prod(shape) * dtype.itemsize
    if size - start != claimed:
        raise ValueError(f"{size - start} bytes for an array of {claimed}")
    ask(prod(shape), dtype)
    flat: NDArray[Any] = np.empty(prod(shape), dtype)
    _fill(stream, flat.view(np.uint8).data)
    return flat.reshape(shape, order="F" if fortran else "C")


def _plain_fields(dtype: np.dtype[Any]) -> bool:
    fields = [] if dtype.fields is None else [field[0] for field in dtype.fields.values()]
    return bool(fields) and all(f.kind in NUMBERS and not f.shape for f in fields)


def _fill(stream: IO[bytes], into: memoryview) -> None:
    done = 0
    while done < len(into):
        part = stream.read(min(1 << 20, len(into) - done))
        if not part:
            raise ValueError(f"ends after {done} of {len(into)} bytes")
        into[done : done + len(part)] = part
        done += len(part)
