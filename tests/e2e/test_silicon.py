"""A real Loihi 2 chip's trace of one LIF, from the NIR file that the chip ran.

`lif_norse.nir` with the integers of NIR's own script for Lava (dv = 163, weight 10, vth = 25). The
chip's probe shows 128 at the 4 spike steps, where it marks the spike; Lava shows 0 there, and so
do we (shared data notes).
"""

from __future__ import annotations

import numpy as np
import pytest

from sfx.toolchain.app import api
from sfx.toolchain.data import Data
from sfx.toolchain.formats.nir.conventions import NirOptions
from sfx.toolchain.ir import program as p
from tests.conftest import DATA

pytestmark = pytest.mark.needs_data
NIR = DATA / "nir"
PROBE_MARK = 128


def trace(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Input, v and spike [1000] of one of the published traces."""
    x, v, s = np.genfromtxt(NIR / "lif_traces" / name, delimiter=",").T
    return x.astype(np.int64), v.astype(np.int64), s.astype(np.int64)


def test_the_reference_reproduces_a_real_chip() -> None:
    x, v, spikes = trace("lif_lava_loihi_fixed.csv")
    bundle = api.compile(
        NIR / "lif_norse.nir",
        timesteps=len(x),
        nir_options=NirOptions("lava"),
    )
    program = bundle.program
    lif = next(q for q in program if isinstance(q.neuron, p.LIF))
    assert isinstance(lif.neuron, p.LIF)
    assert (lif.neuron.dv, lif.neuron.vth, lif.phase) == (163, 25, 1)
    stream = api.stream(program, x.reshape(1, -1, 1), "reference", states=True)
    got_v, got_s = stream.v[lif.name][:1000].ravel(), stream.spikes[lif.name][:1000].ravel()
    np.testing.assert_array_equal(got_s, spikes)
    fired = np.flatnonzero(spikes)
    assert len(fired) == 4
    np.testing.assert_array_equal(np.delete(got_v, fired), np.delete(v, fired))
    assert np.all(v[fired] == PROBE_MARK)
    assert np.all(got_v[fired] == 0)
    # the comparison can fail: another threshold fires elsewhere
    other = api.compile(
        NIR / "lif_norse.nir", timesteps=1000, nir_options=NirOptions(dt=1e-4)
    ).program
    again = api.stream(other, x.reshape(1, -1, 1), "reference", states=True)
    assert not np.array_equal(again.v[lif.name][:1000].ravel(), got_v)
    result = api.run(bundle, Data(x.reshape(1, -1, 1), None))
    assert int(result.counts.events[lif.name].sum()) == 4


def test_lavas_simulation_of_it_is_reproduced_at_every_step() -> None:
    x, v, spikes = trace("lif_lava_cpu_fixed.csv")
    program = api.compile(
        NIR / "lif_norse.nir", timesteps=1000, nir_options=NirOptions("lava")
    ).program
    stream = api.stream(program, x.reshape(1, -1, 1), "reference", states=True)
    name = next(q.name for q in program if isinstance(q.neuron, p.LIF))
    np.testing.assert_array_equal(stream.v[name][:1000].ravel(), v)
    np.testing.assert_array_equal(stream.spikes[name][:1000].ravel(), spikes)
