"""The readers that the table of formats names: a file becomes what the compiler takes of it.

Each has the arguments (path, ReadOptions); `files.read` calls them and adds the file's hash.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...formats.table import stem
from .models import Integers, ReadOptions, Source, of_trained

if TYPE_CHECKING:
    from nir import NIRGraph


def network(path: Path, options: ReadOptions) -> Source:
    """Weights of a network that the file or the user names: built, and traced to a graph."""
    from ....frontends.checkpoints.load import load_network
    from ....frontends.tracing.export import traced

    found = load_network(
        path,
        model=options.model,
        example_shape=options.example_shape,
        trust_pickle=options.trust_pickle,
        weights=options.weights,
    )
    own = options.model is not None or not hasattr(found.net, "example_input")
    layout = options.input_layout if own else "TB"
    name = stem(path)
    dt = 1e-3 if options.dt is None else options.dt
    exported = traced(found.net, found.example, name=name, input_layout=layout, dt=dt)
    return Source(
        exported.graph,
        name,
        "",
        found.samples,
        options.trust_pickle,
        found.weights,
        exported,
    )


def nir(path: Path, options: ReadOptions) -> Source | Integers:
    """A NIR graph as it is in the file, or the integers that it is the float view of."""
    from ...formats.nir.file import read_model

    graph = read_model(path)
    held = fixed_integers(graph, str(path))
    return Source(graph, stem(path), "", None) if held is None else held


def fixed_integers(graph: NIRGraph, where: str) -> Integers | None:
    """What `sfx export --to nir` wrote of a model whose integers are fixed."""
    from ...formats.nir.integers import integers_of

    found = integers_of(graph, where)
    if found is None:
        return None
    program, bits = found
    return of_trained(program, bits) if bits else Integers(program, program.name)


def onnx(path: Path, options: ReadOptions) -> Source:
    """An ONNX model as a NIR graph. Raises MissingPartError (SFX-E530) without onnx."""
    from ....backends.onnx import parts

    parts.require("onnx")
    from ...formats.nir.bridge import from_graph
    from ...formats.onnx.read import read
    from ...ir.check import check_graph

    graph = read(path, timesteps=options.timesteps)
    check_graph(graph)
    return Source(from_graph(graph), path.stem, "", None)


def netx(path: Path, options: ReadOptions) -> Integers:
    """A lava-dl network, and what its input neurons make of a sample."""
    from ...formats.netx.read import input_facts, read

    program = read(path, timesteps=options.timesteps, data=options.net_input)
    facts = input_facts(path, options.net_input)
    said = {} if facts is None else {"net_input": facts}
    return Integers(program, path.stem, facts=said, saturates=True)


def fine_tuned(path: Path, options: ReadOptions) -> Integers:
    """The integers that a model was trained with."""
    from ...formats.fine_tuned import read

    stored = read(path)
    return of_trained(stored.program, stored.bits)
