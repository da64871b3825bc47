"""Compile the published spiking transformers at their real sizes; write docs/models.md.

    python benchmarks/models.py [NAME ...]

Weights are random, with batch norms drawn so that every population fires; trained checkpoints are
not shipped by the authors. Each model runs in a process of its own, so that its peak memory is its
own. Times are CPU seconds of that process (one thread), which a busy machine stretches least. The
rows are kept in benchmarks/models.json; naming models measures only these again.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from public_models import with_table

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "models.md"
STORE = ROOT / "benchmarks" / "models.json"
TARGET = "hala-point"
MEMORY_GB = 12
"""What a process may take; one that needs more ends with an error instead of the machine."""

MODELS = {
    # title: (zoo name, table of published sizes, size)
    "Spikformer 4-256, CIFAR": ("spikformer", "SPIKFORMER", "cifar10_4_256"),
    "Spikformer 2-384, CIFAR": ("spikformer", "SPIKFORMER", "cifar10_2_384"),
    "Spikformer 4-384, CIFAR": ("spikformer", "SPIKFORMER", "cifar10_4_384"),
    "Spikformer 2-256, DVS": ("spikformer", "SPIKFORMER", "cifar10dvs_2_256"),
    "Spikformer 8-384, ImageNet": ("spikformer", "SPIKFORMER", "imagenet_8_384"),
    "Spikformer 8-512, ImageNet": ("spikformer", "SPIKFORMER", "imagenet_8_512"),
    "Spikformer 8-768, ImageNet": ("spikformer", "SPIKFORMER", "imagenet_8_768"),
    "Spikingformer 4-384, CIFAR": ("spikingformer", "SPIKINGFORMER", "cifar10_4_384"),
    "Spike-driven 2-512, CIFAR": ("spike_driven", "SPIKE_DRIVEN", "cifar10_2_512"),
    "Spike-driven 2-256, gesture": ("spike_driven", "SPIKE_DRIVEN", "gesture_2_256"),
    "Spike-driven v2 8-256, ImageNet": ("spike_driven_v2", "SPIKE_DRIVEN_V2", "imagenet_8_256"),
    "Spike-driven v3 s (5.1M), ImageNet": ("spike_driven_v3", "SPIKE_DRIVEN_V3", "imagenet_s"),
    "Spike-driven v3 m (10M), ImageNet": ("spike_driven_v3", "SPIKE_DRIVEN_V3", "imagenet_m"),
    "Spike-driven v3 l (19M), ImageNet": ("spike_driven_v3", "SPIKE_DRIVEN_V3", "imagenet_l"),
    "STAtten 2-512, CIFAR": ("statten", "STATTEN", "cifar10_2_512"),
    "STAtten 2-256, DVS": ("statten", "STATTEN", "cifar10dvs_2_256"),
    "QKFormer 4-384, CIFAR": ("qkformer", "QKFORMER", "cifar10_4_384"),
    "Max-Former 4-384, CIFAR": ("max_former", "MAX_FORMER", "cifar10_4_384"),
    "Max-Former 2-256, gesture": ("max_former", "MAX_FORMER", "gesture_2_256"),
    "Max-Former 10-384, ImageNet": ("max_former", "MAX_FORMER", "imagenet_10_384"),
    "Spikeformer 7-256 joint, gesture": ("spikeformer", "SPIKEFORMER", "gesture_7_256_joint"),
    "Spikeformer 7-256 divided, gesture": ("spikeformer", "SPIKEFORMER", "gesture_7_256"),
}


@dataclass(frozen=True)
class Row:
    """One model: sizes, compile time and peak memory, cores, and equal spikes after rounding.

    alone       mean share of equal spikes, each layer quantized by itself
    cumulative  the same with all earlier layers quantized too
    run_s       one sample on the fast backend, readied before; None where it was not measured or
                takes more than MEMORY_GB
    measured    the day
    """

    title: str
    parameters: int
    neurons: int
    synapses: int
    timesteps: int
    depth: int
    cores: int
    chips: int
    export_s: float
    compile_s: float
    peak_gb: float
    alone: float
    cumulative: float
    run_s: float | None
    measured: str = ""
    run_gb: float | None = None


def measure(title: str, run: bool = True) -> Row:
    """Build, export and compile one model in this process, and run one sample."""
    import importlib

    import torch

    from sfx.frontends.tracing.export import export
    from sfx.toolchain.compiler.compile import compile_graph, statistics
    from sfx.toolchain.formats.nir.bridge import to_graph
    from sfx.toolchain.targets import load

    name, table, size = MODELS[title]
    file = importlib.import_module(f"sfx.frontends.zoo.{name}")
    config = getattr(file, table)[size]
    torch.manual_seed(0)
    from sfx.frontends import zoo

    model = zoo.build(name, config.to_mapping())
    x = awake(model)
    start = time.process_time()
    graph = to_graph(export(model, model.example_input()))
    exported = time.process_time()
    compiled = compile_graph(graph, load(TARGET), x)
    done = time.process_time()
    facts = statistics(compiled.placed.program)
    neurons = [r for r in compiled.records if r.agreement is not None]
    peak = peak_gb()
    program = compiled.placed.program
    parameters = sum(p.numel() for p in model.parameters())
    del graph, model
    return Row(
        title,
        parameters,
        facts["neurons"],
        facts["synapses"],
        facts["timesteps"],
        facts["depth"],
        compiled.placed.cores,
        compiled.placed.chips,
        exported - start,
        done - exported,
        peak,
        sum(r.agreement or 0 for r in neurons) / len(neurons),
        sum(r.cumulative or 0 for r in neurons) / len(neurons),
        seconds := run_one(program, x) if run else None,
        time.strftime("%Y-%m-%d"),
        None if seconds is None else peak_gb(),
    )


def peak_gb() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def run_one(program, x) -> float | None:
    """Seconds of one sample on the fast backend, after a first one that readies the Program."""
    from sfx.backends.fast.backend import FastBackend

    backend = FastBackend()
    try:
        backend.run(program, x)
        start = time.process_time()
        backend.run(program, x)
        return time.process_time() - start
    except MemoryError:
        return None


def awake(model):
    """Batch norms at random, with the statistics of one random sample; returns it [1, T, ...]."""
    import torch

    generator = torch.Generator().manual_seed(0)
    steps, _, *frame = model.input_shape
    x = torch.randint(0, 4, (steps, 2, *frame), generator=generator).float()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 1.0, 3.0, generator=generator)
            torch.nn.init.uniform_(module.bias, -0.25, 1.25, generator=generator)
            module.momentum = None
            module.reset_running_stats()
    with torch.no_grad():
        model.train()(x)
    model.eval()
    return x[:, :1].transpose(0, 1).numpy().astype("int64")


def page(rows: list[Row]) -> str:
    """docs/models.md."""
    head = f"""# Models

