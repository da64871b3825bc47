"""Link loads against walking every route hop by hop."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sfx.toolchain.targets.links import LinkLoads
from sfx.toolchain.targets.mesh import Mesh

MESH = Mesh((3, 2), 1, (2, 2))  # 6 x 4 routers on 2 x 2 chips
ROUTER = st.tuples(st.integers(0, 5), st.integers(0, 3))


def walk(a: tuple[int, int], b: tuple[int, int]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The links from a to b, x first."""
    links = []
    (x, y), (bx, by) = a, b
    while (x, y) != (bx, by):
        dx = int(np.sign(bx - x))
        step = (x + dx, y) if dx else (x, y + int(np.sign(by - y)))
        links.append(((x, y), step))
        x, y = step
    return links


def chip(router: tuple[int, int]) -> tuple[int, int]:
    return router[0] // MESH.size[0], router[1] // MESH.size[1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ROUTER, ROUTER, st.integers(1, 9)), min_size=1, max_size=12))
def test_heaviest_link(routes: list[tuple[tuple[int, int], tuple[int, int], int]]) -> None:
    loads = LinkLoads(2, MESH, 3)
    links: Counter[object] = Counter()
    borders: Counter[object] = Counter()
    for a, b, bits in routes:
        for link in walk(a, b):
            links[link] += bits
            if chip(link[0]) != chip(link[1]):
                borders[chip(link[0]), chip(link[1])] += bits
    a, b = (np.array([r[i] for r in routes]).T for i in (0, 1))
    bits = np.array([[r[2] for r in routes], [2 * r[2] for r in routes]], dtype=float)
    loads.send((a[0], a[1]), (b[0], b[1]), bits)
    heaviest = max(links.values(), default=0)
    assert loads.heaviest().tolist() == [heaviest, 2 * heaviest]
    border = max(borders.values(), default=0)
    assert loads.heaviest_chip_link().tolist() == [border, 2 * border]


def test_one_chip_has_no_border() -> None:
    loads = LinkLoads(1, Mesh((3, 2), 1, (1, 1)), 1)
    one = np.array([1.0])[:, None]
    loads.send((np.array([0]), np.array([0])), (np.array([2]), np.array([1])), one)
    assert loads.heaviest().tolist() == [1]
    assert loads.heaviest_chip_link().tolist() == [0]


def test_used_links_carry_what_was_sent_and_name_their_ends() -> None:
    loads = LinkLoads(2, MESH, 3)
    loads.send(
        (np.array([0]), np.array([0])), (np.array([2]), np.array([1])), np.array([[3.0], [4.0]])
    )
    found = {(link.source, link.target): link.bits for link in loads.used()}
    assert found == {((0, 0), (1, 0)): 7, ((1, 0), (2, 0)): 7, ((2, 0), (2, 1)): 7}
    loads.send(
        (np.array([2]), np.array([1])), (np.array([2]), np.array([0])), np.array([[1.0], [0.0]])
    )
    assert {(x.source, x.target): x.bits for x in loads.used()}[(2, 1), (2, 0)] == 1
