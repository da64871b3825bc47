"""The architecture of a Spikeformer as plain, checked data. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ...toolchain.ground.errors import Problem
from .public_config import CheckedConfig, is_integer, is_positive

_INTEGERS = ("in_channels", "image_size", "dim", "depth", "heads", "timesteps", "num_classes")
_REALS = ("mlp_ratio", "tau", "threshold", "attention_threshold", "attention_scale")
ATTENTION = ("joint", "spatial", "temporal", "divided")
NEURONS = ("lif", "plif")


@dataclass(frozen=True)
class SpikeformerConfig(CheckedConfig):
    """Everything that fixes the shapes and constants of a `Spikeformer`.

    in_channels          C of the input frames (2: OFF and ON events)
    image_size           H = W of the input frames; divisible by 2 per stage of the tokenizer
    stem                 widths of the tokenizer's stages before the last one, whose width is `dim`
    dim                  D, channels of a token; divisible by `heads`
    depth                number of blocks
    heads                attention heads; d = dim / heads
    mlp_ratio            hidden width of the MLP over D
    timesteps            T of one sample
    num_classes          number of classes
    attention            `spatial`: among the tokens of one time step; `temporal`: of one token over
                         the time steps; `joint`: over the tokens of all time steps; `divided`:
                         temporal, then spatial, each with weights of its own (the paper's)
    causal               attention over time sees this and earlier steps only. Not causal (the
                         paper's): every step sees the whole sample, so results come T steps
                         later per block
    neuron               `lif`: Norse's LIFBox, fires above the threshold; `plif`: the paper's,
                         with a learned time constant, fires at the threshold as well
    tau                  membrane time constant of every neuron, in model steps (2 keeps half); of a
                         `plif` where learning starts
    threshold            of every neuron but the attention's
    attention_threshold  of the neuron after q (k^T v)
    attention_scale      the factor before that neuron

    Raises `InputError` SFX-E121, which lists every bad field.
    """

    in_channels: int = 2
    image_size: int = 16
    stem: tuple[int, ...] = (16,)
    dim: int = 32
    depth: int = 2
    heads: int = 4
    mlp_ratio: float = 2.0
    timesteps: int = 8
    num_classes: int = 10
    attention: str = "joint"
    causal: bool = True
    neuron: str = "lif"
    tau: float = 2.0
    threshold: float = 1.0
    attention_threshold: float = 0.5
    attention_scale: float = 0.125

    model: ClassVar[str] = "spikeformer"

    @property
    def side(self) -> int:
        """Tokens along one edge of the image after the tokenizer."""
        return int(self.image_size // 2 ** (len(self.stem) + 1))

    @property
    def tokens(self) -> int:
        """N, tokens per time step."""
        return self.side**2

    @property
    def hidden(self) -> int:
        """Width of the MLP's hidden layer."""
        return round(self.dim * self.mlp_ratio)

    @property
    def input_shape(self) -> tuple[int, int, int, int, int]:
        """[T, 1, C, H, W] of one sample."""
        return (self.timesteps, 1, self.in_channels, self.image_size, self.image_size)

    def wrong_types(self) -> list[Problem]:
        """As `CheckedConfig.wrong_types`."""
        found = []
        stem: object = self.stem  # from a checkpoint: of any type
        for name in _INTEGERS:
            if not is_integer(getattr(self, name)):
                what = f"is {getattr(self, name)!r}, not a whole number >= 1"
                found.append(self.problem(name, what))
        for name in _REALS:
            if not is_positive(getattr(self, name)):
                found.append(self.problem(name, f"is {getattr(self, name)!r}, not a number > 0"))
        if not isinstance(stem, tuple) or not all(map(is_integer, stem)):
            what = f"is {self.stem!r}, not a list of whole numbers >= 1"
            found.append(self.problem("stem", what))
        for name, names in (("attention", ATTENTION), ("neuron", NEURONS)):
            if getattr(self, name) not in names:
                what = f"is {getattr(self, name)!r}"
                found.append(self.problem(name, what, f"one of: {', '.join(names)}"))
        causal: object = self.causal  # from a checkpoint: of any type
        if not isinstance(causal, bool):
            found.append(self.problem("causal", f"is {self.causal!r}, not true or false"))
        return found

    def wrong_values(self) -> list[Problem]:
        """As `CheckedConfig.wrong_values`."""
        found = self.indivisible("dim", self.dim, "heads", self.heads)
        halvings = len(self.stem) + 1
        if self.image_size % 2**halvings:
            what = f"{self.image_size} is not divisible by {2**halvings}"
            hint = f"each of the tokenizer's {halvings} stages (stem and dim) halves the image"
            found.append(self.problem("image_size", what, hint))
        if self.tau < 1:
            found.append(self.problem("tau", f"is {self.tau} model steps, less than 1"))
        if self.neuron == "plif" and self.tau <= 1:
            what = f"is {self.tau} model steps; a learned one starts above 1"
            found.append(self.problem("tau", what))
        if self.hidden < 1:
            found.append(self.problem("mlp_ratio", f"{self.mlp_ratio} leaves no hidden channel"))
        return found


def _gesture(attention: str, *, causal: bool = False) -> SpikeformerConfig:
    """Li et al.'s DVS-Gesture size: 7 blocks, 256 channels, 16x16 tokens, T = 16."""
    return SpikeformerConfig(
        in_channels=2,
        image_size=128,
        stem=(64, 128),
        dim=256,
        depth=7,
        heads=4,
        mlp_ratio=2.0,
        timesteps=16,
        num_classes=11,
        attention=attention,
        causal=causal,
        neuron="plif",
    )


SPIKEFORMER: Mapping[str, SpikeformerConfig] = {
    "gesture_7_256": _gesture("divided"),
    "gesture_7_256_joint": _gesture("joint"),
    "gesture_7_256_causal": _gesture("divided", causal=True),
}
"""The paper's DVS-Gesture size in spikes, with its divided attention and with the joint one."""
