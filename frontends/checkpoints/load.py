"""A checkpoint on disk becomes a PyTorch network ready for export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...toolchain.formats.torch_file import trusted_pickle
from ...toolchain.formats.torch_file.read import read
from ...toolchain.ground.errors import InputError
from .. import zoo
from ..neurons.bare import bare
from . import checkpoint, factory
from .weights import network_in, weights_in


@dataclass(frozen=True, eq=False)
class Loaded:
    """A network in eval mode, an example input [T, 1, *input shape], and its own samples.

    weights  where in the file they were and under which wrapper, "" if the file is plain
    """

    net: nn.Module
    example: Tensor
    samples: NDArray[Any] | None
    weights: str = ""


def load_torch(
    path: Path,
    *,
    model: str | None = None,
    example_shape: tuple[int, ...] | None = None,
    trust_pickle: bool = False,
) -> tuple[nn.Module, Tensor, NDArray[Any] | None]:
    """The network, example and samples of `load_network`."""
    found = load_network(path, model=model, example_shape=example_shape, trust_pickle=trust_pickle)
    return found.net, found.example, found.samples


def load_network(
    path: Path,
    *,
    model: str | None = None,
    example_shape: tuple[int, ...] | None = None,
    trust_pickle: bool = False,
    weights: str | None = None,
) -> Loaded:
    """Read a file and make the network that its weights belong to.

    path           a checkpoint that names its architecture, or with `model` a state_dict, bare or
                   as training scripts wrap it, see `weights` here (with `trust_pickle`
                   also a whole network)
    model          `pkg.module:factory`; the factory takes no argument and returns the network
    example_shape  (T, *input shape), needed with `model` and for a whole network
    trust_pickle   let Python's unpickler run what the file says (`formats/torch_file`)
    weights        which of the file's weights to take, see `weights_in`
    Raises InputError (SFX-E1xx): unreadable file, unknown architecture, keys or shapes that do
    not match, a factory that fails (SFX-E153, with the user's own line), weights asked for of a
    file that names its architecture (SFX-E157).
    """
    content = trusted_pickle.load(path) if trust_pickle else read(path)
    whole = network_in(content, weights) if trust_pickle else None
    if whole is not None:
        return Loaded(whole.eval(), _example(example_shape, str(path)), None)
    if model is not None:
        example = _example(example_shape, model)
        net = bare(factory.made(model))
        state, words = weights_in(content, net.state_dict().keys(), str(path), weights)
        _load_state(net, state, path, f"the network of {model} must be")
        return Loaded(net.eval(), example, None, words)
    saved = checkpoint.validated(content, str(path))
    if weights is not None:
        raise InputError(
            "SFX-E157",
            f"names its architecture, so its weights are 'state_dict' and not {weights!a}",
            where=str(path),
            hint="leave --weights out, or give the network with --model pkg.module:factory",
        )
    net = zoo.build(saved.model, saved.config)
    _load_state(net, saved.state_dict, path, "the configuration in the file must be")
    samples = None if saved.calibration is None else np.asarray(saved.calibration)
    return Loaded(net.eval(), net.example_input(), samples)


def _example(shape: tuple[int, ...] | None, where: str) -> Tensor:
    if shape is None:
        raise InputError(
            "SFX-E150",
            "the shape of a sample is not known",
            where=where,
            hint="give samples with --calibrate DATA",
        )
    return torch.zeros(shape[0], 1, *shape[1:])


def _load_state(net: nn.Module, state: Mapping[str, Tensor], path: Path, rule: str) -> None:
    try:
        net.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise InputError(
            "SFX-E152",
            f"does not match the architecture: {' '.join(str(error).split())}",
            where=str(path),
            hint=f"{rule} the one the weights were trained with",
        ) from error
