"""Small networks in the frameworks' own neurons, for the first witness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn


class Net(nn.Module):
    """`function(self, x)` as forward(), over the given modules."""

    def __init__(self, function: Callable[[Any, Tensor], Any], **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Any:
        """What the function says."""
        return self.function(self, x)


def lin(weight: Any, bias: Any = None) -> nn.Linear:
    """A linear layer of these weights."""
    values = torch.as_tensor(np.array(weight), dtype=torch.float32)
    made = nn.Linear(values.shape[1], values.shape[0], bias=bias is not None)
    made.weight.data = values
    if bias is not None:
        made.bias.data = torch.as_tensor(np.array(bias), dtype=torch.float32)
    return made


def fire(**options: Any) -> neuron.IFNode:
    """SpikingJelly's IF over all steps."""
    return neuron.IFNode(step_mode="m", **options)


def chain(n: nn.Module, weight: float = 0.5, inputs: int = 1) -> Net:
    """A linear layer and a neuron."""
    return Net(lambda s, x: s.n(s.a(x)), a=lin(np.full((inputs, inputs), weight)), n=n)
