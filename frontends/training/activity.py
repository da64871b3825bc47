"""What a network's spikes cost, with a gradient: so that energy can be trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...toolchain.ground.errors import InputError
from ..neurons.multistep import MultiStep


@runtime_checkable
class Watching(Protocol):
    """A model that keeps the spikes of its populations itself, as `sfx.qat` models do."""

    def watching(self, *names: str) -> AbstractContextManager[dict[str, Tensor]]:
        """What these send in the latest forward pass, while it is open."""
        ...

    def populations(self, name: str) -> tuple[str, ...]:
        """Those of a module."""
        ...

    def synops(self) -> Mapping[str, NDArray[np.float64]]:
        """What an event of each neuron of a population costs [size]."""
        ...


class Activity:
    """The cost of the spikes of the latest forward pass.

    model  any network; its spiking modules are those of `cost`, or all `MultiStep`s. Or a model of
           `sfx.qat`, whose populations are meant
    cost   module path -> what one spike costs, such as `synops_per_spike` of a compiled Program;
           None: 1 each. Of a `sfx.qat` model also population -> cost of an event, one or that of
           each neuron [size]; None: its `synops()`

        activity = Activity(model, cost)
        with activity.watching():
            loss = criterion(model(x), y) + 0.1 * activity.cost()

    Raises InputError: SFX-E384 for a path that the model lacks, or if no module is left, SFX-E368
    for one that a `sfx.qat` model lacks.
    """

    def __init__(
        self, model: nn.Module, cost: Mapping[str, float | NDArray[np.float64]] | None = None
    ) -> None:
        self._source = model if isinstance(model, Watching) else None
        self._modules: dict[str, nn.Module] = {}
        if self._source is not None:
            cost = self._source.synops() if cost is None else cost
            spread = {p: c for n, c in cost.items() for p in self._source.populations(n)}
            cost = {name: cost.get(name, c) for name, c in spread.items()}
        else:
            modules = dict(model.named_modules())
            if cost is None:
                cost = {name: 1.0 for name, m in modules.items() if isinstance(m, MultiStep)}
            absent = [name for name in cost if name not in modules]
            if absent or not cost:
                what = f"has no module {absent[0]!a}" if absent else "has no spiking module"
                raise InputError("SFX-E384", what, where="activity", hint="name them in `cost`")
            self._modules = {name: modules[name] for name in cost}
        self._weights = {n: torch.as_tensor(c, dtype=torch.float32) for n, c in cost.items()}
        self._found: dict[str, Tensor] = {}
        self._sent: dict[str, Tensor] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Spikes are kept while it is open; of a module that is called twice, those of both."""
        if self._source is not None:
            with self._source.watching(*self._weights) as self._sent:
                yield
            return
        handles = [m.register_forward_hook(self._hook(n)) for n, m in self._modules.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            sent = _events(output, self._weights[name])
            self._found[name] = self._found[name] + sent if name in self._found else sent

        return keep

    def cost(self, samples: int) -> Tensor:
        """Of a sample on average, in the unit of `cost`; what was kept is forgotten.

        samples  in the batch
        """
        found = [_events(sent, self._weights[name]) for name, sent in self._sent.items()]
        found += self._found.values()
        self._found.clear()
        self._sent.clear()
        return sum(found, torch.zeros(())) / samples


def senders(model: nn.Module) -> set[str]:
    """Paths of the modules whose outputs are sent: neurons, and modules without parts, as pools."""
    return {n for n, m in model.named_modules() if isinstance(m, MultiStep) or not [*m.children()]}


def _events(sent: Tensor, cost: Tensor) -> Tensor:
    """What the values that are sent cost, as backends count events: one that is 3, or -1, is one.

    sent  [..., neurons], [T, B, ...] where cost is [size] and not one number

    The gradient is that of their sum, of negative ones towards 0 as well, so silent neurons near
    their threshold have one too. Counted in float32, whatever autocast makes of `sent`.
    """
    cost, size = cost.to(sent.device), torch.where(sent < 0, -sent, sent).float()
    if not cost.dim():
        total = size.sum()
        return cost * (total + (torch.count_nonzero(sent) - total).detach())
    total = (size.flatten(2) * cost).sum()
    events = ((sent != 0).flatten(2) * cost.double()).sum().float()
    return total + (events - total).detach()
