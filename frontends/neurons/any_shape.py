"""A module of the user's own runs on numbers, whatever shape it takes."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .untouched import untouched

OWN_STEPS = ("T", "step", "steps", "timesteps", "time_step", "time_steps")
"""Attributes by which modules know how many steps they loop over."""
BEHIND: tuple[tuple[int, ...], ...] = ((), (1, 1), (1,))
"""Axes behind [T, B, C]: some modules unpack the shape [T, B, C, H, W] or [T, B, C, N]."""


def run(module: nn.Module, x: Tensor) -> Tensor:
    """What it makes of x [T, B, C], in the same shape, whatever shape it takes.

    Raises the module's own error, or TypeError for what is not one tensor of the input's shape.
    """
    first: Exception | None = None
    for axes in BEHIND:
        given = x.reshape(*x.shape, *axes)
        try:
            with untouched(module.modules()):
                set_steps(module, x.shape[0])
                made: Any = module.forward(given)
            if not isinstance(made, Tensor) or made.shape != given.shape:
                raise TypeError("not one tensor of the input's shape")
            return made.detach().reshape(x.shape)
        except Exception as error:
            first = first or error
    assert first is not None
    raise first


def set_steps(module: Any, steps: int) -> None:
    """A module that counts its steps by a number of its own loops over these."""
    for name in OWN_STEPS:
        if type(module.__dict__.get(name)) is int:
            module.__dict__[name] = steps
