"""Models of published code: SpikingJelly's `clock_driven`, which 2.0 no longer has."""

from __future__ import annotations

from typing import Any

from spikingjelly.clock_driven import functional, layer, neuron, surrogate
from torch import Tensor, nn

from tests.models.case import Cases

CASES = Cases()


class TwoLayers(nn.Module):
    """fc, neuron, fc, neuron: for every class and option of a neuron."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        cls = getattr(neuron, kind)
        self.net = nn.Sequential(nn.Linear(6, 8), cls(**options), nn.Linear(8, 4), cls(**options))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


LIF, PLIF = {"tau": 2.0, "detach_reset": True}, {"init_tau": 2.0}
KINDS = {
    "LIF": ("LIFNode", LIF),
    "LIF soft": ("LIFNode", LIF | {"v_reset": None}),
    "LIF to 1/4": ("LIFNode", LIF | {"v_reset": 0.25}),
    "LIF whole input": ("LIFNode", LIF | {"decay_input": False, "v_threshold": 0.5}),
    "PLIF": ("ParametricLIFNode", PLIF | {"surrogate_function": surrogate.ATan()}),
    "IF": ("IFNode", {}),
    "IF soft": ("IFNode", {"v_reset": None}),
}
CASES.each("all steps", TwoLayers, 6, 6, options={
    name: {"kind": f"MultiStep{kind}"} | options for name, (kind, options) in KINDS.items()
})  # fmt: skip
CASES.each("step by step", TwoLayers, 6, 6, input_layout="step", options={
    name: {"kind": kind} | options for name, (kind, options) in KINDS.items()
})  # fmt: skip


class SSA(nn.Module):
    """Spikformer's attention as its authors published it: q, k and v of multi-step neurons."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        for name in ("q", "k", "v", "proj"):
            setattr(self, f"{name}_linear", nn.Linear(dim, dim))
            setattr(self, f"{name}_bn", nn.BatchNorm1d(dim))
            setattr(self, f"{name}_lif", neuron.MultiStepLIFNode(tau=2.0, detach_reset=True))
        self.attn_lif = neuron.MultiStepLIFNode(tau=2.0, v_threshold=0.5, detach_reset=True)

    def branch(self, name: str, x: Tensor) -> Tensor:
        """Linear, batch norm over channels, neuron: [T, B, N, C]."""
        T, B, N, C = x.shape
        y = getattr(self, f"{name}_linear")(x.flatten(0, 1)).transpose(-1, -2)
        y = getattr(self, f"{name}_bn")(y).transpose(-1, -2).reshape(T, B, N, C).contiguous()
        return getattr(self, f"{name}_lif")(y)

    def forward(self, x: Tensor) -> Tensor:
        T, B, N, C = x.shape
        split = (T, B, N, self.heads, C // self.heads)
        q, k, v = (self.branch(n, x).reshape(split).permute(0, 1, 3, 2, 4) for n in "qkv")
        attn = (q @ k.transpose(-2, -1)) * 0.125
        y = (attn @ v).transpose(2, 3).reshape(T, B, N, C).contiguous()
        return self.branch("proj", self.attn_lif(y))


@CASES.add(4, 2, 8, 8)
class Spikformer(nn.Module):
    """Its tokenizer, a block and its head, small."""

    def __init__(self, dim: int = 8) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(2, dim, 3, padding=1, bias=False), nn.BatchNorm2d(dim)
        self.lif = neuron.MultiStepLIFNode(tau=2.0, detach_reset=True)
        self.pool = layer.SeqToANNContainer(nn.MaxPool2d(2))
        self.attn = SSA(dim, 2)
        self.head = nn.Linear(dim, 3)

    def forward(self, x: Tensor) -> Tensor:
        functional.reset_net(self)
        T, B = x.shape[:2]
        y = self.bn(self.conv(x.flatten(0, 1))).unflatten(0, (T, B))
        y = self.pool(self.lif(y)).flatten(-2).transpose(-1, -2)
        y = y + self.attn(y)
        return self.head(y.mean(2)).mean(0)
