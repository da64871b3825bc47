"""How much memory a step needs, checked before it starts: refused with the number, not killed."""

from __future__ import annotations

from typing import Any

import psutil

from . import control_groups
from .errors import InputError


def free() -> int:
    """Bytes that this process may still take: of the machine, its control groups, its own limits.

    RLIMIT_AS limits addresses, RLIMIT_DATA what is private and writable.
    """
    found = [psutil.virtual_memory().available, *control_groups.left()]
    try:
        import resource
    except ImportError:  # not on Windows
        return min(found)
    taken = psutil.Process().memory_info()
    for limit, used in ((resource.RLIMIT_AS, taken.vms), (resource.RLIMIT_DATA, _data(taken))):
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY:
            found.append(soft - used)
    return max(0, min(found))


def _data(taken: Any) -> int:
    """Private writable bytes where the system counts them, else what is resident."""
    return int(getattr(taken, "data", taken.rss))


def require(needed: int, what: str, *, where: str = "", allowed: int | None = None) -> None:
    """Raise InputError (SFX-E605) if `needed` bytes are more than `allowed`, or than are free."""
    there = free()
    limit = there if allowed is None else min(allowed, there)
    if needed <= limit:
        return
    told = f"{text(there)} are free" if limit == there else f"--memory allows {text(limit)}"
    raise InputError(
        "SFX-E605",
        f"{what} needs at least {text(needed)} of memory, {told}",
        where=where,
        hint="fewer samples (--limit), a smaller model, or a machine with more memory",
    )


def text(count: int) -> str:
    """Bytes as a reader takes them in."""
    return f"{count / (1 << 30):.1f} GB" if count >= 1 << 30 else f"{count / (1 << 20):.1f} MB"
