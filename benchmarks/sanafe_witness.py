"""SANA-FE as an independent witness of the cost model on Loihi 1.

The same network, on the same cores, with the same spikes, goes through SANA-FE's simulator and
through ours. SANA-FE is GPL-3.0: it is installed by whoever wants this check
(`pip install sanafe pyyaml`), used as a program, and never part of the project.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from math import log2
from pathlib import Path
from typing import Any

import numpy as np

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.cost.model import estimate
from sfx.toolchain.compiler.mapping.place import MappingOptions, place
from sfx.toolchain.ir.connections import matrix
from sfx.toolchain.ir.program import LIF, Dense, Input, Population, Program, Projection, Readout
from sfx.toolchain.targets import load


@dataclass(frozen=True)
class Agreement:
    """One figure of both: ours and SANA-FE's."""

    name: str
    ours: float
    theirs: float

    @property
    def error(self) -> float:
        """Relative difference."""
        return self.ours / self.theirs - 1 if self.theirs else float(self.ours != 0)


def network(sizes: tuple[int, ...] = (48, 192, 128, 64), steps: int = 40, seed: int = 0) -> Program:
    """Integrate-and-fire neurons without leak, dense, with small even weights."""
    rng = np.random.default_rng(seed)
    populations = [Population("input", (sizes[0],), Input(), 0, 1, 0)]
    projections = []
    for i, (pre, post) in enumerate(pairwise(sizes)):
        name, before = f"layer{i}", populations[-1]
        populations.append(
            Population(name, (post,), LIF(4095, 0, 4 * int(pre**0.5)), 0, 1, i + 1, name)
        )
        weight = 2 * rng.integers(-8, 14, (post, pre))
        weight[weight == 0] = 2
        projections.append(Projection(f"p{i}", before.name, name, Dense(weight), delay=1))
    last = populations[-1]
    readout = Readout(last.name, 1.0, (0,) * last.size)
    return Program(tuple(populations), tuple(projections), steps, readout, name="witness")


def compare(program: Program, seed: int = 0) -> list[Agreement]:
    """Both models on one sample: spikes, synops, messages, energy parts and time of a step."""
    target = load("loihi1")
    placed = place(program, target, MappingOptions("latency"))
    rng = np.random.default_rng(seed)
    x = (rng.random((1, program.timesteps, *program.input.shape)) < 0.3).astype(np.int64)
    result = ReferenceBackend().run(program, x)
    ours = estimate(placed, target, result.counts)
    steps = program.timesteps + program.last_phase
    theirs = simulate(placed, x[0], steps)
    idle = sync_of(placed, target) + target.costs["t_access"].value * max(
        c.neurons for c in ours.per_core
    )
    seconds = ours.timing.sample.value + program.last_phase * idle
    parts = {name: e.value for name, e in ours.parts.items()}
    events = ours.events
    # SANA-FE also runs the steps in which the pipeline fills and drains: every neuron is visited
    # and the mesh synchronizes. Ours is the steady state, in which samples follow each other.
    visits = events.accesses * steps / program.timesteps
    extra = (visits - events.accesses) * target.costs["e_access"].value
    pairs = {
        "spikes, the host's included": (events.fired + float(x.sum()), theirs["fired"]),
        "synaptic operations": (events.synops, theirs["synops"]),
        "messages": (events.messages, theirs["packets"]),
        "synapse energy, J": (parts["synapses"], theirs["synapse"]),
        "neuron energy, J": (parts["neurons"] + extra, theirs["soma"]),
        "network energy, J": (parts["network"], theirs["network"]),
        "dynamic energy, J": (sum(parts.values()) + extra, theirs["total"]),
        "time of all steps, s": (seconds, theirs["seconds"]),
    }
    return [Agreement(name, a, b) for name, (a, b) in pairs.items()]


