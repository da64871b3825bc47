"""Product: multiplies its two inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ....toolchain.ir.program import Product
from ..kernels import neurons as kernels
from ..layout import Values
from ..rules import Sending, Stateless

if TYPE_CHECKING:
    from torch import Tensor


def steps(n: Product, ports: Mapping[str, Values], to: Sending) -> None:
    """A block of neurons at a time."""
    a, b = ports["a_in1"], ports["a_in2"]
    kernels.product(a, b, n.exp, n.vth, to.out, to.events, to.active, to.ends)


def on_device(n: Product, ports: Mapping[str, Tensor]) -> Tensor:
    """One step."""
    import torch

    from ..kernels.on_device import wrap

    v = wrap(ports["a_in1"] * ports["a_in2"], 32) >> n.exp
    return torch.where(v.abs() > n.vth, v, 0)


RULE = Stateless(steps, on_device)
