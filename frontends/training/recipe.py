"""How a network is trained: plain numbers, as the table [train] of a file says them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .table import Table


@dataclass(frozen=True)
class Recipe(Table):
    """Settings of a training.

    epochs     passes over the training samples
    batch      samples in a step
    rate       highest learning rate
    optimizer  adamw, adam or sgd (with Nesterov's momentum of 0.9)
    decay      weight decay (adamw, sgd)
    schedule   one-cycle (Smith and Topin 2018: up over `warmup`, then down to nearly nothing),
               cosine (up over `warmup` in a line, then half a cosine) or constant (after `warmup`)
    warmup     share of all steps over which the rate rises
    smoothing  of the labels
    blocks     weights of the losses of each block's classifier, the last one's last (deep
               supervision); none: 0.5 for all but the last, whose weight is 1
    distill    weight of the divergence from a teacher's logits, where there is a teacher: the float
               network in fine-tuning, the checkpoint that is gone on from in training
    activity   weight of what the spikes cost, relative to what they cost at the start (`Activity`)
    clip       largest norm of the gradient; 0: any
    precision  float32, bfloat16, or float16 with scaled losses (CUDA only); weights stay float32
    partial    whether the last batch of an epoch may have fewer samples; otherwise they are left
               out in that epoch
    patience   epochs without a better validation accuracy after which training stops; 0: never
    keep       the weights of the last epoch, or those of the best by validation accuracy
    settle     batch norm's statistics afresh at the end: over augmented samples, over plain ones,
               or no
    quick      this project's kernels for Norse's LIF on a CPU: the same spikes, several times
               quicker; gradients are equal to rounding
    seed       of weights, order and augmentation
    threads    of torch on a CPU, which decide the order of sums; 0: as torch chooses
    """

    title: ClassVar[str] = "train"
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "optimizer": ("adamw", "adam", "sgd"),
        "schedule": ("one-cycle", "cosine", "constant"),
        "precision": ("float32", "bfloat16", "float16"),
        "keep": ("last", "best"),
        "settle": ("augmented", "plain", "no"),
    }
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {
        "epochs": (1, 100_000),
        "batch": (1, 1_000_000),
        "rate": (1e-12, 1e3),
        "decay": (0, 10),
        "warmup": (0, 1),
        "smoothing": (0, 0.99),
        "blocks": (0, 1e6),
        "distill": (0, 1e6),
        "activity": (0, 1e6),
        "clip": (0, 1e9),
        "patience": (0, 100_000),
        "seed": (0, 2**62),
        "threads": (0, 1024),
    }

    epochs: int
    batch: int
    rate: float
    optimizer: str = "adamw"
    decay: float = 1e-2
    schedule: str = "one-cycle"
    warmup: float = 0.2
    smoothing: float = 0.1
    blocks: tuple[float, ...] = ()
    distill: float = 0.0
    activity: float = 0.0
    clip: float = 0.0
    precision: str = "float32"
    partial: bool = False
    patience: int = 0
    keep: str = "last"
    settle: str = "augmented"
    quick: bool = True
    seed: int = 1
    threads: int = 0


@dataclass(frozen=True)
class TuneRecipe(Recipe):
    """Of fine-tuning in integers: floats of half precision do not hold them. Without `blocks` only
    the deployed classifier is trained.
    """

    title: ClassVar[str] = "qat.train"
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {**Recipe.choices, "precision": ("float32",)}

    optimizer: str = "adam"
    settle: str = "no"
