"""The neuron of the published networks: fires on `>=`, resets to zero, learns through a sigmoid."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from sfx.frontends.neurons.ge_lif import GreaterEqualLIF, ge_lif  # noqa: E402
from sfx.frontends.neurons.multistep import MultiStep, lif  # noqa: E402

pytestmark = pytest.mark.needs_torch


def by_hand(currents: list[float], tau: float, threshold: float) -> list[int]:
    v, spikes = 0.0, []
    for x in currents:
        v = v + (x - v) / tau
        spikes.append(int(v >= threshold))
        v = 0.0 if spikes[-1] else v
    return spikes


quarters = st.integers(-8, 16).map(lambda n: n / 4)


@settings(deadline=None)
@given(st.lists(quarters, min_size=1, max_size=8), st.sampled_from([1.0, 2.0, 4.0]))
def test_spikes_are_those_of_the_equations(currents: list[float], tau: float) -> None:
    """With quarters and a tau that is a power of two, float32 is exact."""
    spikes = ge_lif(tau, 1.0)(torch.tensor(currents).reshape(-1, 1))
    assert spikes.flatten().tolist() == by_hand(currents, tau, 1.0)


def test_a_membrane_at_the_threshold_fires_here_and_not_in_norse() -> None:
    x = torch.tensor([[2.0], [1.0], [1.5]])  # v = 1 and reset; 0.5; 1 and reset
    assert ge_lif(2.0, 1.0)(x).flatten().tolist() == [1, 0, 1]
    assert lif(2.0, 1.0)(x).flatten().tolist() == [0, 0, 1]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=10))
def test_whole_numbers_at_tau_2_and_threshold_half_make_a_stateless_or(counts: list[int]) -> None:
    spikes = ge_lif(2.0, 0.5)(torch.tensor(counts, dtype=torch.float32).reshape(-1, 1))
    assert spikes.flatten().tolist() == [int(n > 0) for n in counts]


def test_what_an_exporter_reads() -> None:
    neuron = ge_lif(1.5, 0.5)
    cell = neuron.cell
    assert isinstance(neuron, MultiStep)
    assert isinstance(cell, GreaterEqualLIF)
    assert (cell.decay, cell.threshold, cell.inclusive) == (1 / 1.5, 0.5, True)
    assert not dict(neuron.state_dict())  # no key beside those of the public checkpoints
    assert "threshold=0.5" in repr(neuron)


def test_samples_start_from_rest() -> None:
    neuron = ge_lif()
    x = torch.full((3, 1), 1.5)
    assert torch.equal(neuron(x), neuron(x))


def test_the_gradient_is_the_sigmoid_and_stops_at_the_reset() -> None:
    """dz1/dx0 through the membrane alone; z0, which resets it, counts as a constant."""
    for first in (1.0, 3.0):  # v0 = 0.5 stays; v0 = 1.5 fires, and nothing of it is left
        x = torch.tensor([[first], [0.5]], dtype=torch.float64, requires_grad=True)
        spikes = ge_lif(2.0, 1.0, alpha=4.0)(x)
        spikes[1].sum().backward()
        kept = 0.0 if first == 3.0 else first / 2
        s = 1 / (1 + math.exp(-4.0 * ((kept + 0.5) / 2 - 1.0)))
        slope = 4.0 * s * (1 - s)
        expected = [slope * 0.5 * (0.0 if first == 3.0 else 0.5), slope * 0.5]
        assert x.grad is not None
        assert x.grad.flatten().tolist() == pytest.approx(expected, rel=1e-12)
        assert torch.equal(spikes.detach(), ge_lif(2.0, 1.0)(x.detach()))
