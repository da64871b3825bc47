"""Map nets by sfx and by the baselines, side by side; write docs/mapping.md.

    python benchmarks/mapping.py [--nets TITLE ...]     the demo and Spikformer 4-384, and baselines
    python benchmarks/mapping.py --models [TITLE ...]   the models of docs/models.md: is each legal?

Traffic is expected traffic, from the spike rates that calibration recorded; every map of a net
sees the same rates. Placements, and the demo's maps, are made twice and must come out equal.
Models are compiled in a process of their own; figures are kept in
benchmarks/mapping.json, so that naming some measures only these again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sfx.toolchain.app import api
from sfx.toolchain.compiler.mapping.arrange import Slots, arrange, slots, with_host
from sfx.toolchain.compiler.mapping.baselines import BASELINES, tiles_over
from sfx.toolchain.compiler.mapping.check import check_placed
from sfx.toolchain.compiler.mapping.flows import flows
from sfx.toolchain.compiler.mapping.partition import Partition
from sfx.toolchain.compiler.mapping.place import arranged
from sfx.toolchain.compiler.mapping.search import Packed, Search
from sfx.toolchain.compiler.mapping.traffic import Traffic, traffic
from sfx.toolchain.ir.program import Program
from sfx.toolchain.targets import Target, load
from sfx.toolchain.targets.links import LinkLoads
from sfx.toolchain.targets.mesh import Mesh
from sfx.toolchain.targets.rules import check_core

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "spikeformer" / "model.pt"
LONGEST, BEST = "sfx, annealed longest", "shortest there is"
FEW = 10
"""Cores of which every placement can be looked at."""
STORE = ROOT / "benchmarks" / "mapping.json"
PAGE = ROOT / "docs" / "mapping.md"
DEMO, LARGE = "demo Spikeformer", "Spikformer 4-384, CIFAR"


@dataclass(frozen=True)
class Row:
    """One map. packets, hops, tree: per spike; link: messages a step on the heaviest link."""

    net: str
    map: str
    placement: str
    legal: bool
    cores: int
    bound: int
    packets: float
    hops: float
    tree: float
    link: float
    busiest_us: float
    over_mean: float
    seconds: float


@dataclass(frozen=True)
class Legal:
    """One model mapped for one objective and counted again: no row without a legal map.

    neurons_per_core  of the target; 0: a row from before the logs of Intel's compiler
    """

    model: str
    objective: str
    target: str
    cores: int
    bound: int
    binds: str
    packets: float
    over_mean: float
    map_s: float
    check_s: float
    neurons_per_core: int = 0


class Measure:
    """Maps of one net, all measured alike."""

    def __init__(self, name: str, program: Program, target: Target, known: Mapping[str, float]):
        self.name, self.program, self.target = name, program, target
        self.search = Search(program, target, known)
        self.rate = self.search.goals.rate
        self.spikes = sum(p.size * self.rate[p.name] for p in program)

    def row(
        self,
        kind: str,
        placement: str,
        part: Partition,
        core: np.ndarray,
        place: Slots,
        slot: np.ndarray,
        sent: Traffic,
        seconds: float,
    ) -> Row:
        busy = np.bincount(core, weights=[p.busy for p in part.pieces])
        hops, link = distances(sent, place, slot, self.target)
        tree = tree_hops(part, core, place, slot, self.rate)
        legal = not any(check_core("", p.usage, self.target.limits) for p in part.pieces)
        return Row(
            self.name,
            kind,
            placement,
            legal,
            sent.from_host.size,
            self.search.bound,
            sent.packets / self.spikes,
            hops / self.spikes,
            tree / self.spikes,
            link,
            1e6 * busy.max(),
            busy.max() / busy.mean(),
            seconds,
        )

    def baseline(self, kind: str, cut) -> Row | None:
        start = time.process_time()
        part = self.search.parts.measure(
            cut(self.search.parts, self.search.goals), self.search.goals
        )
        core = np.arange(len(part.pieces))
        if core.size > self.target.limits.cores:
            return None
        sent = traffic(flows(part, self.rate), core, core.size)
        place = slots(self.target.limits, -(-core.size // self.target.limits.cores_per_chip))
        seconds = time.process_time() - start
        return self.row(kind, "sequential", part, core, place, core, sent, seconds)

    def own(self, objective: str) -> list[Row]:
        start = time.process_time()
        packed = self.search.best(objective)
        chips = -(-packed.cores // self.target.limits.cores_per_chip)
        place, slot = arrange(packed.traffic, self.target.limits, chips, seed=0)
        seconds = time.process_time() - start
        again = self.search.best(objective) if self.name == DEMO else packed
        if not (
            np.array_equal(packed.core, again.core)
            and np.array_equal(slot, arrange(again.traffic, self.target.limits, chips, seed=0)[1])
        ):
            raise SystemExit("two equal runs gave two maps")
        check_placed(arranged(self.program, self.target, packed, 0), self.target)
        order = np.arange(packed.cores)
        anywhere = np.random.default_rng(0).permutation(len(place))[: packed.cores]
        longer = []
        if packed.cores <= FEW:
            longer = [(BEST, shortest(packed.traffic, place))]
        elif self.name == DEMO:  # until the bound on the work ends it
            far = arrange(packed.traffic, self.target.limits, chips, 0, moves=1 << 60)[1]
            longer = [(LONGEST, far)]
        rows = [
            self.row(
                f"sfx {objective}",
                name,
                packed.partition,
                packed.core,
                place,
                at,
                packed.traffic,
                seconds,
            )
            for name, at in (("sfx", slot), ("sequential", order), ("random", anywhere), *longer)
        ]
        metis = self.metis(packed, place)
        return [*rows, *([metis] if metis else [])]

    def metis(self, packed: Packed, place: Slots) -> Row | None:
        """The same tiles grouped by METIS into as many cores; it knows no limits.

        Where it leaves parts empty the row has fewer cores. None with few tiles, or without METIS.
        """
        part = packed.partition
        if len(part.pieces) < 2 * packed.cores:
            return None  # hardly a tile a core: nothing to group
        try:
            import pymetis
        except ImportError:
            return None
        start = time.process_time()
        sent = flows(part, self.rate)
        drivers = sent.drivers[: sent.pieces].astype(float).multiply(sent.rate[: sent.pieces, None])
        graph = (drivers + drivers.T).tocsr()
        graph.setdiag(0)
        graph.eliminate_zeros()
        scale = 1e6 / max(graph.data.max(), 1e-30)
        _, member = pymetis.part_graph(
            packed.cores,
            pymetis.CSRAdjacency(graph.indptr, graph.indices),
            eweights=np.maximum(1, graph.data * scale).astype(int).tolist(),
            vweights=np.maximum(1, [1e9 * p.busy for p in part.pieces]).astype(int).tolist(),
        )
        used, core = np.unique(np.array(member, dtype=np.int64), return_inverse=True)
        seconds = time.process_time() - start
        usage: dict[int, list] = {}
        for p, c in zip(part.pieces, core.tolist(), strict=True):
            usage.setdefault(c, []).append(p.usage)
        from sfx.toolchain.compiler.mapping.usage import total

        legal = not any(check_core("", total(u), self.target.limits) for u in usage.values())
        messages = traffic(sent, core, used.size)
        row = self.row(
            f"METIS on the tiles of sfx {packed_name(packed, self)}",
            "sequential",
            part,
            core,
            place,
            np.arange(used.size),
            messages,
            seconds,
        )
        return Row(**(asdict(row) | {"legal": legal}))


def packed_name(packed: Packed, of: Measure) -> str:
    """The objective that a map was made for, told by whether it is the one of fewest cores."""
    return "cores" if packed.cores <= 1.05 * of.search.bound else "latency"


def side_by_side(
    name: str, program: Program, target: Target, known: Mapping[str, float]
) -> list[Row]:
    """Every map of one net."""
    m = Measure(name, program, target, known)
    found = [m.baseline(kind, cut) for kind, cut in BASELINES.items()]
    for objective in ("cores", "latency"):
        rows = m.own(objective)
        found += rows
        over = partial(tiles_over, cores=rows[0].cores)
        found.append(m.baseline(f"2-D tiles, cores as sfx {objective}", over))
    return [r for r in found if r is not None]


def distances(sent: Traffic, place: Slots, slot: np.ndarray, target: Target) -> tuple[float, float]:
    """Hops a step, and messages on the heaviest link, on XY routes."""
    mesh = Mesh.of(target.limits)
    graph = sent.between.tocoo()
    x, y = place.x[slot], place.y[slot]
    hosted = np.flatnonzero(sent.from_host)
    zero = np.zeros(hosted.size, dtype=np.int64)
    ax, ay = np.append(x[graph.row], zero), np.append(y[graph.row], zero)
    bx, by = np.append(x[graph.col], x[hosted]), np.append(y[graph.col], y[hosted])
    amount = np.append(graph.data, sent.from_host[hosted])
    loads = LinkLoads(1, mesh, int(place.y.max()))
    loads.send((ax, ay), (bx, by), amount[None])
    hops = amount * (np.abs(ax - bx) + np.abs(ay - by))
    return float(hops.sum()), float(loads.heaviest()[0])


def shortest(sent: Traffic, place: Slots) -> np.ndarray:
    """The slot of each core in the placement of fewest hops, by branch and bound."""
    talk = with_host(sent).toarray()
    host, cores = talk[-1, :-1], talk[:-1, :-1]
    order = np.argsort(-talk[:-1].sum(axis=1)).tolist()
    free: dict[tuple[int, int], list[int]] = {}
    for at in range(len(place)):
        free.setdefault((int(place.x[at]), int(place.y[at])), []).append(at)
    best, found = np.inf, np.zeros(len(order), dtype=np.int64)
    chosen = np.zeros(len(order), dtype=np.int64)

    def look(depth: int, hops: float) -> None:
        nonlocal best, found
        if depth == len(order):
            best, found = hops, chosen.copy()
            return
        core, placed = order[depth], order[:depth]
        for (x, y), slots_here in free.items():
            if not slots_here:
                continue
            to = chosen[placed]
            far = cores[core, placed] @ (np.abs(place.x[to] - x) + np.abs(place.y[to] - y))
            total = hops + float(far) + host[core] * (x + y)
            if total < best - 1e-9:
                chosen[core] = slots_here.pop()
                look(depth + 1, total)
                slots_here.append(int(chosen[core]))

    look(0, 0.0)
    return found


def tree_hops(
    part: Partition, core: np.ndarray, place: Slots, slot: np.ndarray, rate: Mapping[str, float]
) -> float:
    """Hops a step if a spike went once over each link of the union of its XY routes.

    By pieces: a link carries the largest flow of a piece that crosses it. Routes go along x first,
    so a tree is one stretch of the source's row and stretches of the columns.
    """
    sent = flows(part, rate)
    at = np.append(slot[core], np.full(sent.size.size - core.size, -1))
    x = np.where(at >= 0, place.x[at], 0)
    y = np.where(at >= 0, place.y[at], 0)
    drivers, total = sent.drivers, 0.0
    for s in range(sent.size.size):
        to = drivers.indices[drivers.indptr[s] : drivers.indptr[s + 1]]
        flow = drivers.data[drivers.indptr[s] : drivers.indptr[s + 1]] * sent.rate[s]
        if to.size:
            total += _tree(x[to] - x[s], y[to] - y[s], x[to], flow)
    return total


def _tree(dx: np.ndarray, dy: np.ndarray, column: np.ndarray, flow: np.ndarray) -> float:
    """The row's stretches by distance, then each column's, each link at its largest flow."""
    total = _reach(dx, flow)
    for c in np.unique(column[dy != 0]):
        here = column == c
        total += _reach(dy[here], flow[here])
    return total


def _reach(d: np.ndarray, flow: np.ndarray) -> float:
    """Links at distance 1, 2, ... on both sides, each at the largest flow going so far."""
    total = 0.0
    for side in (1, -1):
        far = d * side
        ahead = far > 0
        if ahead.any():
            most = np.zeros(int(far.max()) + 1)
            np.maximum.at(most, far[ahead], flow[ahead])
            total += float(np.maximum.accumulate(most[::-1])[::-1][1:].sum())
    return total


def compiled(title: str, rates: bool = True) -> tuple[Program, Target, dict[str, float]]:
    """A net, not yet mapped, with the rates of its calibration: the demo or a published model.

    rates  False: no calibration, which takes most of the time; the mapper guesses the rates
    """
    if title == DEMO:
        bundle = api.compile(EXAMPLE, "loihi2")
        records = bundle.manifest["quantization"]
        known = {r["population"]: r["rate"] for r in records if r["rate"] is not None}
        return bundle.program, load("loihi2"), known
    import importlib

    import models
    import torch

    from sfx.frontends import zoo
    from sfx.frontends.tracing.export import export
    from sfx.toolchain.compiler.compile import lower
    from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
    from sfx.toolchain.compiler.quantize.quantize import quantize
    from sfx.toolchain.formats.nir.bridge import to_graph

    name, table, size = models.MODELS[title]
    config = getattr(importlib.import_module(f"sfx.frontends.zoo.{name}"), table)[size]
    torch.manual_seed(0)
    model = zoo.build(name, config.to_mapping())
    x = models.awake(model)
    graph = to_graph(export(model, model.example_input()))
    found = quantize(lower(graph, int(x.max())), x if rates else None)
    known = {r.population: r.rate for r in found.records if r.rate is not None}
    target = load(models.TARGET)
    return BalanceDelays(target.limits.max_delay).run(found.program), target, known


def legal(title: str) -> list[Legal]:
    """Both objectives, placed and counted again by `check_placed`, which raises if not legal."""
    program, target, known = compiled(title, rates=False)
    m = Measure(title, program, target, known)
    out = []
    for objective in ("cores", "latency"):
        start = time.process_time()
        packed = m.search.best(objective)
        placed = arranged(program, target, packed, 0)
        done = time.process_time()
        check_placed(placed, target)
        out.append(
            Legal(
                title,
                objective,
                target.name,
                packed.cores,
                packed.bound,
                packed.binds,
                packed.traffic.packets / m.spikes,
                packed.busiest / packed.busy.mean(),
                done - start,
                time.process_time() - done,
                target.limits.neurons_per_core,
            )
        )
    return out


HEAD = """# Mapping

