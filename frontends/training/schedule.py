"""Optimizers and rates over the steps of a training: torch's own, by the names in a recipe."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import nn, optim
from torch.optim import lr_scheduler

from .recipe import Recipe

FEW = 5
"""Steps below which there is no cycle."""


def optimizer_of(parameters: Iterable[nn.Parameter], recipe: Recipe) -> optim.Optimizer:
    """The one that the recipe names, on what is trained."""
    trained = [p for p in parameters if p.requires_grad]
    if recipe.optimizer == "sgd":
        return optim.SGD(trained, recipe.rate, 0.9, weight_decay=recipe.decay, nesterov=True)
    if recipe.optimizer == "adam":
        return optim.Adam(trained, recipe.rate)
    return optim.AdamW(trained, recipe.rate, weight_decay=recipe.decay)


def schedule_of(optimizer: optim.Optimizer, recipe: Recipe, steps: int) -> lr_scheduler.LRScheduler:
    """The rate of each of `steps`; to be stepped after every one of them."""
    if recipe.schedule == "one-cycle" and steps >= FEW:
        up = min(max(recipe.warmup, 2 / steps), 1 - 2 / steps)  # it needs a step for each half
        return lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=steps, pct_start=up)
    rising = round(recipe.warmup * steps)

    def share(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        done = (step - rising) / max(1, steps - rising)
        return 1.0 if recipe.schedule == "constant" else (1 + math.cos(math.pi * done)) / 2

    return lr_scheduler.LambdaLR(optimizer, share)
