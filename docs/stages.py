"""Writes the table of docs/architecture.md: what the demo's model is after each stage.

python docs/stages.py            write the table (half a minute)
python docs/stages.py --check    fail if it is out of date
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
MODEL = ROOT / "examples" / "spikeformer" / "model.pt"
BEGIN, END = "<!-- written by docs/stages.py -->\n", "<!-- end -->\n"
MOST = 6
"""Kinds that a row lists before the rest is only counted."""


def kinds(names: Iterable[str]) -> str:
    """`16 LIF, 14 Conv2d, ...`: how many there are of each kind, the commonest first."""
    counted = sorted(Counter(names).items(), key=lambda pair: (-pair[1], pair[0]))
    shown = [f"{count} {name}" for name, count in counted[:MOST]]
    rest = sum(count for _, count in counted[MOST:])
    return ", ".join([*shown, *([f"{rest} more"] if rest else [])])


def rows() -> Iterable[tuple[str, str]]:
    """(stage, what there is after it)."""
    from sfx.frontends.checkpoints.load import load_network
    from sfx.frontends.tracing.export import traced
    from sfx.frontends.tracing.prepare import prepared, trace
    from sfx.toolchain.compiler.compile import TO_NEURON_FORM, compile_program, entering, lower
    from sfx.toolchain.compiler.cost.synops import synapses
    from sfx.toolchain.compiler.mapping.place import MappingOptions
    from sfx.toolchain.compiler.quantize.quantize import quantize
    from sfx.toolchain.formats.nir.bridge import to_graph
    from sfx.toolchain.ir.graph import Input
    from sfx.toolchain.targets import load

    loaded = load_network(MODEL)
    assert loaded.samples is not None
    samples = np.asarray(loaded.samples).astype(np.int64)
    count = sum(p.numel() for p in loaded.net.parameters())
    yield "file", f"{count:,} parameters and {len(samples)} samples {list(samples.shape[1:])}"
    yield "module", kinds(type(m).__name__ for m in loaded.net.modules())
    with prepared(loaded.net, 1e-3) as neurons:
        program = trace(loaded.net, loaded.example, neurons.values(), loop=False)
        calls = [n for n in program.graph.nodes if n.op == "call_function"]
    ops = [str(n.target).removesuffix(".default").replace(".", "::") for n in calls]
    sums = ", ".join(f"{ops.count(o)} `{o}`" for o in ("sfx::lif", "aten::mm", "aten::bmm"))
    yield "traced graph", f"{len(ops)} calls, among them {sums}"
    nir = traced(loaded.net, loaded.example).graph
    yield (
        "NIR",
        f"{len(nir.nodes)} nodes, {len(nir.edges)} edges: "
        + kinds(type(n).__name__ for n in nir.nodes.values()),
    )
    graph = to_graph(nir)
    yield "Graph", f"{len(list(graph))} nodes: {kinds(type(n.op).__name__ for n in graph)}"
    high = entering(graph, samples, None)
    form = graph.with_nodes(
        replace(n, op=Input(high)) if isinstance(n.op, Input) else n for n in graph
    )
    for step in TO_NEURON_FORM:
        before, form = form, step.run(form)
        changed = Counter(type(n.op).__name__ for n in form)
        changed.subtract(type(n.op).__name__ for n in before)
        found = [f"{n:+d} {name}" for name, n in sorted(changed.items()) if n]
        yield f"`{type(step).__name__}`", ", ".join(found) or "as before, in kinds and numbers"
    quantized = quantize(lower(graph, high), samples)
    known = {r.population: r.rate for r in quantized.records if r.rate is not None}
    placed = compile_program(quantized.program, load("loihi2"), mapping=MappingOptions(known=known))
    p = placed.program
    yield "Program: populations", kinds(type(q.neuron).__name__ for q in p)
    yield "Program: projections", kinds(type(j.connection).__name__ for j in p.projections)
    yield (
        "Program: sizes",
        f"{sum(q.size for q in p):,} neurons, {sum(synapses(p, j) for j in p.projections):,} "
        f"synapses, T = {p.timesteps}, phases 0 to {p.last_phase}, delays 1 to "
        f"{max(j.delay for j in p.projections)}",
    )
    cores = {b.core for b in placed.blocks}
    yield "placed", f"{len(placed.blocks)} blocks of neurons on {len(cores)} cores"


def table() -> str:
    """The table, with its head."""
    lines = ["| after | what there is |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows())]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write or check the table."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    new = f"{before}{BEGIN}{table()}{END}{after}"
    if "--check" in sys.argv:
        if new != text:
            print("the table of docs/architecture.md is out of date: run python docs/stages.py")
            return 1
        return 0
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
