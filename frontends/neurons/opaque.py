"""What a neuron module computes while it is traced: one op, in the module's own place.

The module itself stays where it is: its class, attributes and hooks are the user's. Only the
methods that compute are covered, by functions among the attributes of this one instance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...toolchain.ground.errors import UnsupportedError
from .lif_op import numbered, over_time
from .spec import LifSpec
from .step_op import RECURRENT, Recurrent, one_step

Method = Callable[..., Any]
Run = Callable[[Tensor], Tensor]


def handing_on(forward: Method) -> Run:
    """All steps of a neuron called as `spikes, state = forward(x, state)`, from rest."""

    def steps(x: Tensor) -> Tensor:
        state, spikes = None, []
        for step in x:
            z, state = forward(step, state)
            spikes.append(z)
        return torch.stack(spikes)

    return steps


class Opaque:
    """A neuron module and its constants. Subclasses have the calling convention of a library.

    rests   the value of each of its state variables at rest
    inside  whether the neuron is all that the module computes; False with input weights of its own
    unit    what the module returns for one spike: the weights behind it absorb a factor
    """

    inside = False
    unit = 1.0

    def __init__(
        self,
        module: nn.Module,
        spec: LifSpec,
        rests: Sequence[float] = (),
        recurrent: Recurrent | None = None,
    ) -> None:
        self.module: Any = module
        self.spec = spec
        self.rests = [float(r) for r in rests]
        self.number = numbered(spec)
        self.recurrent = recurrent
        if recurrent is not None:
            RECURRENT[self.number] = recurrent
        self.differing: dict[str, UnsupportedError] = {}

    def methods(self) -> dict[str, Method]:
        """Name -> what the module computes with during the trace."""
        raise NotImplementedError

    def runs(self) -> dict[str, Run]:
        """Name of each of these methods -> spikes of x [T, B, ...] from rest, by the real one.

        The first is the one that forward() comes to; the others are run only where called directly.
        """
        raise NotImplementedError

    def constants(self) -> list[Tensor]:
        """Those that may have one number per neuron, so that the module's input must fit them."""
        return list(self.module.parameters(recurse=False))

    def reset(self) -> None:
        """Put the states that the module keeps to itself at rest; called before every run."""

    @contextmanager
    def covering(self) -> Iterator[None]:
        """The module computes the op; what is among its attributes is put back by others."""
        for name, method in self.methods().items():
            self.module.__dict__[name] = _refusing(self.differing.get(name), method)
        yield

    def over_time(self, x: Tensor, state: Sequence[Tensor] = ()) -> list[Tensor]:
        """[spikes [T, B, ...], *states after the last step, *states of all steps]."""
        return over_time(x, self.number, state, self.rests)

    def step(self, x: Tensor, state: Sequence[Tensor]) -> list[Tensor]:
        """[spikes of one step, *next state]."""
        return one_step(x, self.number, state, self.rests)


def _refusing(error: UnsupportedError | None, method: Method) -> Method:
    """`method`, or one that raises `error` once the model calls it."""
    if error is None:
        return method

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise error

    return refuse
