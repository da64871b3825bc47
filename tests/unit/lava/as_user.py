"""What a user does with `to_lava`: own source, own sink, own run configuration: ... FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

from sfx.backends.lava.build import to_lava
from tests.unit.lava.nets import events, every_kind


def main(folder: Path) -> None:
    program = every_kind()
    x = events(program, 2)
    network = to_lava(program)
    steps = x.shape[0] * program.timesteps + program.last_phase
    data = np.zeros((program.input.size, steps), int)
    flat = x.reshape(-1, program.input.size).T
    data[:, : flat.shape[1]] = flat
    source = Source(data=data)
    network.drive(network.input, source.s_out)
    ticks = np.arange(steps) - program["clock"].phase
    clock = Source(data=(ticks % program.timesteps == program.timesteps - 1)[None].astype(int))
    network.drive("clock", clock.s_out)
    out = network.outputs[network.output]
    sink = Sink(shape=out.shape, buffer=steps)
    out.connect(sink.a_in)
    sink.run(RunSteps(steps), Loihi2SimCfg(select_tag="fixed_pt"))
    np.save(folder / "out.npy", sink.data.get().T)
    sink.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
