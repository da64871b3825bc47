"""The inspectors that the table of formats names: what a file holds, as text.

Each has the arguments (path, NirOptions | None); `files.inspect` calls them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import readers
from .models import Integers, ReadOptions, Source

if TYPE_CHECKING:
    from ...formats.nir.conventions import NirOptions


def bundle(path: Path, options: NirOptions | None) -> str:
    """A compiled model: its Program, and what was compared when it was compiled."""
    from ...ir.text import program_text
    from ...report.witness import witness_lines
    from .bundles import load

    found = load(path)
    lines = witness_lines(found.manifest.get("witness"))
    compared = "".join(f"witness: {line}\n" for line in lines)
    return _input_text(found.manifest.get("net_input")) + program_text(found.program) + compared


def netx(path: Path, options: NirOptions | None) -> str:
    """A lava-dl network as a Program of raw samples, one step long if it does not give its T."""
    from ...formats.netx.file import read_file
    from ...formats.netx.read import input_facts, read
    from ...ir.text import program_text

    facts = input_facts(path, "raw")
    length = read_file(path).timesteps or 1
    program = read(path, timesteps=length, data="raw")
    return _input_text(facts, asked=True) + program_text(program)


def nir(path: Path, options: NirOptions | None) -> str:
    """How a NIR file is read, and its graph; a Program where its integers are fixed."""
    from ...formats.nir.reading import reading
    from ...ir.text import program_text

    source = readers.nir(path, ReadOptions())
    if isinstance(source, Integers):
        return program_text(source.program)
    how = reading(source.graph, options).lines()
    return "".join(f"{line}\n" for line in how) + _graph_text(source, options)


def onnx(path: Path, options: NirOptions | None) -> str:
    """An ONNX model's graph."""
    return _graph_text(readers.onnx(path, ReadOptions()), options)


def tensors(path: Path, options: NirOptions | None) -> str:
    """A checkpoint's architecture and tensors."""
    from ...formats.torch_file.describe import describe

    return describe(path)


def _graph_text(source: Source, options: NirOptions | None) -> str:
    """The graph, one step long if the file does not give its T."""
    from ...formats.nir.bridge import to_graph
    from ...ir.text import graph_text

    known = source.graph.metadata.get("timesteps")
    steps = None if known is not None else 1
    return graph_text(to_graph(source.graph, timesteps=steps, options=options))


def _input_text(facts: dict[str, Any] | None, *, asked: bool = False) -> str:
    """What a lava-dl network does with a sample first, and what its DATA holds."""
    if facts is None:
        return ""
    formula = f"input neurons take {facts['weight']} x + {facts['bias']} of a sample x"
    if asked:
        return f"{formula}; shown for DATA of x (compile --net-input says which DATA is)\n"
    holds = "x, the Program applies it" if facts["data"] == "raw" else "that number already"
    return f"{formula}; DATA holds {holds}\n"
