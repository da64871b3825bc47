"""Messages on the links of the mesh, per hardware step: XY routes, x first, unicast.

Loads are kept as differences along each row and column, so a route costs four additions however
long it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..ground.arith import IntArray
from .mesh import Mesh

Array = NDArray[np.float64]
Routers = tuple[IntArray, IntArray]


@dataclass(frozen=True)
class Link:
    """A link in one direction, from a router (x, y) to the next, and the bits of all steps."""

    source: tuple[int, int]
    target: tuple[int, int]
    bits: float


class LinkLoads:
    """Bits over every router-to-router link at each of T hardware steps."""

    def __init__(self, steps: int, mesh: Mesh, last_row: int) -> None:
        """last_row: the largest y of a router in use; whole chips are kept."""
        rows = (last_row // mesh.size[1] + 1) * mesh.size[1]
        width = mesh.chips[0] * mesh.size[0]
        self.mesh = mesh
        # direction 0 is towards larger coordinates; link i joins coordinates i and i + 1
        self._x = np.zeros((2, steps, rows, width + 1))
        self._y = np.zeros((2, steps, width, rows + 1))

    def send(self, source: Routers, target: Routers, bits: Array) -> None:
        """Add `bits` [T, routes] sent along each route; coordinates [routes]."""
        (x0, y0), (x1, y1) = source, target
        for direction, (a, b) in enumerate(((x0, x1), (x1, x0))):
            _segment(self._x[direction], y0, a, b, bits)
        for direction, (a, b) in enumerate(((y0, y1), (y1, y0))):
            _segment(self._y[direction], x1, a, b, bits)

    def heaviest(self) -> Array:
        """Bits on the heaviest link of each step [T]."""
        loads = [np.cumsum(d, axis=-1)[..., :-1] for d in (self._x, self._y)]
        most: Array = np.max([load.max(axis=(0, 2, 3)) for load in loads], axis=0)
        return most

    def used(self) -> tuple[Link, ...]:
        """Every link that carries anything."""
        out = []
        for differences, dx, dy in ((self._x, 1, 0), (self._y, 0, 1)):
            sums = np.cumsum(differences.sum(axis=1), axis=-1)[..., :-1]
            for direction, lane, start in np.argwhere(sums > 1e-9).tolist():
                a = (start, lane) if dx else (lane, start)
                b = (a[0] + dx, a[1] + dy)
                ends = (a, b) if direction == 0 else (b, a)
                out.append(Link(*ends, float(sums[direction, lane, start])))
        return tuple(out)

    def heaviest_chip_link(self) -> Array:
        """Bits over the heaviest border between two chips, per step and direction [T]."""
        most = np.zeros(self._x.shape[1])
        for differences, along, across in (
            (self._x, self.mesh.size[0], self.mesh.size[1]),
            (self._y, self.mesh.size[1], self.mesh.size[0]),
        ):
            last = differences.shape[-1] - 2  # links 0..last - 1 exist; borders are every `along`
            loads = np.cumsum(differences, axis=-1)[..., along - 1 : last : along]
            lanes = loads.shape[2] // across
            borders = loads.reshape(*loads.shape[:2], lanes, across, loads.shape[3]).sum(axis=3)
            if borders.shape[-1]:
                most = np.maximum(most, borders.max(axis=(0, 2, 3)))
        return most


def _segment(load: Array, lane: IntArray, start: IntArray, stop: IntArray, bits: Array) -> None:
    """Add bits [T, routes] to links start..stop-1 of `lane`, where start < stop."""
    forward = start < stop
    lane, start, stop = lane[forward], start[forward], stop[forward]
    for step, row in enumerate(bits[:, forward]):
        np.add.at(load[step], (lane, start), row)
        np.add.at(load[step], (lane, stop), -row)
