"""Two LIF networks with our probe and Intel's own Monitor on u and v: python -m ... FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.monitor.process import Monitor

from sfx.backends.lava.processes.probe import PROBE, PyProbedLif, PyProbedLifReset

STEPS, SIZE = 25, 5
PROBES = {LIF: PyProbedLif, LIFReset: PyProbedLifReset}


def main(folder: Path) -> None:
    path = str(folder / "states.npy")
    np.save(path, np.zeros((STEPS, 2, 2 * SIZE), np.int32))
    rng = np.random.default_rng(0)
    source = RingBuffer(data=rng.integers(-60, 200, (SIZE, STEPS)))
    common = {"shape": (SIZE,), "du": 2000, "dv": 700, "vth": 150, "bias_mant": 100}
    cells = [LIF(**common), LIFReset(**common, reset_interval=6, reset_offset=2)]
    monitors = []
    for k, cell in enumerate(cells):
        cell.proc_params[PROBE] = (path, k * SIZE)
        source.s_out.connect(cell.a_in)
        for variable in (cell.u, cell.v):
            monitors.append(Monitor())
            monitors[-1].probe(variable, STEPS)
    config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=PROBES)
    source.run(RunSteps(STEPS), config)
    seen = []
    for monitor in monitors:
        (process,) = monitor.get_data().values()
        (values,) = process.values()
        seen.append(values)
    source.stop()
    np.savez(folder / "monitor.npz", u=np.hstack(seen[0::2]), v=np.hstack(seen[1::2]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
