"""Compare the reference with a witness over the model zoo, sample after sample; keep the record.

    python benchmarks/equivalence.py [--against lava] [--goal 1e9] [--model NAME ...] [--minutes M]

Every model of the zoo, small, with random weights and batch norms drawn so that every population
fires, and the trained network of the examples. Each turn takes the next model, with weights and
samples of the next seed, and compares the spikes of every neuron at every hardware step, with the
first seed of each model u and v of LIF neurons too: against Lava layer by layer on Intel's
processes, against ONNX Runtime whole. A row with a silent population is not counted. Rows go to
benchmarks/equivalence.json and the page docs/equivalence.md; a run that was ended goes on
after the last row. The exit status is 1 if anything differed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
STORE = ROOT / "benchmarks" / "equivalence.json"
PAGE = ROOT / "docs" / "equivalence.md"
TARGET = "hala-point"
RECORD = 50_000_000
"""Neuron-steps of a row: 8 bytes each in memory, three times that for LIFs, and as much in Lava."""

NETS: dict[str, tuple[str, dict[str, Any]]] = {
    # title: (zoo name, what differs from its small default)
    "Spikformer": ("spikformer", {}),
    "Spikingformer": ("spikingformer", {}),
    "Spike-driven": ("spike_driven", {}),
    "Spike-driven v2": ("spike_driven_v2", {}),
    "Spike-driven v3": ("spike_driven_v3", {}),
    "Spike-driven v3, slots": (
        "spike_driven_v3",
        {"image_size": 32, "dims": (4, 8, 16, 16), "heads": 4},
    ),
    "STAtten": ("statten", {}),
    "QKFormer": ("qkformer", {}),
    "Max-Former": ("max_former", {}),
    "SGLFormer": ("sglformer", {}),
    "Spikeformer, joint, causal": ("spikeformer", {}),
    "Spikeformer, joint": ("spikeformer", {"causal": False, "timesteps": 4}),
    "Spikeformer, divided": ("spikeformer", {"attention": "divided", "timesteps": 4}),
    "Spikeformer, spatial, PLIF": ("spikeformer", {"attention": "spatial", "neuron": "plif"}),
    "Spikeformer, trained (examples)": ("", {}),
}
SLOTS = {"Spike-driven v3, slots"}
"""Networks whose integer neurons are compiled to one LIF for each of their spikes."""


@dataclass(frozen=True)
class Row:
    """One comparison. neuron_steps: neurons x hardware steps; values: spikes, u and v compared."""

    against: str
    model: str
    seed: int
    samples: int
    populations: int
    neurons: int
    steps: int
    neuron_steps: int
    states: bool
    values: int
    spikes: int
    mismatches: int
    silent: list[str]
    seconds: float
    commit: str
    date: str

    @property
    def counts(self) -> bool:
        """A silent population says nothing about spikes."""
        return not self.silent


def network(title: str, seed: int) -> tuple[Any, Any]:
    """The compiled Program, and a maker of samples: x(k) [k, T, *input shape]."""
    import torch
    from models import awake

    from sfx.frontends import zoo
    from sfx.frontends.tracing.export import export
    from sfx.toolchain.app import api
    from sfx.toolchain.compiler.compile import compile_graph
    from sfx.toolchain.compiler.quantize.options import Options
    from sfx.toolchain.formats.nir.bridge import to_graph
    from sfx.toolchain.targets import load

    name, config = NETS[title]
    rng = np.random.default_rng(seed)
    if not name:
        program = api.compile(ROOT / "examples" / "spikeformer" / "model.pt").program
    else:
        torch.manual_seed(seed)
        model = zoo.build(name, config)
        x = awake(model)
        graph = to_graph(export(model, model.example_input()))
        options = Options(integer_spikes="slots" if title in SLOTS else "auto")
        program = compile_graph(graph, load(TARGET), x, options=options).placed.program
    high = min(program.input.high, 3)

    def samples(k: int) -> Any:
        shape = (k, program.timesteps, *program.input.shape)
        return rng.integers(0, high + 1, shape) * (rng.random(shape) < 0.5 + 0.5 * (high > 1))

    return program, samples


def compare(title: str, seed: int, against: str, share: int) -> Row:
    """One row: as many samples, streamed back to back, as `share` neuron-steps hold."""
    from sfx.toolchain.app import api

    start = time.monotonic()
    program, samples = network(title, seed)
    neurons = sum(p.size for p in program)
    k = max(2, (share // neurons - program.last_phase) // program.timesteps)
    mode = "layerwise" if against == "lava" else "full"
    states = seed == 0
    verdict = api.verify(program, samples(k), against=against, mode=mode, states=states)
    return Row(
        against,
        title,
        seed,
        k,
        len(verdict.populations),
        verdict.neurons,
        verdict.steps,
        verdict.covered * verdict.steps,
        states,
        verdict.compared,
        sum(p.spikes for p in verdict.populations),
        verdict.mismatches,
        list(verdict.silent),
        round(time.monotonic() - start, 1),
        _commit(),
        time.strftime("%Y-%m-%d"),
    )


def _commit() -> str:
    """Short hash of the checkout, with a + if its code was changed."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True
        ).stdout

    changed = git("status", "--porcelain", "--", "toolchain", "backends", "frontends").strip()
    return git("rev-parse", "--short", "HEAD").strip() + ("+" if changed else "")


