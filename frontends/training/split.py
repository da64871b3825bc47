"""Samples that are held out, the same share of every class."""

from __future__ import annotations

import torch
from torch import Tensor

from ...toolchain.ground.errors import InputError


def stratified(labels: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Numbers of the samples to learn from and of those held out, int64, both in order.

    labels  class of each sample, int64 [K]
    share   of each class that is held out, rounded to whole samples, at least one; 0: none

    Raises InputError (SFX-E381) where a class would keep no sample to learn from.
    """
    held = torch.zeros(len(labels), dtype=torch.bool)
    generator = torch.Generator().manual_seed(seed)
    for label in labels.unique().tolist() if share else ():
        members = torch.nonzero(labels == label).flatten()
        count = max(1, round(share * len(members)))
        if count >= len(members):
            raise InputError(
                "SFX-E381",
                f"class {label} has {len(members)} samples: a share of {share:g} held out leaves "
                "none to learn from",
                hint="a smaller share, or 0",
            )
        held[members[torch.randperm(len(members), generator=generator)[:count]]] = True
    return torch.nonzero(~held).flatten(), torch.nonzero(held).flatten()
