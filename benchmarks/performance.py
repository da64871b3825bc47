"""Measure the speed of everything; write benchmarks/performance.json and docs/performance.md.

    python benchmarks/performance.py [SECTION ...]

Each section runs in a process of its own, on all cores, and is kept in the JSON; naming sections
measures only these again. The peers of a table take turns in one run on the same network, data and
threads. `sanafe` needs its package (GPL-3.0, `pip install sanafe pyyaml`), `mnist` needs mnist.npz,
`cuda` a GPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench_spikformer import table
from sections import ROOT, SECTIONS, machine

STORE = ROOT / "benchmarks" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"
Found = dict[str, Any]
BIG = "Spikformer 8-768, ImageNet"

HEAD = """# Performance

Written by `python benchmarks/performance.py`, which measures each section below in a process of its
own. Compare figures within a table, where the peers took turns on the same network, data and
threads; a load above the threads in use means that other programs took part of the machine.
"""


def demo(f: Found) -> str:
    """Table of the demo net."""
    each = {n: 1e3 * min(t) / f["samples"][n] for n, t in f["seconds"].items()}
    compared = [n for n in ("reference", "lava") if n in each]
    rows = [
        f"| {n} | {f['samples'][n]} | {ms:,.2f} | "
        + " | ".join(f"{each[c] / ms:,.1f}" for c in compared)
        + " |"
        for n, ms in each.items()
    ]
    head = "".join(f" times {c} |" for c in compared)
    return f"""## The demo net

`examples/spikeformer`, T = {f["timesteps"]}, {f["neurons"]:,} neurons, on its test samples; best of
{f["repeats"]}, Lava once. `fast` gave the reference's sums and event counts, bit for bit, on all
{f["compared"]} samples compared.

| | samples | ms per sample |{head}
|---|---|---|{"---|" * len(compared)}
{chr(10).join(rows)}

Lava's time is that of the whole call, with the start of its processes. `fast` took
{f["ready"]:.1f} s before its first result (kernels from the cache on disk).
"""


def sanafe(f: Found) -> str:
    """SANA-FE's net."""
    ms = {n: 1e3 * s for n, s in f.items() if n != "neurons"}
    return f"""## SANA-FE

The only net here that SANA-FE can express: integrate-and-fire neurons, dense, {f["neurons"]:.0f}
neurons, 40 steps (`benchmarks/sanafe_witness.py`). SANA-FE also computes the chip's energy and time
of each step; loading the net into it is not counted.

| | ms per sample |
|---|---|
| SANA-FE | {ms["sanafe"]:.2f} |
| reference, 32 samples | {ms["reference"]:.2f} |
| fast, one sample | {ms["fast alone"]:.2f} |
| fast, 32 samples | {ms["fast"]:.2f} |
"""


def spikformer(f: Found) -> str:
    """Activities of Spikformer."""
    return f"""## Spikformer 4-384

T = 4, 32x32, live random weights, 14.5 million neurons, of which 12.6 million are attention's
coincidences and products, contracted but counted one by one. Milliseconds per sample;
{f["samples"]} samples, best of {f["repeats"]}.

Two measures of activity. LIF rate: the mean firing rate of the LIF populations, per neuron and
step, the usual meaning of the word. Activity: the share of nonzero values among those that weights
meet, by multiply-add; residual sums and pooled spikes are fuller than the populations before them.
"set" says which of the two was set. The float model's time depends on neither.

{table(f)}

The limit is the larger of two times: the multiply-adds of nonzero values at the rate of the inner
loop with everything in the first-level cache ({f["machine"]["adds_s"] / 1e9:.0f} G/s), and the
bytes of weights and spikes at the measured copy rate ({f["machine"]["bytes_s"] / 1e9:.1f} GB/s).
"""