Published spiking transformers compiled at their real sizes for `{TARGET}`, with random live
weights. Written by `python benchmarks/models.py`; times are CPU seconds of one process.

"Equal spikes" compares the 8-bit Program with the float model on the calibration sample: each
layer quantized alone, and with all earlier layers quantized as well. Random weights amplify a
wrong spike from layer to layer as trained ones do not, so the second figure is a lower bound.
"Run s" is one sample on the fast backend, once readied, and "run GB" the most memory up to its end.
A dash: not measured (`--compile-only`), or more than {MEMORY_GB} GB of addresses, which
`--memory GB` lifts.
Cores of rows measured up to 2026-11-30 are those of the limits that were taken before Intel's logs
([mapping.md](mapping.md)): by today's, Spikformer 4-384 takes 3,776 cores where the row says 2,712.
Lossless versions of all families reproduce torch exactly (`tests/e2e/test_families.py`).

| model | parameters | neurons | synapses | T | depth | cores (chips) | export s | compile s | GB \
| equal spikes: alone | all | run s | run GB | measured |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
"""
    lines = [
        f"| {r.title} | {r.parameters:,} | {r.neurons:,} | {r.synapses:,} | {r.timesteps} "
        f"| {r.depth} | {r.cores:,} ({r.chips}) | {r.export_s:.1f} | {r.compile_s:.1f} "
        f"| {r.peak_gb:.1f} | {r.alone:.2%} | {r.cumulative:.2%} "
        f"| {'-' if r.run_s is None else f'{r.run_s:.1f}'} "
        f"| {'-' if r.run_gb is None else f'{r.run_gb:.1f}'} | {r.measured} |"
        for r in rows
    ]
    return head + "\n".join(lines) + "\n"


def main() -> int:
    """Measure each model in a process of its own; a failure is reported and fails the run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"some of: {', '.join(MODELS)}")
    parser.add_argument("--compile-only", action="store_true", help="leave out the run of a sample")
    parser.add_argument("--memory", type=int, default=MEMORY_GB, help="GB a model may take")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        resource.setrlimit(resource.RLIMIT_AS, (options.memory << 30, options.memory << 30))
        print(json.dumps(asdict(measure(options.one, not options.compile_only))))
        return 0
    stored = json.loads(STORE.read_text()) if STORE.exists() else []
    rows = {r["title"]: Row(**r) for r in stored}
    failed = 0
    extra = ["--memory", str(options.memory)]
    extra += ["--compile-only"] if options.compile_only else []
    for title in options.names or MODELS:
        done = subprocess.run(
            [sys.executable, __file__, "--one", title, *extra], capture_output=True, text=True
        )
        if done.returncode:
            print(f"{title}: FAILED\n{done.stderr.strip().splitlines()[-1]}", flush=True)
            failed += 1
            continue
        row = rows[title] = Row(**json.loads(done.stdout.strip().splitlines()[-1]))
        print(f"{title}: {row.compile_s:.1f} s, {row.peak_gb:.1f} GB", flush=True)
        found = [rows[t] for t in MODELS if t in rows]
        STORE.write_text(json.dumps([asdict(r) for r in found], indent=1) + "\n")
        PAGE.write_text(with_table(page(found)))
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