`sfx compile --objective cores|latency|energy|intel` cuts every population into equal tiles along
its own axes (channels, rows, columns, tokens, heads), puts tiles of several populations onto a
core where they fit, moves and swaps tiles so that those that exchange spikes share a core, and
anneals the cores on the mesh by expected traffic. It works on shapes, so its cost grows with the
number of layers and cores, not of neurons. `check_placed` counts every limit again, neuron by
neuron, before a bundle is written.

* **cores**: the fewest cores that several tile sizes give, then the fewest messages.
* **latency** (default): the shortest step. Candidates are the map of fewest cores, Intel's, and
  maps levelled over the fewest chips and, unless their work binds, over fewer cores: tiles are cut
  so that none keeps a core busy for longer than the mean, and tiles that need memory but little
  time fill the memory beside the busy ones. Each is arranged roughly, and what it is expected to
  take has the terms that `sfx report` charges: the busiest core, messages of the host, the heaviest
  link and chip border, the barrier. Of a small net's maps that are within a quarter of the shortest
  step, and no slower than those of fewest cores and Intel's, the one of least energy is taken: the
  constants of time are not known better than that.
* **energy**: of the same candidates and those over fewer cores, the least energy: messages, those
  that stay on their core included, the floor of each chip, and static power for as long as a step
  takes.
