"""Reference, fast and the float torch model side by side on the demo net; write the table.

    python benchmarks/bench_backends.py [--threads N] [--samples N] [--json FILE] [--page FILE]

Everything runs in one process on the same samples, in turns: what else the machine does falls on
all alike. A time is the best of the repeats, and a ratio compares times of this one run. Before
anything is timed, sums and counts of `fast` are compared with the reference on the same samples.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "spikeformer"
sys.path.insert(0, str(EXAMPLE))

PAGE = """# Performance

Written by `python benchmarks/bench_backends.py --threads {threads}`.
Machine: {machine}.
A load above the threads in use means that other programs took part of it.

The demo net (`examples/spikeformer`, T = {timesteps}, {neurons:,} neurons) on its test samples. All
rows were measured in turns in one run, best of {repeats}; compare rows with each other, not with
another machine. `fast` gave the reference's sums and event counts, bit for bit, on all {compared}
samples compared.

| | samples | ms per sample | times the reference |
|---|---|---|---|
{rows}

Compiling and readying are not included: `fast` takes {ready:.1f} s before the first result (kernels
from the cache on disk).
"""


def best(run: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def same(want: object, got: object) -> bool:
    """Equal sums, events and active neurons of two `Result`s."""
    pairs = [(want.counts.events, got.counts.events), (want.counts.active, got.counts.active)]
    equal = all(np.array_equal(a[n], b[n]) for a, b in pairs for n in a)
    return equal and np.array_equal(want.sums, got.sums)


def measure(samples: int, repeats: int) -> dict[str, object]:
    """Time every contestant; a dictionary for JSON."""
    from data import load

    from sfx.frontends.load import load_torch
    from sfx.toolchain import api

    program = api.compile(EXAMPLE / "model.pt").program
    x = load("test").x[:samples].astype(np.int64)
    net, _, _ = load_torch(EXAMPLE / "model.pt")
    reference, fast = api.backend("reference"), api.backend("fast")
    few = x[: min(len(x), 32)]
    ready = best(lambda: fast.run(program, few[:1]))
    if not same(reference.run(program, few), fast.run(program, few)):
        raise SystemExit("fast and reference differ: nothing is timed")

    def through_torch(batch: int) -> None:
        with torch.no_grad():
            for i in range(0, len(few), batch):
                net(torch.from_numpy(few[i : i + batch]).float().transpose(0, 1))

    contestants: dict[str, tuple[int, Callable[[], object]]] = {
        "reference": (len(few), lambda: reference.run(program, few)),
        "fast, one sample at a time": (
            len(few),
            lambda: [fast.run(program, few[i : i + 1]) for i in range(len(few))],
        ),
        "fast, 32 samples": (len(few), lambda: fast.run(program, few)),
        f"fast, {len(x)} samples": (len(x), lambda: fast.run(program, x)),
        "torch float, batch 1": (len(few), lambda: through_torch(1)),
        "torch float, batch 32": (len(few), lambda: through_torch(32)),
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, (_, run) in contestants.items():
            times[name].append(best(run))
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}, torch {torch.__version__.split('+')[0]} with "
        f"{torch.get_num_threads()} thread(s) for torch and fast, load {os.getloadavg()[0]:.1f}",
        "timesteps": program.timesteps,
        "neurons": sum(p.size for p in program),
        "repeats": repeats,
        "compared": len(few),
        "ready": ready,
        "samples": {name: n for name, (n, _) in contestants.items()},
        "seconds": times,
        "threads": torch.get_num_threads(),
    }


def page(result: dict[str, object]) -> str:
    """The table, from what `measure` gave."""
    times, counts = result["seconds"], result["samples"]
    each = {name: 1e3 * min(t) / counts[name] for name, t in times.items()}
    rows = [
        f"| {name} | {counts[name]} | {ms:.2f} | {each['reference'] / ms:.1f} |"
        for name, ms in each.items()
    ]
    return PAGE.format(**result, rows="\n".join(rows))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure the backends side by side.")
    parser.add_argument("--samples", type=int, default=360)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path, help="write the table there as well")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    numba.set_num_threads(options.threads)
    result = measure(options.samples, options.repeats)
    text = page(result)
    print(text)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if options.page:
        old = options.page.read_text(encoding="utf-8") if options.page.exists() else ""
        _, mark, others = old.partition("\n## ")  # sections of other commands stay
        options.page.write_text(text + mark + others, encoding="utf-8")


if __name__ == "__main__":
    main()
