"""A compiled model in other formats: what `sfx export --to NAME` writes.

The writers that the table of formats names have the arguments (Bundle, path, standard_only) and
return the population that the file leaves out, "" if it holds the whole model.
"""

from __future__ import annotations

import io
from pathlib import Path

from ...formats.bundle.bundle import Bundle
from ...ground.errors import InputError
from ...ground.files import atomic_write
from ...ir.program import Program
from .running import program_of


def nir(bundle: Bundle, path: Path, standard_only: bool) -> str:
    """The NIR graph that the model was compiled from. Raises InputError (SFX-E641) without one."""
    if not bundle.nir:
        raise _no_source(bundle)
    atomic_write(path, standard_nir(bundle) if standard_only else bundle.nir)
    return ""


def onnx(bundle: Bundle, path: Path, standard_only: bool) -> str:
    """The Program as integer operators."""
    export_onnx(bundle, path)
    return ""


def netx(bundle: Bundle, path: Path, standard_only: bool) -> str:
    """The Program as a lava-dl network."""
    return export_netx(bundle, path)


def export_onnx(bundle: Bundle | Program, path: str | Path) -> None:
    """Write the Program as an ONNX model of integer operators, atomically.

    Raises MissingPartError (SFX-E530) without onnx, SfxError (SFX-E531) if it exceeds 2 GiB,
    InputError (SFX-E603) if the file cannot be written.
    """
    from ....backends.onnx import parts

    parts.require("onnx")
    from ....backends.onnx.export import export as onnx_export

    model = onnx_export(program_of(bundle))
    atomic_write(Path(path), model.SerializeToString(deterministic=True))


def export_netx(bundle: Bundle | Program, path: str | Path) -> str:
    """Write a sequential Program as a lava-dl network (`.net`), atomically, exactly or not at all.

    The file is read back and compared before it is written. Returns the name of the read-out
    population that netx has no layer for (its weights stay with the host), "" without one.
    Raises UnsupportedError (SFX-E642) with every population that netx has no form for, InputError
    (SFX-E603) if the file cannot be written.
    """
    from tempfile import TemporaryDirectory

    from ...formats.netx.read import read
    from ...formats.netx.write import export as netx_export

    program = program_of(bundle)
    made = netx_export(program)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.net"
        copy.write_bytes(made.content)
        made.check(program, read(copy, data="raw"))
    atomic_write(Path(path), made.content)
    return made.left_out


def standard_nir(bundle: Bundle) -> bytes:
    """The bundle's NIR source as a file of standard nodes. Raises UnsupportedError (SFX-E644)."""
    from ...compiler.standard_nir import standard
    from ...formats.nir.bridge import read, to_graph, write
    from ...formats.nir.conventions import NirOptions

    if not bundle.nir:
        raise _no_source(bundle)
    facts = bundle.manifest.get("nir", {})
    options = NirOptions(facts.get("convention"), facts.get("dt"), facts.get("reset"))
    graph = to_graph(
        read(io.BytesIO(bundle.nir)), timesteps=bundle.program.timesteps, options=options
    )
    buffer = io.BytesIO()
    write(standard(graph), buffer)
    return buffer.getvalue()


def _no_source(bundle: Bundle) -> InputError:
    return InputError("SFX-E641", "the bundle has no NIR source", where=bundle.program.name)
