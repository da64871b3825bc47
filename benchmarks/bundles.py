"""Hashes of what the compiler makes of the shipped and of the published models.

    python benchmarks/bundles.py --json FILE [NAME ...]   compile, and record the hashes in FILE
    python benchmarks/bundles.py --compare OLD NEW        what of two records is equal, in a table

A change that shall not change behaviour is run before and after it: the shipped models go through
`sfx compile`, those of docs/models.md as `models.py` compiles them, each in a process of its own.
Hashed are the parts of a bundle: the NIR source, the arrays, the placed Program, and the manifest
without the version of sfx and that of the form. The facts of the Program, which follow from its
numbers, are a part of their own. A record that exists is gone on with.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import resource
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))
SHIPPED: dict[str, list[str]] = {
    "demo": ["examples/spikeformer/model.pt"],
    "demo, 4 bits": ["examples/spikeformer/model.pt", "--bits", "4"],
    "demo, fewest cores": ["examples/spikeformer/model.pt", "--objective", "cores"],
    "demo, fine-tuned": ["examples/spikeformer/qat4.safetensors"],
    "mnist": ["examples/mnist/model.pt"],
    "mnist, fine-tuned": ["examples/mnist/qat4.safetensors"],
    "nmnist": ["examples/nmnist/model.pt"],
    "nmnist, fine-tuned": ["examples/nmnist/qat4.safetensors"],
}

FORM = 2
"""Schema that the records began with: what changed the form alone leaves the hashes as they are."""


def parts(path: Path) -> dict[str, str]:
    """Part of a bundle -> SHA-256."""
    with zipfile.ZipFile(path) as bundle:
        entries = {n: bundle.read(n) for n in bundle.namelist()}
    arrays = hashlib.sha256()
    for name in sorted(n for n in entries if n.startswith("arrays/")):
        arrays.update(entries[name])
    manifest = json.loads(entries["manifest.json"])
    manifest = {k: v for k, v in manifest.items() if k not in ("sfx", "versions", "sha256")}
    manifest["schema_version"] = FORM
    program = json.loads(entries["program.json"])
    facts = program["program"].pop("facts", None)
    found = {
        "model.nir": entries["model.nir"],
        "program.json": _json(program),
        "facts": _json(facts),
        "manifest.json": json.dumps(manifest, sort_keys=True).encode(),
    }
    return {k: hashlib.sha256(v).hexdigest() for k, v in found.items()} | {
        "arrays": arrays.hexdigest()
    }


def _json(value: Any) -> bytes:
    """In the form of a bundle's entries."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def compiled(title: str) -> dict[str, Any]:
    """One model's hashes and the CPU seconds of its compile."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.sfx"
        if title in SHIPPED:
            command = [sys.executable, "-m", "sfx.toolchain.app.cli", "compile", *SHIPPED[title]]
            subprocess.run([*command, "-o", str(path)], cwd=ROOT, check=True, capture_output=True)
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return parts(path) | {"seconds": round(used.ru_utime + used.ru_stime, 1)}
        return published(title, path)


def published(title: str, path: Path) -> dict[str, Any]:
    """As `compiled`, of a model of docs/models.md."""
    import importlib
    import time

    import torch
    from models import MODELS, TARGET, awake

    from sfx.frontends import zoo
    from sfx.frontends.tracing.export import export
    from sfx.toolchain.compiler.compile import compile_graph
    from sfx.toolchain.formats.bundle import bundle
    from sfx.toolchain.formats.nir.bridge import to_graph, write
    from sfx.toolchain.targets import load

    name, table, size = MODELS[title]
    config = getattr(importlib.import_module(f"sfx.frontends.zoo.{name}"), table)[size]
    torch.manual_seed(0)
    model = zoo.build(name, config.to_mapping())
    x = awake(model)
    start = time.process_time()
    source = export(model, model.example_input())
    made = compile_graph(to_graph(source), load(TARGET), x)
    seconds = time.process_time() - start
    content = io.BytesIO()
    write(source, content)
    bundle.write(bundle.Bundle(made.placed, content.getvalue(), {}), path)
    return parts(path) | {"seconds": round(seconds, 1)}


def compare(old: dict[str, Any], new: dict[str, Any]) -> str:
    """A row per model: which parts are equal, and the CPU seconds of both."""
    rows = ["| model | program | arrays | NIR | manifest | CPU s before | after |"]
    rows.append("|---|---|---|---|---|---|---|")
    for title in (t for t in old if t in new):
        keys = ("program.json", "arrays", "model.nir", "manifest.json")
        cells = ["equal" if old[title][k] == new[title][k] else "DIFFERS" for k in keys]
        times = [f"{record[title]['seconds']:.1f}" for record in (old, new)]
        rows.append(f"| {title} | {' | '.join(cells + times)} |")
    return "\n".join(rows)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--json", type=Path, help="the record")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("OLD", "NEW"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.compare:
        print(compare(*(json.loads(p.read_text()) for p in given.compare)))
        return
    if given.one:
        print(json.dumps(compiled(given.one)))
        return
    from models import MODELS

    if given.json is None:
        parser.error("--json FILE is where the hashes go")
    record = json.loads(given.json.read_text()) if given.json.exists() else {}
    for title in (*SHIPPED, *MODELS):
        if title in record or (given.names and title not in given.names):
            continue
        done = subprocess.run(
            [sys.executable, __file__, "--one", title], check=True, capture_output=True, text=True
        )
        record[title] = json.loads(done.stdout.splitlines()[-1])
        print(title, record[title]["seconds"], flush=True)
        given.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
