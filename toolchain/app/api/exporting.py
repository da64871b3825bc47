"""A compiled model in other formats: what `sfx export --to NAME` writes.

The writers that the table of formats names have the arguments (Bundle, path, standard_only) and
return the population that the file leaves out, "" if it holds the whole model.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from ...formats.bundle.bundle import Bundle
from ...ground.errors import UnsupportedError
from ...ground.files import atomic_write
from ...ir.program import Program
from .running import program_of

if TYPE_CHECKING:
    from ...ir.graph import Graph


def nir(bundle: Bundle, path: Path, standard_only: bool) -> str:
    """The NIR graph that the model was compiled from; of a model whose integers are fixed (it was
    fine-tuned, or a `.net`) its float view, with the integers as a fact.
    """
    if standard_only:
        atomic_write(path, standard_nir(bundle))
    else:
        atomic_write(path, bundle.nir or _integers(bundle))
    return ""


def _integers(bundle: Bundle) -> bytes:
    from ...formats.nir.bridge import write
    from ...formats.nir.integers import with_integers

    bits = bundle.manifest.get("qat", {}).get("weight_bits", {})
    buffer = io.BytesIO()
    write(with_integers(bundle.program, _name(bundle), bits), buffer)
    return buffer.getvalue()


def _name(bundle: Bundle) -> str:
    return str(bundle.manifest.get("model", {}).get("name", bundle.program.name))


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
    """The bundle's NIR source as a file of standard nodes, or the float view of its integers.

    Raises UnsupportedError: SFX-E644, SFX-E641 for integers that have no float view.
    """
    from ...compiler.standard_nir import standard
    from ...formats.nir.bridge import read, to_graph, write
    from ...formats.nir.conventions import NirOptions

    if bundle.nir:
        facts = bundle.manifest.get("nir", {})
        options = NirOptions(facts.get("convention"), facts.get("dt"), facts.get("reset"))
        graph = to_graph(
            read(io.BytesIO(bundle.nir)), timesteps=bundle.program.timesteps, options=options
        )
    else:
        graph = _float_view(bundle)
    buffer = io.BytesIO()
    write(standard(graph), buffer)
    return buffer.getvalue()


def _float_view(bundle: Bundle) -> Graph:
    from ...formats.nir.float_view import NoView, float_view

    try:
        return float_view(bundle.program, _name(bundle))
    except NoView as error:
        raise UnsupportedError(
            "SFX-E641",
            f"its integers have no float view: {error}",
            where=bundle.program.name,
            hint="leave --standard-only out: the file then holds the integers, for sfx",
        ) from error
