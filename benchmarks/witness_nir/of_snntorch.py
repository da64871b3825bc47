"""snnTorch's neurons: exported by export_to_nir, run by snnTorch."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import snntorch as snn
import torch
from common import HIDDEN, IN, OUT, Made, Row, events, record, weights
from snntorch.export_nir import export_to_nir


def linear(w: Any) -> torch.nn.Linear:
    layer = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
    layer.weight.data = torch.from_numpy(w)
    return layer


def cell(kind: str, size: int, beta: float, last: bool, **options: Any) -> torch.nn.Module:
    """The layer with arrays of its size, as the exporter needs them."""
    named: dict[str, Any] = {"beta": torch.full((size,), beta), "init_hidden": True, **options}
    named["threshold"] = torch.full((size,), 1.0)
    if "Syn" in kind:
        named["alpha"] = torch.full((size,), 0.5)
    if kind.startswith("R"):
        named |= {"all_to_all": True, "linear_features": size}
    made = getattr(snn, kind)(output=last, **named)
    if kind.startswith("R"):
        generator = torch.Generator().manual_seed(2)
        loop = torch.randint(-2, 2, (size, size), generator=generator) * 0.25
        made.recurrent.weight.data = loop
        made.recurrent.bias.data = torch.zeros(size)
    return made


def at_rest(model: torch.nn.Sequential) -> None:
    """Every state 0 (utils.reset of 1.0.0 does not reach all of RSynaptic's)."""
    for layer in model:
        if hasattr(layer, "reset_mem"):
            layer.reset_mem()


def net(kind: str, beta: float = 0.5, **options: Any) -> Made:
    last = "Leaky" if kind == "RLeaky" else kind.removeprefix("R")
    first, second = (linear(w) for w in weights(0.5 if "Leaky" in kind else 0.25))
    with torch.no_grad():
        model = torch.nn.Sequential(
            first,
            cell(kind, HIDDEN, beta, False, **options),
            second,
            cell(last, OUT, beta, True, **options),
        )
        x, out = torch.from_numpy(events()).float(), []
        for sample in x:  # the exporter's arrays fit one sample at a time
            at_rest(model)
            out.append(torch.stack([model(step[None])[0][0] for step in sample]))
        at_rest(model)
        graph = export_to_nir(model, torch.zeros(IN))
    return graph, torch.stack(out).numpy()


ROWS = []
for kind in ("Leaky", "Synaptic", "RLeaky", "RSynaptic"):
    for reset in ("subtract", "zero", "none"):
        for delay in (True, False):
            row = Row(
                f"snntorch_{kind}_{reset}_{delay}".lower(),
                kind,
                f"reset_mechanism {reset}, reset_delay {delay}",
                "snntorch" if delay else "snntorch:reset_delay=false",
                reset,
            )
            options = {"reset_mechanism": reset, "reset_delay": delay}
            ROWS.append((row, lambda kind=kind, options=options: net(kind, **options)))
ROWS += [
    (
        Row("snntorch_leaky_0.9", "Leaky", "beta 0.9, defaults", "snntorch"),
        lambda: net("Leaky", 0.9),
    ),
    (
        Row("snntorch_synaptic_0.8", "Synaptic", "beta 0.8, defaults", "snntorch"),
        lambda: net("Synaptic", 0.8),
    ),
    (
        Row("snntorch_leaky_0.3", "Leaky", "beta 0.3, reset_mechanism zero", "snntorch", "zero"),
        lambda: net("Leaky", 0.3, reset_mechanism="zero"),
    ),
]
record({"snntorch": version("snntorch"), "nir": version("nir")}, ROWS)
