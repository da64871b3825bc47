"""Compiled loops: numba, on all cores where the work is worth it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from sfx.toolchain.errors import MissingPartError

try:
    import numba
    import numpy as np
except ModuleNotFoundError as error:
    raise MissingPartError(
        "SFX-E540",
        f"the fast backend needs {error.name}, which is not installed",
        hint="install numba, or use the reference backend",
    ) from None

__all__ = ["compiled", "np", "numba"]

SMALL = 1 << 16
"""Array elements below which waking other threads takes longer than the work."""


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """`function` as machine code, kept on disk between processes; small work stays on one core."""
    made = numba.njit(function, parallel=True, cache=True, nogil=True)

    @functools.wraps(function)
    def call(*arguments: Any) -> None:
        if max(a.size for a in arguments if isinstance(a, np.ndarray)) >= SMALL:
            made(*arguments)
            return
        threads = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            made(*arguments)
        finally:
            numba.set_num_threads(threads)

    return call
