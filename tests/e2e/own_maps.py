"""Parallel spiking neurons as people write them: plain modules around a weight of the steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Heaviside(torch.autograd.Function):
    """1 where h >= 0; its gradient is a triangle's."""

    @staticmethod
    def forward(ctx: object, h: Tensor) -> Tensor:
        return (h >= 0).to(h.dtype)


class Square(nn.Module):
    """T x T weights in a linear layer whose bias is minus the threshold; T first."""

    def __init__(self, steps: int, keep: Tensor | None = None) -> None:
        super().__init__()
        self.fc = nn.Linear(steps, steps)
        nn.init.constant_(self.fc.bias, -1.0)
        self.register_buffer("keep", torch.ones(steps, steps) if keep is None else keep)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.addmm(self.fc.bias[:, None], self.fc.weight * self.keep, x.flatten(1))
        fired: Tensor = Heaviside.apply(h)
        return fired.view(x.shape)


class Taps(nn.Module):
    """The same taps at every step; T first, or second as `batch_first`."""

    def __init__(self, order: int, batch_first: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.5 ** torch.arange(order).flip(0).float())
        self.threshold = nn.Parameter(torch.tensor(-1.0))
        self.axis = int(batch_first)

    def forward(self, x: Tensor) -> Tensor:
        steps, order = x.shape[self.axis], len(self.weight)
        rows = torch.zeros(steps, steps)
        for t in range(steps):
            of = self.weight[max(0, order - 1 - t) :]
            rows[t, t + 1 - len(of) : t + 1] = of
        h = functional.linear(x.transpose(self.axis, -1), rows, self.threshold)
        fired: Tensor = Heaviside.apply(h.transpose(self.axis, -1))
        return fired


class Filtered(nn.Module):
    """Taps as a convolution over the steps, and a threshold that is subtracted."""

    def __init__(self, order: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.5 ** torch.arange(order).flip(0).float().view(1, 1, -1))
        self.threshold = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        lanes = functional.pad(x.flatten(1).t()[:, None], (self.weight.shape[2] - 1, 0))
        h = functional.conv1d(lanes, self.weight)[:, 0].t().reshape(x.shape)
        fired: Tensor = Heaviside.apply(h - self.threshold)
        return fired
