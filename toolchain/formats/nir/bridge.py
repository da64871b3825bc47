"""NIR files, read and written; `to_graph` and `from_graph` convert between NIR and our `Graph`.

NIR's own reader stops at the first trouble with a bare exception, and its type check is wrong
for some legal nodes (grouped or non-square convolutions). So files are read without it, after a
look at the raw file, and everything is checked here, all problems at once (SFX-E2xx).
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import nir
import numpy as np

from ...ground.errors import InputError, Problem
from ...ground.files import replacing
from ...ir.graph import Graph
from .from_graph import from_graph
from .hdf5 import file_problems
from .to_graph import to_graph

__all__ = ["from_graph", "read", "to_graph", "write"]


def read(path: str | os.PathLike[str] | BinaryIO) -> nir.NIRGraph:
    """Read a .nir file (or open binary file). No type check: `to_graph` does all checks.

    Raises SfxError: SFX-E201 not a NIR file, SFX-E202 unknown node types, SFX-E204 edges without
    an end, SFX-E211 a malformed node.
    """
    where = str(path) if isinstance(path, str | os.PathLike) else "NIR"
    if isinstance(path, str | os.PathLike) and not Path(path).is_file():
        raise InputError("SFX-E201", "no such file", where=where)
    try:
        with h5py.File(path, "r") as file:
            problems = list(file_problems(file, where))
    except (OSError, RuntimeError, KeyError) as error:  # what h5py raises for damaged files
        raise InputError(
            "SFX-E201",
            f"is not a sound HDF5 file, so not NIR ({error})",
            where=where,
            hint="a .nir file is written by nir.write or `sfx export --to nir`",
        ) from error
    if problems:
        raise InputError.of(problems)
    try:
        with h5py.File(path, "r") as file:
            graph = nir.dict2NIRNode(_unchecked(nir.serialization.hdf2dict(file["node"])))
    except Exception as error:  # the reader raises AssertionError, KeyError, TypeError and more
        text = f"{type(error).__name__}: {error}".strip(": ")
        raise InputError("SFX-E211", f"cannot be read as NIR ({text})", where=where) from error
    if not isinstance(graph, nir.NIRGraph):
        raise InputError("SFX-E211", f"holds a {type(graph).__name__}, not a graph", where=where)
    return graph


def _unchecked(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a node so that NIR checks no types, in graphs within graphs neither."""
    if fields.get("type") != "NIRGraph":
        return fields
    nodes = {name: _unchecked(node) for name, node in fields["nodes"].items()}
    return {**fields, "nodes": nodes, "type_check": False}


def _writable(graph: nir.NIRGraph) -> nir.NIRGraph:
    """The same graph with arrays of one number where a parameter is a scalar, which NIR's writer
    cannot compress.
    """
    made = copy.copy(graph)
    made.nodes = {}
    for name, node in graph.nodes.items():
        inner = isinstance(node, nir.NIRGraph)
        made.nodes[name] = new = _writable(node) if inner else copy.copy(node)
        for key, value in vars(node).items():
            if getattr(value, "ndim", None) == 0 and not isinstance(value, np.generic):
                setattr(new, key, np.asarray(value).reshape(1))
    return made


def write(graph: Graph | nir.NIRGraph, path: str | os.PathLike[str] | BinaryIO) -> None:
    """Write a .nir file, whole or not at all; `path` may be an open binary file.

    The same graph always gives the same bytes. Raises InputError SFX-E212 for names with '/',
    SFX-E603 if the file cannot be written.
    """
    source = from_graph(graph) if isinstance(graph, Graph) else _writable(graph)
    what = "a name with '/' breaks the file"
    bad = [Problem("SFX-E212", n, what) for n in source.nodes if "/" in n]
    if bad:
        raise InputError.of(bad)
    if not isinstance(path, str | os.PathLike):
        nir.write(path, source)
        return
    with replacing(Path(path)) as stream:
        nir.write(stream, source)
