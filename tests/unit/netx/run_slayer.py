"""SLAYER's blocks, run and exported as `.net`: `... FOLDER`. A process of its own: slow imports.

Per case NAME.net and NAME.npz: x [K, T, n] and, by layer from 1, what SLAYER's block sends
[K, T, n] in model steps (their delay of one step a layer is left out).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from lava.lib.dl import slayer

T, SAMPLES, INPUTS, HIDDEN, OUT = 24, 3, 18, 20, 6
NEURON = {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.03}
AFFINE = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.125}


def blocks(name: str) -> list[Any]:
    """The case's layers."""
    cuba = slayer.block.cuba
    first = cuba.Dense(NEURON, INPUTS, HIDDEN, weight_scale=1, delay=False, delay_shift=False)
    ends = {
        "affine": lambda: cuba.Affine(AFFINE, HIDDEN, OUT, weight_scale=1),
        "no neuron": lambda: cuba.Affine(AFFINE, HIDDEN, OUT, weight_scale=1, dynamics=False),
    }
    return [first, ends[name]()]


CASES = ("affine", "no neuron")


def main(folder: Path) -> None:
    for name in CASES:
        torch.manual_seed(3)
        net = torch.nn.ModuleList(blocks(name)).eval()
        for parameter in (p for n, p in net.named_parameters() if n.endswith("weight")):
            parameter.data.normal_(0.15, 0.5)
        x = (torch.rand(SAMPLES, INPUTS, T) < 0.3).float()
        record = {"x": x.transpose(1, 2).numpy()}
        with torch.no_grad():
            for i, block in enumerate(net, 1):
                x = block(x)
                record[str(i)] = x.transpose(1, 2).numpy()
        np.savez(folder / f"{name}.npz", **record)
        with h5py.File(folder / f"{name}.net", "w") as file:
            for i, block in enumerate(net):
                block.export_hdf5(file.create_group(f"layer/{i}"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
