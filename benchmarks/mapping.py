"""Map nets by sfx and by the baselines, side by side; write docs/mapping.md.

    python benchmarks/mapping.py [BUNDLE.sfx ...] [--target NAME] [--page FILE] [--json FILE]

Without bundles: the trained demo net. Traffic is expected traffic, from the spike rates that
calibration recorded; every map of a net sees the same rates. One map of each kind is made twice
and must come out equal.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sfx.toolchain import api
from sfx.toolchain.cost.links import LinkLoads
from sfx.toolchain.ir.program import Program
from sfx.toolchain.mapping.arrange import Slots, arrange, slots
from sfx.toolchain.mapping.baselines import BASELINES
from sfx.toolchain.mapping.partition import Partition
from sfx.toolchain.mapping.search import Packed, Search
from sfx.toolchain.mapping.traffic import Traffic, traffic
from sfx.toolchain.targets import Target, load
from sfx.toolchain.targets.mesh import Mesh
from sfx.toolchain.targets.rules import check_core

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "spikeformer" / "model.pt"


@dataclass(frozen=True)
class Row:
    """One map. packets, hops: per spike; link: messages a step on the heaviest link."""

    net: str
    map: str
    placement: str
    legal: bool
    cores: int
    bound: int
    packets: float
    hops: float
    link: float
    busiest_us: float
    over_mean: float
    seconds: float


def rows(name: str, program: Program, target: Target, known: dict[str, float]) -> list[Row]:
    """Every map of one net."""
    search = Search(program, target, known)
    spikes = sum(p.size * search.wishes.rate[p.name] for p in program)
    bound, _ = search.parts.lower_bound()

    def row(
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
        hops, link = distances(sent, place, slot, target)
        legal = not any(check_core("", p.usage, target.limits) for p in part.pieces)
        return Row(
            name,
            kind,
            placement,
            legal,
            sent.from_host.size,
            bound,
            sent.packets / spikes,
            hops / spikes,
            link,
            1e6 * busy.max(),
            busy.max() / busy.mean(),
            seconds,
        )

    out = []
    for kind, cut in BASELINES.items():
        start = time.perf_counter()
        part = search.parts.measure(cut(search.parts, search.wishes), search.wishes)
        core = np.arange(len(part.pieces))
        sent = traffic(part, core, core.size, search.wishes.rate)
        if core.size > target.limits.cores:
            continue
        place = slots(target.limits, -(-core.size // target.limits.cores_per_chip))
        seconds = time.perf_counter() - start
        out.append(row(kind, "sequential", part, core, place, core, sent, seconds))
    for kind in ("cores", "latency"):
        start = time.perf_counter()
        packed = search.best(kind)
        chips = -(-packed.cores // target.limits.cores_per_chip)
        place, slot = arrange(packed.traffic, target.limits, chips, seed=0)
        seconds = time.perf_counter() - start
        if not np.array_equal(slot, arrange(packed.traffic, target.limits, chips, seed=0)[1]):
            raise SystemExit("two equal runs gave two placements")
        order = np.arange(packed.cores)
        anywhere = np.random.default_rng(0).permutation(len(place))[: packed.cores]
        for placement, at in (("sfx", slot), ("sequential", order), ("random", anywhere)):
            out.append(_own(row, kind, placement, packed, place, at, seconds))
    return out


def _own(row, kind: str, placement: str, packed: Packed, place: Slots, at, seconds: float) -> Row:
    return row(
        f"sfx {kind}", placement, packed.partition, packed.core, place, at, packed.traffic, seconds
    )


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


def page(found: list[Row], target: Target) -> str:
    """docs/mapping.md."""
    head = """# Mapping

`sfx compile --objective cores|latency|energy` cuts every population into equal tiles along its own
axes (channels, rows, columns, tokens, heads), packs tiles of several populations onto a core where
they fit, and anneals the cores on the mesh by expected traffic. Everything follows from shapes, so
its cost grows with layers and cores, not with neurons. `check_placed` counts every limit again,
neuron by neuron, before a bundle is written.

* **cores**: as few cores as a handful of grains finds, then few messages.
* **latency** (default): no tile keeps a core busy for more than a part of the mean; long tiles go
  to the idlest core; the chips are the fewest that hold the net.
* **energy**: of these, and of nets levelled over fewer cores, what is expected to take least
  energy, static power included.

`sfx map model.sfx --input data.npz -o other.sfx` places a compiled model again by measured rates.

"Bound": no map needs fewer cores (all neurons over what cores hold, or every weight stored once).
Packets (spikes times distinct destination cores) and hops (unicast, XY routes) are per spike.
"""
    lines = [
        f"""
Written by `python benchmarks/mapping.py` for {target.name}; seconds on a loaded two-core machine.

| net | map | placement | legal | cores | over bound | packets | hops | heaviest link \
| busiest core us | over mean | s |
|---|---|---|---|---|---|---|---|---|---|---|---|"""
    ]
    lines += [
        f"| {r.net} | {r.map} | {r.placement} | {'yes' if r.legal else 'NO'} | {r.cores} "
        f"| {r.cores / r.bound:.3f} | {r.packets:.2f} | {r.hops:.2f} | {r.link:,.0f} "
        f"| {r.busiest_us:,.1f} | {r.over_mean:.2f} | {r.seconds:.1f} |"
        for r in found
    ]
    return head + "\n".join(lines) + "\n"


def main() -> None:
    """Map every net."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="*", type=Path)
    parser.add_argument("--target", default="loihi")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    target = load(options.target)
    loaded = [api.load(b) for b in options.bundles] or [api.compile(EXAMPLE, options.target)]
    found: list[Row] = []
    for bundle in loaded:
        records = bundle.manifest["quantization"]
        known = {r["population"]: r["rate"] for r in records if r["rate"] is not None}
        found += rows(bundle.manifest["model"]["name"], bundle.program, target, known)
    text = page(found, target)
    print(text)
    if options.page:
        options.page.write_text(text, encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
