"""The spikes and the gradients of our Norse neurons in one pass over memory, to train on a CPU.

`sfx.frontends.neurons.multistep.lif` steps Norse's cell, about 25 passes over each activation and
its gradient. The same arithmetic as two numba kernels is several times quicker and changes no bit
of a spike (tests/unit/training/test_quick.py compares both):

    v[t] = u[t-1] + k (x[t] - u[t-1]),  z[t] = v[t] > threshold,  u[t] = v[t] - v[t] z[t]
    dz/dv = alpha max(0, 1 - |v - threshold|)                     (surrogate: Esser et al. 2016)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import numba
import numpy as np
from norse.torch import LIFBoxCell
from torch import Tensor, from_numpy, nn
from torch.autograd import Function

from ..neurons.multistep import MultiStep
from ..zoo.spikeformer import ConvStage, Spikeformer


@contextmanager
def quick(model: nn.Module, *, still: bool = False) -> Iterator[None]:
    """While it is open, the neurons of `model` that the kernels know run on them.

    Those are `MultiStep`s around Norse's LIFBox with its triangle, on a CPU; all others stay.

    still  every sample is one image that all steps repeat: a `Spikeformer`'s first convolution then
           runs once
    """
    changed: list[nn.Module] = []
    for module in model.modules():
        if isinstance(module, MultiStep) and "forward" not in vars(module) and _known(module):
            module.forward = partial(_forward, _constants(module))  # type: ignore[method-assign]
            changed.append(module)
    first = cast(ConvStage, model.tokenizer[0]) if isinstance(model, Spikeformer) else None
    if still and first is not None and "forward" not in vars(first):
        first.forward = partial(_still, first)  # type: ignore[method-assign]  # this instance's only
        changed.append(first)
    try:
        yield
    finally:
        for module in changed:
            del module.forward  # the class's own again


def _known(neuron: MultiStep) -> bool:
    cell = neuron.cell
    if type(cell) is not LIFBoxCell or cell.p.v_th.is_cuda or cell.p.method != "triangle":
        return False
    return float(cell.p.v_leak) == float(cell.p.v_reset) == 0.0


def _still(stage: ConvStage, x: Tensor) -> Tensor:
    """What `stage` does with x [T, B, C, H, W] whose T frames are equal."""
    current = stage.bn(stage.conv(x[0]))
    spikes = stage.lif(current.expand(len(x), *current.shape))
    pooled = stage.pool(spikes.flatten(0, 1))
    return cast(Tensor, pooled.reshape(len(x), -1, *pooled.shape[1:]))


def _constants(neuron: MultiStep) -> tuple[np.float32, ...]:
    """gain, threshold, alpha."""
    p = neuron.cell.p
    return tuple(map(np.float32, (neuron.cell.dt * p.tau_mem_inv, p.v_th, p.alpha)))


def _forward(constants: tuple[np.float32, ...], x: Tensor) -> Tensor:
    return cast(Tensor, Lif.apply(x, constants))  # type: ignore[no-untyped-call]  # torch's


class Lif(Function):
    """Spikes [T, ...] of currents x [T, ...], float32, from rest."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, constants: tuple[np.float32, ...]) -> Tensor:
        """Spikes of x."""
        gain, threshold, _ = constants
        spikes, ctx.membrane = _spikes(_rows(x), gain, threshold)
        ctx.constants = constants
        return from_numpy(spikes).reshape(x.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """dL/dx of dL/dz."""
        (g,) = gradients
        return from_numpy(_gradient(_rows(g), ctx.membrane, *ctx.constants)).reshape(g.shape), None


def _rows(x: Tensor) -> Any:
    """[T, ...] as a numpy array [T, M]."""
    return x.detach().reshape(len(x), -1).contiguous().numpy()


@numba.njit(cache=True)
def _spikes(x: Any, gain: Any, threshold: Any) -> Any:
    """z and v (before its reset), both [T, M]."""
    z, v = np.empty_like(x), np.empty_like(x)
    u = np.zeros_like(x[0])
    for t in range(len(x)):
        for i in range(x.shape[1]):
            now = u[i] + gain * (x[t, i] - u[i])
            fired = np.float32(now > threshold)
            v[t, i], z[t, i] = now, fired
            u[i] = now - now * fired
    return z, v


@numba.njit(cache=True)
def _gradient(g: Any, v: Any, gain: Any, threshold: Any, alpha: Any) -> Any:
    """dL/dx [T, M] from dL/dz = g; it flows through the reset too, as in Norse."""
    one, zero = np.float32(1), np.float32(0)
    out = np.empty_like(g)
    later = np.zeros_like(g[0])  # dL/du[t]
    for t in range(len(g) - 1, -1, -1):
        for i in range(g.shape[1]):
            distance = v[t, i] - threshold
            slope = alpha * max(zero, one - abs(distance))
            kept = zero if distance > zero else one
            here = g[t, i] * slope + later[i] * (kept - v[t, i] * slope)
            out[t, i] = gain * here
            later[i] = (one - gain) * here
    return out
