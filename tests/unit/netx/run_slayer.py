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
    plain = {"weight_scale": 1, "delay_shift": False}
    if name == "conv delays":
        conv = cuba.Conv(NEURON, 2, 4, 3, delay=True, **plain)
        return [conv, cuba.Flatten(), cuba.Dense(NEURON, 4, OUT, delay=True, **plain)]
    first = cuba.Dense(NEURON, INPUTS, HIDDEN, delay=name == "delays", **plain)
    ends = {
        "delays": lambda: cuba.Dense(AFFINE, HIDDEN, OUT, delay=True, **plain),
        "recurrent": lambda: cuba.Recurrent(dict(NEURON), HIDDEN, OUT, **plain),
        "recurrent, delays": lambda: cuba.Recurrent(dict(NEURON), HIDDEN, OUT, delay=True, **plain),
        "affine": lambda: cuba.Affine(AFFINE, HIDDEN, OUT, weight_scale=1),
        "no neuron": lambda: cuba.Affine(AFFINE, HIDDEN, OUT, weight_scale=1, dynamics=False),
    }
    return [first, ends[name]()]


CASES = ("affine", "no neuron", "delays", "conv delays", "recurrent", "recurrent, delays")


def late(block: Any) -> None:
    """Drawn delays of 0 to 6 steps for each neuron or channel."""
    module = getattr(block, "delay", None)
    if module is not None:
        synapse = getattr(block, "synapse", None) or block.input_synapse
        module.delay.data = torch.randint(0, 7, (synapse.out_channels,)).float()
        module.init = True


def main(folder: Path) -> None:
    for name in CASES:
        torch.manual_seed(3)
        net = torch.nn.ModuleList(blocks(name)).eval()
        for parameter in (p for n, p in net.named_parameters() if n.endswith("weight")):
            parameter.data.normal_(0.15, 0.5)
        for block in net:
            late(block)
        shape = (2, 3, 3) if name == "conv delays" else (INPUTS,)
        x = (torch.rand(SAMPLES, *shape, T) < 0.3).float()
        record = {"x": x.movedim(-1, 1).numpy()}
        with torch.no_grad():
            for i, block in enumerate(net, 1):
                x = block(x)
                record[str(i)] = x.movedim(-1, 1).numpy()
        np.savez(folder / f"{name}.npz", **record)
        with h5py.File(folder / f"{name}.net", "w") as file:
            start = file.create_group("layer/0")
            start.create_dataset("type", (1,), "S10", [b"input"])
            start["shape"] = np.array(shape)
            for i, block in enumerate(net, 1):
                block.export_hdf5(file.create_group(f"layer/{i}"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
