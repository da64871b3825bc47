"""Samples of a model: fitted to its graph, and the torch model compared with the graph on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ...data import at_every_step
from ...ground.errors import InputError
from ...ir import graph as g
from .models import Source

if TYPE_CHECKING:
    from .witnessing import Witnessed


def witnessed(
    source: Source, graph: g.Graph, samples: NDArray[Any] | None, origin: str, count: int
) -> Witnessed | None:
    """A torch model beside `graph` on `count` samples, 0: left out; None: there is no model."""
    from .witnessing import left_out, witness

    if source.exported is None:
        return source.witnessed
    if not count:
        return left_out()
    return witness(source.exported, samples, count, graph=graph, source=origin)


def fitted(samples: NDArray[Any], graph: g.Graph, what: str) -> NDArray[Any]:
    """Samples [K, T, *input shape] of this graph. Raises InputError (SFX-E613)."""
    shape = graph.of_type(g.Input)[0].shape
    wanted = (graph.timesteps, *shape)
    fitted = at_every_step(samples, shape, graph.timesteps)
    if fitted.shape[1:] != wanted:
        raise InputError(
            "SFX-E613",
            f"{what} have shape {tuple(samples.shape[1:])}, but the model takes {wanted}: its "
            f"{graph.timesteps} steps first",
            hint="x is [samples, steps, *input shape], such as [samples, steps, channels, height, "
            "width]; images [samples, *input shape] are shown at every step",
        )
    return fitted
