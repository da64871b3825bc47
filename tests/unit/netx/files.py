"""Small `.net` files in lava-dl's own layout, written with h5py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Fields = Mapping[str, Any]


def neuron(i_decay: int, v_decay: int, vth: int, kind: str = "CUBA") -> dict[str, Any]:
    """A neuron group as `export_hdf5` writes it."""
    return {
        "type": kind,
        "iDecay": i_decay,
        "vDecay": v_decay,
        "vThMant": vth,
        "refDelay": 1,
        "gradedSpike": False,
    }


def write(path: Path, layers: list[Fields], steps: int | None = 8) -> Path:
    """Write `layers`; nested mappings become groups."""
    with h5py.File(path, "w") as file:
        for i, layer in enumerate(layers):
            _fill(file.create_group(f"layer/{i}"), layer)
        if steps is not None:
            file["simulation/tSample"] = steps
    return path


def _fill(group: h5py.Group, fields: Fields) -> None:
    for key, value in fields.items():
        if isinstance(value, Mapping):
            _fill(group.create_group(key), value)
        elif key == "type" and group.name.endswith("neuron"):
            group[key] = value.encode()
        elif key == "type":
            group.create_dataset(key, (1,), "S10", np.array([value.encode()], "S10"))
        else:
            group[key] = value


def conv(
    weight: Any, shape: tuple[int, ...], cell: Fields, bias: Any = None, **geometry: Any
) -> dict[str, Any]:
    """A conv layer; geometry defaults to stride 1, padding 0, dilation 1, one group."""
    fields = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | geometry
    out = {"type": "conv", "shape": np.array(shape), "weight": weight, "neuron": cell, **fields}
    return out if bias is None else out | {"bias": bias}


def dense(weight: Any, cell: Fields, bias: Any = None) -> dict[str, Any]:
    """A dense layer."""
    out = {"type": "dense", "shape": np.array([len(weight)]), "weight": weight, "neuron": cell}
    return out if bias is None else out | {"bias": bias}


def live_conv_net() -> list[Fields]:
    """conv (asymmetric, grouped), conv, flatten, dense of odd weights beyond 127, dense; all fire.

    Shapes (2, 6, 5) -> (4, 6, 2) -> (3, 4, 2) -> 5 -> 4, with decays that are not powers of two.
    """
    rng = np.random.default_rng(7)
    first = rng.integers(-60, 90, (4, 1, 3, 2))  # odd and mixed: conv takes them as they are
    second = rng.integers(-40, 60, (3, 4, 3, 1)) * 2
    third = rng.integers(-60, 100, (5, 24))
    third[0, :2] = 253, -251  # netx gives these 9 bits
    return [
        {"type": "input", "shape": np.array([2, 6, 5])},
        conv(
            first,
            (4, 6, 2),
            neuron(1229, 410, 60),
            rng.integers(-9, 9, 4),
            stride=np.array([1, 2]),
            padding=np.array([1, 0]),
            groups=2,
        ),
        conv(second, (3, 4, 2), neuron(4096, 1024, 90, "LOIHI")),
        {"type": "flatten", "shape": np.array([1, 1, 24])},
        dense(third, neuron(2000, 800, 100), rng.integers(-5, 20, 5)),
        dense(rng.integers(-50, 100, (4, 5)), neuron(4096, 300, 50), np.array([1.0, -2, 3, 9])),
    ]


def live_dense_nets() -> dict[str, list[Fields]]:
    """One layer each, with the signs that netx treats differently."""
    rng = np.random.default_rng(3)
    cell, bias = neuron(1000, 500, 100), np.full(6, 60)
    return {
        "positive": [dense(rng.integers(0, 40, (6, 9)), cell)],
        "negative": [dense(-rng.integers(1, 9, (6, 9)), neuron(4096, 500, 100), bias)],
        "negative to -128": [dense(-rng.integers(1, 129, (6, 9)), neuron(4096, 4000, 20), bias)],
        "zero and negative": [dense(-rng.integers(0, 3, (6, 9)) * 4, neuron(4096, 9, 70), bias)],
        "clipped": [dense(rng.integers(-150, 200, (6, 9)) * 2, cell)],
        "odd and clipped": [dense(rng.integers(-200, 400, (6, 9)), cell)],
        "odd small": [dense(rng.integers(-9, 30, (6, 9)), cell)],
    }


def live_image_net() -> list[Fields]:
    """An input layer with a neuron (driven by its bias), then a conv."""
    rng = np.random.default_rng(5)
    return [
        {
            "type": "input",
            "shape": np.array([2, 5, 4]),
            "weight": 40.0,
            "bias": 36.0,
            "neuron": neuron(3000, 700, 150),
        },
        conv(rng.integers(-30, 60, (3, 2, 2, 2)) * 2, (3, 4, 3), neuron(4096, 1024, 25)),
    ]
