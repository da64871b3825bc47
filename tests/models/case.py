"""A small model as a user would write it, and how it is given to sfx."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Made = TypeVar("Made", bound=Callable[..., nn.Module])


@dataclass(frozen=True, eq=False)
class Case:
    """make: the model;  shape: of a sample, [T, *input shape];  input_layout: as of `sfx.export`.

    high     event counts are 0 to high;  rate: of the places that have any
    exact    the integer Program sends torch's spikes: its weights, decays and thresholds are dyadic
    options  of `make`
    """

    make: Callable[..., nn.Module]
    shape: tuple[int, ...]
    input_layout: str = "TB"
    high: int = 1
    exact: bool = True
    seed: int = 0
    rate: float = 0.5
    options: tuple[tuple[str, Any], ...] = ()

    def model(self) -> nn.Module:
        """The model in eval mode, its numbers on a dyadic grid."""
        return on_grid(self.make(**dict(self.options)), self.seed).eval()

    def answers(self, x: NDArray[np.int64]) -> NDArray[np.float64]:
        """What a fresh model says to samples x [K, ...], called as its user does; summed over T."""
        model = self.model()
        steps = torch.from_numpy(x).float().transpose(0, 1)
        with torch.no_grad():
            if self.input_layout == "step":
                made: Any = self._loop(model, steps)
            else:
                given = {"TB": steps, "BT": steps.transpose(0, 1), "B": steps[0]}[self.input_layout]
                made = model(given)
        made = made[0] if isinstance(made, tuple) else made
        over_time = made.dim() > 2 and made.shape[:2] == (len(steps), len(x))
        found: NDArray[np.float64] = (made.sum(0) if over_time else made).double().numpy()
        return found

    def _loop(self, model: nn.Module, steps: Tensor) -> Tensor:
        """The mean over the steps of a model that takes one."""
        state: Any = None
        made = []
        for step in steps:
            carries = "state" in inspect.signature(model.forward).parameters
            y = model(step, state) if carries else model(step)
            if carries:
                state = y[1]
            made.append(y[0] if isinstance(y, tuple) else y)
        return torch.stack(made).mean(0)

    def samples(self, count: int) -> NDArray[np.int64]:
        """Event counts [count, *shape]; an image stays the same at every step."""
        rng = np.random.default_rng(self.seed + 1)
        shape = (count, *self.shape)
        x = rng.integers(1, self.high + 1, shape) * (rng.random(shape) < self.rate)
        return np.repeat(x[:, :1], self.shape[0], axis=1) if self.input_layout == "B" else x


class Cases(dict[str, Case]):
    """The models of one file by name."""

    def add(self, *shape: int, name: str = "", **facts: Any) -> Callable[[Made], Made]:
        """A decorator of a class or a factory: a case for samples of `shape`."""

        def register(make: Made) -> Made:
            key = name or make.__name__
            assert key not in self, key
            self[key] = Case(make, shape, **facts)
            return make

        return register

    def each(
        self, name: str, make: Callable[..., nn.Module], *shape: int,
        options: dict[str, dict[str, Any]], **facts: Any,
    ) -> None:  # fmt: skip
        """A case for each of the options, by name; `_...` among them is a fact of the case."""
        for key, given in options.items():
            own = {k[1:]: v for k, v in given.items() if k.startswith("_")}
            rest = tuple((k, v) for k, v in given.items() if not k.startswith("_"))
            self[f"{name}: {key}"] = Case(make, shape, options=rest, **facts | own)


def on_grid(model: nn.Module, seed: int) -> nn.Module:
    """Weights in halves from -1/2 to 1, about six per neuron; biases in quarters; plain norms."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 0:  # a neuron's own constant
                continue
            if parameter.dim() == 1:
                parameter.copy_(torch.randint(0, 3, parameter.shape, generator=rng) / 4)
                continue
            kept = torch.rand(parameter.shape, generator=rng) < 6 / parameter[0].numel()
            parameter.copy_(torch.randint(-1, 3, parameter.shape, generator=rng) / 2 * kept)
        for norm in model.modules():
            if isinstance(norm, nn.modules.batchnorm._BatchNorm):
                norm.eps = 0.0
                assert norm.running_var is not None
                assert norm.running_mean is not None
                norm.running_var.fill_(0.25)  # a gain of 2
                norm.running_mean.fill_(0.25)
                norm.weight.fill_(1.0)
    return model
