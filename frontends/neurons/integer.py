"""Integer neurons of our own: up to D spikes in a step, in one message (I-LIF, MultiSpike), or one
of either sign (ternary).

Trained at few steps (often one) with whole numbers, deployed with D binary slots or one graded
spike for each step (X. Luo et al., "Integer-Valued Training and Spike-Driven Inference", ECCV 2024,
arXiv:2407.20708; M. Yao et al., "Scaling Spike-driven Transformer", arXiv:2411.16061).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .multistep import MultiStep


class IntegerLIF(nn.Module):
    """One step of an I-LIF: leak, round, subtract.

        v = keep * u + x
        n = round(clamp(v / threshold, 0, most))            the even one of two, as torch rounds
        u = v - n * threshold

    keep   share of the membrane that a step keeps, 0..1; the authors' decay is 0.25
    most   D, the spikes of one step at the most, 1..200
    """

    def __init__(self, keep: float = 0.25, threshold: float = 1.0, most: int = 4) -> None:
        super().__init__()
        self.keep, self.threshold, self.most = float(keep), float(threshold), int(most)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Spikes 0..most of one step and the membrane after it, both of x's shape.

        state  the membrane of the step before; None is rest
        """
        v = x if state is None else state * self.keep + x
        n = rounded(v / self.threshold, self.most)
        return n, v - n.detach() * self.threshold

    def extra_repr(self) -> str:
        """The constants, as `print(model)` shows them."""
        return f"keep={self.keep:g}, threshold={self.threshold:g}, most={self.most}"


class TernaryLIF(nn.Module):
    """One step of a neuron with spikes of both signs: leak, compare, reset.

        v = keep * u + x
        s = 1 where v >= threshold, -1 where v <= -threshold, else 0
        u = 0 where s is not 0, else v                       soft: u = v - s * threshold

    (Y. Guo et al., "Ternary Spike: Learning Ternary Spikes for Spiking Neural Networks", AAAI 2024,
    has keep = 0.25 and the hard reset; SpikingJelly 2 has the same in TernaryLIFNode.)
    """

    def __init__(self, keep: float = 0.25, threshold: float = 1.0, *, soft: bool = False) -> None:
        super().__init__()
        self.keep, self.threshold, self.soft = float(keep), float(threshold), bool(soft)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Spikes -1, 0, 1 of one step and the membrane after it, both of x's shape.

        state  the membrane of the step before; None is rest
        """
        v = x if state is None else state * self.keep + x
        s = signed(v, self.threshold)
        if self.soft:
            return s, v - s.detach() * self.threshold
        return s, v * (1 - s.detach().abs())

    def extra_repr(self) -> str:
        """The constants, as `print(model)` shows them."""
        return f"keep={self.keep:g}, threshold={self.threshold:g}, soft={self.soft}"


class MultiSpike(nn.Module):
    """round(clamp(x, 0, most)) / norm: an integer neuron that keeps nothing from step to step.

    It takes any shape. norm divides what it sends, which the weights behind it absorb; the Spike-
    driven Transformer V3 divides by D, so that layers see numbers in 0..1.
    """

    def __init__(self, most: int = 4, norm: float | None = None) -> None:
        super().__init__()
        self.most, self.norm = int(most), float(most if norm is None else norm)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of x, any shape."""
        return rounded(x, self.most) / self.norm

    def extra_repr(self) -> str:
        """The constants, as `print(model)` shows them."""
        return f"most={self.most}, norm={self.norm:g}"


def integer_lif(keep: float = 0.25, threshold: float = 1.0, most: int = 4) -> MultiStep:
    """`IntegerLIF` over the time axis: x [T, B, ...] -> spikes [T, B, ...], from rest."""
    return MultiStep(IntegerLIF(keep, threshold, most))


def ternary_lif(keep: float = 0.25, threshold: float = 1.0, *, soft: bool = False) -> MultiStep:
    """`TernaryLIF` over the time axis: x [T, B, ...] -> spikes [T, B, ...], from rest."""
    return MultiStep(TernaryLIF(keep, threshold, soft=soft))


def signed(v: Tensor, threshold: float) -> Tensor:
    """1 where v >= threshold, -1 where v <= -threshold; the gradient of a clamp between the two."""
    sent = torch.sign(v) * (v.abs() >= threshold)
    if not v.requires_grad:
        return sent
    clamped = torch.clamp(v / threshold, -1, 1)
    return (sent - clamped).detach() + clamped


def rounded(x: Tensor, most: int) -> Tensor:
    """round(clamp(x, 0, most)), with the gradient of the clamp (straight through the rounding)."""
    if x.requires_grad:
        made: Tensor = _Round.apply(x, most)  # type: ignore[no-untyped-call]  # torch's own
        return made
    return torch.round(torch.clamp(x, 0, most))


class _Round(torch.autograd.Function):
    """The rounding with a rectangle as its gradient: 1 in 0..most, both ends included."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, most: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.most = most
        return torch.round(torch.clamp(x, 0, most))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradients[0] * ((x >= 0) & (x <= ctx.most)), None
