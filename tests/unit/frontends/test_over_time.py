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

GROUP = 2
"""Steps of a group, of a net with T = 6."""

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


# --- over groups of steps ---


def chunks(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """STAtten's: plain attention over the tokens of all steps of a group."""
    steps, batch, heads, tokens, dim = q.shape
    n = steps // GROUP
    a, b, c = (
        x.reshape(n, GROUP, batch, heads, tokens, dim).permute(0, 2, 3, 1, 4, 5).flatten(3, 4)
        for x in (q, k, v)
    )
    out = a @ (b.transpose(-2, -1) @ c)
    out = out.reshape(n, batch, heads, GROUP, tokens, dim).permute(0, 3, 1, 2, 4, 5)
    return out.reshape(steps, batch, heads, tokens, dim)


def in_groups(x: Tensor) -> Tensor:
    return x.unflatten(0, (-1, GROUP))


def summed_in_groups(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    total = in_groups(k.transpose(-2, -1) @ v).sum(1, keepdim=True)
    return (in_groups(q) @ total).flatten(0, 1)


def repeated_in_groups(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return q @ in_groups(k.transpose(-2, -1) @ v).sum(1).repeat_interleave(GROUP, 0)


def mean_of_groups(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    mean = in_groups(k.transpose(-2, -1) @ v).mean(1, keepdim=True)
    return q @ mean.expand(-1, GROUP, -1, -1, -1, -1).flatten(0, 1)


def einsum_in_groups(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    kv = torch.einsum("ntbhmd,ntbhme->nbhde", in_groups(k), in_groups(v))
    return torch.einsum("ntbhmd,nbhde->ntbhme", in_groups(q), kv).flatten(0, 1)


def temporal_in_groups(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Each token's own attention over the steps of a group."""
    a, b, c = (in_groups(x).permute(0, 2, 3, 4, 1, 5) for x in (q, k, v))  # [n, B, h, N, g, d]
    return (a @ (b.transpose(-2, -1) @ c)).permute(0, 4, 1, 2, 3, 5).flatten(0, 1)


GROUPED = [
    chunks, summed_in_groups, repeated_in_groups, mean_of_groups, einsum_in_groups,
    temporal_in_groups,
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


def traced(attention: Attention, steps: int = T) -> tuple[nn.Module, g.Graph, Tensor]:
    x = events(steps, B, N, 3, high=3)
    torch.manual_seed(0)
    model = enliven(Net(attention), x)
    return model, to_graph(export(model, x[:, :1])), x


@pytest.mark.parametrize("attention", [*WHOLE, causal, causal_temporal])
def test_the_graph_has_torchs_spikes(attention: Attention) -> None:
    model, graph, x = traced(attention)
    compare(model, graph, x)
    kind = g.TimeSum if attention in WHOLE else g.Integrator
    assert len(graph.of_type(g.TimeSum, g.Integrator)) == len(graph.of_type(kind)) == 1


@pytest.mark.parametrize("attention", GROUPED)
def test_the_graph_has_torchs_spikes_in_groups(attention: Attention) -> None:
    model, graph, x = traced(attention, 6)
    compare(model, graph, x)
    assert [n.op for n in graph.of_type(g.TimeSum, g.Integrator)] == [g.TimeSum(GROUP)]


@pytest.mark.parametrize(("attention", "steps"), [(merged_tokens, T), (chunks, 6)])
def test_a_time_sum_survives_its_nir_file(attention: Attention, steps: int) -> None:
    _, graph, _ = traced(attention, steps)
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


def scores_of_a_group(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a, b, c = (in_groups(x).permute(0, 2, 3, 1, 4, 5).flatten(3, 4) for x in (q, k, v))
    out = (a @ b.transpose(-2, -1)) @ c
    return out.unflatten(3, (GROUP, -1)).permute(0, 3, 1, 2, 4, 5).flatten(0, 1)


def causal_in_groups(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (in_groups(q) @ in_groups(k.transpose(-2, -1) @ v).cumsum(1)).flatten(0, 1)


def over_the_groups(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    total = in_groups(k.transpose(-2, -1) @ v).sum(0)
    return (in_groups(q) @ total).flatten(0, 1)


def other_groups(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    total = (k.transpose(-2, -1) @ v).unflatten(0, (-1, 3)).sum(1, keepdim=True)
    return (q.unflatten(0, (3, -1)) @ total.repeat(1, 1, 1, 1, 1, 1)[[0, 0, 1]]).flatten(0, 1)


def one_group_after_the_other(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    parts = zip(*(x.split(GROUP) for x in (q, k, v)), strict=True)
    return torch.cat([a @ (b.transpose(-2, -1) @ c).sum(0) for a, b, c in parts])


def steps_in_another_order(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return q @ in_groups(k.transpose(-2, -1) @ v).transpose(0, 1).flatten(0, 1)


@pytest.mark.parametrize(
    ("attention", "why"),
    [
        (scores_of_a_group, "between different time steps"),
        (causal_in_groups, "cumsum over groups of steps or within them"),
        (over_the_groups, "over the groups mixes steps"),
        (other_groups, "a part of the time steps"),
        (one_group_after_the_other, r"in a loop, or cut it .* x\.unflatten\(0, \(-1, g\)\)"),
        (steps_in_another_order, "holds time in one operand and not in the other"),
    ],
)
def test_what_mixes_groups_in_another_way_is_refused(attention: Attention, why: str) -> None:
    with pytest.raises(SfxError, match=why) as raised:
        traced(attention, 6)
    assert raised.value.code == "SFX-E104"


class Groups(nn.Module):
    """Spikes whose steps are left in groups, or reduced group by group."""

    def __init__(self, end: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.lif, self.end = lif(2.0, 0.5), end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(in_groups(self.lif(x)))


@pytest.mark.parametrize(
    ("end", "code", "why"),
    [
        (lambda x: x, "SFX-E106", "groups of steps on axes of their own"),
        (lambda x: x.sum(1), "SFX-E106", "groups of steps on axes of their own"),
        (lambda x: x.sum(1).mean(0), "SFX-E104", "values that each group has once"),
    ],
)
def test_an_output_in_groups_is_refused(end: Attention, code: str, why: str) -> None:
    with pytest.raises(SfxError, match=why) as raised:
        export(Groups(end), torch.zeros(6, 1, 4))
    assert raised.value.code == code


@pytest.mark.parametrize("end", [lambda x: x.mean((0, 1)), lambda x: x.flatten(0, 1).sum(0)])
def test_groups_that_are_joined_again_are_all_steps(end: Attention) -> None:
    model, x = Groups(end).eval(), events(6, B, 4, high=3)
    graph = to_graph(export(model, x[:, :1]))
    compare(model, graph, x)


def test_steps_that_are_no_whole_number_of_groups_are_refused() -> None:
    with pytest.raises(SfxError, match=r"sizes \[-1, 2\] don't multiply up to .* \(5\)") as raised:
        export(Groups(lambda x: x.flatten(0, 1).mean(0)), torch.zeros(5, 1, 4))
    assert raised.value.code == "SFX-E102"
