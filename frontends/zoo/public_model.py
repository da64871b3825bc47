"""What the published networks share as modules: their input, and how they take public keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from ...toolchain.ground.errors import InputError
from .public_config import SizedConfig

REPEAT = "time first, then samples; repeat a static image over the T time steps"


class FrameConfig(Protocol):
    """What a network on frames asks of its config."""

    @property
    def model(self) -> str:
        """Name of the network."""
        ...

    @property
    def input_shape(self) -> tuple[int, int, int, int, int]:
        """[T, 1, C, H, W] of one sample."""
        ...

    @property
    def num_classes(self) -> int:
        """Classes that it tells apart."""
        ...

    def to_mapping(self) -> dict[str, object]:
        """Its fields as plain data."""
        ...


@dataclass(frozen=True)
class KeyTable:
    """How the keys of a public checkpoint become those of our `state_dict()`.

    renames  (regular expression, replacement), applied in order to every key
    dead     regular expressions of the keys that no forward pass reads. We register them, so that
             the number of parameters is the published one, but a checkpoint may lack them or hold
             them in another shape
    """

    renames: tuple[tuple[str, str], ...] = ()
    dead: tuple[str, ...] = ()

    def is_dead(self, key: str) -> bool:
        """Whether no forward pass reads `key` (ours)."""
        return any(re.search(pattern, key) for pattern in self.dead)

    def rename(self, key: str) -> str:
        """Our key of a public one; a key of ours stays as it is."""
        # what torch.compile and DataParallel put before every key
        key = key.removeprefix("_orig_mod.").removeprefix("module.").removeprefix("_orig_mod.")
        for pattern, replacement in self.renames:
            key = re.sub(pattern, replacement, key)
        return key

    def translate(
        self, state: Mapping[str, Tensor], own: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """`state` (public keys or ours) with the keys and shapes of `own`.

        A 1x1 kernel may be [O, I], [O, I, 1] or [O, I, 1, 1] in either. Keys that fit nothing are
        kept, so that strict loading still refuses them.
        """
        found = {}
        for public, value in state.items():
            key = self.rename(public)
            wanted = own.get(key)
            if wanted is not None and _same_kernel(value.shape, wanted.shape):
                value = value.reshape(wanted.shape)
            if self.is_dead(key) and (wanted is None or value.shape != wanted.shape):
                continue
            found[key] = value
        absent = {key: value for key, value in own.items() if self.is_dead(key)}
        return absent | found


def _same_kernel(a: torch.Size, b: torch.Size) -> bool:
    """Equal but for trailing ones, and at least a matrix."""
    size = max(len(a), len(b))
    return min(len(a), len(b)) >= 2 and (*a, *[1] * (size - len(a))) == (
        *b,
        *[1] * (size - len(b)),
    )


class FrameModel(nn.Module):
    """A network on frames x [T, B, C, H, W], time first."""

    config: FrameConfig

    @property
    def input_shape(self) -> tuple[int, int, int, int, int]:
        """[T, 1, C, H, W] of one sample."""
        return self.config.input_shape

    def earlier_heads(self) -> tuple[tuple[nn.Module, tuple[str, ...]], ...]:
        """Classifiers of blocks before the last, none unless a network has them.

        Each takes the spikes [T, B, ...] of the modules that are named beside it, in their order,
        and gives logits [B, classes].
        """
        return ()

    def example_input(self) -> Tensor:
        """Zeros [T, 1, C, H, W]: the shape of one sample."""
        return torch.zeros(self.input_shape)

    def check_input(self, x: Tensor, hint: str = REPEAT) -> None:
        """Raises `InputError` SFX-E122 unless x is [T, B, C, H, W] with the config's C, H, W."""
        frame = self.input_shape[2:]  # no `*frame`: torch.compile makes a tuple of it
        if x.dim() != 5 or tuple(x.shape[2:]) != frame:
            raise InputError(
                "SFX-E122",
                f"input has shape {tuple(x.shape)}, not [T, B, {', '.join(map(str, frame))}]",
                where=self.config.model,
                hint=hint,
            )


class PublicModel(FrameModel):
    """A published network: x [T, B, C, H, W], time first, to logits [B, classes] in `eval()`.

    A static image is given already repeated over T; event frames as counts. `load_state_dict`
    takes our own keys and the public checkpoint's (`keys`).
    """

    keys: ClassVar[KeyTable] = KeyTable()

    def __init__(self, config: SizedConfig) -> None:
        super().__init__()
        self.config = config

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As torch's, for the keys of `state_dict()` and for those of a public checkpoint."""
        own = self.state_dict()
        return super().load_state_dict(self.keys.translate(state_dict, own), strict, assign)


class Unused(nn.Module):
    """Parameters that a published network holds and never reads.

    They count among its parameters and keys, so they are kept; they get no gradient.
    """

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        for name, shape in shapes.items():
            self.register_parameter(name, unused(shape))


def unused(shape: tuple[int, ...]) -> nn.Parameter:
    """One such parameter, zero."""
    return nn.Parameter(torch.zeros(shape), requires_grad=False)


def unused_norm(channels: int) -> Unused:
    """A layer norm that is never called."""
    return Unused(weight=(channels,), bias=(channels,))
