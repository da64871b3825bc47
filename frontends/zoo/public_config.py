"""What the configs of the published networks share: fields, checks, plain form. No torch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, TypeVar

from ...toolchain.ground.errors import InputError, Problem

ORDERS = ("qk", "kv")
"""How (q k^T) v is taken: `qk` first or `kv` first. Equal for binary q, k, v; the cost differs."""

Config = TypeVar("Config", bound="CheckedConfig")


@dataclass(frozen=True)
class CheckedConfig:
    """A config that refuses what is wrong, and its plain form for checkpoints.

    Raises `InputError` SFX-E121, which lists every bad field.
    """

    model: ClassVar[str]
    """Name of the network, as a checkpoint gives it."""

    def __post_init__(self) -> None:
        _refuse(self.wrong_types() or self.wrong_values())

    @classmethod
    def from_mapping(cls: type[Config], config: Mapping[str, object]) -> Config:
        """The config with the fields of `config`, as read from a checkpoint (lists for tuples)."""
        names = [f.name for f in fields(cls)]
        hint = f"fields: {', '.join(names)}"
        unknown = [str(key) for key in config if key not in names]
        _refuse([cls.problem(key, "is not a field of this model", hint) for key in unknown])
        return cls(**cls.plain(config))

    @staticmethod
    def plain(config: Mapping[str, object]) -> dict[str, Any]:
        """`config` with the tuples that a file holds as lists."""
        return {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}

    def to_mapping(self) -> dict[str, object]:
        """Plain numbers, strings and lists: the inverse of `from_mapping`."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def problem(cls, field: str, what: str, hint: str = "") -> Problem:
        """SFX-E121 at one field."""
        return Problem("SFX-E121", f"{cls.model} config: {field}", what, hint)

    def wrong_types(self) -> list[Problem]:
        """Fields that hold something else than numbers, names or lists of their kind."""
        raise NotImplementedError

    def wrong_values(self) -> list[Problem]:
        """What is wrong although every type is right."""
        raise NotImplementedError

    def indivisible(self, field: str, value: int, by: str, divisor: int) -> list[Problem]:
        """The problem that `value` of `field` is no multiple of `divisor`, called `by`."""
        if value % divisor == 0:
            return []
        return [self.problem(field, f"{value} is not divisible by {by} = {divisor}")]


