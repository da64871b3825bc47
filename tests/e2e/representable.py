"""Models whose numbers integers can hold, and what their neurons send in PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from sfx.frontends.neurons.integer import MultiSpike
from sfx.frontends.neurons.multistep import MultiStep


def make_representable(model: nn.Module, seed: int, gain: float) -> nn.Module:
    """Sparse weights in halves; batch norm with unit variance and a dyadic gain and shift.

    About six weights per neuron are not 0, so that sums stay small enough for every decay step
    to be exact in 24 bits.
    """
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
            kept = torch.rand(parameter.shape, generator=rng) < min(1.0, 6 / max(fan_in, 1))
            halves = torch.randint(-1, 2, parameter.shape, generator=rng).float() / 2
            parameter.copy_(halves * kept)
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                norm.eps = 0.0
                assert norm.running_var is not None
                assert norm.running_mean is not None
                norm.running_var.fill_(1.0)
                norm.running_mean.zero_()
                norm.weight.fill_(gain)
                norm.bias.fill_(0.5)
    return model.eval()


def torch_spikes(model: nn.Module, x: np.ndarray) -> dict[str, np.ndarray]:
    """Module path -> spikes [K, T, neurons] of every neuron layer; `logits` [K, classes].

    An integer neuron's spikes are counted: whole numbers. Windows of a sample may stand beside the
    samples, sample by sample.
    """
    seen: dict[str, np.ndarray] = {}

    def keep(name: str) -> Callable[[object, object, Tensor], None]:
        def record(module: object, inputs: object, output: Tensor) -> None:
            unit = module.norm if isinstance(module, MultiSpike) else 1
            counts = (output * unit).reshape(len(output), len(x), -1)
            seen[name] = counts.transpose(0, 1).numpy()

        return record

    handles = [
        m.register_forward_hook(keep(n))
        for n, m in model.named_modules()
        if isinstance(m, MultiStep | MultiSpike)
    ]
    with torch.no_grad():
        seen["logits"] = model(torch.from_numpy(x).float().transpose(0, 1)).numpy()
    for handle in handles:
        handle.remove()
    return seen