* **intel**: no objective, but a prediction of how many cores Intel's compiler would take: each
  population on cores of its own. A convolution is cut into boxes: channels halved (rounded up)
  until the kernel fits, columns a power of two, rows halved; of the boxes with at most 4095
  neurons the one that needs fewest cores, then the largest. A dense layer is cut into runs of
  4095 neurons, divided by ceil(asked / memory) (2 at least) until one fits. It gives every layer of
  Intel's logs whose shape is known ([validation.md](validation.md)).

The limits of a core are those that Intel's compiler printed, each with its log in
`toolchain/targets/loihi2.toml`: 4095 neurons, 16,000 words of 64 bits (12,000 in older logs: target
`loihi2-12000`), 16,000 axons in, 16,000 axon map entries, 8 neuron groups. A weight takes the bits
that its layer's weights have, so fewer bits save memory: `--bits 4`.

No objective loses to another at its own figure, as expected from the rates
(`tests/unit/mapping/test_objectives.py`). Counted events differ from mean rates: on the MLPs and
CNNs of that test the figure that a report gives is within 5 % of the best objective's.

`sfx map model.sfx --input data.npz -o other.sfx` maps a compiled model again, by measured rates;
with `--table` it prints what each layer and core takes, as Intel's compiler does. `sfx check` and
`sfx compile` map for the same objective and say how full the cores are of each resource.