def growth(f: Found) -> str:
    """Cost against size."""
    b = f["base"]
    names = {"T": "timesteps", "tokens": "image_size", "width": "dim", "depth": "depth"}
    rows = []
    for r in f["rows"]:
        size = r[names[r["varied"]]]
        size = (size // 4) ** 2 if r["varied"] == "tokens" else size
        fast, torch = 1e3 * r["fast"], 1e3 * r["torch"]
        rows.append(
            f"| {r['varied']} | {size} | {r['neurons']:,} | {fast:.2f} | {torch:.2f} "
            f"| {torch / fast:.1f} |"
        )
    return f"""## Cost as T, tokens, width and depth grow

Spikformer {b["depth"]}-{b["dim"]}, T = {b["timesteps"]}, {b["image_size"]} pixels square, one size
varied at a time, as compiled (no activity set); batch 8, milliseconds per sample.

| varied | size | neurons | fast | torch float | torch / fast |
|---|---|---|---|---|---|
{chr(10).join(rows)}
"""


def imagenet(f: Found) -> str:
    """One sample at 224x224."""
    fast, torch = f["seconds"]["fast"], f["seconds"]["torch"]
    return f"""## Spikformer 8-512, ImageNet

224x224, T = 4, {f["neurons"]:,} neurons, one sample: fast {fast:.2f} s, torch float {torch:.2f} s
({torch / fast:.1f} times). Most memory of the process, compiling included: {f["peak_gb"]:.1f} GB
({f["compile_gb"]:.1f} GB before the first sample).
"""


def compiling(f: Found) -> str:
    """Where the time of compiling goes, and all models' times."""
    stages = ", ".join(f"{name} {s:.0f} s" for name, s in f["stages"].items())
    own = "\n".join(f"| {n} | {s:.0f} | {s / f['cpu_s']:.0%} |" for n, s in f["own"].items())
    plain = next((r for r in _measured() if r["title"] == BIG), None)
    first = "not measured alone"
    if plain is not None:
        took = plain["export_s"] + plain["compile_s"]
        first = f"{took:.0f} s of CPU time with the export, {plain['peak_gb']:.1f} GB at most"
    return f"""## Compiling

Spikformer 8-768, ImageNet (66 million parameters, 224x224): {first} (`benchmarks/models.py`). Under
a profiler, which slows it down: {f["wall_s"]:.0f} s, {f["cpu_s"]:.0f} s of CPU time,
{f["peak_gb"]:.1f} GB; {stages}. Where it goes, by the code that runs (s of CPU time):

| | s | share |
|---|---|---|
{own}

{_models()}"""


def _models() -> str:
    """Compile time and memory against size, from models.json."""
    rows = sorted(_measured(), key=lambda r: int(r["parameters"]))
    lines = [
        f"| {r['title']} | {r['parameters']:,} | {r['neurons']:,} | {r['compile_s']:.0f} "
        f"| {r['peak_gb']:.1f} |"
        for r in rows
    ]
    return f"""Compile time (CPU) and peak memory against model size, from `benchmarks/models.py`:

| model | parameters | neurons | s | GB |
|---|---|---|---|---|
{chr(10).join(lines)}
"""


def _measured() -> list[Found]:
    """Rows of models.json."""
    path = ROOT / "benchmarks" / "models.json"
    rows: list[Found] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def mnist(f: Found) -> str:
    """The whole test set."""
    n, s = f["samples"], f["seconds"]
    return f"""## MNIST

The trained Spikeformer of `examples/mnist` on the whole test set, by `sfx run mnist.sfx --input
test.npz`: {n:,} samples in {s:.1f} s ({1e3 * s / n:.2f} ms each), accuracy {f["accuracy"]:.2%},
{f["spikes"] / n:,.0f} spikes and {f["synops"] / n:,.0f} synops per sample.
"""


def cuda(f: Found) -> str:
    """A GPU."""
    rows = []
    for r in f["rows"]:
        fast, torch = 1e3 * r["fast"], 1e3 * r["torch"]
        rows.append(f"| {r['batch']} | {fast:.2f} | {torch:.2f} |")
    return f"""## CUDA

`fast --device cuda` on one {f["gpu"]}: Spikformer 4-384, LIF rate 15 %, {f["neurons"]:,} neurons.
The sums of {f["compared"]} samples and the counts of events and of active neurons, neuron by
neuron, are those of the CPU, bit for bit ({f["events"]:,} events; {len(f["silent"])} silent
populations). Milliseconds per sample, best of 5; at most {f["peak_gb"]:.1f} GB on the GPU.

| batch | fast | torch float |
|---|---|---|
{chr(10).join(rows)}
"""


WITHOUT_GPU = """## CUDA

Not measured: `python benchmarks/performance.py cuda` needs a GPU. `tests/unit/fast/test_device.py`
compares what a GPU gives with the reference, where there is one.
"""

RENDER = {
    f.__name__: f for f in (demo, sanafe, spikformer, growth, imagenet, compiling, mnist, cuda)
}


def page(stored: dict[str, Found]) -> str:
    """docs/performance.md of the sections that were measured."""
    parts = [HEAD]
    for name, render in RENDER.items():
        if name in stored:
            m = stored[name]["machine"]
            where = (
                f"Measured {m['day']}: {m['cores']} cores, {m['processor']}, Python {m['python']}, "
                f"torch {m['torch']}, load {m['load']:.1f}."
            )
            parts += [render(stored[name]["found"]), where + "\n"]
    return "\n".join(parts if "cuda" in stored else [*parts, WITHOUT_GPU])


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sections", nargs="*", help=f"some of: {', '.join(SECTIONS)}")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        load = machine()
        print(json.dumps({"machine": load, "found": SECTIONS[options.one]()}))
        return 0
    stored = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    failed = 0
    for name in options.sections or SECTIONS:
        print(f"{name} ...", flush=True)
        command = [sys.executable, __file__, "--one", name]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)
        if done.returncode:
            print(f"{name}: FAILED\n{done.stderr.strip().splitlines()[-1]}", flush=True)
            failed += 1
            continue
        stored[name] = json.loads(done.stdout.strip().splitlines()[-1])
        STORE.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(stored), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
