"""A look at a raw .nir file before NIR's reader runs: what may be wrong with it, all at once.

A file may come from anywhere. Nothing in it may point to another place or unpack without bound;
after this every node type is known and every edge has its ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import h5py
import nir.ir

from ...ground.errors import Problem
from ..hdf5 import faults


def file_problems(file: h5py.File, where: str) -> Iterator[Problem]:
    """Every problem of the file `where` (SFX-E201, E202, E204, E211)."""
    bad = [Problem("SFX-E201", where, what) for what in faults(file)]
    yield from bad
    if bad:
        return
    if not isinstance(file.get("node"), h5py.Group):
        yield Problem("SFX-E201", where, "has no group 'node', so it is not a NIR file")
        return
    yield from _group_problems(file["node"], "")


def _text(dataset: object) -> str:
    value = dataset[()] if isinstance(dataset, h5py.Dataset) else b""
    return value.decode("utf8", "replace") if isinstance(value, bytes) else str(value)


def _group_problems(group: h5py.Group, name: str) -> Iterator[Problem]:
    """Unknown types and dangling edges of a graph group, its subgraphs included."""
    known = vars(nir.ir)["__all_ir"]
    kind = _text(group.get("type"))
    if kind not in known:
        yield Problem(
            "SFX-E202",
            name or "node",
            f"unknown node type {kind!r}" if kind else "has no node type",
            f"known types: {', '.join(sorted(known))}",
        )
    if kind != "NIRGraph":
        return
    nodes, edges = group.get("nodes"), group.get("edges")
    if not isinstance(nodes, h5py.Group) or not isinstance(edges, h5py.Dataset):
        yield Problem("SFX-E211", name or "node", "a graph needs 'nodes' and 'edges'")
        return
    for key in nodes:
        if isinstance(nodes[key], h5py.Group):
            yield from _group_problems(nodes[key], f"{name}.{key}" if name else key)
        else:
            yield Problem("SFX-E211", key, "is an array, not a node")
    if edges.shape != (0,) and (edges.ndim != 2 or edges.shape[1] != 2):
        yield Problem("SFX-E211", name or "node", f"edges have shape {edges.shape}, not (N, 2)")
        return
    names = set(nodes)
    for edge in edges[()] if edges.size else ():
        ends = [e.decode("utf8", "replace") if isinstance(e, bytes) else str(e) for e in edge]
        # "sub.port" is the documented way to name the port of the subgraph "sub"
        ends = [e if e in names or e.split(".")[0] not in names else e.split(".")[0] for e in ends]
        yield from edge_problems(ends, names, name)


def edge_problems(ends: Iterable[str], nodes: set[str], inside: str = "") -> Iterator[Problem]:
    """A problem for each end of an edge that is no node (`inside` names the subgraph)."""
    ends = list(ends)
    for end in ends:
        if end not in nodes:
            yield Problem(
                "SFX-E204",
                f"{inside}.{end}" if inside else end,
                f"the edge {ends[0]!r} -> {ends[1]!r} ends at {end!r}, which does not exist",
            )
