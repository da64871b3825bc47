"""SpikingJelly 2's neurons: exported by nir_exchange, run by SpikingJelly."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from common import HIDDEN, IN, OUT, Made, Row, events, record, weights
from spikingjelly.activation_based import functional, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir


def linear(w: Any) -> torch.nn.Linear:
    layer = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
    layer.weight.data = torch.from_numpy(w)
    return layer


def net(kind: str, scale: float, dt: float = 1e-4, **options: Any) -> Made:
    first, second = (linear(w) for w in weights(scale))
    with torch.no_grad():
        cells = [getattr(neuron, kind)(**options) for _ in (HIDDEN, OUT)]
        model = torch.nn.Sequential(first, cells[0], second, cells[1]).eval()
        functional.set_step_mode(model, "s")
        x, out = torch.from_numpy(events()).float(), []
        functional.reset_net(model)
        for t in range(x.shape[1]):
            out.append(model(x[:, t]))
        functional.reset_net(model)
        graph = export_to_nir(model, torch.zeros(1, IN), dt=dt)
    return graph, torch.stack(out, 1).numpy()


def row(name: str, neuron_: str, option: str, reset: str = "") -> Row:
    return Row(f"spikingjelly_{name}", neuron_, option, "spikingjelly", reset)


record(
    {"spikingjelly": version("spikingjelly"), "nir": version("nir")},
    [
        (row("if", "IFNode", "defaults"), lambda: net("IFNode", 0.25)),
        (row("if_reset", "IFNode", "v_reset 0.25"), lambda: net("IFNode", 0.25, v_reset=0.25)),
        (row("if_soft", "IFNode", "v_reset None"), lambda: net("IFNode", 0.25, v_reset=None)),
        (row("lif", "LIFNode", "defaults"), lambda: net("LIFNode", 1.0)),
        (row("lif_3", "LIFNode", "tau 3"), lambda: net("LIFNode", 1.0, tau=3.0)),
        (
            row("lif_whole", "LIFNode", "decay_input False"),
            lambda: net("LIFNode", 0.5, decay_input=False),
        ),
        (row("lif_reset", "LIFNode", "v_reset 0.25"), lambda: net("LIFNode", 1.0, v_reset=0.25)),
        (
            row("lif_whole_reset", "LIFNode", "decay_input False, v_reset -0.5"),
            lambda: net("LIFNode", 0.5, decay_input=False, v_reset=-0.5),
        ),
        (row("lif_soft", "LIFNode", "v_reset None"), lambda: net("LIFNode", 1.0, v_reset=None)),
        (row("plif", "ParametricLIFNode", "defaults"), lambda: net("ParametricLIFNode", 1.0)),
        (
            row("plif_whole", "ParametricLIFNode", "init_tau 1.5, decay_input False"),
            lambda: net("ParametricLIFNode", 0.5, init_tau=1.5, decay_input=False),
        ),
        (row("cuba", "CUBALIFNode", "defaults"), lambda: net("CUBALIFNode", 0.25)),
        (
            row("cuba_reset", "CUBALIFNode", "v_reset 0.125"),
            lambda: net("CUBALIFNode", 0.25, v_reset=0.125),
        ),
    ],
)
