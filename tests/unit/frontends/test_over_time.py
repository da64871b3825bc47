"""Attention over time as people write it: causal, or over the whole sample.

Each form is traced, and the Graph's spikes are torch's at every neuron, step and sample.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from tests.unit.frontends.models import compare, enliven, events  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from sfx.frontends.neurons.multistep import lif  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.toolchain.formats.nir.bridge import from_graph, to_graph  # noqa: E402
from sfx.toolchain.ground.errors import SfxError  # noqa: E402
from sfx.toolchain.ir import graph as g  # noqa: E402

pytestmark = pytest.mark.needs_torch

T, B, N, HEADS, D = 5, 3, 4, 2, 6
"""T differs from N: a mixed-up axis cannot pass."""

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
"""q, k, v [T, B, h, N, d] -> [T, B, h, N, d]."""


def summed_over_steps(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return q @ (k.transpose(-2, -1) @ v).sum(dim=0, keepdim=True)


def summed_and_dropped(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return q @ (k.transpose(-2, -1) @ v).sum(0)


def expanded(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    total = (k.transpose(-2, -1) @ v).sum(0, keepdim=True).expand(q.shape[0], -1, -1, -1, -1)
    return q @ total


def repeated(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    total = (k.transpose(-2, -1) @ v).sum(0).unsqueeze(0).repeat(q.shape[0], 1, 1, 1, 1)
    return q @ total


def mean_of_steps(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return q @ (k.transpose(-2, -1) @ v).mean(0, keepdim=True)


def merged_tokens(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Plain attention over T * N tokens, as in a video transformer."""
    a, b, c = (x.permute(1, 2, 0, 3, 4).flatten(2, 3) for x in (q, k, v))  # [B, h, T*N, d]
    out = a @ (b.transpose(-2, -1) @ c)
    return out.unflatten(2, (q.shape[0], q.shape[3])).permute(2, 0, 1, 3, 4)


def einsum_over_tokens(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    kv = torch.einsum("tbhnd,tbhne->bhde", k, v)
    return torch.einsum("tbhnd,bhde->tbhne", q, kv)


def temporal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    kv = (k.unsqueeze(-1) * v.unsqueeze(-2)).sum(0, keepdim=True)
    return (q.unsqueeze(-2) @ kv).squeeze(-2)


def temporal_matmul(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Each token's own attention over its T steps."""
    a, b, c = (x.permute(1, 2, 3, 0, 4) for x in (q, k, v))  # [B, h, N, T, d]
    return (a @ (b.transpose(-2, -1) @ c)).permute(3, 0, 1, 2, 4)


def causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return q @ torch.cumsum(k.transpose(-2, -1) @ v, dim=0)


def causal_temporal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    kv = torch.cumsum(k.unsqueeze(-1) * v.unsqueeze(-2), dim=0)
    return (q.unsqueeze(-2) @ kv).squeeze(-2)


WHOLE = [
    summed_over_steps, summed_and_dropped, expanded, repeated, mean_of_steps, merged_tokens,
    einsum_over_tokens, temporal, temporal_matmul,
]  # fmt: skip


class Net(nn.Module):
    """q, k, v of the tokens, one attention, its neuron, a head."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention
        dim = HEADS * D
        self.linears = nn.ModuleList(nn.Linear(3, dim) for _ in "qkv")
        self.norms = nn.ModuleList(nn.BatchNorm1d(dim) for _ in "qkv")
        self.lifs = nn.ModuleList(lif(2.0, 0.8) for _ in "qkv")
        self.lif = lif(2.0, 0.71)  # no multiple of 0.1: no ties with a mean over 5 steps
        self.head = nn.Linear(dim, 4)

    def forward(self, x: Tensor) -> Tensor:
        steps, batch = x.shape[:2]
        parts = []
        for linear, norm, neuron in zip(self.linears, self.norms, self.lifs, strict=True):
            y = norm(linear(x).flatten(0, 1).transpose(1, 2)).transpose(1, 2)
            y = neuron(y.reshape(steps, batch, N, HEADS * D))
            parts.append(y.reshape(steps, batch, N, HEADS, D).permute(0, 1, 3, 2, 4))
        out = self.attention(*parts) * 0.5
        out = self.lif(out.permute(0, 1, 3, 2, 4).reshape(steps, batch, N, HEADS * D))
        return self.head(out.mean(2)).mean(0)


def traced(attention: Attention) -> tuple[nn.Module, g.Graph, Tensor]:
    x = events(T, B, N, 3, high=3)
    torch.manual_seed(0)
    model = enliven(Net(attention), x)
    return model, to_graph(export(model, x[:, :1])), x


@pytest.mark.parametrize("attention", [*WHOLE, causal, causal_temporal])
def test_the_graph_has_torchs_spikes(attention: Attention) -> None:
    model, graph, x = traced(attention)
    compare(model, graph, x)
    kind = g.TimeSum if attention in WHOLE else g.Integrator
    assert len(graph.of_type(g.TimeSum, g.Integrator)) == len(graph.of_type(kind)) == 1


def test_a_time_sum_survives_its_nir_file() -> None:
    _, graph, _ = traced(merged_tokens)
    again = to_graph(from_graph(graph))
    assert [(n.op, n.shape) for n in again.of_type(g.TimeSum)] == [
        (n.op, n.shape) for n in graph.of_type(g.TimeSum)
    ]


def scores_first(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a, b, c = (x.permute(1, 2, 0, 3, 4).flatten(2, 3) for x in (q, k, v))
    out = (a @ b.transpose(-2, -1)) @ c
    return out.unflatten(2, (q.shape[0], q.shape[3])).permute(2, 0, 1, 3, 4)


def test_scores_between_steps_are_refused_with_the_other_order() -> None:
    with pytest.raises(SfxError, match=r"q @ \(k\^T v\)") as raised:
        traced(scores_first)
    assert raised.value.code == "SFX-E104"
