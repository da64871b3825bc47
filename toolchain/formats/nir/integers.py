"""A NIR file of a network whose integers are fixed: its float view, and the integers as a fact.

The fact `integers` is JSON: {"program", "arrays", "bits"}, the Program in the bundle's own form
(`ir/codec.py`), its arrays as {"shape", "values"}, and the bits of the weights by population. They
are taken only where the nodes are still those that the Program gives: an editor of the nodes that
keeps the metadata gets an error, not the old network.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

import nir
import numpy as np

from ...ground.errors import InputError, SfxError
from ...ir.check_program import check_program
from ...ir.codec import CodecError, decode, encode
from ...ir.program import Program
from . import ext
from .bridge import from_graph, read, write
from .float_view import NoView, float_view

KEY = "integers"


def with_integers(program: Program, name: str, bits: Mapping[str, int]) -> nir.NIRGraph:
    """The graph of a Program. Raises SfxError (SFX-E219) if a file could not contain it."""
    arrays: list[Any] = []
    said = {"program": encode(program, arrays), "bits": dict(bits)}
    said["arrays"] = [{"shape": list(a.shape), "values": a.ravel().tolist()} for a in arrays]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return ext.with_facts(view_of(program, name), integers=text)


def view_of(program: Program, name: str) -> nir.NIRGraph:
    """Its float view, or one node where it has none."""
    try:
        return from_graph(float_view(program, name))
    except NoView:
        return _one_node(program, name)


def _one_node(program: Program, name: str) -> nir.NIRGraph:
    shape, out = program.input.shape, program[program.readout.population].shape
    nodes = {
        "input": nir.Input(np.array(shape)),
        "integers": ext.Integers(shape, out),
        "output": ext.with_facts(nir.Output(np.array(out)), reduce="sum"),
    }
    edges = [("input", "integers"), ("integers", "output")]
    made = nir.NIRGraph(nodes, edges, type_check=False)
    return ext.with_facts(made, sfx=ext.FORMAT, timesteps=program.timesteps, dt=1e-3, name=name)


def integers_of(graph: nir.NIRGraph, where: str) -> tuple[Program, dict[str, int]] | None:
    """The Program and the bits of its weights that a graph holds; None: it holds none.

    Raises InputError: SFX-E232 if they are damaged, or not those of its nodes; SfxError for a
    Program that is not legal.
    """
    text = graph.metadata.get(KEY) if isinstance(graph.metadata, dict) else None
    if text is None:
        return None
    try:
        said = json.loads(text)
        arrays = [np.array(a["values"], np.int64).reshape(a["shape"]) for a in said["arrays"]]
        program = decode(said["program"], arrays, Program)
        bits = {str(k): int(v) for k, v in said["bits"].items()}
        check_program(program, balanced=True)
    except SfxError:
        raise
    except (CodecError, LookupError, ValueError, TypeError, AttributeError, RecursionError) as e:
        what = f"its integers are damaged ({type(e).__name__}: {e})"
        raise InputError("SFX-E232", what, where=where) from e
    view = view_of(program, str(ext.facts(graph).get("name", "model")))
    if _digest(read(io.BytesIO(_bytes(view)))) != _digest(graph):
        raise InputError(
            "SFX-E232",
            "its integers are not those of its nodes, which were changed",
            where=where,
            hint=f"take {KEY!r} out of the graph's metadata to compile the nodes, with --calibrate",
        )
    return program, bits


def _digest(graph: nir.NIRGraph) -> str:
    """Of everything but the integers, as it is in a file."""
    plain = {k: v for k, v in graph.metadata.items() if k != KEY}
    bare = nir.NIRGraph(graph.nodes, graph.edges, metadata=plain, type_check=False)
    return hashlib.sha256(_bytes(bare)).hexdigest()


def _bytes(graph: nir.NIRGraph) -> bytes:
    buffer = io.BytesIO()
    write(graph, buffer)
    return buffer.getvalue()
