"""Loops of a Program: which populations depend on each other's earlier steps."""

from __future__ import annotations

from graphlib import TopologicalSorter

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from .program import Program


def groups(program: Program) -> list[tuple[str, ...]]:
    """Strongly connected groups of populations over all projections, producers first.

    Members keep the program's order. A population without a loop is a group of its own; a group
    of one with a self-projection is a loop as well (`is_loop`).
    """
    names = [p.name for p in program]
    index = {name: i for i, name in enumerate(names)}
    pre = np.array([index[j.pre] for j in program.projections], dtype=np.int64)
    post = np.array([index[j.post] for j in program.projections], dtype=np.int64)
    ones = np.ones(len(pre), dtype=np.int64)
    edges = sparse.csr_matrix((ones, (pre, post)), shape=(len(names), len(names)))
    count, label = connected_components(edges, directed=True, connection="strong")
    before: dict[int, set[int]] = {k: set() for k in range(count)}
    for a, b in zip(label[pre].tolist(), label[post].tolist(), strict=True):
        if a != b:
            before[b].add(a)
    members: dict[int, list[str]] = {k: [] for k in range(count)}
    for name, k in zip(names, label.tolist(), strict=True):
        members[k].append(name)
    return [tuple(members[k]) for k in TopologicalSorter(before).static_order()]


def is_loop(program: Program, group: tuple[str, ...]) -> bool:
    """True if the group's members depend on their own earlier steps."""
    return len(group) > 1 or any(j.pre == group[0] for j in program.incoming[group[0]])


def in_loops(program: Program) -> frozenset[str]:
    """Names of all populations that are in a loop."""
    return frozenset(n for group in groups(program) if is_loop(program, group) for n in group)
