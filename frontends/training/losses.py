"""What is minimized: the loss of the labels on every block's classifier, and a teacher's logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ...toolchain.ground.errors import InputError

EARLIER = 0.5
"""Weight of every block but the last, unless the recipe says others."""


def heads(outputs: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Logits [B, classes] of each classifier, the deployed one last."""
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def supervised(
    outputs: Tensor | Sequence[Tensor],
    target: Tensor,
    weights: Sequence[float] = (),
    smoothing: float = 0.0,
) -> Tensor:
    """Weighted mean of the classifiers' cross entropies (deep supervision).

    outputs    [B, classes], one or one per block
    target     class of each sample, int64 [B]
    weights    of the classifiers; none: `EARLIER` for all but the last, whose weight is 1

    Raises InputError (SFX-E383) where there are not as many weights as classifiers.
    """
    logits = heads(outputs)
    chosen = tuple(weights) or (*[EARLIER] * (len(logits) - 1), 1.0)
    if len(chosen) != len(logits) or not sum(chosen):
        raise InputError(
            "SFX-E383",
            f"{len(chosen)} weights, of sum {sum(chosen):g}, for {len(logits)} classifiers",
            where="[train] blocks",
            hint="one weight per block, the deployed classifier's last",
        )
    losses = [functional.cross_entropy(y, target, label_smoothing=smoothing) for y in logits]
    total = sum((w * loss for w, loss in zip(chosen, losses, strict=True)), torch.zeros(()))
    return total / sum(chosen)


def divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    """Kullback and Leibler's, of the softmax of `logits` from that of a teacher's `wanted`."""
    mine, theirs = functional.log_softmax(logits, 1), functional.log_softmax(wanted, 1)
    return functional.kl_div(mine, theirs, log_target=True, reduction="batchmean")
