"""Where cores are on the mesh and how far apart."""

from __future__ import annotations

import numpy as np

from sfx.toolchain.targets import load
from sfx.toolchain.targets.mesh import Mesh, hops


def at(mesh: Mesh, chip: int, core: int) -> tuple[int, int]:
    x, y = mesh.router(np.array(chip), np.array(core))
    return int(x), int(y)


def test_cores_fill_routers_and_routers_fill_rows() -> None:
    mesh = Mesh.of(load("loihi2").limits)
    assert [at(mesh, 0, core) for core in (0, 3, 4, 31, 32, 119)] == [
        (0, 0),
        (0, 0),
        (1, 0),
        (7, 0),
        (0, 1),
        (5, 3),
    ]


def test_chips_fill_rows_of_the_chip_grid() -> None:
    mesh = Mesh.of(load("kapoho-point").limits)  # 4 x 2 chips of 8 x 4 routers
    assert at(mesh, 1, 0) == (8, 0)
    assert at(mesh, 3, 4) == (25, 0)
    assert at(mesh, 4, 0) == (0, 4)
    assert at(mesh, 7, 119) == (24 + 5, 4 + 3)


def test_hops_are_the_distances_along_each_axis() -> None:
    a = (np.array([0, 5, 3]), np.array([0, 2, 3]))
    b = (np.array([7, 5, 1]), np.array([3, 2, 4]))
    east_west, north_south = hops(a, b)
    assert east_west.tolist() == [7, 0, 2]
    assert north_south.tolist() == [3, 0, 1]
