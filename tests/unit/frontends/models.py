"""Small spiking networks that fire everywhere, and how to compare a trace of one with its graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from sfx.frontends.neurons.multistep import MultiStep, lif
from sfx.toolchain.ir import evaluate
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.graph import Graph

STEPS = 5


def events(*shape: int, seed: int = 0, high: int = 1) -> Tensor:
    """Event counts 0..high as float64 [T, B, *shape]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, high + 1, shape, generator=generator).double()


def enliven(model: nn.Module, x: Tensor, seed: int = 0) -> nn.Module:
    """Random batch norms, each with the statistics of what reaches it when the model runs on `x`.

    So every population fires, and no gain or shift is trivial. float64, eval mode.
    """
    generator = torch.Generator().manual_seed(seed)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    handles = []

    def settle(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        y = inputs[0].transpose(0, 1).flatten(1)
        norm.running_mean.copy_(y.mean(1))
        norm.running_var.copy_(y.var(1) + 1e-3)

    model.double().eval()
    for norm in norms:
        n = norm.num_features
        with torch.no_grad():
            norm.weight.copy_(0.8 + 1.2 * torch.rand(n, generator=generator))
            norm.bias.copy_(0.1 + 1.2 * torch.rand(n, generator=generator))
        handles.append(norm.register_forward_pre_hook(settle))
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return model


def record(model: nn.Module, x: Tensor) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Spikes of every MultiStep by path, and the output, of a run of the source model itself."""
    found: dict[str, np.ndarray] = {}

    def keep(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            found[path] = output.detach().numpy().swapaxes(0, 1)

        return hook

    neurons = [(n, m) for n, m in model.named_modules() if isinstance(m, MultiStep)]
    handles = [m.register_forward_hook(keep(n)) for n, m in neurons]
    try:
        with torch.no_grad():
            output = model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found, output.numpy()


def compare(model: nn.Module, graph: Graph, x: Tensor) -> None:
    """Assert: every neuron fires, and the graph gives exactly its spikes, and the output."""
    spikes, output = record(model, x)
    assert spikes
    lifs = {n.module: n.name for n in graph.of_type(g.LIF)}
    assert set(lifs) == set(spikes)
    got = evaluate.run(graph, x.numpy().swapaxes(0, 1))
    for path, want in spikes.items():
        assert 0.005 < want.mean() < 0.995, f"{path} fires at rate {want.mean()}"
        ours = got[lifs[path]]
        # a neuron may stand on a view that merged axes: the values per step are in the same order
        np.testing.assert_array_equal(ours.reshape(want.shape), want, err_msg=path)
    (end,) = graph.of_type(g.Output)
    ours = evaluate.readout(graph, got[end.name])
    if end.op == g.Output("none"):
        output = output.swapaxes(0, 1)
    np.testing.assert_allclose(ours.reshape(output.shape), output, rtol=1e-12, atol=1e-12)


class ConvNet(nn.Module):
    """Conv stem, pool, residual, head: every step on its own but for the neurons."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 6, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.lif1 = lif(2.0, 0.8)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(6)
        self.lif2 = lif(1.5, 0.9)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6 * 16, 7)

    def forward(self, x: Tensor) -> Tensor:
        steps, batch = x.shape[:2]
        y = self.bn1(self.conv1(x.flatten(0, 1)))
        y = self.lif1(y.view(steps, batch, *y.shape[1:]))
        y = self.pool(y.flatten(0, 1))
        z = self.bn2(self.conv2(y)).unflatten(0, (steps, batch))
        z = self.lif2(z) + y.unflatten(0, (steps, batch))
        return self.head(self.drop(z.flatten(2))).mean(0)


class Layer(nn.Module):
    """Linear on tokens, batch norm over channels, neuron: [T, B, N, D] -> [T, B, N, D']."""

    def __init__(self, inner: int, outer: int, threshold: float = 1.0) -> None:
        super().__init__()
        self.linear = nn.Linear(inner, outer)
        self.bn = nn.BatchNorm1d(outer)
        self.lif = lif(2.0, threshold)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.linear(x).flatten(0, 1).transpose(1, 2)).transpose(1, 2)
        return self.lif(y.reshape(*x.shape[:-1], -1))


class Attention(nn.Module):
    """Attention over spikes; `order` and `causal` choose among its exact forms."""

    def __init__(self, dim: int, heads: int, order: str, causal: bool) -> None:
        super().__init__()
        self.heads, self.order, self.causal = heads, order, causal
        self.q, self.k, self.v = (Layer(dim, dim) for _ in range(3))
        self.attn_lif = lif(2.0, 0.25)
        self.proj = Layer(dim, dim)

    def split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))
        if self.order == "qk":
            y = (q @ k.mT) * 0.25 @ v
        else:
            kv = k.transpose(-2, -1) @ v
            y = q @ (kv.cumsum(0) if self.causal else kv) * 0.25
        return self.proj(self.attn_lif(y.transpose(2, 3).flatten(3)))


class Transformer(nn.Module):
    """Two blocks over tokens [T, B, N, D] with integer residuals, and a read-out."""

    def __init__(self, order: str = "kv", causal: bool = True, head: str = "mean_last") -> None:
        super().__init__()
        dim = 8
        self.embed = Layer(4, dim)
        self.attn = nn.ModuleList(Attention(dim, 2, order, causal) for _ in range(2))
        self.mlp = nn.ModuleList(nn.Sequential(Layer(dim, 12), Layer(12, dim)) for _ in range(2))
        self.head = nn.Linear(dim, 3)
        self.how = head

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for attn, mlp in zip(self.attn, self.mlp, strict=True):
            x = x + attn(x)
            x = x + mlp(x)
        if self.how == "mean_last":
            return self.head(x.mean(2)).mean(0)
        if self.how == "mean_first":
            return self.head(x.mean((0, 2)))
        if self.how == "sum_first":
            return self.head(x.sum(2).sum(0))
        if self.how == "sum_last":
            return self.head(x.mean(2)).sum(0)
        return self.head(x.mean(2))


class Function(nn.Module):
    """A neuron, then `function` of its spikes: to test one op."""

    def __init__(self, function: Callable[..., Tensor], module: nn.Module | None = None) -> None:
        super().__init__()
        self.lif = lif(2.0, 0.4)
        self.function = function
        self.module = module if module is not None else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        spikes = self.lif(x)
        return self.function(spikes, self.module)
