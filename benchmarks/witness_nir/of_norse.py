"""Norse's neurons: exported by norse.to_nir, run by Norse."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import nir
import norse.torch as norse
import torch
from common import HIDDEN, IN, OUT, Made, Row, events, record, weights
from norse.torch.functional.reset import reset_subtract


def linears(scale: float) -> list[torch.nn.Linear]:
    made = []
    for w in weights(scale):
        layer = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
        layer.weight.data = torch.from_numpy(w)
        made.append(layer)
    return made


def full(size: int, **values: float) -> dict[str, torch.Tensor]:
    """Arrays: nir cannot write a scalar."""
    return {k: torch.full((size,), v) for k, v in values.items()}


def net(cell: Any, parameters: Any, scale: float, other: dict[str, Any], **values: float) -> Made:
    first, second = linears(scale)
    cells = [cell(p=parameters(**full(n, **values), **other)) for n in (HIDDEN, OUT)]
    model = norse.SequentialState(first, cells[0], second, cells[1])
    x, state, out = torch.from_numpy(events()).float(), None, []
    with torch.no_grad():
        for t in range(x.shape[1]):
            z, state = model(x[:, t], state)
            out.append(z)
    graph = norse.to_nir(model, torch.zeros(IN))
    return plain(graph), torch.stack(out, 1).numpy()


def plain(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Tensors as arrays."""
    for node in graph.nodes.values():
        for key, value in vars(node).items():
            if isinstance(value, torch.Tensor):
                setattr(node, key, value.numpy())
    return graph


LIF = {"tau_mem_inv": 500.0, "v_th": 1.0, "v_leak": 0.0}
CUBA = LIF | {"tau_syn_inv": 500.0}
SLOW = {"tau_mem_inv": 100.0, "tau_syn_inv": 200.0, "v_th": 0.25, "v_leak": 0.0}
SUBTRACT = {"reset_method": reset_subtract}


def box(scale: float, other: dict[str, Any] | None = None, **values: float) -> Made:
    return net(norse.LIFBoxCell, norse.LIFBoxParameters, scale, other or {}, **values)


def cuba(scale: float, **values: float) -> Made:
    return net(norse.LIFCell, norse.LIFParameters, scale, {}, **values)


def iaf(scale: float, **values: float) -> Made:
    return net(norse.IAFCell, norse.IAFParameters, scale, {}, **values)


record(
    {"norse": version("norse"), "nir": version("nir")},
    [
        (
            Row("norse_lifbox", "LIFBoxCell", "tau_mem_inv 500", "norse-1.1"),
            lambda: box(0.5, **LIF),
        ),
        (
            Row("norse_lifbox_slow", "LIFBoxCell", "tau_mem_inv 100, v_th 0.25", "norse-1.1"),
            lambda: box(1.0, **{k: v for k, v in SLOW.items() if k != "tau_syn_inv"}),
        ),
        (
            Row("norse_lifbox_leak", "LIFBoxCell", "v_leak 0.25", "norse-1.1"),
            lambda: box(0.5, **LIF | {"v_leak": 0.25}),
        ),
        (
            Row(
                "norse_lifbox_subtract",
                "LIFBoxCell",
                "reset_method reset_subtract",
                "norse-1.1",
                "subtract",
            ),
            lambda: box(0.5, SUBTRACT, **LIF),
        ),
        (
            Row("norse_lifbox_reset", "LIFBoxCell", "v_reset 0.25", "norse-1.1", "0.25"),
            lambda: box(0.5, **LIF | {"v_reset": 0.25}),
        ),
        (
            Row("norse_lif", "LIFCell", "tau_mem_inv 500, tau_syn_inv 500", "norse-1.1"),
            lambda: cuba(0.5, **CUBA),
        ),
        (
            Row("norse_lif_slow", "LIFCell", "default time constants, v_th 0.25", "norse-1.1"),
            lambda: cuba(0.5, **SLOW),
        ),
        (
            Row("norse_lif_leak", "LIFCell", "v_leak 0.25", "norse-1.1"),
            lambda: cuba(0.5, **CUBA | {"v_leak": 0.25}),
        ),
        (Row("norse_iaf", "IAFCell", "v_th 1", "norse-1.1"), lambda: iaf(0.25, v_th=1.0)),
        (Row("norse_iaf_read", "IAFCell", "v_th 1", "norse"), lambda: iaf(0.25, v_th=1.0)),
        (
            Row("norse_libox", "LIBoxCell", "a read-out without spikes", "norse-1.1"),
            lambda: net(norse.LIBoxCell, norse.LIBoxParameters, 0.5, {}, tau_mem_inv=500.0),
        ),
    ],
)
