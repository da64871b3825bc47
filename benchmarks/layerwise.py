"""Verify a Spikformer of a published size against Lava, layer by layer; print what it took.

    python benchmarks/layerwise.py [--size cifar10_4_384] [--depth 1] [--fraction 0.1] [--states]

One sample, random weights with batch norms drawn so that every population fires. The record of the
reference is in memory: 8 bytes per neuron and step, three times that for LIFs with --states.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from models import TARGET, awake


def main() -> None:
    """Compile, record, replay."""
    import torch

    from sfx.backends.lava.backend import LavaBackend
    from sfx.backends.reference.backend import ReferenceBackend
    from sfx.frontends import zoo
    from sfx.frontends.torch_export import export
    from sfx.frontends.zoo.spikformer import SPIKFORMER
    from sfx.toolchain.compiler import compile_graph
    from sfx.toolchain.ir.nir_bridge import to_graph
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
    )
    done = time.perf_counter()
    print(
        f"{options.size} depth {config['depth']}: equal {verdict.equal}, "
        f"{verdict.compared:,} values in {verdict.steps} steps, {verdict.mismatches} mismatches, "
        f"{verdict.covered:,} of {verdict.neurons:,} neurons, silent {list(verdict.silent)}; "
        f"compile {compiled - start:.0f} s, reference {recorded - compiled:.0f} s, "
        f"Lava {done - recorded:.0f} s"
    )


if __name__ == "__main__":
    main()
