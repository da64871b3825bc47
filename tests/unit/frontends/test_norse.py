"""Norse's neurons, one step at a time and over time: torch spikes == the graph's spikes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")
import norse.torch as norse  # noqa: E402
from norse.torch.module.snn import SNN, SNNCell, SNNRecurrent, SNNRecurrentCell  # noqa: E402
from tests.unit.frontends import frameworks  # noqa: E402
from tests.unit.frontends.frameworks import lively  # noqa: E402
from tests.unit.frontends.models import events  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from sfx.frontends.neurons.multistep import MultiStep  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.toolchain.ground.errors import UnsupportedError  # noqa: E402
from sfx.toolchain.ir import graph as g  # noqa: E402

pytestmark = pytest.mark.needs_torch

T = 8
CUBA = norse.LIFParameters(
    tau_syn_inv=torch.tensor(250.0), tau_mem_inv=torch.tensor(500.0), v_th=torch.tensor(0.75)
)
BOX = norse.LIFBoxParameters(
    tau_mem_inv=torch.tensor(500.0), v_leak=torch.tensor(0.25), v_th=torch.tensor(0.75)
)
IAF = norse.IAFParameters(v_th=torch.tensor(1.5), v_reset=torch.tensor(-0.25))


def check(
    net: nn.Module, x: Tensor, run: Callable[[], object], input_layout: str = "TB"
) -> g.Graph:
    kinds = (SNN, SNNCell, SNNRecurrent, SNNRecurrentCell)
    return frameworks.check(net, x, kinds, run, input_layout)


CELLS: dict[str, Callable[[], nn.Module]] = {
    "LIFBoxCell": lambda: norse.LIFBoxCell(BOX),
    "LIFCell": lambda: norse.LIFCell(CUBA),
    "IAFCell": lambda: norse.IAFCell(IAF),
}


@pytest.mark.parametrize("kind", CELLS)
def test_a_sequential_state_stepped_by_its_user(kind: str) -> None:
    """The model takes one step and its state; Norse's own pattern."""
    net = lively(norse.SequentialState(
        nn.Conv2d(2, 4, 3), CELLS[kind](), nn.Flatten(1), nn.Linear(64, 5), CELLS[kind]()
    ))  # fmt: skip
    x = events(T, 3, 2, 6, 6, seed=1).float()

    def run() -> None:
        state: Any = None
        for step in x:
            _, state = net(step, state)

    graph = check(net, x, run, input_layout="step")
    assert [n.name for n in graph if n.name[0].isdigit()] == ["0", "1", "2.reshape", "3", "4"]


class Looped(nn.Module):
    """The loop inside the model, the recurrent state passed by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.rec = norse.LIFRecurrentCell(10, 8, CUBA)
        self.out = nn.Linear(8, 5)
        self.lif = norse.LIFCell(CUBA)

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        first = second = None
        spikes = []
        for step in x:
            z, first = self.rec(step, first)
            z, second = self.lif(self.out(z), second)
            spikes.append(z)
        return torch.stack(spikes), first


def on_a_grid(net: nn.Module, seed: int) -> nn.Module:
    """Recurrent weights of eighths, as `lively` makes the others."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if "input_weights" in name or "recurrent_weights" in name:
                p.copy_(torch.randint(-3, 6, p.shape, generator=generator) / 8)
    return net


def test_a_recurrent_cell() -> None:
    net = on_a_grid(lively(Looped()), 2)
    x = events(T, 3, 10, seed=3).float()
    graph = check(net, x, lambda: net(x))
    assert graph["rec.lif"].producers == ("rec.linear", "rec.recurrent")


class OverTime(nn.Module):
    """Neurons that take all steps at once, and Lift around a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = norse.SequentialState(
            norse.Lift(nn.Conv2d(2, 4, 3)), norse.LIF(CUBA), nn.Flatten(2), nn.Linear(64, 8),
            norse.LIFRecurrent(8, 6, CUBA), norse.IAF(IAF),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)[0]


def test_neurons_over_time() -> None:
    net = on_a_grid(lively(OverTime()), 4)
    x = events(T, 3, 2, 6, 6, seed=3).float()
    check(net, x, lambda: net(x))


def test_cells_of_a_multi_step() -> None:
    net = lively(nn.Sequential(nn.Linear(10, 8), MultiStep(norse.LIFCell(CUBA)),
                               nn.Linear(8, 6), MultiStep(norse.IAFCell(IAF))))  # fmt: skip
    x = events(T, 3, 10, seed=5).float()
    frameworks.check(net, x, MultiStep, lambda: net(x))


def test_a_state_that_is_not_at_rest_is_refused() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lif = norse.LIFBoxCell(BOX)

        def forward(self, x: Tensor) -> Tensor:
            state, out = norse.LIFBoxFeedForwardState(torch.full((4,), 0.5)), []
            for step in x:
                z, state = self.lif(step, state)
                out.append(z)
            return torch.stack(out)

    with pytest.raises(UnsupportedError, match="does not start at rest"):
        export(Net(), torch.zeros(T, 1, 4))
