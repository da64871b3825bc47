"""Models as Norse's documentation and users write them."""

from __future__ import annotations

from typing import Any

import norse.torch as norse
import torch
from norse.torch import (
    IAFCell,
    IAFParameters,
    LIFBoxCell,
    LIFBoxParameters,
    LIFCell,
    LIFParameters,
    reset_subtract,
)
from torch import Tensor, nn

from tests.models.case import Cases

CASES = Cases()
HALF = torch.as_tensor(500.0)  # dt is 1 ms: half of the membrane is lost in a step


def lif(**options: Any) -> LIFParameters:
    """LIF with halves for decays."""
    return LIFParameters(tau_syn_inv=HALF, tau_mem_inv=HALF, v_th=torch.as_tensor(0.5), **options)


def box(**options: Any) -> LIFBoxParameters:
    """LIFBox likewise."""
    return LIFBoxParameters(tau_mem_inv=HALF, v_th=torch.as_tensor(0.5), **options)


def readme() -> nn.Module:
    """The README's model, small: a SequentialState over all steps, with Lift for the layers."""
    return norse.SequentialState(
        norse.Lift(nn.Conv2d(2, 3, 3, stride=2)),
        norse.LIF(p=lif()),
        norse.Lift(nn.MaxPool2d(2, 2)),
        norse.Lift(nn.Flatten()),
        nn.Linear(3, 4),
        norse.LIF(p=lif()),
    )


CASES.add(5, 2, 6, 6, rate=0.8)(readme)


@CASES.add(5, 6)
class StepByStep(nn.Module):
    """A SequentialState of cells, its state handed on by a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.net = norse.SequentialState(
            nn.Linear(6, 8), LIFBoxCell(p=box()), nn.Linear(8, 4), LIFBoxCell(p=box())
        )

    def forward(self, x: Tensor) -> Tensor:
        state, out = None, []
        for t in range(x.shape[0]):
            z, state = self.net(x[t], state)
            out.append(z)
        return torch.stack(out)


@CASES.add(5, 6, input_layout="step")
class OneStepOfCells(nn.Module):
    """One step with the states of every cell: the caller hands them on."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.cell1 = nn.Linear(6, 8), LIFCell(p=lif())
        self.fc2, self.cell2 = nn.Linear(8, 4), LIFCell(p=lif())

    def forward(self, x: Tensor, state: Any = None) -> Any:
        s1, s2 = state if state is not None else (None, None)
        z, s1 = self.cell1(self.fc1(x), s1)
        z, s2 = self.cell2(self.fc2(z), s2)
        return z, (s1, s2)


@CASES.add(5, 6, input_layout="BT")
class StateByHand(nn.Module):
    """Samples first, a cell called in a loop, mean of a linear read-out."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif, self.out = nn.Linear(6, 8), LIFCell(p=lif()), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        s, voltages = None, []
        for ts in range(x.shape[1]):
            z, s = self.lif(self.fc1(x[:, ts]), s)
            voltages.append(self.out(z))
        return torch.stack(voltages).mean(0)


@CASES.add(5, 6)
class Recurrent(nn.Module):
    """LIFRecurrentCell and LIFRecurrent, with weights of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = norse.LIFRecurrentCell(6, 8, p=lif())
        self.over_time = norse.LIFRecurrent(8, 5, p=lif())

    def forward(self, x: Tensor) -> Tensor:
        s, out = None, []
        for step in x:
            z, s = self.cell(step, s)
            out.append(z)
        y, _ = self.over_time(torch.stack(out))
        return y


def sequential(cell: nn.Module, second: nn.Module) -> nn.Module:
    """Two layers around cells, lifted over time by RecurrentSequential's older sibling."""
    return Loop(cell, second)


class Loop(nn.Module):
    """The usual loop around cells."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.fc1, self.first = nn.Linear(6, 8), first
        self.fc2, self.second = nn.Linear(8, 5), second

    def forward(self, x: Tensor) -> Tensor:
        s1 = s2 = None
        out = []
        for step in x:
            z, s1 = self.first(self.fc1(step), s1)
            z, s2 = self.second(self.fc2(z), s2)
            out.append(z)
        return torch.stack(out)


class OverTime(nn.Module):
    """Modules that run over time."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        cls = getattr(norse, kind)
        self.fc1, self.first = nn.Linear(6, 8), cls(**options)
        self.fc2, self.second = nn.Linear(8, 5), cls(**options)

    def forward(self, x: Tensor) -> Tensor:
        z, _ = self.first(self.fc1(x))
        z, _ = self.second(self.fc2(z))
        return z


class Cells(Loop):
    """Two cells of one kind."""

    def __init__(self, kind: str, **options: Any) -> None:
        cls = getattr(norse, kind)
        super().__init__(cls(**options), cls(**options))


QUARTER = torch.as_tensor(0.25)
CASES.each("cell", Cells, 5, 6, options={
    "LIFBoxCell": {"kind": "LIFBoxCell", "p": box()},
    "LIFBoxCell leak and reset": {
        "kind": "LIFBoxCell", "p": box(v_leak=QUARTER, v_reset=-QUARTER)},
    "LIFBoxCell subtract": {"kind": "LIFBoxCell", "p": box(reset_method=reset_subtract)},
    "LIFBoxCell as it is": {"kind": "LIFBoxCell", "_exact": False, "_high": 15},
    "LIFCell": {"kind": "LIFCell", "p": lif()},
    "LIFCell leak and reset": {"kind": "LIFCell", "p": lif(v_leak=QUARTER, v_reset=-QUARTER)},
    "LIFCell as it is": {"kind": "LIFCell", "_exact": False, "_high": 15},
    "IAFCell": {"kind": "IAFCell"},
    "IAFCell from -1/4": {"kind": "IAFCell", "p": IAFParameters(v_reset=-QUARTER)},
})  # fmt: skip
CASES.each("over time", OverTime, 5, 6, options={
    "LIF": {"kind": "LIF", "p": lif()},
    "LIF records": {"kind": "LIF", "p": lif(), "record_states": True},
    "IAF": {"kind": "IAF"},
})  # fmt: skip
__all__ = ["CASES", "IAFCell"]
