"""Norse's LIFBox over time: the equation, the strict threshold, the reset, the gradient."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")

from torch import Tensor  # noqa: E402

from sfx.frontends.neurons.multistep import MultiStep, lif  # noqa: E402

pytestmark = pytest.mark.needs_torch


def by_hand(x: Tensor, tau: float, threshold: float) -> Tensor:
    v, spikes = torch.zeros_like(x[0]), []
    for step in x:
        v = v + (step - v) / tau
        spikes.append((v > threshold).to(x.dtype))
        v = torch.where(v > threshold, torch.zeros_like(v), v)
    return torch.stack(spikes)


@pytest.mark.parametrize(("tau", "threshold"), [(2.0, 1.0), (2.0, 0.5), (4.0, 0.25), (1.0, 1.0)])
def test_spikes_are_those_of_the_equation(tau: float, threshold: float) -> None:
    x = 3 * torch.randn(12, 4, 7, generator=torch.Generator().manual_seed(0))
    spikes = lif(tau, threshold)(x)
    assert torch.equal(spikes, by_hand(x, tau, threshold))
    assert 0.05 < spikes.mean() < 0.95


def test_the_decay_is_exactly_one_half() -> None:
    cell = lif(2.0).cell
    assert float(cell.p.tau_mem_inv * cell.dt) == 0.5


def test_the_threshold_is_strict_and_the_reset_is_to_zero() -> None:
    """x = 2: v = 1 (no spike), 1.5 (spike, to 0), 1 (no spike), ..."""
    assert lif()(torch.full((4, 1), 2.0)).flatten().tolist() == [0, 1, 0, 1]


def test_calls_are_independent() -> None:
    neuron, x = lif(), torch.full((1, 1), 1.5)
    assert [float(neuron(x).detach()) for _ in range(4)] == [0, 0, 0, 0]
    assert neuron.state_dict() == {}


def test_gradients_flow_through_time_and_reset() -> None:
    """dz[2]/dx by hand: x = 0.8 gives v = 0.4, 0.6, 0.7 and no spike.

    g(v) = 1 - |v - 1| stands for dz/dv (triangle), u = (1 - z) v gives du/dv = 1 - v g(v), and each
    input enters with 1/tau = 1/2, as does each earlier u with 1 - 1/2.
    """
    x = torch.full((3, 1), 0.8, requires_grad=True)
    lif()(x)[2].sum().backward()
    first, second, last = 1 - 0.4 * 0.4, 1 - 0.6 * 0.6, 0.7
    expected = [last / 2 * second / 2 * first / 2, last / 2 * second / 2, last / 2]
    torch.testing.assert_close(x.grad.flatten(), torch.tensor(expected))


def test_any_norse_cell_runs() -> None:
    from norse.torch import IAFCell

    spikes = MultiStep(IAFCell())(torch.full((5, 2), 0.6))
    assert spikes[:, 0].tolist() == [0, 1, 0, 1, 0]
