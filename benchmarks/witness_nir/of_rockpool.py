"""rockpool's neurons: exported by its to_nir, run by rockpool."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from common import HIDDEN, IN, OUT, Made, Row, events, record, weights
from rockpool.nn.combinators import Sequential
from rockpool.nn.modules import LIFNeuronTorch, LIFTorch, LinearTorch
from rockpool.nn.modules.torch.nir import to_nir


def net(cell: Any, scale: float, *, traced: tuple[int, ...] = (1, 1, IN), **options: Any) -> Made:
    layers: list[Any] = []
    for w, size in zip(weights(scale), (HIDDEN, OUT), strict=True):
        weight = torch.from_numpy(w.T.copy())
        layers.append(LinearTorch(weight.shape, weight=weight, has_bias=False))
        layers.append(cell(size, **options))
    model = Sequential(*layers)
    with torch.no_grad():
        spikes = model(torch.from_numpy(events()).float())[0]
    graph = to_nir(model, torch.zeros(traced))
    for node in graph.nodes.values():
        for key, value in vars(node).items():
            if isinstance(value, torch.Tensor):
                setattr(node, key, value.detach().numpy())
    return graph, spikes.numpy()


def row(name: str, neuron: str, option: str, convention: str = "") -> Row:
    return Row(f"rockpool_{name}", neuron, option, "rockpool" + convention)


ONCE = {"max_spikes_per_dt": torch.tensor(1.0)}
record(
    {"rockpool": version("rockpool"), "nir": version("nir")},
    [
        (row("lif", "LIFTorch", "defaults"), lambda: net(LIFTorch, 0.25)),
        (
            row("lif_fast", "LIFTorch", "tau_mem 4 ms, tau_syn 2 ms"),
            lambda: net(LIFTorch, 0.5, tau_mem=4e-3, tau_syn=2e-3),
        ),
        (
            row("lif_dt", "LIFTorch", "dt 1e-2, tau_mem 50 ms"),
            lambda: net(LIFTorch, 0.5, dt=1e-2, tau_mem=50e-3),
        ),
        (
            row("lif_once", "LIFTorch", "max_spikes_per_dt 1", ":max_spikes_per_dt=1"),
            lambda: net(LIFTorch, 0.25, **ONCE),
        ),
        (
            row("lif_thrice", "LIFTorch", "max_spikes_per_dt 3", ":max_spikes_per_dt=3"),
            lambda: net(LIFTorch, 0.25, max_spikes_per_dt=torch.tensor(3.0)),
        ),
        (
            row("lif_decays", "LIFTorch", "leak_mode decays"),
            lambda: net(LIFTorch, 0.5, leak_mode="decays"),
        ),
        (
            row("lif_bias", "LIFTorch", "bias 0.125", ":bias=0.125"),
            lambda: net(LIFTorch, 0.25, bias=0.125),
        ),
        (row("neuron", "LIFNeuronTorch", "defaults"), lambda: net(LIFNeuronTorch, 0.5)),
        (
            row("neuron_fast", "LIFNeuronTorch", "tau_mem 2 ms, threshold 0.5"),
            lambda: net(LIFNeuronTorch, 0.25, tau_mem=2e-3, threshold=0.5),
        ),
        (
            row("neuron_once", "LIFNeuronTorch", "max_spikes_per_dt 1", ":max_spikes_per_dt=1"),
            lambda: net(LIFNeuronTorch, 0.5, **ONCE),
        ),
    ],
)
