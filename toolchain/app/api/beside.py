"""A model and its samples: its graph, those that fit it, and the torch model beside it on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ...data import at_every_step
from ...ground.errors import InputError
from ...ir import graph as g
from .models import Source

if TYPE_CHECKING:
    from ...formats.nir.conventions import NirOptions
    from .witnessing import Witnessed


def imported(
    source: Source, samples: NDArray[Any] | None, timesteps: int | None, options: NirOptions | None
) -> g.Graph:
    """The graph. A NIR file need not say its T, the samples do; a traced network has it in it."""
    from ...formats.nir.bridge import to_graph

    if timesteps is None and samples is not None and "timesteps" not in source.graph.metadata:
        timesteps = int(samples.shape[1])
    return to_graph(source.graph, timesteps=timesteps, options=options)


def calibration(source: Source, given: NDArray[Any] | None) -> tuple[NDArray[Any] | None, str]:
    """The samples that choose the scales, and where they are from: the user's come first."""
    return (source.calibration, "checkpoint") if given is None else (given, "--calibrate")


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
