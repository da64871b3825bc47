"""Run lava-dl's own netx on Lava: `... FOLDER`. A process of its own, because Lava forks.

Each NAME.net of the folder has a NAME.job.npz (x [H, *input shape in C, H, W]; image: x is set as
the input layer's bias; interval: steps between resets) and gets a NAME.out.npz: layer number ->
spikes [H, C, H, W], and v of the last layer [H, neurons].
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from lava.lib.dl import netx
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.monitor.process import Monitor


def main(folder: Path) -> None:
    for path in sorted(folder.glob("*.net")):
        with np.load(path.with_suffix(".job.npz")) as job:
            spikes = _run(path, job["x"], int(job["interval"]), bool(job["image"]))
        np.savez(path.with_suffix(".out.npz"), **spikes)


def _run(path: Path, x: np.ndarray, interval: int, image: bool) -> dict[str, np.ndarray]:
    # netx expects an input block before the first synapses; where there is none, all is a step
    # later, because the source's spikes cross one connection first
    net = netx.hdf5.Network(str(path), reset_interval=interval, reset_offset=0 if image else 1)
    if image:
        net.in_layer.neuron.bias_mant.init = x[0].transpose()
    else:
        Source(data=np.moveaxis(x, 0, -1).transpose(*_spatial(x.ndim - 1))).s_out.connect(net.inp)
    sinks = [Sink(shape=layer.out.shape, buffer=len(x)) for layer in net.layers]
    for layer, sink in zip(net.layers, sinks, strict=True):
        layer.out.connect(sink.a_in)
    monitor = Monitor()
    monitor.probe(net.layers[-1].neuron.v, len(x))
    net.run(RunSteps(len(x)), Loihi2SimCfg(select_tag="fixed_pt"))
    spikes = [np.moveaxis(sink.data.get(), -1, 0) for sink in sinks]
    (found,) = monitor.get_data().values()
    v = next(iter(found.values())).reshape(len(x), -1)
    net.stop()
    named = {str(i): s.transpose(0, *range(s.ndim - 1, 0, -1)) for i, s in enumerate(spikes)}
    return named | {"v": v}


def _spatial(axes: int) -> tuple[int, ...]:
    """C, H, W, step -> W, H, C, step."""
    return (*range(axes - 1, -1, -1), axes)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
