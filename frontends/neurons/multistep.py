"""A Norse neuron run over the time axis: the one place where our own models hold state.

The models of `sfx.frontends.zoo` are written in multi-step form, time first: convolutions and
linear layers see [T * B, ...], and only a `MultiStep` couples the steps. So the exporter swaps
each `MultiStep` for one opaque op and reads the neuron's constants from `.cell`.
"""

from __future__ import annotations

from typing import Any

import torch
from norse.torch import LIFBoxCell, LIFBoxParameters
from torch import Tensor, nn

DT = 1e-3
"""Seconds of one model step (Norse's own default)."""


class MultiStep(nn.Module):
    """Runs a Norse cell (one step, explicit state) over axis 0, from rest.

    x [T, B, ...] -> spikes [T, B, ...]. The state starts anew with every call, so nothing is left
    behind for a tracer to bake in, and samples do not see each other.

    cell  any `norse.torch.module.snn.SNNCell`: called as `cell(x[t], state) -> (z, state)`
    """

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of x [T, B, ...], same shape, float 0 or 1."""
        state: Any = None
        spikes: list[Tensor] = []
        for step in x.unbind(0):
            z, state = self.cell(step, state)
            spikes.append(z)
        return torch.stack(spikes)


def lif(
    tau: float = 2.0, threshold: float = 1.0, method: str = "triangle", alpha: float = 1.0
) -> MultiStep:
    """Norse's LIFBox over time, with the membrane time constant in model steps.

        v[t] = u[t-1] + (x[t] - u[t-1]) / tau
        z[t] = 1 where v[t] > threshold (strict), else 0
        u[t] = 0 where z[t] = 1 (hard reset), else v[t];  u[-1] = 0

    (norse.torch.functional.lif_box with v_leak = v_reset = 0 and tau_mem_inv * dt = 1 / tau;
    tau = 2 keeps half of the membrane.)

    tau        model steps, >= 1
    threshold  on the membrane's scale, > 0
    method     Norse's surrogate for dz/dv. `triangle`: alpha * max(0, 1 - |v - threshold|)
               (Esser et al. 2016); `super` in Norse 1.1.0: 1 / (1 + |v - threshold|)^2, whatever
               alpha
    alpha      gain of the surrogate gradient; it has no effect on the spikes
    """
    parameters = LIFBoxParameters(
        tau_mem_inv=torch.as_tensor(1.0 / (tau * DT)),
        v_leak=torch.as_tensor(0.0),
        v_th=torch.as_tensor(float(threshold)),
        v_reset=torch.as_tensor(0.0),
        method=method,
        alpha=alpha,
    )
    return MultiStep(LIFBoxCell(parameters, dt=DT))
