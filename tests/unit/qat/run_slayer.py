"""lava-dl's SLAYER nets, run and exported: `... FOLDER`. A process of its own: slow imports.

Writes NAME.net and NAME.npz per case: x [K, T, n] and, by layer from 1, the spikes [K, T, n] that
SLAYER's own blocks give. Their blocks delay by one step a layer, as hardware does; the delay is
taken out here, so steps are model steps.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from lava.lib.dl import slayer

T, SAMPLES, SIZES = 24, 3, (12, 16, 10)
NEURON = {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.03}
CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "decays": {"current_decay": 0.7, "voltage_decay": 0.31, "threshold": 0.8},
    "no current": {"current_decay": 1.0, "voltage_decay": 0.2},
    "no leak": {"current_decay": 1.0, "voltage_decay": 0.0},
    "odd scale": {"scale": 48},
    "overflow": {"gain": 400.0, "current_decay": 0.0, "inputs": 64},
}


def main(folder: Path) -> None:
    for name, options in CASES.items():
        _case(folder / name, **options)


def _case(path: Path, gain: float = 1.0, inputs: int = SIZES[0], **neuron: float) -> None:
    torch.manual_seed(3)
    parameters = NEURON | neuron
    sizes = (inputs, *SIZES[1:])
    blocks = torch.nn.ModuleList(
        slayer.block.cuba.Dense(parameters, a, b, weight_scale=1, weight_norm=False, delay=False)
        for a, b in pairwise(sizes)
    )
    with torch.no_grad():
        for block in blocks:
            block.synapse.weight.normal_(0.15, 0.5).mul_(gain)
    x = (torch.rand(SAMPLES, inputs, T) < 0.3).float()
    # a step more per layer, so that nothing is lost to the delay
    padded = torch.nn.functional.pad(x, (0, len(blocks)))
    record = {"x": x.transpose(1, 2).numpy()}
    with torch.no_grad():
        for i, block in enumerate(blocks, 1):
            padded = block(padded)
            record[str(i)] = padded[..., i : i + T].transpose(1, 2).numpy()
    np.savez(path.with_suffix(".npz"), **record)
    with h5py.File(path.with_suffix(".net"), "w") as file:
        for i, block in enumerate(blocks):
            block.export_hdf5(file.create_group(f"layer/{i}"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
