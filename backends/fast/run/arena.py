"""Working memory that outlives a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..layout import Values


class Arena:
    """Memory that is used again and again, so that the system need not clear it each time."""

    def __init__(self) -> None:
        self._held: dict[str, NDArray[np.uint8]] = {}

    def empty(self, name: str, shape: tuple[int, ...], kind: Any) -> Values:
        """Anything is in it; good until the next call with this name."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
        if name not in self._held or self._held[name].size < size:
            self._held[name] = np.empty(size, np.uint8)
        out: Values = self._held[name][:size].view(kind).reshape(shape)
        return out
