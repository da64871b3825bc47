"""What populations receive: each projection adds its part to a port of post."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import conv as kernels
from ..layout import C_ORDER, Layout, Values, arranged
from ..plan.convolutions import Convolution, PairConv
from ..plan.projections import PlannedProjection
from .sent import Sent


def add(planned: PlannedProjection, sent: Sent, port: Values, layout: Layout, fresh: bool) -> None:
    """port [B, S, post size], held in `layout`, += what the projection brings of `sent`.

    fresh: nothing is in port yet, not even zeros.
    """
    if planned.convolution is not None:
        _add_channels(planned.convolution, sent, port, layout, fresh)
    elif planned.same:
        put(port, planned.scaled(sent.arranged(layout), port.dtype), fresh)
    else:
        flat = sent.flat.reshape(-1, sent.flat.shape[-1])
        put(port, arranged(planned(flat), C_ORDER, layout).reshape(port.shape), fresh)


def _add_channels(conv: Convolution, sent: Sent, port: Values, layout: Layout, fresh: bool) -> None:
    shape = (sent.lead[0] * sent.lead[1], conv.positions, conv.outputs)
    direct = layout.channels == conv.outputs or (layout.c_order and conv.positions == 1)
    if direct and port.dtype == np.int32:
        convolve(conv, sent, port.reshape(shape), fresh)
        return
    out = np.empty(shape, dtype=np.int32)
    convolve(conv, sent, out, True)
    put(port, arranged(out.reshape(port.shape), Layout(conv.outputs), layout), fresh)


def convolve(conv: Convolution, sent: Sent, out: Values, fresh: bool) -> None:
    """out [N, Q, O] int32 += (= if fresh) what `sent` brings through the convolution."""
    if isinstance(conv, PairConv):
        kernels.convolve(*_arguments(conv, sent), fresh, out)
        return
    values = sent.last(conv.inputs)
    kernels.convolve_channels(values, conv.place, conv.weight, conv.shift, fresh, out)


def drive(conv: PairConv, sent: Sent, extra: Values | None, *neurons: Any) -> None:
    """LIF neurons that receive this and `extra`; the other arguments of `kernels.convolve_lif`."""
    more = np.zeros((0, 0, 0), np.int32) if extra is None else extra
    kernels.convolve_lif(*_arguments(conv, sent), more, *neurons)


def _arguments(conv: PairConv, sent: Sent) -> tuple[Any, ...]:
    """What both kernels take first."""
    lists = sent.lists(conv.inputs, conv.packing)
    return (
        lists.index, lists.value, lists.ends, conv.place, conv.weight, conv.groups, conv.shift,
    )  # fmt: skip


def put(port: Values, brought: Values, fresh: bool) -> None:
    """port += brought, or = if nothing is in it yet. The caller has proved that it fits."""
    if fresh:
        port[...] = brought
    else:
        np.add(port, brought, out=port, casting="unsafe")