A tile is a box of its population's axes, so an irregular (Sparse) population is cut into ranges
of its neurons in their order. METIS appears in the table below for comparison and is not part of
the mapper.
"""

COLUMNS = """
"Bound": no map needs fewer cores (all neurons over what cores hold, or every weight stored once).
Packets (spikes times distinct other cores) and hops (unicast, XY routes) are per spike; "tree" are
hops if a spike crossed each link of its routes once, which Loihi's mesh is not known to do.
"Heaviest link" is in messages a step. "sequential" numbers the same cores in the order of the
layers, as Lava does, so hops compare placements of one partition. Seconds are CPU seconds.
"""


def page(store: dict[str, list[dict]]) -> str:
    """docs/mapping.md."""
    rows = [Row(**r) for r in store["side by side"]]
    lines = [
        "\n## Side by side\n\nWritten by `python benchmarks/mapping.py`.\n",
        COLUMNS,
        "| net | map | placement | tiles legal | cores | over bound | packets | hops | tree "
        "| heaviest link | busiest core us | over mean | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.net} | {r.map} | {r.placement} | {'yes' if r.legal else 'NO'} | {r.cores:,} "
        f"| {r.cores / r.bound:.3f} | {r.packets:.2f} | {r.hops:.2f} | {r.tree:.2f} "
        f"| {r.link:,.0f} | {r.busiest_us:,.1f} | {r.over_mean:.2f} | {r.seconds:.1f} |"
        for r in rows
    ]
    lines += ["", *goals(rows)]
    if store.get("legal"):
        lines += legal_table([Legal(**r) for r in store["legal"]])
    return HEAD + "\n".join(lines) + "\n"


def goals(rows: list[Row]) -> list[str]:
    """What was aimed at, and whether it is met."""
    lines = [
        "### What was aimed at",
        "",
        "| net | map | cores over bound (<= 1.05 for cores) | busiest over mean (<= 1.6 for "
        "latency) | hops, same cores sequential over sfx (>= 2.5) | hops, sequential map over sfx "
        "| packets over 2-D tiles at as many cores (<= 1) |",
        "|---|---|---|---|---|---|---|",
    ]
    by = {(r.net, r.map, r.placement): r for r in rows}
    for (net, name, placement), r in by.items():
        if placement != "sfx":
            continue
        ratio = by[net, name, "sequential"].hops / r.hops
        whole = by.get((net, "sequential", "sequential"))
        other = (
            "does not fit"
            if whole is None
            else f"{whole.hops / r.hops:.2f} ({whole.cores:,} cores)"
        )
        tiles = by.get((net, f"2-D tiles, cores as {name}", "sequential"))
        against = (
            "2-D tiles do not fit"
            if tiles is None
            else f"{r.packets / tiles.packets:.2f} ({tiles.cores:,} cores)"
        )
        few, level = name == "sfx cores", name == "sfx latency"
        lines.append(
            f"| {net} | {name} | {mark(r.cores / r.bound, 1.05, few)} "
            f"| {mark(r.over_mean, 1.6, level)} | {mark(ratio, 2.5, True, least=True)} "
            f"| {other} | {against} |"
        )
    if any("missed" in line for line in lines):
        lines += [
            "",
            "Hops: both placements are of one partition, in which tiles that talk already share",
            "cores, which shortens the ways of the sequential one as well. The next column has the",
            "sequential partition as well, layer after layer on cores of its own. Row",
            f"{BEST!r} is the best of all placements of the demo's few cores, found by",
            f"branch and bound; {LONGEST!r} anneals until the bound on the work.",
        ]
    absent = {DEMO, LARGE} - {r.net for r in rows}
    lines += [f"\nNot measured yet: {name}." for name in sorted(absent)]
    return lines


def mark(value: float, goal: float, counts: bool, least: bool = False) -> str:
    """The value, and whether it misses a goal that counts here."""
    met = value >= goal if least else value <= goal
    return f"{value:.2f}" + ("" if met or not counts else " (missed)")


def legal_table(found: list[Legal]) -> list[str]:
    """Every model, both objectives."""
    import models

    listed = {r["title"] for r in json.loads(models.STORE.read_text())}
    mapped = {r.model for r in found}
    lines = [
        "",
        "## Models of docs/models.md",
        "",
        "`python benchmarks/mapping.py --models` maps each for both objectives and counts",
        f"every limit again by other code: {len(found)} maps of {len(mapped)} of "
        f"{len(listed)} models, all legal.",
        "A map that is not gives an error and no row. Rates are guessed, not calibrated.",
        *(
            [
                "Rows with * are from before the limits of the logs (8192 neurons without a state",
                "or 3168 with one, 12,000 words of 32 bits) and were not mapped again.",
            ]
            if any(not r.neurons_per_core for r in found)
            else []
        ),
        *(f"No map: {title}." for title in sorted(listed - mapped)),
        "",
        "| model | map | cores | over bound | bound by | packets | busiest over mean | map s "
        "| check s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| {r.model}{'' if r.neurons_per_core else ' *'} | {r.objective} | {r.cores:,} "
        f"| {r.cores / r.bound:.3f} | {r.binds} "
        f"| {r.packets:.2f} | {r.over_mean:.2f} | {r.map_s:.1f} | {r.check_s:.1f} |"
        for r in found
    ]


def main() -> int:
    """Measure, keep the figures, write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--models", nargs="*", metavar="TITLE")
    parser.add_argument("--nets", nargs="*", default=(DEMO, LARGE), metavar="TITLE")
    parser.add_argument("--page-only", action="store_true", help="from the figures kept")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps([asdict(r) for r in legal(options.one)]))
        return 0
    store = json.loads(STORE.read_text()) if STORE.exists() else {}
    failed = 0
    if options.models is not None:
        import models

        listed = [r["title"] for r in json.loads(models.STORE.read_text())]
        for title in options.models or listed:
            command = [sys.executable, __file__, "--one", title]
            done = subprocess.run(command, capture_output=True, text=True)
            store["legal"] = [r for r in store.get("legal", []) if r["model"] != title]
            if done.returncode:
                print(f"{title}: FAILED\n{done.stderr.strip().splitlines()[-1]}", flush=True)
                failed += 1
                save(store)
                continue
            rows = json.loads(done.stdout.strip().splitlines()[-1])
            store["legal"] = sorted(
                store["legal"] + rows, key=lambda r: list(models.MODELS).index(r["model"])
            )
            print(f"{title}: legal on {rows[0]['cores']} and {rows[1]['cores']} cores", flush=True)
            save(store)
    elif not options.page_only:
        for title in options.nets:
            program, target, known = compiled(title)
            rows = [asdict(r) for r in side_by_side(title, program, target, known)]
            kept = [r for r in store.get("side by side", []) if r["net"] != title]
            store["side by side"] = sorted(kept + rows, key=lambda r: r["net"] != DEMO)
            save(store)
    save(store)
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 1 if failed else 0


def save(store: dict[str, list[dict]]) -> None:
    """The figures, and the page if there is something to compare."""
    STORE.write_text(json.dumps(store, indent=1) + "\n")
    if store.get("side by side"):
        PAGE.write_text(page(store), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
