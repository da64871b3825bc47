"""Classifiers of earlier blocks beside a fine-tuned model: deep supervision, in training only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from .model import QatModel


class Head(nn.Module):
    """A classifier on what populations send.

    read   the spikes [T, B, *shape] of `names`, in their order -> logits [B, classes]; float
    names  of populations, or paths of modules of the source
    """

    def __init__(self, read: nn.Module, names: Iterable[str]) -> None:
        super().__init__()
        self.read, self.names = read, tuple(names)

    def forward(self, sent: Mapping[str, Tensor]) -> Tensor:
        """Logits [B, classes] of spikes by name."""
        return cast(Tensor, self.read(*(sent[name] for name in self.names)))


class Supervised(nn.Module):
    """A fine-tuned model with heads of earlier blocks, which are trained with it, not deployed.

    x [T, B, *input shape] -> in training the logits of every head, the deployed one's last, as
    `sfx.training.supervised` takes them; in `eval()` the model's alone. The heads read the spikes
    of the same forward pass, with their gradient. `model` is what is saved, verified and compiled.

    Raises InputError (SFX-E368) for names that the model lacks.
    """

    def __init__(self, model: QatModel, heads: Iterable[Head]) -> None:
        super().__init__()
        self.model, self.heads = model, nn.ModuleList(heads)
        self._names = tuple(dict.fromkeys(n for head in self._heads() for n in head.names))
        with model.watching(*self._names):
            pass  # the names are looked up

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Raises InputError (SFX-E361) as the model does."""
        if not self.training:
            return cast(Tensor, self.model(x))
        with self.model.watching(*self._names) as sent:
            last = self.model(x)
        return (*(head(sent) for head in self._heads()), last)

    def watching(self, *names: str) -> AbstractContextManager[dict[str, Tensor]]:
        """As of the model."""
        return self.model.watching(*names)

    def populations(self, name: str) -> tuple[str, ...]:
        """As of the model."""
        return self.model.populations(name)

    def synops(self) -> Mapping[str, NDArray[np.float64]]:
        """As of the model."""
        return self.model.synops()

    def _heads(self) -> list[Head]:
        return cast(list[Head], list(self.heads))
