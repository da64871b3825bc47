"""The torch rules against the reference's, on any numbers that a legal Program can have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

from sfx.backends.reference.neurons import lif as reference  # noqa: E402
from sfx.toolchain.compiler.quantize.state.mantissas import WeightBits  # noqa: E402
from sfx.toolchain.ground.arithmetic import LOIHI  # noqa: E402
from sfx.toolchain.ir.program import LIF  # noqa: E402
from sfx.toolchain.qat import straight  # noqa: E402
from sfx.toolchain.qat.grid import Rows  # noqa: E402


@given(
    seed=st.integers(0, 10_000),
    du=st.one_of(st.just(4095), st.integers(0, 4095)),
    dv=st.integers(0, 4095),
    vth=st.integers(0, (1 << 17) - 1),
    exp=st.integers(0, 7),
    size=st.integers(0, 17),
)
def test_lif_is_the_reference(seed: int, du: int, dv: int, vth: int, exp: int, size: int) -> None:
    """Spikes, u and v, saturation of v included."""
    rng = np.random.default_rng(seed)
    steps, n = 6, 5
    keep = (4095 - du) / 4096
    limit = int((2**23 - 20) / (64 * sum(keep**t for t in range(steps))))
    a = rng.integers(-(1 << size), 1 << size, (steps, 2, n), endpoint=True).clip(-limit, limit)
    neuron = LIF(du, dv, vth, rng.integers(-4095, 4096, n), exp)
    state = reference.reset((2, n))
    expected = np.empty_like(a)
    for t in range(steps):
        state, expected[t] = reference.step(neuron, state, a[t], LOIHI)
    constants = straight.Constants.of(neuron, LOIHI)
    zero = torch.zeros(2, n)
    bias = torch.from_numpy(neuron.bias_mant << exp).float()
    spikes, u, v = straight.lif(torch.from_numpy(a).float(), bias, zero, zero, constants)
    assert np.array_equal(spikes.numpy(), expected)
    assert np.array_equal(u.double().numpy(), state.u)
    assert np.array_equal(v.double().numpy(), state.v)


def test_powers_of_two_stay_in_float32() -> None:
    assert straight.Constants(0, 2048, 64, 4096, (1 << 23) - 1).state_type is torch.float32
    assert straight.Constants(0, 4096, 64, 4096, (1 << 23) - 1).state_type is torch.float32
    assert straight.Constants(0, 3072, 64, 4096, (1 << 23) - 1).state_type is torch.float64


@given(st.lists(st.integers(-(1 << 23), 1 << 23), min_size=1), st.integers(-8, 7))
def test_shift_is_floor(values: list[int], exponent: int) -> None:
    x = torch.tensor(values, dtype=torch.float64)
    expected = [v << exponent if exponent >= 0 else v >> -exponent for v in values]
    assert straight.shift(x, np.array(exponent)).tolist() == expected


@given(
    seed=st.integers(0, 10_000),
    bits=st.integers(2, 8),
    sign=st.sampled_from([-1, 0, 1]),
)
def test_every_rounding_is_what_a_synapse_holds(seed: int, bits: int, sign: int) -> None:
    rng = np.random.default_rng(seed)
    step = 1 << (9 - bits if sign == 0 else 8 - bits)
    start = step * rng.integers(-256 // step, 256 // step, (4, 3))
    if sign:
        start = sign * np.abs(start).clip(0, 256 - step)
    rows = Rows.around(start, WeightBits(bits, 8), part=np.array([0, 1, 1, 0]))
    whole = rows.round(rng.normal(0, 200, (4, 3)))
    for part in (0, 1):
        own = whole[rows.part == part].astype(np.int64)
        assert np.array_equal(LOIHI.effective_weights(own, bits), own)
        assert np.array_equal(LOIHI.effective_weights(own), own)
    assert np.array_equal(rows.round(whole), whole)
    assert np.array_equal(rows.round(start.astype(np.float64)), start) or start.min() == -256


class _Fires(torch.autograd.Function):
    """v > threshold, with the triangle, in plain torch."""

    @staticmethod
    def forward(ctx: Any, v: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(v, threshold)
        return (v > threshold).to(v)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        v, threshold = ctx.saved_tensors
        slope = grad * (1 - (v - threshold).abs() / threshold).clamp(min=0) / threshold
        return slope, -slope.sum()


@pytest.mark.parametrize("fires", [True, False])
def test_the_gradients_of_every_number_are_autograd_s(fires: bool) -> None:
    """Halves and quarters of 64ths stay whole for three steps, so nothing is rounded."""
    rng, (steps, size) = np.random.default_rng(0), (3, (4, 50))
    given = {
        "a": rng.integers(-20, 120, (steps, *size)),
        "bias": rng.integers(-5, 5, size[1]) * 64,
        "u": rng.integers(-20, 20, size) * 64,
        "v": rng.integers(0, 90, size) * 64,
        "vth": 100,
        "keep_v": 0.5,
        "keep_u": 0.25,
    }
    mine, theirs = (
        {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in given.items()}
        for _ in range(2)
    )
    constants = straight.Constants(1024, 2048, 6400 if fires else 0, 4096, (1 << 23) - 1)
    a, bias, u, v, vth, keep_v, keep_u = mine.values()
    if fires:
        got = straight.lif(a, bias, u, v, constants, (vth, keep_v, keep_u))
    else:
        got = straight.leaky(a, bias, u, v, constants, (keep_v, keep_u))
    a, bias, u, v, vth, keep_v, keep_u = theirs.values()
    sent = []
    for step in a:
        u = keep_u * u + 64 * step
        v = keep_v * v + u + bias
        sent.append(_Fires.apply(v, 64 * vth) if fires else v)
        v = torch.where(sent[-1] > 0, torch.zeros_like(v), v) if fires else v
    wanted = (torch.stack(sent), u, v)
    assert not fires or 0.1 < wanted[0].mean() < 0.9
    for one, other in zip(got, wanted, strict=True):
        assert torch.equal(one.double(), other)
    weigh = [torch.from_numpy(rng.normal(size=w.shape)) for w in wanted]
    scales = (1.0, 1e-4, 1e-4) if fires else (1e-4, 1e-4, 1e-4)
    for found in (got, wanted):
        sum((f * w * s).sum() for f, w, s in zip(found, weigh, scales, strict=True)).backward()
    for name, value in mine.items():
        if name != "vth" or fires:
            assert value.grad is not None
            assert value.grad.abs().sum() > 0
            assert torch.allclose(value.grad, theirs[name].grad, rtol=1e-4, atol=1e-7), name


def test_the_gradient_of_a_neuron() -> None:
    """Two steps by hand: dv/da = 64, the first step's part decays by 1/2, slope 1/threshold."""
    constants = straight.Constants(0, 2048, 6400, 4096, (1 << 23) - 1)
    a = torch.tensor([[[40.0]], [[80.0]]], requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    zero = torch.zeros(1, 1)
    spikes, _, _ = straight.lif(a, bias, zero, zero, constants)
    assert spikes.flatten().tolist() == [0.0, 0.0]
    spikes[1].sum().backward()
    slope = 1 / 6400  # v is at the threshold: 40 * 32 + 80 * 64 = 6400
    assert a.grad is not None
    assert a.grad.flatten().tolist() == pytest.approx([32 * slope, 64 * slope])
    assert bias.grad is not None
    assert bias.grad.tolist() == pytest.approx([1.5 * slope])
