"""Spikformer 4-384 (T = 4, 32x32): fast against the float torch model at set activities.

    python benchmarks/bench_spikformer.py [--rates 0.05 0.1 0.15 0.2] [--threads N] [--json FILE]

Live random weights. The Program's thresholds are set, the same firing rate in every LIF population,
to reach either a mean rate of these (the usual meaning of activity), or a share of nonzero values
among those that weights meet, by multiply-add: residual sums and pooled spikes are fuller than the
populations that make them. The float model's time depends on neither. All contestants take turns on
the same samples, with the same threads.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from activity import read_share, with_activity, with_rate

from sfx.backends.fast.kernels.multiply_add import TILE, add_taps
from sfx.toolchain.ir.program import Program

BATCHES = (1, 32)
Goal = tuple[str, float]


def build(size: str) -> tuple[Program, Any, np.ndarray]:
    """Compiled Program, float model and one sample [1, T, ...]."""
    from sections import compiled

    from sfx.frontends.zoo.spikformer import SPIKFORMER

    return compiled("spikformer", SPIKFORMER[size].to_mapping())


def through_torch(
    model: Any, x: np.ndarray, batch: int, device: str = "cpu"
) -> Callable[[], object]:
    """The float model, which is on `device`, over the samples, `batch` at a time."""
    import torch

    whole = torch.from_numpy(x).float().transpose(0, 1).contiguous()

    def run() -> None:
        with torch.inference_mode():
            for i in range(0, len(x), batch):
                model(whole[:, i : i + batch].to(device)).cpu()

    return run


def through_fast(program: Program, x: np.ndarray, batch: int) -> Callable[[], object]:
    """The Program over the samples, `batch` at a time."""
    from sfx.backends.fast.backend import FastBackend

    backend = FastBackend()

    def run() -> None:
        for i in range(0, len(x), batch):
            backend.run(program, x[i : i + batch])

    return run


@numba.njit(parallel=True)
def _spin(
    weight: Any, index: Any, value: Any, ends: Any, place: Any, total: Any, turns: int
) -> None:
    for k in numba.prange(len(total)):
        for turn in range(turns):
            add_taps(
                weight, 0, index.ctypes.data, value.ctypes.data, ends.ctypes.data, 2,
                len(index), place.ctypes.data, (0, 1), (0, 1), turn == 0, total[k].ctypes.data,
            )  # fmt: skip


def rates_of_machine() -> dict[str, float]:
    """What bounds a simulator here: byte multiply-adds a second, and bytes copied a second.

    The first with all threads, every input 1, weights in the first-level cache.
    """
    pairs, turns, threads = 128, 100_000, numba.get_num_threads()
    rng = np.random.default_rng(0)
    weight = rng.integers(-20, 20, (1, 1, pairs, TILE, 2)).astype(np.int8)
    index, value = np.arange(pairs, dtype=np.uint16), np.full(pairs, 257, np.uint16)
    ends, place = np.array([[0, pairs]]), np.zeros((1, 1), np.int32)
    total = np.zeros((threads, TILE), np.int32)
    arguments = weight, index, value, ends, place, total, turns
    _spin(*arguments)
    adds = threads * turns * pairs * TILE * 2 / best(lambda: _spin(*arguments), 3)
    a = np.zeros(1 << 26, np.uint8)
    b = np.empty_like(a)
    return {"adds_s": adds, "bytes_s": 2 * a.nbytes / best(lambda: np.copyto(b, a), 5)}


def limit(
    program: Program, events: Any, samples: int, machine: dict[str, float]
) -> dict[str, float]:
    """The least time of a sample [s]: operations at this activity, and bytes, at those rates.

    Bytes: weights once, and per neuron and step a spike written and read (1 byte each).
    Contracted neurons need none.
    """
    from sfx.backends.fast.plan.contractions import planned
    from sfx.toolchain.compiler.cost.synops import fan_out

    contracted = planned(program)
    adds = 0
    for j in program.projections:
        if j.pre not in contracted and j.post not in contracted:
            sent = events[j.pre].reshape(program.timesteps, -1).sum(axis=0)
            adds += int(sent @ fan_out(program, j))
    neurons = sum(p.size for p in program if p.name not in contracted) * program.timesteps
    weights = sum(
        j.connection.weight.size
        for j in program.projections
        if isinstance(getattr(j.connection, "weight", None), np.ndarray)
    )
    operations = adds / samples / machine["adds_s"]
    traffic = (weights + 2 * neurons) / machine["bytes_s"]
    return {"operations_s": operations, "bytes_s": traffic, "limit_s": max(operations, traffic)}


def best(run: Callable[[], object], repeats: int) -> float:
    """Seconds of the quickest of some calls."""
    return min(once(run) for _ in range(repeats))


def once(run: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(
    program: Program, model: Any, x: np.ndarray, goals: list[Goal], repeats: int, samples: int
) -> dict[str, Any]:
    """Every row of the table, in one run. goals: what is set ("LIF rate" or "activity") to what."""
    from sfx.backends.fast.backend import FastBackend

    rng = np.random.default_rng(1)
    many = np.concatenate(
        [x] + [rng.permutation(x.ravel()).reshape(x.shape) for _ in range(samples - 1)]
    )
    machine = rates_of_machine()
    rows = []
    contestants: dict[str, Callable[[], object]] = {
        f"torch {b}": through_torch(model, many, b) for b in BATCHES
    }
    for kind, goal in goals:
        live = (with_rate if kind == "LIF rate" else with_activity)(program, many[:1], goal)
        result = FastBackend().run(live, many)
        events = {p.name: result.counts.events[p.name] for p in live}
        lif = [p for p in live if getattr(p.neuron, "reset", False)]
        rows.append(
            {
                "set": kind,
                "goal": goal,
                "fired": float(np.mean([events[p.name].mean() / samples for p in lif])),
                "silent": [n for n, e in events.items() if not e.any()],
                "read": read_share(live, events, samples),
                **limit(live, events, samples, machine),
            }
        )
        contestants |= {f"fast {b} {kind} {goal}": through_fast(live, many, b) for b in BATCHES}
    for run in contestants.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, run in contestants.items():
            times[name].append(once(run) / samples)
    return {
        "machine": machine,
        "samples": samples,
        "repeats": repeats,
        "threads": numba.get_num_threads(),
        "load": os.getloadavg()[0],
        "seconds_per_sample": times,
        "rows": rows,
    }


def table(result: dict[str, Any]) -> str:
    """The rows in Markdown."""
    ms = {name: 1e3 * min(t) for name, t in result["seconds_per_sample"].items()}
    lines = [
        "| set | LIF rate | activity | batch | fast ms | torch ms | torch / fast | limit ms "
        "| fast / limit |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        for b in BATCHES:
            fast, torch = ms[f"fast {b} {row['set']} {row['goal']}"], ms[f"torch {b}"]
            floor = 1e3 * row["limit_s"]
            lines.append(
                f"| {row['set']} | {row['fired']:.1%} | {row['read']:.1%} | {b} | {fast:.1f} "
                f"| {torch:.1f} "
                f"| {torch / fast:.1f} | {floor:.1f} | {fast / floor:.1f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """The command."""
    import torch

    parser = argparse.ArgumentParser(description="Measure fast against torch on Spikformer.")
    parser.add_argument("--size", default="cifar10_4_384")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.05, 0.1, 0.15, 0.2])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    numba.set_num_threads(options.threads)
    program, model, x = build(options.size)
    goals = [(kind, rate) for kind in ("LIF rate", "activity") for rate in options.rates]
    result = measure(program, model, x, goals, options.repeats, options.samples)
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
