"""The LIF of the published spiking transformers: fires on `v >= threshold`, not on `v > threshold`.

Norse's LIFBox (`sfx.frontends.neurons.multistep.lif`) and NIR fire on strict `>`. The published
networks (Spikformer, Spikingformer, Spike-driven Transformer, QKFormer) were trained with
SpikingJelly's MultiStepLIFNode, which fires on `>=`. The two differ wherever the membrane meets
the threshold exactly, and it does so often: with tau = 2 and threshold 0.5 a count of one spike
leaves v = 0.5.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .multistep import MultiStep

SURROGATE_ALPHA = 4.0
"""Slope of SpikingJelly's default surrogate, the sigmoid."""


class GreaterEqualLIF(nn.Module):
    """One step of a leaky integrate-and-fire neuron that fires on `v >= threshold`.

        v[t] = u[t-1] + decay * (x[t] - u[t-1]),  decay = 1 / tau
        z[t] = 1 where v[t] >= threshold, else 0
        u[t] = 0 where z[t] = 1 (hard reset), else v[t];  u[-1] = 0

    (SpikingJelly's MultiStepLIFNode with decay_input=True, v_reset=0, detach_reset=True: no
    gradient flows through the reset.) For an integer grid, `v >= threshold` is
    `v > threshold - 1`.

    What an exporter needs, as attributes:

    decay      share of the membrane lost per step, 1 / tau, which is also the input's gain: the
               convention of `sfx.frontends.neurons.registry.LifSpec`
    threshold  on the membrane's scale
    inclusive  True: a membrane equal to the threshold fires

    tau        membrane time constant in model steps, >= 1. The step divides by it, as SpikingJelly
               does; 1 / tau is exact only for a tau that is a power of two
    alpha      slope of the surrogate gradient, dz/dv = alpha s (1 - s) with
               s = sigmoid(alpha (v - threshold)); it has no effect on the spikes
    """

    inclusive = True

    def __init__(
        self, tau: float = 2.0, threshold: float = 1.0, alpha: float = SURROGATE_ALPHA
    ) -> None:
        super().__init__()
        self.tau = float(tau)
        self.threshold = float(threshold)
        self.alpha = float(alpha)

    @property
    def decay(self) -> float:
        """Share of the membrane lost per step."""
        return 1.0 / self.tau

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Spikes (float 0 or 1) and the membrane after the reset, both of x's shape.

        state  the membrane of the step before; None is rest
        """
        v = x / self.tau if state is None else state + (x - state) / self.tau
        z = _spikes(v, self.threshold, self.alpha)
        return z, (1.0 - z.detach()) * v

    def extra_repr(self) -> str:
        """The constants, as `print(model)` shows them."""
        return f"tau={self.tau}, threshold={self.threshold}, inclusive={self.inclusive}"


class ParametricLIF(GreaterEqualLIF):
    """`GreaterEqualLIF` with a learned time constant: 1 / tau = sigmoid(w), one w per module.

    (PLIF, W. Fang et al., arXiv:2007.05785; SpikingJelly's ParametricLIFNode, whose checkpoints
    call the parameter `w` as well.) A learned decay is no fraction of 4096 as a rule: the compiler
    rounds it, and the layer's record says by how much (`decay_error`).

    tau  where learning starts, > 1 model step
    """

    def __init__(
        self, tau: float = 2.0, threshold: float = 1.0, alpha: float = SURROGATE_ALPHA
    ) -> None:
        super().__init__(tau, threshold, alpha)
        self.w = nn.Parameter(torch.tensor(-math.log(self.tau - 1.0)))

    @property
    def decay(self) -> float:
        """Share of the membrane lost per step, as learned."""
        return float(self.w.detach().sigmoid())

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `GreaterEqualLIF`, v = u + (x - u) sigmoid(w)."""
        share = self.w.sigmoid()
        v = x * share if state is None else state + (x - state) * share
        z = _spikes(v, self.threshold, self.alpha)
        return z, (1.0 - z.detach()) * v

    def extra_repr(self) -> str:
        """The constants, as `print(model)` shows them."""
        return f"tau={1 / self.decay:.4g}, threshold={self.threshold}, inclusive={self.inclusive}"


def plif(tau: float = 2.0, threshold: float = 1.0, alpha: float = SURROGATE_ALPHA) -> MultiStep:
    """`ParametricLIF` over the time axis: x [T, B, ...] -> spikes [T, B, ...], from rest."""
    return MultiStep(ParametricLIF(tau, threshold, alpha))


def ge_lif(tau: float = 2.0, threshold: float = 1.0, alpha: float = SURROGATE_ALPHA) -> MultiStep:
    """`GreaterEqualLIF` over the time axis: x [T, B, ...] -> spikes [T, B, ...], from rest."""
    return MultiStep(GreaterEqualLIF(tau, threshold, alpha))


def _spikes(v: Tensor, threshold: float, alpha: float) -> Tensor:
    if v.requires_grad:
        spikes: Tensor = _Spike.apply(v, threshold, alpha)  # type: ignore[no-untyped-call]  # torch's own
        return spikes
    return (v >= threshold).to(v.dtype)


class _Spike(torch.autograd.Function):
    """The step function with a sigmoid's slope as its gradient."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, threshold: float, alpha: float) -> Tensor:
        ctx.save_for_backward(v)
        ctx.threshold, ctx.alpha = threshold, alpha
        return (v >= threshold).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (v,) = ctx.saved_tensors
        s = torch.sigmoid(ctx.alpha * (v - ctx.threshold))
        return gradients[0] * ctx.alpha * s * (1.0 - s), None, None
