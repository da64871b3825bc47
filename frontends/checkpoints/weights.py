"""The weights in a user's own file, inside whatever training scripts wrap around them.

A script saves a state_dict bare or in a dict beside its epoch and optimizer, and trains a model
that DataParallel (`module.`) or torch.compile (`_orig_mod.`) wrapped, as a whole or in parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from torch import Tensor

from ...toolchain.ground.errors import InputError

KEYS = (
    "state_dict_ema",
    "model_ema",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
)
"""Where scripts keep weights. Averaged ones come first: they are what a script evaluates (timm)."""
WRAPPERS = ("module", "_orig_mod")
DEPTH = 3
"""Dicts in one another that are looked through."""


def weights_in(content: Any, own: Set[str], where: str) -> tuple[dict[str, Tensor], str]:
    """The state_dict in a file's `content`, under the names `own` of the network; what was taken.

    The second is "" for a bare state_dict with the network's own names, else words such as
    "'state_dict_ema' (not 'state_dict'), without 'module.'". Raises InputError (SFX-E151).
    """
    path, found, others = [], content, list[str]()
    for _ in range(DEPTH):
        if _is_state(found) or not isinstance(found, Mapping):
            break
        held = [k for k in KEYS if isinstance(found.get(k), Mapping) and found[k]]
        if not held:
            break
        path.append(held[0])
        others += held[1:]
        found = found[held[0]]
    if not _is_state(found):
        raise InputError(
            "SFX-E151",
            f"holds no state_dict (names with tensors){_keys(content)}",
            where=where,
            hint="save it with torch.save(model.state_dict(), path), or in a dict under one of: "
            + ", ".join(sorted(KEYS)),
        )
    state = {_own_name(k, own): v for k, v in found.items()}
    if len(state) < len(found):  # two names became one: leave them as they are
        state = dict(found)
    words = [".".join(map(repr, path)) if path else ""]
    if others:
        words[0] += f" (not {', '.join(map(repr, others))})"
    stripped = [w for w in WRAPPERS if any(_has(k, w) for k in set(found) - set(state))]
    if stripped:
        words.append(f"without {' and '.join(repr(w + '.') for w in stripped)}")
    return state, ", ".join(w for w in words if w)


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())
    )


def _keys(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f": it is a {type(content).__name__}"
    shown = ", ".join(f"{k!a}" for k in list(content)[:8])
    return f"; its keys are {shown}" if content else ""


def _has(key: str, wrapper: str) -> bool:
    return wrapper in key.split(".")[:-1]


def _own_name(key: str, own: Set[str]) -> str:
    """The network's own name for `key`: as it stands, or without what wrapped the modules."""
    if key in own:
        return key
    *modules, last = key.split(".")
    bare = ".".join([*(m for m in modules if m not in WRAPPERS), last])
    if bare in own:
        return bare
    while modules and modules[0] in WRAPPERS:  # so that what does not fit is named without them
        modules = modules[1:]
    return ".".join([*modules, last])
