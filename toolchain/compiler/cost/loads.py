"""What every core does at every hardware step of the steady state, and who sends what to whom.

Samples stream back to back, so hardware step h looks like h mod T: population q computes model
step (h - phase(q)) mod T there, and a spike of p arrives after the projection's delay. All arrays
are means over samples, [T, cores], indexed by h mod T.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...ground.arith import IntArray
from ...ir.connections import permutation
from ...ir.fan_in import FanIn
from ...ir.placed import Block, PlacedProgram
from ...ir.program import Program, Projection
from ...targets.links import Link, LinkLoads
from ...targets.memory import (
    SYNOP,
    channel_words,
    dense_axon_words,
    row_words,
    sparse_axon_words,
    stored_bits,
)
from ...targets.mesh import Mesh, hops
from ...targets.target import Target
from .activity import Activity
from .energy import Events

Array = NDArray[np.float64]
KINDS = ("dense", "sparse", "conv")


@dataclass(frozen=True, eq=False)
class Loads:
    """Per core (rows of `cores`) and step [T, cores]; per step [T]; per population `events`.

    words     words of synaptic memory read
    sent, received  messages
    host      messages from the host per step
    link, chip_link  bits on the heaviest link and on the heaviest border between chips
    links     bits per sample over every link in use
    chip_crossings   messages x chip borders crossed, per sample
    """

    cores: tuple[tuple[int, int], ...]
    populations: tuple[tuple[str, ...], ...]
    neurons: Array
    updates: Array
    fired: Array
    synops: dict[str, Array]
    words: Array
    sent: Array
    received: Array
    host: Array
    link: Array
    chip_link: Array
    links: tuple[Link, ...]
    chip_crossings: float
    events: dict[str, Events]

    @property
    def total(self) -> Events:
        """All events of one sample."""
        return sum(self.events.values(), Events())


class _Counter:
    """Walks over the cores once and fills the arrays of `Loads`."""

    def __init__(self, placed: PlacedProgram, target: Target, activity: Activity) -> None:
        self.program, self.activity, self.limits = placed.program, activity, target.limits
        self.bits = _message_bits(placed.program, target)
        blocks: dict[tuple[int, int], list[Block]] = defaultdict(list)
        for b in placed.blocks:
            blocks[b.chip, b.core].append(b)
        self.cores = tuple(sorted(blocks))
        self.blocks = [blocks[c] for c in self.cores]
        self.mesh = Mesh.of(target.limits)
        chip, on_chip = np.array(self.cores, dtype=np.int64).reshape(-1, 2).T
        self.at = self.mesh.router(chip, on_chip)
        self.core_of = self._owners()
        t, n = activity.timesteps, len(self.cores)
        self.neurons, self.updates, self.fired = np.zeros(n), np.zeros((t, n)), np.zeros((t, n))
        self.synops = {kind: np.zeros((t, n)) for kind in KINDS}
        self.words, self.sent, self.received = (np.zeros((t, n)) for _ in range(3))
        self.host = np.zeros(t)
        self.links = LinkLoads(t, self.mesh, int(self.at[1].max(initial=0)))
        self.crossings = 0.0
        self.events = {p.name: Events() for p in self.program}
        self.stored = {j.name: stored_bits(j, self.limits) for j in self.program.projections}
        self.views: dict[str, IntArray] = {}
        self.list_words: dict[tuple[str, int], int] = {}
        self.fans = {
            j.name: FanIn(j, self.program[j.pre].size, self.program[j.post].size)
            for j in self.program.projections
        }

    def _owners(self) -> dict[str, IntArray]:
        owners: dict[str, IntArray] = {}
        for core, held in enumerate(self.blocks):
            for b in held:
                size = self.program[b.population].size
                owners.setdefault(b.population, np.full(size, -1, np.int64))[b.indices] = core
        return owners

    def count(self) -> Loads:
        for name in self.core_of:
            self._count_neurons(name)
        for core, held in enumerate(self.blocks):
            self._count_core(core, held)
        names = tuple(tuple(dict.fromkeys(b.population for b in held)) for held in self.blocks)
        return Loads(
            self.cores,
            names,
            self.neurons,
            self.updates,
            self.fired,
            self.synops,
            self.words,
            self.sent,
            self.received,
            self.host,
            self.links.heaviest(),
            self.links.heaviest_chip_link(),
            self.links.used(),
            self.crossings,
            self.events,
        )

    def _count_neurons(self, name: str) -> None:
        population, owner = self.program[name], self.core_of[name]
        events, active = self.activity.events[name], self.activity.active[name]
        neurons = np.bincount(owner, minlength=len(self.cores)).astype(np.float64)
        fired = _by_core(events, owner, len(self.cores))
        self.neurons += neurons
        self.fired += _at(fired, population.phase)
        self.updates += _at(_by_core(active, owner, len(self.cores)), population.phase)
        self.events[name] += Events(
            accesses=float(population.size * self.activity.timesteps),
            updates=float(active.sum()),
            fired=float(fired.sum()),
        )

    def _count_core(self, core: int, held: list[Block]) -> None:
        received: dict[str, list[IntArray]] = defaultdict(list)
        for b in held:
            indices = b.indices
            for j in self.program.incoming[b.population]:
                pre, synapses = self.fans[j.name].into(indices)
                self._count_synapses(core, j, pre, synapses, indices)
                received[j.pre].append(pre)
        for name, parts in received.items():
            axons = parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts))
            self._count_messages(core, name, axons)

    def _count_synapses(
        self, core: int, j: Projection, pre: IntArray, synapses: IntArray, post: IntArray
    ) -> None:
        spikes = self.activity.events[j.pre][:, pre]
        ops = spikes @ synapses
        words = spikes @ self._words_read(j, synapses, post)
        arrival = self.program[j.pre].phase + max(j.delay, 1)
        kind = SYNOP[j.connection.storage]
        self.synops[kind][:, core] += _at(ops, arrival)
        self.words[:, core] += _at(words, arrival)
        self.events[j.post] += Events(**{f"synops_{kind}": float(ops.sum())})

    def _words_read(self, j: Projection, synapses: IntArray, post: IntArray) -> IntArray:
        """Words that one spike of each axon reads for the neurons `post` of a block."""
        bits, neurons = self.stored[j.name], post.size
        match j.connection.storage:
            case "dense":
                return np.full(synapses.size, dense_axon_words(neurons, bits, self.limits))
            case "sparse":
                return sparse_axon_words(synapses, neurons, bits, self.limits)
            case "kernel":
                if self.limits.lists:
                    return self._list_words_read(j, synapses, post)
                most = row_words(j.connection.kernel().met, bits, self.limits)
                words = row_words(synapses, bits, self.limits)
                return np.minimum(words, most)
            case "pattern":
                return np.ones(synapses.size, dtype=np.int64)

    def _list_words_read(self, j: Projection, synapses: IntArray, post: IntArray) -> IntArray:
        """A kernel's lists that each axon meets: its synapses over those of one list."""
        kernel, view = j.connection.kernel(), j.post_view
        if view is not None:
            if j.name not in self.views:
                self.views[j.name] = permutation(view, self.program[j.post].size)
            post = self.views[j.name][post]
        present = np.zeros(kernel.channels, dtype=np.int64)
        present[post // kernel.positions] = 1
        in_group = present.reshape(kernel.groups, -1).sum(axis=1)
        each = -(-int(in_group.sum()) // int(np.count_nonzero(in_group)))
        key = (j.name, each)
        if key not in self.list_words:
            words = channel_words(np.array([each]), self.stored[j.name], self.limits)
            self.list_words[key] = int(words[0])
        read: IntArray = -(-synapses // each) * self.list_words[key]
        return read

    def _count_messages(self, core: int, name: str, axons: IntArray) -> None:
        spikes = self.activity.events[name][:, axons]
        phase = self.program[name].phase
        owner = self.core_of.get(name)
        if owner is None:  # from the host: enters at the first router
            sources = np.zeros(1, dtype=np.int64)
            start = (sources, sources)
            messages = _at(spikes.sum(axis=1, keepdims=True), phase)
            self.host += messages[:, 0]
        else:
            sources, place = np.unique(owner[axons], return_inverse=True)
            start = (self.at[0][sources], self.at[1][sources])
            messages = _at(_by_core(spikes, place, sources.size), phase)
            self.sent[:, sources] += messages
        self.received[:, core] += messages.sum(axis=1)
        stop = tuple(np.broadcast_to(axis[core], sources.shape) for axis in self.at)
        east_west, north_south = hops(start, (stop[0], stop[1]))
        count = messages.sum(axis=0)
        self.events[name] += Events(
            messages=float(count.sum()),
            hops_ew=float(count @ east_west),
            hops_ns=float(count @ north_south),
        )
        self.crossings += float(count @ self._borders(start, (stop[0], stop[1])))
        self.links.send(start, (stop[0], stop[1]), messages * self.bits[name])

    def _borders(self, a: tuple[IntArray, IntArray], b: tuple[IntArray, IntArray]) -> IntArray:
        (x, y) = self.mesh.size
        borders: IntArray = np.abs(a[0] // x - b[0] // x) + np.abs(a[1] // y - b[1] // y)
        return borders


def count_loads(placed: PlacedProgram, target: Target, activity: Activity) -> Loads:
    """The loads of every core and link for the mean sample."""
    return _Counter(placed, target, activity).count()


def _message_bits(program: Program, target: Target) -> dict[str, float]:
    binary = target.costs["message_bits"].value
    graded = target.costs.get("graded_message_bits", target.costs["message_bits"]).value
    return {p.name: graded if p.graded else binary for p in program}


def _at(by_model_step: Array, offset: int) -> Array:
    """[T, ...] by model step -> by hardware step mod T, `offset` steps later."""
    return np.roll(by_model_step, offset, axis=0)


def _by_core(spikes: Array, owner: IntArray, cores: int) -> Array:
    """Sum [T, n] over the neurons of each core: [T, cores]."""
    out = np.zeros((len(spikes), cores))
    for step, row in enumerate(spikes):
        out[step] = np.bincount(owner, weights=row, minlength=cores)
    return out
