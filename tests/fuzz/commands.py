"""The commands on bundles that were sealed again around damaged contents.

A reader that lets something strange through is found by what the commands then do with it: so each
runs as it is typed, with everything that it prints and writes.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

SMALL = {"populations": 2, "max_neurons": 6, "timesteps": 2}
SAMPLES = "samples.npz"


def bundles(folder: Path) -> list[bytes]:
    """Four small Programs, compiled, with every key that a manifest can have; and their samples."""
    from sfx.toolchain.app.api.manifests import manifest_of
    from sfx.toolchain.compiler.compile import compile_program
    from sfx.toolchain.formats.bundle import bundle
    from sfx.toolchain.ir.record import LayerRecord
    from sfx.toolchain.targets import load
    from tests.strategies import random_events, random_program

    made = []
    for seed in range(4):
        program = random_program(seed, **SMALL)
        placed = compile_program(program, load("loihi"))
        x = random_events(program, 2)
        np.savez(folder / f"{_shape(x.shape[1:])}-{SAMPLES}", x=x.astype(np.uint8))
        record = LayerRecord(
            program.populations[-1].name, 1.0, 8, False, 0, 0.1, 0.0, 0.0, 1.0, 1.0
        )
        facts = manifest_of("m", "0" * 64, load("loihi"), placed) | {
            "calibration": {"source": "DATA", "samples": 2, "sha256": "1" * 64},
            "quantization": [record.as_dict()],
            "nir": {"dt": 1e-3, "convention": "nir", "reset": None, "read": [], "lines": ["a"]},
            "trusted_pickle": False,
            "weights": "",
        }
        path = folder / f"{seed}.sfx"
        bundle.write(bundle.Bundle(placed, b"", facts), path)
        made.append(path.read_bytes())
    return made


def command(*words: str, data: bool = False) -> Callable[[Path], object]:
    """A reader that runs `sfx NAME BUNDLE ...`; FOLDER in a word is that of the bundle.

    data: with samples that fit the sound bundles, or none where there are no such
    """

    def read(path: Path) -> object:
        name, *rest = (w.replace("FOLDER", str(path.parent)) for w in words)
        given = _samples(path) if data else []
        told = [name, str(path), *rest, *given]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return _app().main(told, standalone_mode=False)

    return read


@cache
def _app() -> Any:
    import typer

    from sfx.toolchain.app.cli import app

    return typer.main.get_command(app)


def _samples(path: Path) -> list[str]:
    """`--input FILE` of the first samples whose shape the bundle says it takes; else of any."""
    files = sorted(path.parent.glob(f"*-{SAMPLES}"))
    try:
        body = json.loads(zipfile.ZipFile(path).read("program.json"))
        program = body["program"]
        shape = (program["timesteps"], *program["populations"][0]["shape"])
        fits = [f for f in files if f.name == f"{_shape(shape)}-{SAMPLES}"]
    except Exception:  # a damaged zip raises many kinds; the command gets some samples then
        fits = []
    return ["--input", str((fits or files)[0])]


def _shape(shape: Any) -> str:
    return "x".join(map(str, shape))


COMMANDS: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("sfx report", command("report", "--csv", "FOLDER/o.csv", data=True)),
    ("sfx report --html", command("report", "--html", "FOLDER/o.html", data=True)),
    ("sfx map", command("map", "-o", "FOLDER/o.sfx")),
    ("sfx run", command("run", "--backend", "reference", data=True)),
    ("sfx export", command("export", "--to", "onnx", "-o", "FOLDER/o.onnx")),
    ("sfx diff", command("diff", "FOLDER/0.sfx")),
    ("sfx verify", command("verify", "--against", "onnx", "--states", data=True)),
)
"""Name -> the command as it is typed, without BUNDLE and its samples."""
