"""A checkpoint on disk becomes a PyTorch network ready for export."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sfx.frontends import checkpoint, zoo
from sfx.toolchain.errors import InputError


def load_torch(
    path: Path, *, model: str | None = None, example_shape: tuple[int, ...] | None = None
) -> tuple[nn.Module, Tensor, NDArray[Any] | None]:
    """The network in eval mode, an example input [T, 1, *input shape], and its own samples.

    path           a checkpoint that names its architecture, or with `model` a bare state_dict
    model          `pkg.module:factory`; the factory takes no argument and returns the network
    example_shape  (T, *input shape), needed with `model`
    Raises InputError (SFX-E1xx): unreadable file, unknown architecture, keys or shapes that do
    not match, a factory that cannot be imported.
    """
    if model is not None:
        if example_shape is None:
            raise InputError(
                "SFX-E150",
                "the shape of a sample is not known",
                where=model,
                hint="give samples with --calibrate DATA",
            )
        net = _factory(model)()
        _load_state(net, _state_dict(checkpoint.read(path), path), path)
        return net.eval(), torch.zeros(example_shape[0], 1, *example_shape[1:]), None
    saved = checkpoint.load_checkpoint(path)
    net = zoo.build(saved.model, saved.config)
    _load_state(net, saved.state_dict, path)
    example: Tensor = net.example_input()
    samples = None if saved.calibration is None else np.asarray(saved.calibration)
    return net.eval(), example, samples


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """The state_dict of a user's own file: bare, or under the key `state_dict`."""
    inner = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(inner, dict) or not all(isinstance(v, Tensor) for v in inner.values()):
        raise InputError(
            "SFX-E151",
            "holds no state_dict (names with tensors)",
            where=str(path),
            hint="save it with torch.save(model.state_dict(), path)",
        )
    return inner


def _load_state(net: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    try:
        net.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise InputError(
            "SFX-E152",
            f"does not match the architecture: {' '.join(str(error).split())}",
            where=str(path),
            hint="the configuration in the file must be the one the weights were trained with",
        ) from error


def _factory(name: str) -> Callable[[], nn.Module]:
    """Import the user's own code, named by the user on the command line."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise InputError("SFX-E153", "is not of the form pkg.module:factory", where=name)
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError("SFX-E153", f"cannot be imported: {error}", where=name) from error
    if not callable(factory):
        raise InputError("SFX-E153", "is not a function or class", where=name)
    return lambda: factory()
