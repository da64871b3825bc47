"""Intel's compiler and objective `intel`, layer by layer; writes benchmarks/partition.json.

    python benchmarks/partition.py [--data FOLDER]

FOLDER/loihi2_partition/rows.csv holds the tables that Intel's compiler printed in notebooks of
lava-dl. They state what a core takes of a layer, not the network; NETS has the networks whose
shapes the same notebooks print, with the bits of their weights, counted in the files that lie
beside the notebooks. `benchmarks/validation.py` puts the figures into docs/validation.md, and a
test predicts them again.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sfx.toolchain.compiler.mapping.place import MappingOptions, place
from sfx.toolchain.compiler.mapping.utilization import LayerUsage, layers
from sfx.toolchain.ir.program import (
    LIF,
    Conv2d,
    Dense,
    Input,
    Population,
    Program,
    Projection,
    Readout,
    Structured,
)
from sfx.toolchain.targets import load
from sfx.toolchain.targets.memory import dense_axon_words
from sfx.toolchain.targets.target import Limits

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
STORE = ROOT / "benchmarks" / "partition.json"
RESOURCES = {
    "axon_in": "axons_in",
    "neurons": "neurons",
    "synapses": "synapse_words",
    "axon_map": "axons_out",
}
"""Column of the logs -> field of `Usage`."""


@dataclass(frozen=True)
class Layer:
    """Channels, rows, columns of the output; kernel, stride and padding (rows, columns) of a
    convolution; bits of the weights. kernel 0: dense onto `channels`, or the input layer.

    cores, neurons  as logged (neurons on a core only where rows.csv has no row)
    """

    channels: int
    rows: int = 1
    columns: int = 1
    kernel: int = 0
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    bits: int = 8
    cores: int = 0
    neurons: int = 0


@dataclass(frozen=True)
class Net:
    """A published network. own_input: its first layer takes the input neuron by neuron.

    kept  it was kept back: predicted before its row was looked at
    """

    name: str
    notebook: str
    target: str
    input: tuple[int, int, int]
    layers: tuple[Layer, ...]
    own_input: bool = False
    kept: bool = False


def _pilotnet(convs: tuple[int, ...], dense: tuple[int, ...]) -> tuple[Layer, ...]:
    """PilotNet with weights of these bits; rows are the axis of length 66, columns that of 200."""
    two, mixed = (2, 2), (2, 1)
    shapes = (
        (24, 32, 99, two, (0, 0), 25),
        (36, 15, 49, two, (0, 0), 13),
        (48, 7, 24, two, (0, 0), 3),
        (64, 4, 22, mixed, (1, 0), 3),
        (64, 2, 20, (1, 1), (0, 0), 2),
    )
    first = [
        Layer(c, h, w, 3, stride, padding, bits, cores)
        for (c, h, w, stride, padding, cores), bits in zip(shapes, convs, strict=True)
    ]
    outputs = zip((100, 50, 10, 1), (12, 1, 1, 1), dense, strict=True)
    return (*first, *(Layer(n, bits=bits, cores=cores) for n, cores, bits in outputs))


def _yolo() -> tuple[Layer, ...]:
    """yolo_kp. The bits of its weights are not in the repository (Git LFS): 8 here."""
    rows = (
        (16, 224, 3, 2, 224), (32, 112, 3, 2, 112), (64, 56, 3, 2, 56), (128, 28, 3, 2, 28),
        (256, 28, 3, 1, 56), (256, 14, 3, 2, 16), (512, 14, 3, 1, 32), (256, 14, 1, 1, 14),
        (512, 14, 3, 1, 32), (48, 14, 1, 1, 4),
    )  # fmt: skip
    return tuple(
        Layer(c, n, n, k, (s, s), (k // 2, k // 2), 8, cores, 2688 if c == 48 else 3584)
        for c, n, k, s, cores in rows
    )


NETX = "tutorials/lava/lib/dl/netx"
NETS = (
    Net(
        "PilotNet LIF",
        f"{NETX}/pilotnet_snn/benchmark.ipynb",
        "loihi2-12000",
        (3, 66, 200),
        (Layer(3, 66, 200, cores=13), *_pilotnet((5, 4, 4, 4, 4), (3, 4, 5, 6))),
        own_input=True,
    ),
    Net(
        "PilotNet SDNN",
        f"{NETX}/pilotnet_sdnn/benchmark.ipynb",
        "loihi2-12000",
        (3, 66, 200),
        _pilotnet((6, 5, 4, 5, 4), (4, 6, 5, 4)),
    ),
    Net(
        "Oxford",
        f"{NETX}/oxford/run.ipynb",
        "loihi2-12000",
        (200, 1, 1),
        (Layer(256, bits=8, cores=3), Layer(200, bits=7, cores=2)),
    ),
    Net(
        "MNIST",
        f"{NETX}/mnist/run.ipynb",
        "loihi2",
        (784, 1, 1),
        (Layer(128, cores=3), Layer(64, cores=1), Layer(10, cores=1)),
    ),
    Net(
        "YOLO KP",
        f"{NETX}/yolo_kp/run.ipynb",
        "loihi2",
        (3, 448, 448),
        _yolo(),
        kept=True,
    ),
)


def program(net: Net) -> Program:
    """A Program of these shapes whose weights have these bits: nothing else matters to the map."""
    shape: tuple[int, ...] = (
        net.input if len(net.layers) and net.layers[0].rows > 1 else (net.input[0],)
    )
    populations = [Population("input", shape, Input(), 0, 1, 0, "input")]
    projections: list[Projection] = []
    for i, layer in enumerate(net.layers):
        name = f"layer{i}"
        before = populations[-1]
        if i == 0 and net.own_input:
            axes = tuple(zip("cyx", shape, strict=True))
            connection: Any = Structured(axes, axes)
            shape = before.shape
        elif layer.kernel:
            shape = (layer.channels, layer.rows, layer.columns)
            connection = _conv(layer, before.shape)
        else:
            shape = (layer.channels,)
            connection = Dense(_weights((layer.channels, before.size), layer.bits))
        populations.append(Population(name, shape, LIF(4095, 0, 64), 0, 1, i + 1, name))
        projections.append(Projection(f"to {name}", before.name, name, connection, delay=1))
    readout = Readout(name, 1.0, (0,) * populations[-1].size)
    return Program(tuple(populations), tuple(projections), 1, readout)


def _conv(layer: Layer, before: tuple[int, ...]) -> Conv2d:
    shape = (layer.channels, before[0], layer.kernel, layer.kernel)
    out = (layer.channels, layer.rows, layer.columns)
    return Conv2d(_weights(shape, layer.bits), before, out, layer.stride, layer.padding, (1, 1), 1)  # type: ignore[arg-type]


def _weights(shape: tuple[int, ...], bits: int) -> np.ndarray:
    """Even weights of both signs that take so many bits."""
    half = 1 << (bits - 1)
    return 2 * np.resize(np.arange(-half, half), shape).astype(np.int64)


def predicted(net: Net) -> tuple[LayerUsage, ...]:
    """Layer by layer, by objective `intel`."""
    target = load(net.target)
    whole = load("hala-point").limits  # however many chips it takes
    limits = replace(target.limits, chips=whole.chips, chip_grid=whole.chip_grid)
    roomy = replace(target, limits=limits)
    return layers(place(program(net), roomy, MappingOptions("intel")), roomy)


def compare(net: Net, logged: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Every layer of a net beside its row, last layer first as in the logs; [] without rows."""
    found = []
    rows = list(reversed(logged)) or [{}] * len(net.layers)
    for i, (layer, usage, row) in enumerate(zip(net.layers, predicted(net), rows, strict=True)):
        entry: dict[str, Any] = {"net": net.name, "layer": i, "tile": usage.tile}
        entry["cores"] = [usage.cores, int(row.get("cores") or layer.cores)]
        for column, field in RESOURCES.items():
            entry[column] = [_as_logged(usage, field, column, row, layer)]
            entry[column].append(float(row[column]) if row else None)
        if not row:
            entry["neurons"][1] = float(layer.neurons)
        entry["unit"] = row.get("unit", "")
        found.append(entry)
    return found


