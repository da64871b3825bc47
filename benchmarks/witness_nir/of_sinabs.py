"""sinabs' neurons: exported by sinabs.nir.to_nir, run by sinabs."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import nir
import torch
from common import HIDDEN, IN, OUT, SAMPLES, STEPS, Made, Row, events, record, weights
from sinabs import layers as sl
from sinabs.activation import MaxSpike, MembraneReset, SingleSpike
from sinabs.nir import to_nir


def linear(w: Any) -> torch.nn.Linear:
    layer = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
    layer.weight.data = torch.from_numpy(w)
    return layer


def net(kind: str, scale: float, tau: float | None = None, **options: Any) -> Made:
    first, second = (linear(w) for w in weights(scale))
    cells = []
    for size in (HIDDEN, OUT):
        named = dict(options)
        if tau is not None:  # the exporter writes what it holds: an array
            named["tau_mem"] = torch.full((size,), tau)
        if kind != "ExpLeak":
            named["spike_threshold"] = torch.full((size,), 1.0)
        cells.append(getattr(sl, kind)(**named))
    model = torch.nn.Sequential(first, cells[0], second, cells[1])
    with torch.no_grad():
        x = torch.from_numpy(events()).float()
        flat = "Squeeze" in kind  # takes samples and steps as one axis
        spikes = model(x.flatten(0, 1) if flat else x).reshape(SAMPLES, STEPS, OUT)
        for cell in cells:
            cell.reset_states()
        graph = to_nir(model, torch.zeros(SAMPLES, IN) if flat else torch.zeros(1, 1, IN))
    return plain(graph), spikes.numpy()


def plain(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Tensors as arrays."""
    for node in graph.nodes.values():
        for key, value in vars(node).items():
            if isinstance(value, torch.Tensor):
                setattr(node, key, value.numpy())
    return graph


def row(name: str, neuron: str, option: str, convention: str = "", reset: str = "") -> Row:
    return Row(f"sinabs_{name}", neuron, option, "sinabs" + convention, reset)


SINGLE, WHOLE = "spike_fn=SingleSpike", "norm_input=false"
record(
    {"sinabs": version("sinabs"), "nir": version("nir")},
    [
        (row("iaf", "IAF", "defaults"), lambda: net("IAF", 0.5)),
        (
            row("iaf_single", "IAF", "spike_fn SingleSpike", f":{SINGLE}"),
            lambda: net("IAF", 0.5, spike_fn=SingleSpike),
        ),
        (
            row("iaf_reset", "IAF", "reset_fn MembraneReset()", "", "zero"),
            lambda: net("IAF", 0.5, reset_fn=MembraneReset()),
        ),
        (
            row("iaf_single_reset", "IAF", "SingleSpike, MembraneReset()", f":{SINGLE}", "zero"),
            lambda: net("IAF", 0.5, spike_fn=SingleSpike, reset_fn=MembraneReset()),
        ),
        (row("lif", "LIF", "tau_mem 3, defaults"), lambda: net("LIF", 2.0, 3.0)),
        (
            row("lif_whole", "LIF", "norm_input False", f":{WHOLE}"),
            lambda: net("LIF", 0.5, 3.0, norm_input=False),
        ),
        (
            row("lif_single", "LIF", "spike_fn SingleSpike", f":{SINGLE}"),
            lambda: net("LIF", 2.0, 3.0, spike_fn=SingleSpike),
        ),
        (
            row("lif_both", "LIF", "norm_input False, SingleSpike", f":{WHOLE},{SINGLE}"),
            lambda: net("LIF", 0.5, 3.0, norm_input=False, spike_fn=SingleSpike),
        ),
        (
            row("lif_reset", "LIF", "reset_fn MembraneReset()", "", "zero"),
            lambda: net("LIF", 2.0, 3.0, reset_fn=MembraneReset()),
        ),
        (
            row("lif_max", "LIF", "spike_fn MaxSpike(2)", ":max_num_spikes_per_bin=2"),
            lambda: net("LIF", 2.0, 3.0, spike_fn=MaxSpike(2)),
        ),
        (
            row("lif_max_one", "LIF", "spike_fn MaxSpike(1)", ":max_num_spikes_per_bin=1"),
            lambda: net("LIF", 2.0, 3.0, spike_fn=MaxSpike(1)),
        ),
        (
            row("iaf_floor", "IAF", "min_v_mem -1 (what sinabs' from_nir makes)", ":min_v_mem=-1"),
            lambda: net("IAF", 0.5, min_v_mem=-1.0),
        ),
        (
            row("lif_floor", "LIF", "min_v_mem -0.3, SingleSpike", f":{SINGLE},min_v_mem=-0.3"),
            lambda: net("LIF", 2.0, 3.0, min_v_mem=-0.3, spike_fn=SingleSpike),
        ),
        (
            row("lif_syn", "LIF", "tau_syn 2", ":tau_syn=2"),
            lambda: net("LIF", 2.0, 3.0, tau_syn=2.0),
        ),
        (
            row("lif_syn_whole", "LIF", "tau_syn 2, norm_input False", f":tau_syn=2,{WHOLE}"),
            lambda: net("LIF", 0.25, 3.0, tau_syn=2.0, norm_input=False),
        ),
        (
            row("iafsqueeze", "IAFSqueeze", "batch_size 20"),
            lambda: net("IAFSqueeze", 0.5, batch_size=20),
        ),
        (row("expleak", "ExpLeak", "a read-out without spikes"), lambda: net("ExpLeak", 0.5, 3.0)),
    ],
)
