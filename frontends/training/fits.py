"""Is what a file holds the state of a training? Looked at before any of it is taken over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn, optim


def misfit(
    state: Mapping[str, Any],
    model: nn.Module,
    optimizer: optim.Optimizer,
    others: Mapping[str, Mapping[str, Any]],
) -> str:
    """Why it is not that of this network and optimizer, "" if it is.

    others  what the same state has of parts that hold numbers only, as they are now, by key
    """
    keys = ("model", "optimizer", "schedule", "scaler", "generator", "torch", "reference", "best",
            "epochs")  # fmt: skip
    absent = [k for k in keys if k not in state]
    if absent:
        return f"it has no {absent[0]!r}"
    kept = [state["model"]]
    if state["best"] is not None:
        if not (isinstance(state["best"], list) and len(state["best"]) == 2):
            return "its best epoch is none"
        kept.append(state["best"][1])
        if not _number(state["best"][0]):
            return "its best epoch is none"
    if not all(_weights(k, model) for k in kept):
        return "its weights are those of another network"
    if not _optimizer(state["optimizer"], optimizer):
        return "its optimizer is another"
    same = (torch.Generator().get_state(), torch.get_rng_state())
    for name, own in zip(("generator", "torch"), same, strict=True):
        found = state[name]
        if not (
            isinstance(found, Tensor) and found.shape == own.shape and found.dtype == own.dtype
        ):
            return "its random numbers are none"
    for name, mine in others.items():
        if not _alike(mine, state[name]):
            return f"its {name} is another"
    if not _number(state["reference"]):
        return "its losses are none"
    return "" if _epochs(state["epochs"]) else "its epochs are none"


def _number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _weights(found: object, model: nn.Module) -> bool:
    """All of the network's, finite, and no others."""
    own = model.state_dict()
    return (
        isinstance(found, dict)
        and set(found) == set(own)
        and all(
            isinstance(v, Tensor)
            and v.shape == own[k].shape
            and v.dtype == own[k].dtype
            and bool(torch.isfinite(v).all())
            for k, v in found.items()
        )
    )


def _optimizer(found: object, optimizer: optim.Optimizer) -> bool:
    """Its groups have the settings of ours, and what it remembers has the shapes of the weights."""
    own = optimizer.state_dict()["param_groups"]
    if not isinstance(found, dict) or set(found) != {"state", "param_groups"}:
        return False
    groups, remembered = found["param_groups"], found["state"]
    if not (isinstance(groups, list) and len(groups) == len(own) and isinstance(remembered, dict)):
        return False
    if not all(
        _alike(m, o) and o["params"] == m["params"] for m, o in zip(own, groups, strict=True)
    ):
        return False
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    return all(
        isinstance(i, int)
        and 0 <= i < len(weights)
        and isinstance(kept, dict)
        and all(_of(value, weights[i]) for value in kept.values())
        for i, kept in remembered.items()
    )


def _alike(mine: object, other: object) -> bool:
    """The same form; numbers may be others, as rates are."""
    if isinstance(mine, dict):
        same = isinstance(other, dict) and set(other) == set(mine)
        return same and all(_alike(v, other[k]) for k, v in mine.items())  # type: ignore[index]
    if isinstance(mine, list | tuple):
        return (
            isinstance(other, list | tuple)
            and len(other) == len(mine)
            and all(map(_alike, mine, other))
        )
    if isinstance(mine, bool) or mine is None or isinstance(mine, str):
        return other == mine
    return _number(other)


def _of(value: object, weight: Tensor) -> bool:
    """A count of steps, or a tensor of the weight's shape, or nothing."""
    if value is None or _number(value):
        return True
    return (
        isinstance(value, Tensor)
        and value.shape in ((), weight.shape)
        and bool(torch.isfinite(value).all())
    )


def _epochs(found: object) -> bool:
    """Rows of numbers, counted from 1."""
    if not isinstance(found, Sequence) or isinstance(found, str):
        return False
    return all(
        isinstance(row, list)
        and len(row) == 7
        and row[0] == i
        and all(_number(row[k]) for k in (1, 2, 5, 6))
        and all(row[k] is None or _number(row[k]) for k in (3, 4))
        for i, row in enumerate(found, 1)
    )