def _as_logged(
    usage: LayerUsage, field: str, column: str, row: dict[str, str], layer: Layer
) -> float:
    """Percent: of the first core, which is the fullest. Counts: the mean over the layer's cores,
    rounded down; but the neurons of a convolution are those of its tile.
    """
    if row.get("unit") == "percent":
        return round(100 * usage.shares[field], 2)
    tiled = column == "neurons" and (layer.kernel or layer.rows > 1)
    value = getattr(usage.largest, field) if tiled else int(usage.mean[field])
    return float(value)


def unshaped(row: dict[str, str], limits: Limits) -> str:
    """What a row without a shape is consistent with: a dense layer of so many bits, or nothing."""
    axons = round(float(row["axon_in"]) / 100 * limits.axons_in_per_core)
    neurons = round(float(row["neurons"]) / 100 * limits.neurons_per_core)
    for bits in range(limits.least_weight_bits, limits.weight_bits + 1):
        words = axons * dense_axon_words(neurons, bits, limits)
        if abs(100 * words / limits.synapse_words_per_core - float(row["synapses"])) <= 0.0051:
            return f"dense, {bits} bits"
    return ""


def measure(data: Path) -> dict[str, Any]:
    """All comparisons, and the rows whose networks are not stated."""
    rows = list(csv.DictReader((data / "loihi2_partition" / "rows.csv").open(encoding="utf-8")))
    by_notebook: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_notebook.setdefault(row["notebook"], []).append(row)
    found = [line for net in NETS for line in compare(net, by_notebook.pop(net.notebook, []))]
    limits = load("loihi2").limits
    rest = Counter(
        (*(row[c] for c in (*RESOURCES, "cores")), unshaped(row, limits))
        for left in by_notebook.values()
        for row in left
    )
    return {
        "rows": len(rows),
        "compared": found,
        "unshaped": [[*row, times] for row, times in rest.items()],
    }


def main() -> None:
    """Compare and keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    STORE.write_text(json.dumps(measure(options.data), indent=1) + "\n")
    print(f"wrote {STORE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
