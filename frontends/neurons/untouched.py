"""The user's model comes back bit for bit, whatever a trace or a probe did to it."""

from __future__ import annotations

import random
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

MAPPINGS = (dict, OrderedDict, defaultdict)
CONTAINERS = (list, set, deque)


@contextmanager
def untouched(modules: Iterable[nn.Module], *, values: bool = False) -> Iterator[None]:
    """Put back what the modules hold, their classes, and the random generators, when it ends.

    Parameters, buffers, children, hooks, flags, states and all other attributes are those of
    before, also inside lists, dicts and sets, which stay the same objects; so is what hooks record.

    values  also the numbers inside parameters and buffers: a neuron that runs may write into them,
            a trace does not, it computes with fake tensors
    """
    kept = _Kept(values)
    for module in modules:
        kept.keep_module(module)
    generators = _generators()
    try:
        yield
    finally:
        kept.put_back()
        for set_state, state in generators:
            set_state(state)


def _generators() -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = [
        (random.setstate, random.getstate()),
        (np.random.set_state, np.random.get_state()),  # noqa: NPY002  # the global one is meant
        (torch.set_rng_state, torch.get_rng_state()),
    ]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        found.append((torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
    return found


class _Kept:
    """What is reached from the attributes of modules through built-in containers."""

    def __init__(self, values: bool) -> None:
        self.values = values
        self.seen: dict[int, Any] = {}  # the objects themselves, so that no id is given again
        self.classes: list[tuple[nn.Module, type]] = []
        self.mappings: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
        self.cells: list[tuple[Any, Any]] = []
        self.lists: list[tuple[Any, list[Any]]] = []
        self.tensors: list[tuple[Tensor, Tensor | None, int, bool]] = []

    def keep_module(self, module: nn.Module) -> None:
        self.classes.append((module, type(module)))
        for name, value in self._mapping(module.__dict__):
            by_name = name in ("_parameters", "_buffers") and not self.values
            self._keep(value, numbers=not by_name)
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values()):
            self._keep_hook(hook)

    def _keep_hook(self, hook: Any) -> None:
        """What a hook may record into: its object, closure, defaults, and globals by name."""
        if isinstance(hook, partial):
            self._keep((hook.args, hook.keywords))
            hook = hook.func
        reached = [getattr(hook, "__self__", hook)]
        function = getattr(hook, "__func__", hook)
        code = getattr(function, "__code__", None)
        if code is not None:
            for cell in filter(_filled, function.__closure__ or ()):
                self.cells.append((cell, cell.cell_contents))
                reached.append(cell.cell_contents)
            reached += [function.__defaults__, function.__kwdefaults__]
            reached += [function.__globals__.get(name) for name in code.co_names]
        for value in reached:
            self._keep(value)
            if not isinstance(value, type | nn.Module | ModuleType | Tensor):
                self._keep(getattr(value, "__dict__", None))

    def _mapping(self, held: dict[Any, Any]) -> list[tuple[Any, Any]]:
        self.seen[id(held)] = held
        self.mappings.append((held, dict(held)))
        return list(held.items())

    def _keep(self, value: Any, numbers: bool = True) -> None:
        if id(value) in self.seen:
            return
        if isinstance(value, tuple):
            inner: Iterable[Any] = value
        elif type(value) in MAPPINGS:
            inner = [v for _, v in self._mapping(value)]
        elif type(value) in CONTAINERS:
            self.seen[id(value)] = value
            self.lists.append((value, list(value)))
            inner = list(value)
        else:
            if isinstance(value, Tensor):
                self.seen[id(value)] = value
                content = value.detach().clone() if numbers else None
                self.tensors.append((value, content, value._version, value.requires_grad))
            return
        for element in inner:
            self._keep(element, numbers)

    def put_back(self) -> None:
        """Everything as it was when it was kept."""
        for mapping, pairs in self.mappings:
            mapping.clear()
            mapping.update(pairs)
        for container, elements in self.lists:
            container.clear()
            update = container.update if isinstance(container, set) else container.extend
            update(elements)
        for cell, value in self.cells:
            cell.cell_contents = value
        for module, cls in self.classes:
            if type(module) is not cls:
                module.__class__ = cls
        with torch.no_grad():
            for tensor, content, version, grad in self.tensors:
                changed = content is not None and (
                    tensor._version != version or not torch.equal(tensor, content)
                )  # what is written through .data has no version
                if changed and content is not None:
                    tensor.copy_(content)
                if tensor.is_leaf and tensor.requires_grad != grad:
                    tensor.requires_grad_(grad)


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a name that was not given a value yet
        return False
