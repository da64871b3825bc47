"""Verify a Spikformer of a published size against Lava, layer by layer; print what it took.

    python benchmarks/layerwise.py [--size cifar10_4_384] [--depth 1] [--fraction 0.1] [--states]

One sample, random weights with batch norms drawn so that every population fires. The record of the
reference is in memory: 8 bytes per neuron and step, three times that for LIFs with --states. What
was found goes to benchmarks/layerwise.json, in place of an earlier run with the same options. The
exit status is 1 if anything differed or a population was silent.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from models import TARGET, awake

STORE = Path(__file__).resolve().parent / "layerwise.json"
ASKED = ("size", "depth", "fraction", "states")


def main() -> int:
    """Compile, record, replay."""
    import torch

    from sfx.backends.lava.backend import LavaBackend
    from sfx.backends.reference.backend import ReferenceBackend
    from sfx.frontends import zoo
    from sfx.frontends.tracing.export import export
    from sfx.frontends.zoo.spikformer import SPIKFORMER
    from sfx.toolchain.compiler.compile import compile_graph
    from sfx.toolchain.formats.nir.bridge import to_graph
    from sfx.toolchain.targets import load
    from sfx.toolchain.verify.layerwise import layerwise

    parser = argparse.ArgumentParser()
    parser.add_argument("--size", default="cifar10_4_384", choices=sorted(SPIKFORMER))
    parser.add_argument("--depth", type=int, help="blocks (default: as published)")
    parser.add_argument("--fraction", type=float, default=1.0)
    parser.add_argument("--states", action="store_true")
    options = parser.parse_args()
    config = SPIKFORMER[options.size].to_mapping()
    if options.depth is not None:
        config["depth"] = options.depth
    torch.manual_seed(0)
    model = zoo.build("spikformer", config)
    x = awake(model)
    start = time.perf_counter()
    graph = to_graph(export(model, model.example_input()))
    program = compile_graph(graph, load(TARGET), x).placed.program
    compiled = time.perf_counter()
    x = np.asarray(x).astype(np.int64)
    expected = ReferenceBackend().stream(program, x, states=options.states)
    recorded = time.perf_counter()
    verdict = layerwise(
        program,
        x,
        expected,
        LavaBackend(),
        states=options.states,
        fraction=options.fraction,
        progress=tell,
    )
    done = time.perf_counter()
    row = {
        "size": options.size,
        "depth": config["depth"],
        "fraction": options.fraction,
        "states": options.states,
        "neurons": verdict.neurons,
        "covered": verdict.covered,
        "steps": verdict.steps,
        "compared": verdict.compared,
        "spikes": sum(p.spikes for p in verdict.populations),
        "mismatches": verdict.mismatches,
        "silent": list(verdict.silent),
        "compile_s": round(compiled - start),
        "reference_s": round(recorded - compiled),
        "lava_s": round(done - recorded),
        "date": time.strftime("%Y-%m-%d"),
    }
    print(json.dumps(row, indent=1))
    keep(row)
    return int(not verdict.equal or bool(verdict.silent))


def tell(done: int, total: int) -> None:
    """Populations compared so far."""
    print(f"\r{done} of {total} populations", end="", file=sys.stderr, flush=True)


def keep(row: dict[str, Any]) -> None:
    """`row` in place of the one that was asked for with the same options."""
    rows = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else []
    others = [r for r in rows if any(r[k] != row[k] for k in ASKED)]
    STORE.write_text(json.dumps([*others, row], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