def page(rows: list[Row]) -> str:
    """docs/equivalence.md: what was compared with each witness, by model."""
    lines = [
        "# Equivalence",
        "",
        "The reference against its witnesses over the model zoo: spikes of every neuron at every",
        "hardware step; with the first seed u and v of every LIF as well. Written by",
        "`python benchmarks/equivalence.py`; a row adds up the runs in",
        "`benchmarks/equivalence.json` (weights and samples of one seed each).",
        "Against Lava (Intel's processes) layer by layer, see [verification.md](verification.md);",
        "against ONNX Runtime the whole net. No population was silent in any run.",
        "",
        "| witness | model | runs | samples | neurons | neuron-steps | values | spikes | differ |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    counted = [r for r in rows if r.counts]
    for against in ("lava", "onnx"):
        mine = [r for r in counted if r.against == against]
        for title in [t for t in NETS if any(r.model == t for r in mine)]:
            lines.append(_line(against, title, [r for r in mine if r.model == title]))
        if mine:
            lines.append(_line(f"**{against}**", "**all**", mine))
    return "\n".join(lines) + "\n"


def _line(against: str, title: str, rows: list[Row]) -> str:
    def total(field: str) -> str:
        return f"{sum(getattr(r, field) for r in rows):,}"

    sums = " | ".join(total(f) for f in ("neuron_steps", "values", "spikes", "mismatches"))
    neurons = f"{rows[0].neurons:,}" if title in NETS else ""
    return f"| {against} | {title} | {len(rows)} | {total('samples')} | {neurons} | {sums} |"


def main() -> int:
    """Rows until the goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", default="lava", choices=("lava", "onnx"))
    parser.add_argument("--goal", type=float, default=1e9, help="neuron-steps in all")
    parser.add_argument("--model", nargs="*", choices=NETS, help="only these")
    parser.add_argument("--share", type=int, default=RECORD, help="neuron-steps of a row")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no row after these")
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    rows = (
        [Row(**r) for r in json.loads(options.store.read_text())] if options.store.exists() else []
    )
    titles = options.model or list(NETS)
    while time.monotonic() < end:
        mine = [r for r in rows if r.against == options.against]
        done = sum(r.neuron_steps for r in mine if r.counts)
        if done >= options.goal:
            break
        runs = {t: sum(r.model == t for r in mine) for t in titles}
        title = min(titles, key=lambda t: (runs[t], titles.index(t)))
        row = compare(title, runs[title], options.against, options.share)
        rows.append(row)
        options.store.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
        options.page.write_text(page(rows))
        note = f"SILENT {row.silent}" if row.silent else f"{done + row.neuron_steps:,} in all"
        print(
            f"{title}, seed {row.seed}: {row.samples} samples, {row.neuron_steps:,} neuron-steps, "
            f"{row.values:,} values, {row.mismatches} mismatches, {row.seconds:.0f} s; {note}",
            flush=True,
        )
    return int(any(r.mismatches for r in rows))


if __name__ == "__main__":
    sys.exit(main())
