"""The neuron libraries that are read: whose a module is, and the file that reads it."""

from __future__ import annotations

import torch
from torch import nn

READERS: dict[str, str] = {
    "norse": "sfx.frontends.neurons.norse",
    "sfx": "sfx.frontends.neurons.own",
    "snntorch": "sfx.frontends.neurons.snntorch",
    "spikingjelly": "sfx.frontends.neurons.spikingjelly",
}
"""Package of a module's class -> the file that reads it; imported when a model needs it."""


def library_class(module: nn.Module, package: str) -> str:
    """Name of the first class of `package` that the module is one of: its own, if not a subclass.

    A class that the library derives from a neuron (SpikingJelly's LIAFNode) is another neuron.
    """
    own = (c.__name__ for c in type(module).__mro__ if c.__module__.partition(".")[0] == package)
    return next(own, "")


def as_single(value: float) -> float:
    """A constant as PyTorch computes with it beside float32 tensors: its float32 value."""
    return float(torch.tensor(value, dtype=torch.float32))
