"""Graded: passes its summed input on as a payload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ....toolchain.ir.program import Graded
from ..kernels import neurons as kernels
from ..layout import Values
from ..rules import Sending, Stateless

if TYPE_CHECKING:
    from torch import Tensor


def steps(n: Graded, ports: Mapping[str, Values], to: Sending) -> None:
    """A block of neurons at a time."""
    a = ports["a_in"]
    vth = min(n.vth, np.iinfo(a.dtype).max)
    kernels.graded(a, vth, False, to.out, to.events, to.active, to.ends)


def on_device(n: Graded, ports: Mapping[str, Tensor]) -> Tensor:
    """One step."""
    import torch

    return torch.where(ports["a_in"].abs() > n.vth, ports["a_in"], 0)


RULE = Stateless(steps, on_device, small=True)