@dataclass(frozen=True)
class SizedConfig(CheckedConfig):
    """Fields and checks that every published network has.

    in_channels  C of the input frames
    image_size   H = W of the input frames, divisible by `reduction`
    num_classes  number of classes
    timesteps    T of one sample
    heads        attention heads
    mlp_ratio    hidden width of the MLP over its input's

    Raises `InputError` SFX-E121, which lists every bad field.
    """

    in_channels: int = 3
    image_size: int = 32
    num_classes: int = 10
    timesteps: int = 4
    heads: int = 2
    mlp_ratio: float = 4.0

    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Allowed values of each string field that is not a row of 0s and 1s."""

    @property
    def reduction(self) -> int:
        """How many times smaller than the image the last feature map is, per edge."""
        raise NotImplementedError

    def hidden(self, dim: int) -> int:
        """Hidden width of an MLP on `dim` channels: rounded down, as every public code does."""
        return int(dim * self.mlp_ratio)

    @property
    def tokens(self) -> int:
        """N, tokens per time step of the last feature map."""
        return (self.image_size // self.reduction) ** 2

    @property
    def input_shape(self) -> tuple[int, int, int, int, int]:
        """[T, 1, C, H, W] of one sample."""
        return (self.timesteps, 1, self.in_channels, self.image_size, self.image_size)

    def wrong_values(self) -> list[Problem]:
        """What is wrong although every type is right; a network adds its own rules."""
        found = []
        if self.image_size % self.reduction:
            what = f"{self.image_size} is not divisible by {self.reduction}"
            found.append(self.problem("image_size", what, "each pool or stride halves the image"))
        return found

    def wrong_types(self) -> list[Problem]:
        """As `CheckedConfig.wrong_types`: a field has the type of its default."""
        found = (self._wrong_type(f.name, f.default, getattr(self, f.name)) for f in fields(self))
        return [problem for problem in found if problem is not None]

    def _wrong_type(self, name: str, default: object, value: object) -> Problem | None:
        """A field has the type of its default."""
        if isinstance(default, bool):
            return _unless(isinstance(value, bool), self, name, "true or false")
        if isinstance(default, int):
            return _unless(is_integer(value), self, name, "a whole number >= 1")
        if isinstance(default, float):
            return _unless(is_positive(value), self, name, "a number > 0")
        if isinstance(default, tuple):
            right = isinstance(value, tuple) and bool(value) and all(map(is_integer, value))
            return _unless(right, self, name, "a list of whole numbers >= 1")
        if name in self.choices:
            allowed = self.choices[name]
            return _unless(value in allowed, self, name, f"one of: {', '.join(allowed)}")
        binary = isinstance(value, str) and re.fullmatch("[01]+", value) is not None
        return _unless(binary, self, name, "a row of 0s and 1s")


@dataclass(frozen=True)
class PublicConfig(SizedConfig):
    """A network of leaky neurons that send one spike in a step, or none.

    tau                  membrane time constant of every neuron, in model steps (2 keeps half)
    threshold            of every neuron but the attention's; firing is on `>=`
    attention_threshold  of the neuron inside the attention
    """

    tau: float = 2.0
    threshold: float = 1.0
    attention_threshold: float = 0.5

    def wrong_values(self) -> list[Problem]:
        """As `CheckedConfig.wrong_values`."""
        found = super().wrong_values()
        if self.tau < 1:
            found.append(self.problem("tau", f"is {self.tau} model steps, less than 1"))
        return found


@dataclass(frozen=True)
class IsotropicConfig(PublicConfig):
    """A network whose blocks all have one width, behind a stem of four stages.

    dim    D, channels of a token; divisible by `heads` and by 8
    depth  number of blocks
    pools  one digit per `pool_place` of the stem: 1 halves the map there
    """

    dim: int = 32
    depth: int = 1
    pools: str = "0011"

    pool_place: ClassVar[str] = "stage"

    @property
    def reduction(self) -> int:
        """2 per pool of the stem."""
        return 1 << self.pools.count("1")

    @property
    def stem_widths(self) -> tuple[int, ...]:
        """Channels of the image and after each of the stem's four stages."""
        return (self.in_channels, *(self.dim // divisor for divisor in (8, 4, 2, 1)))

    def wrong_values(self) -> list[Problem]:
        """As `CheckedConfig.wrong_values`."""
        found = super().wrong_values()
        if len(self.pools) != 4:
            what = f"{self.pools!r} does not have one digit per {self.pool_place} (4)"
            found.append(self.problem("pools", what))
        found += self.indivisible("dim", self.dim, "heads", self.heads)
        return found + self.indivisible("dim", self.dim, "2^3 (widths of the stem)", 8)


@dataclass(frozen=True)
class HierarchicalConfig(PublicConfig):
    """A network of stages, each with half the width of the next.

    dim     channels of the last stage
    depths  blocks per stage
    """

    dim: int = 32
    depths: tuple[int, ...] = (1, 1, 1)

    @property
    def dims(self) -> tuple[int, ...]:
        """Channels of each stage."""
        last = len(self.depths) - 1
        return tuple(self.dim >> (last - i) for i in range(last + 1))

    def wrong_values(self) -> list[Problem]:
        """As `CheckedConfig.wrong_values`."""
        halvings = len(self.depths) - 1
        by = f"2^{halvings} (halved per stage)"
        return super().wrong_values() + self.indivisible("dim", self.dim, by, 1 << halvings)


def _unless(right: bool, config: SizedConfig, name: str, what: str) -> Problem | None:
    return None if right else config.problem(name, f"is {getattr(config, name)!r}, not {what}")


def is_integer(value: object) -> bool:
    """True for a whole number >= 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_positive(value: object) -> bool:
    """True for a finite number > 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and value > 0


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise InputError.of(problems)
