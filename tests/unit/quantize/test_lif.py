"""One LIF population: registers never overflow, >= and > are both expressed exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.toolchain.compiler.quantize.fit.lif import Form, RealLIF, quantize_lif, simulate
from sfx.toolchain.compiler.quantize.fit.mantissa import Mantissas, WeightBits, largest_gain
from sfx.toolchain.ground.arithmetic import LOIHI

EIGHT = WeightBits(8, 8)


def real(
    weights: np.ndarray, bias: float, threshold: float, decay: float, reached: bool = False
) -> RealLIF:
    return RealLIF(decay, threshold, (weights,), np.full(len(weights), bias), reached)


def bound(m: Mantissas) -> float:
    return float(np.abs(m.weights[0]).sum(1).max()) * 2.0 ** -m.headroom[0]


@given(
    st.integers(0, 10_000),
    st.floats(-2, 2),
    st.floats(0.01, 8),
    st.sampled_from([0.0, 0.25, 0.5, 2 / 3, 1.0]),
)
def test_no_register_overflows(seed: int, bias: float, threshold: float, decay: float) -> None:
    rng = np.random.default_rng(seed)
    lif = real(rng.normal(size=(3, 20)), bias, threshold, decay)
    timesteps = 8
    q = quantize_lif(
        lif, largest_gain(lif.weights, EIGHT), bound, Form(timesteps, (3,), LOIHI), EIGHT
    )
    assert bound(q.mantissas) * 2.0 ** q.exponents[0] < 1 << 17
    assert 0 <= q.neuron.vth < 1 << 17
    assert np.all(np.abs(q.neuron.bias_mant) <= 4095)
    assert 0 <= q.neuron.bias_exp <= 7
    worst = (int(bound(q.mantissas) * 2.0 ** q.exponents[0]) << 6) + int(
        np.abs(q.neuron.bias_mant << q.neuron.bias_exp).max()
    )
    keep = (4096 - q.neuron.dv) / 4096
    assert worst * sum(keep**i for i in range(timesteps)) < 1 << 23


@pytest.mark.parametrize("inclusive", [True, False])
def test_threshold_hit_exactly(inclusive: bool) -> None:
    """v reaches exactly 1.0: >= fires, > does not."""
    lif = real(np.array([[0.5, 0.25, -0.25]]), 0.0, 1.0, 0.5, inclusive)
    q = quantize_lif(lif, 4.0 * 2, bound, Form(4, (1,), LOIHI), EIGHT)
    assert q.exact
    weights = q.mantissas.weights[0] << q.exponents[0]
    spikes = np.array([[[1, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]]])
    # v: 0.75; 0.375+0.75=1.125 fires, 0; 0.5; 0.25
    assert simulate(q.neuron, spikes @ weights.T, LOIHI)[0, :, 0].tolist() == [0, 1, 0, 0]
    # v: 0.5+0.25=0.75 ... reach 1.0 exactly: 0.5, 0.25+0.75
    spikes = np.array([[[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0]]])
    fired = simulate(q.neuron, spikes @ weights.T, LOIHI)[0, :, 0].tolist()
    assert fired == [0, int(inclusive), 0, 0]
