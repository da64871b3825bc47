"""What a network's spikes cost, with a gradient: so that energy can be trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...toolchain.ground.errors import InputError
from ..neurons.multistep import MultiStep


class Activity:
    """The cost of the spikes of the latest forward pass.

    model  any network; its spiking modules are those of `cost`, or all `MultiStep`s
    cost   module path -> what one spike costs, such as `synops_per_spike` of a compiled Program;
           None: 1 each

        activity = Activity(model, cost)
        with activity.watching():
            loss = criterion(model(x), y) + 0.1 * activity.cost()

    Raises InputError (SFX-E384) for a path that the model lacks, or if no module is left.
    """

    def __init__(self, model: nn.Module, cost: Mapping[str, float] | None = None) -> None:
        modules = dict(model.named_modules())
        if cost is None:
            cost = {name: 1.0 for name, m in modules.items() if isinstance(m, MultiStep)}
        absent = [name for name in cost if name not in modules]
        if absent or not cost:
            what = f"has no module {absent[0]!a}" if absent else "has no spiking module"
            raise InputError("SFX-E384", what, where="activity", hint="name them in `cost`")
        self._modules = {name: modules[name] for name in cost}
        self._weights = dict(cost)
        self._found: dict[str, Tensor] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Spikes are kept while it is open; of a module that is called twice, those of both."""
        handles = [m.register_forward_hook(self._hook(n)) for n, m in self._modules.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            sent = _events(output)
            self._found[name] = self._found[name] + sent if name in self._found else sent

        return keep

    def cost(self, samples: int) -> Tensor:
        """Of a sample on average, in the unit of `cost`; what was kept is forgotten.

        samples  in the batch
        """
        found, self._found = self._found, {}
        parts = [self._weights[name] * sent for name, sent in found.items()]
        return sum(parts, torch.zeros(())) / samples


def _events(sent: Tensor) -> Tensor:
    """How many values are sent, as backends count events: one that is 3, or -1, is one event.

    The gradient is that of their sum, of negative ones towards 0 as well, so silent neurons near
    their threshold have one too. Counted in float32, whatever autocast makes of `sent`.
    """
    size = torch.where(sent < 0, -sent, sent).float().sum()
    return size + (torch.count_nonzero(sent) - size).detach()
