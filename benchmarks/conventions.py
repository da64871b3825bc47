"""Every framework's neurons, exported to NIR by the framework and read by sfx: cells that differ.

    python benchmarks/conventions.py --python sinabs=/path/to/its/python ...   run, and write all
    python benchmarks/conventions.py --page                                    the page alone

A framework runs in an environment of its own (benchmarks/witness_nir/requirements-*.txt), sfx in
the one that runs this script. Rows of frameworks that are not named stay as they are. Written are
conventions.json, conventions.zip (the pairs of file and spikes, for the tests) and
docs/conventions.md.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from sfx.toolchain.compiler.quantize.forms import refuse_forms
from sfx.toolchain.formats.nir.bridge import read, to_graph
from sfx.toolchain.formats.nir.conventions import NirOptions
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.ir.evaluate import run

HERE = Path(__file__).resolve().parent
WITNESSES = HERE / "witness_nir"
RECORD, PAIRS = HERE / "conventions.json", HERE / "conventions.zip"
PAGE = HERE.parent / "docs" / "conventions.md"
FRAMEWORKS = ("norse", "snntorch", "spikingjelly", "sinabs", "rockpool", "spyx")
ROUNDING = 1e-5
"""What float32 membranes of a framework may be off, of the largest one."""
HEAD = """# Conventions: spikes of the framework and of its file

Made by `benchmarks/conventions.py` from `benchmarks/conventions.json`; do not edit.

Each row is a net of two layers of one neuron, exported to NIR by the framework's own exporter, run
by the framework on {samples} samples of {steps} steps, and read by sfx with the options shown.
Weights are whole multiples of one number, so thresholds are met exactly. Compared are the spikes of
the last layer in float, cell by cell; spikes are those of the framework (of a read-out without
spikes its membranes, up to 1e-5 of the largest, and their sum). Integers: whether the form
compiles to integers, else the code of the error that refuses it (`sfx explain CODE`).

"""


def events() -> np.ndarray:
    """The witnesses' input [samples, steps, inputs]."""
    sys.path.insert(0, str(WITNESSES))
    try:
        from common import events
    finally:
        sys.path.remove(str(WITNESSES))
    made: np.ndarray = events()
    return made


def compared(row: dict[str, Any], content: bytes, spikes: np.ndarray) -> dict[str, Any]:
    """The row with `cells`, `spikes` and `differ`, or why sfx refuses it."""
    if "failed" in row:
        return row
    x = events()
    try:
        options = NirOptions(row["convention"], reset=row["reset"] or None)
        graph = to_graph(read(io.BytesIO(content)), timesteps=x.shape[1], options=options)
    except SfxError as error:
        first = error.problems[0]
        return {**row, "refused": f"{first.code}: {first.what}"}
    got = run(graph, x, keep=["output"])["output"]
    made = {**row, "cells": int(spikes.size), "spikes": int(np.rint(np.abs(spikes).sum()))}
    off = ROUNDING * np.abs(spikes).max() if spikes.dtype.kind == "f" else 0.0
    made["differ"] = int(np.count_nonzero(np.abs(got - spikes) > off))
    try:
        refuse_forms(graph)
    except SfxError as error:
        made["integers"] = error.problems[0].code
    return made


def witnessed(framework: str, python: str, folder: Path) -> list[dict[str, Any]]:
    """The framework's rows and pairs, written into `folder` by its own interpreter."""
    script = WITNESSES / f"of_{framework}.py"
    subprocess.run([python, str(script), str(folder)], check=True, cwd=WITNESSES)
    rows: list[dict[str, Any]] = json.loads((folder / "rows.json").read_text())
    return [{"framework": framework, **row} for row in rows]


def pair(folder: Path, row: dict[str, Any]) -> tuple[bytes, np.ndarray]:
    """The file and the spikes of a row; empty where the framework could not write one."""
    if "failed" in row:
        return b"", np.zeros(0)
    with np.load(folder / f"{row['name']}.npz") as arrays:
        return (folder / f"{row['name']}.nir").read_bytes(), arrays["spikes"]


def stored(name: str) -> tuple[bytes, np.ndarray]:
    """The pair of a row in conventions.zip."""
    with zipfile.ZipFile(PAIRS) as pairs:
        content, spikes = (pairs.read(f"{name}.{kind}") for kind in ("nir", "npz"))
    with np.load(io.BytesIO(spikes)) as arrays:
        return content, arrays["spikes"]


def update(pythons: dict[str, str]) -> None:
    """Run the frameworks named, keep the rows and pairs of the others, write both."""
    old = json.loads(RECORD.read_text()) if RECORD.exists() else []
    files: dict[str, bytes] = {}
    if PAIRS.exists():
        with zipfile.ZipFile(PAIRS) as pairs:
            files = {n: pairs.read(n) for n in pairs.namelist()}
    rows = []
    for framework in FRAMEWORKS:
        if framework not in pythons:
            rows += [r for r in old if r["framework"] == framework]
            continue
        files = {n: b for n, b in files.items() if not n.startswith(f"{framework}_")}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for row in witnessed(framework, pythons[framework], folder):
                content, spikes = pair(folder, row)
                rows.append(compared(row, content, spikes))
                if content:
                    files[f"{row['name']}.nir"] = content
                    files[f"{row['name']}.npz"] = (folder / f"{row['name']}.npz").read_bytes()
    RECORD.write_text(json.dumps(rows, indent=1) + "\n")
    with zipfile.ZipFile(PAIRS, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as pairs:
        for name in sorted(files):
            pairs.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED, 9)


def page(rows: list[dict[str, Any]]) -> str:
    """docs/conventions.md."""
    samples, steps, _ = events().shape
    text = HEAD.format(samples=samples, steps=steps)
    for framework in FRAMEWORKS:
        mine = [r for r in rows if r["framework"] == framework]
        text += f"## {framework} {mine[0]['versions'][framework]}\n\n"
        text += "| neuron | option | sfx | spikes | compared | differ | integers |\n"
        text += "|---|---|---|---|---|---|---|\n"
        text += "".join(_line(r) for r in mine)
        why = [(r, _why(r)) for r in mine]
        text += "".join(f"\n{r['neuron']}, {r['option']}: {w}\n" for r, w in why if w) + "\n"
    return text.rstrip() + "\n"


def _line(row: dict[str, Any]) -> str:
    option = f"`{row['convention']}`" + (f" `--reset {row['reset']}`" if row["reset"] else "")
    numbers = [f"{row[k]:,}" if k in row else "-" for k in ("spikes", "cells", "differ")]
    integers = row.get("integers", "yes" if "differ" in row else "-")
    return (
        f"| {row['neuron']} | {row['option']} | {option} | {' | '.join(numbers)} | {integers} |\n"
    )


def _why(row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"the framework cannot write or run it ({row['failed']})"
    if "refused" in row:
        return f"refused ({row['refused']})"
    return ""


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", action="append", default=[], metavar="FRAMEWORK=PATH")
    parser.add_argument("--page", action="store_true", help="write the page alone")
    given = parser.parse_args()
    if not given.page:
        update(dict(p.split("=", 1) for p in given.python))
    PAGE.write_text(page(json.loads(RECORD.read_text())))


if __name__ == "__main__":
    main()