def race() -> dict[str, float]:
    """Seconds of a sample of the same net: SANA-FE (loading apart), reference and fast."""
    from sfx.backends.fast.backend import FastBackend

    program = network()
    placed = place(program, load("loihi1"), MappingOptions("latency"))
    rng = np.random.default_rng(0)
    x = (rng.random((32, program.timesteps, *program.input.shape)) < 0.3).astype(np.int64)
    reference, fast = ReferenceBackend(), FastBackend()
    found = {"sanafe": simulate(placed, x[0], program.timesteps)["wall_s"]}
    runs = {
        "reference": lambda: reference.run(program, x),
        "fast": lambda: fast.run(program, x),
    }
    for name, run in runs.items():
        run()
        start = time.perf_counter()
        run()
        found[name] = (time.perf_counter() - start) / len(x)
    start = time.perf_counter()
    fast.run(program, x[:1])
    neurons = sum(p.size for p in program)
    return found | {"fast alone": time.perf_counter() - start, "neurons": neurons}


def sync_of(placed: Any, target: Any) -> float:
    """Seconds of a synchronization, from the constants of our target."""
    routers = {b.core // target.limits.cores_per_router for b in placed.blocks}
    costs = target.costs
    return costs["t_sync"].value + costs["t_sync_per_doubling"].value * log2(len(routers))


def simulate(placed: Any, x: np.ndarray, steps: int) -> dict[str, float]:
    """SANA-FE on the placed net: counts, joules, seconds of `steps` steps."""
    import sanafe

    program = placed.program
    arch = sanafe.load_arch(_slim(program.input.size))
    cores = arch.cores()
    network = sanafe.Network()
    groups = {}
    where = {}
    for b in placed.blocks:
        for i in b.indices.tolist():
            where[b.population, i] = b.core
    for p in program:
        inputs = isinstance(p.neuron, Input)
        attributes = {} if inputs else _attributes(p.neuron)
        groups[p.name] = network.create_neuron_group(
            p.name,
            p.size,
            model_attributes=attributes,
            soma_hw_name="loihi_inputs[0]" if inputs else "loihi_lif",
            default_synapse_hw_name="loihi_dense_synapse",
            default_dendrite_hw_name="loihi_dendrites",
        )
        for i in range(p.size):
            if inputs:
                spikes = x[:, i].astype(bool).tolist()
                groups[p.name][i].set_attributes(
                    soma_hw_name=f"loihi_inputs[{i}]", model_attributes={"spikes": spikes}
                )
            groups[p.name][i].map_to_core(cores[0 if inputs else where[p.name, i]])
    for j in program.projections:
        wires = matrix(j, program[j.pre].size, program[j.post].size).tocoo()
        pre, post = groups[j.pre], groups[j.post]
        for a, b, w in zip(
            wires.col.tolist(), wires.row.tolist(), wires.data.tolist(), strict=True
        ):
            pre[a].connect_to_neuron(post[b], {"weight": float(w)})
    chip = sanafe.SpikingChip(arch)
    chip.load(network)
    start = time.perf_counter()
    found = chip.sim(steps, timing_model="simple")
    wall = time.perf_counter() - start
    energy = found["energy"]
    return {
        "fired": float(found["neurons_fired"]),
        "synops": float(found["spikes"]),
        "packets": float(found["packets_sent"]),
        "seconds": float(found["sim_time"]),
        "wall_s": wall,
        **{name: float(energy[name]) for name in ("synapse", "soma", "network", "total")},
    }


def _attributes(neuron: Any) -> dict[str, float]:
    return {"threshold": float(neuron.vth), "reset": 0.0, "leak_decay": 1.0}


def _slim(inputs: int) -> str:
    """SANA-FE's own Loihi file with as many input units as needed instead of 1024 a core."""
    import sanafe

    text = (Path(sanafe.__file__).parent / "examples" / "loihi.yaml").read_text(encoding="utf-8")
    path = Path(tempfile.mkdtemp()) / "loihi.yaml"
    path.write_text(text.replace("[0..1023]", f"[0..{inputs - 1}]"), encoding="utf-8")
    return str(path)


if __name__ == "__main__":
    for row in compare(network()):
        print(f"{row.name:<28} {row.ours:12.5g} {row.theirs:12.5g} {row.error:+.2%}")
