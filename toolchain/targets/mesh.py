"""Where cores sit on the mesh, and how far a message travels: XY routing, x first.

The chips of a system lie on a grid, so every router has one (x, y) over the whole system. A hop
between the routers of neighbouring chips counts as a hop and as one chip crossing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ground.arith import IntArray
from .target import Limits


@dataclass(frozen=True)
class Mesh:
    """The router grid of a system. `size` is routers per chip (x, y), `chips` the chip grid."""

    size: tuple[int, int]
    cores_per_router: int
    chips: tuple[int, int]

    @classmethod
    def of(cls, limits: Limits) -> Mesh:
        """The mesh of a target."""
        return cls(limits.mesh, limits.cores_per_router, limits.chip_grid)

    def router(self, chip: IntArray, core: IntArray) -> tuple[IntArray, IntArray]:
        """(x, y) of the router of each core, over the whole system. Arrays of one shape.

        Cores fill routers in order, routers fill rows, chips fill rows of the chip grid.
        """
        on_chip = core // self.cores_per_router
        x = (chip % self.chips[0]) * self.size[0] + on_chip % self.size[0]
        y = (chip // self.chips[0]) * self.size[1] + on_chip // self.size[0]
        return x, y


def hops(a: tuple[IntArray, IntArray], b: tuple[IntArray, IntArray]) -> tuple[IntArray, IntArray]:
    """Hops from router a to router b along E-W and N-S; none within one router."""
    return np.abs(a[0] - b[0]), np.abs(a[1] - b[1])
