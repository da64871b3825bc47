"""The weights in a user's own file, inside whatever training scripts wrap around them.

A script saves a state_dict bare or in a dict beside its epoch and optimizer, and trains a model
that DataParallel (`module.`) or torch.compile (`_orig_mod.`) wrapped, as a whole or in parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from torch import Tensor, nn

from ...toolchain.ground.errors import InputError
from ..neurons.bare import bare

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


def weights_in(
    content: Any, own: Set[str], where: str, key: str | None = None
) -> tuple[dict[str, Tensor], str]:
    """The state_dict in a file's `content`, under the names `own` of the network; what was taken.

    key  what to take, as the file names it: "state_dict", or "model.ema" for a dict in a dict

    The second is "" for a bare state_dict with the network's own names, else words such as
    "'state_dict_ema' (not 'state_dict'), without 'module.'". Raises InputError: SFX-E151 no
    weights, SFX-E156 none under `key`.
    """
    path, found, others = _searched(content) if key is None else _asked(content, key, where)
    if not _is_state(found):
        raise InputError(
            "SFX-E151",
            f"holds no state_dict (names with tensors){_keys(content)}",
            where=where,
            hint="save it with torch.save(model.state_dict(), path), or in a dict under one of: "
            + ", ".join(sorted(KEYS))
            + "; --weights KEY takes another",
        )
    state = {_own_name(k, own): v for k, v in found.items()}
    if len(state) < len(found):  # two names became one: leave them as they are
        state = dict(found)
    state, attribute, left = _within(state, own)
    stripped = [
        f"{w}."
        for w in WRAPPERS
        if any(_has(k, w) for k in found.keys() - state.keys())
        and not (attribute and any(_has(k, w) for k in state))
    ]
    words = [".".join(map(repr, path)) if path else ""]
    if others + left:
        words[0] += f" (not {', '.join(map(repr, others + left))})"
    stripped += [attribute] if attribute else []
    if stripped:
        words.append(f"without {' and '.join(map(repr, stripped))}")
    return state, ", ".join(w.strip() for w in words if w)


def _searched(content: Any) -> tuple[list[str], Any, list[str]]:
    """Where the weights are, what is there, and what else might have been taken."""
    path, found, others = list[str](), content, list[str]()
    for _ in range(DEPTH):
        if _is_state(found) or not isinstance(found, Mapping):
            break
        held = [k for k in KEYS if isinstance(found.get(k), Mapping) and found[k]]
        if not held:
            break
        path.append(held[0])
        others += held[1:]
        found = found[held[0]]
    return path, found, others


def _asked(content: Any, key: str, where: str) -> tuple[list[str], Any, list[str]]:
    """As `_searched`, where the user says it."""
    path, found = list[str](), content
    for name in [key] if isinstance(content, Mapping) and key in content else key.split("."):
        if not isinstance(found, Mapping) or name not in found:
            raise InputError(
                "SFX-E156",
                f"has no {name!a}{_keys(found)}",
                where=where,
                hint="--weights takes a key of the file, or several joined by dots",
            )
        path.append(name)
        found = found[name]
    others = [k for k in KEYS if isinstance(content, Mapping) and _is_state(content.get(k))]
    return path, found, [k for k in others if k != path[0]]


def _within(state: dict[str, Tensor], own: Set[str]) -> tuple[dict[str, Tensor], str, list[str]]:
    """The network's part of a larger one that has it as an attribute (Lightning); else `state`.

    Second and third: the attribute with its dot, and the names that are not of that part.
    """
    if not own or own & state.keys():
        return state, "", []
    for prefix in sorted({k[: k.index(".") + 1] for k in state if "." in k}):
        inside = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
        part = {_own_name(k, own): v for k, v in inside.items()}
        if part.keys() == own:
            return part, prefix, sorted(k for k in state if not k.startswith(prefix))
    return state, "", []


def network_in(content: Any, key: str | None = None) -> nn.Module | None:
    """The whole network that a trusted pickle holds, bare or in a dict beside its epoch."""
    if isinstance(content, nn.Module):
        return bare(content)
    if not isinstance(content, Mapping):
        return None
    held = (content.get(k) for k in (KEYS if key is None else (key,)))
    found = next((m for m in held if isinstance(m, nn.Module)), None)
    return None if found is None else bare(found)


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
