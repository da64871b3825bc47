"""What each framework means by a NIR file: constants of the Graph, by the frameworks' own rules."""

from __future__ import annotations

import math

import nir
import numpy as np
import pytest

from sfx.toolchain.formats.nir.bridge import to_graph
from sfx.toolchain.formats.nir.conventions import CONVENTIONS, NirOptions
from sfx.toolchain.ground.errors import InputError, SfxError
from sfx.toolchain.ir import graph as g


def read(options: NirOptions | None, **changes: float) -> g.LIF:
    """The LIF of a one-neuron file with tau 1 ms, threshold 1, v_reset -0.25, v_leak 0.125."""
    fields = {"tau": 1e-3, "r": 1.0, "v_leak": 0.125, "v_threshold": 1.0, "v_reset": -0.25}
    lif = nir.LIF(**{k: np.full(1, v) for k, v in (fields | changes).items()})
    nodes = {"in": nir.Input(np.array([1])), "lif": lif, "out": nir.Output(np.array([1]))}
    graph = to_graph(
        nir.NIRGraph(nodes, [("in", "lif"), ("lif", "out")]), timesteps=4, options=options
    )
    op = graph["lif"].op
    assert isinstance(op, g.LIF)
    return op


def test_nir_itself_starts_at_zero_and_needs_dt_below_tau() -> None:
    assert read(NirOptions(dt=1e-4)) == g.LIF(0.1, 1.0, 1.0, 0.125, -0.25)
    assert read(None).decay == 1.0  # dt 1e-3
    with pytest.raises(SfxError, match="--nir-convention"):
        read(NirOptions(dt=1e-2))


def test_an_option_goes_before_the_convention() -> None:
    op = read(NirOptions("spikingjelly", dt=5e-4, reset="zero"))
    assert (op.decay, op.reset, op.subtract) == (0.5, 0.0, False)
    op = read(NirOptions("snntorch", reset="zero"))
    assert (op.decay, op.reset, op.subtract) == (1 - float(np.float32(0.9)), 0.0, False)
    assert not read(NirOptions("sinabs", reset="value"), tau=10.0).subtract


def test_each_framework() -> None:
    spikingjelly = read(NirOptions("spikingjelly"))
    assert (spikingjelly.threshold, spikingjelly.reached, spikingjelly.start) == (1.0, True, -0.25)
    snntorch = read(NirOptions("snntorch"), r=10.0)  # subtracts with the next step, after the decay
    assert (snntorch.subtract, snntorch.fires) == (True, "once")
    assert snntorch.drop * (1 - snntorch.decay) == pytest.approx(1.0)
    assert snntorch.decay * snntorch.gain == pytest.approx(1.0)
    at_once = read(NirOptions("snntorch:reset_delay=false"), r=10.0)
    assert (at_once.drop, at_once.fires) == (0.0, "twice")
    assert read(NirOptions("norse")).start == 0.125
    # norse 1.1 writes tau = dt / tau_mem_inv: 1e-3 / 100 for a time constant of 10 ms
    assert read(NirOptions("norse-1.1"), tau=1e-5).decay == pytest.approx(0.1)
    sinabs = read(NirOptions("sinabs"), tau=10.0)
    assert 1 - sinabs.decay == pytest.approx(math.exp(-0.1))
    assert (sinabs.gain, sinabs.fires) == (1.0, "many")
    assert (sinabs.threshold, sinabs.reached, sinabs.subtract) == (1.0, True, True)
    sinabs = read(NirOptions("sinabs:norm_input=False, spike_fn=SingleSpike"), tau=10.0)
    assert sinabs.decay * sinabs.gain == pytest.approx(1.0)  # x is added whole
    assert sinabs.fires == "once"
    # exponential, x added whole, dt from r = tau exp(-dt / tau) / dt
    rockpool = read(NirOptions("rockpool"), tau=10e-3, r=10 * math.exp(-0.1))
    assert 1 - rockpool.decay == pytest.approx(math.exp(-0.1))
    assert (rockpool.decay * rockpool.gain, rockpool.fires) == (pytest.approx(1.0), "many")
    lava = read(NirOptions("lava"), tau=2.5e-3, v_threshold=0.1)
    assert (lava.decay * 4096, lava.threshold * 256, lava.unit) == (163.0, 25.0, 256.0)
    assert set(CONVENTIONS) == {
        "nir", "norse", "norse-1.1", "snntorch", "spikingjelly", "sinabs", "rockpool", "spyx",
        "lava"
    }  # fmt: skip


def test_names_and_numbers_that_are_none() -> None:
    for bad, text in (
        ({"convention": "pytorch"}, "no convention 'pytorch'"),
        ({"convention": "sinabs:norm=1"}, "sinabs has no option 'norm=1'"),
        ({"convention": "norse:reset_delay=true"}, "norse takes no options"),
        ({"reset": "soft"}, "no reset 'soft'"),
        ({"dt": 0.0}, "must be positive"),
        ({"dt": math.nan}, "must be positive"),
    ):
        with pytest.raises(InputError, match=text) as error:
            NirOptions(**bad)  # type: ignore[arg-type]
        assert error.value.code == "SFX-E217"
