"""Compiled loops: numba, on all cores where the work is worth it."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable
from typing import Any

from ....toolchain.ground.errors import MissingPartError

try:
    import numba
    import numpy as np
    from numba.extending import intrinsic

    from ....toolchain.ground.machine_code import kept
except ModuleNotFoundError as error:
    raise MissingPartError(
        "SFX-E540",
        f"the fast backend needs {error.name}, which is not installed",
        hint="install numba, or use the reference backend",
    ) from None

__all__ = ["compiled", "inlined", "np", "numba"]

SMALL = 1 << 16
"""Array elements below which waking other threads takes longer than the work."""


@functools.cache
def _awake() -> None:
    """Start numba's threads, and leave the start method of processes undecided, as it was.

    Numba asks multiprocessing for it, which thereby settles it; Lava sets it when it is imported,
    which then fails ("context has already been set").
    """
    before = multiprocessing.get_start_method(allow_none=True)
    numba.get_num_threads()
    if not before:
        multiprocessing.set_start_method(None, force=True)


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """`function` as machine code, kept on disk between processes; small work stays on one core."""
    made = kept(parallel=True, nogil=True)(function)

    @functools.wraps(function)
    def call(*arguments: Any) -> None:
        _awake()
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


def inlined(typed: Callable[..., Any]) -> Any:
    """`typed`, which builds vector code for LLVM, as a function to be called in compiled code.

    It is called without the first parameter, numba's context.
    """
    return intrinsic(typed)
