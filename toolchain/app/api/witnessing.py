"""The user's torch model beside the graph that was made of it, at export and when compiling."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import nir
    import torch

    from ....frontends.tracing.calls import Exported
    from ....frontends.witness.record import Recording
    from ....frontends.witness.result import Witness
    from ...ir.graph import Graph


@dataclass(frozen=True, eq=False)
class Witnessed:
    """What was found, and torch's record, which later forms of the graph are held against.

    Without records: the user left the comparison out.
    """

    result: Witness
    recordings: tuple[Recording, ...]

    def beside(self, lowered: Graph) -> Witnessed:
        """The same record beside the graph in neuron form. Raises InputError (SFX-E180 to E183)."""
        from ....frontends.witness.compare import compare_lowered

        if not self.result.checked:
            return self
        return replace(self, result=compare_lowered(lowered, self.recordings, self.result))


def left_out() -> Witnessed:
    """What is on record of a torch model that the user does not want compared."""
    from ....frontends.witness.result import Witness

    return Witnessed(Witness(checked=False), ())


def witness(
    exported: Exported,
    samples: NDArray[Any] | None,
    count: int,
    *,
    example: torch.Tensor | None = None,
    graph: Graph | None = None,
    source: str = "calibration",
) -> Witnessed:
    """Run the model of `exported` on `count` of `samples` (else drawn ones) beside its graph.

    samples [K, T, *input shape]; example [T, 1, *input shape], tried before any is drawn; graph:
    what the NIR graph was read as. Raises InputError (SFX-E180 to E185).
    """
    from ....frontends.witness.compare import compare
    from ....frontends.witness.record import record
    from ....frontends.witness.samples import drawn
    from ...formats.nir.bridge import to_graph
    from ...ir import graph as g

    graph = to_graph(exported.graph) if graph is None else graph
    if samples is not None:
        recordings = [record(exported, np.asarray(x, np.float64)) for x in samples[:count]]
    else:
        shape = (graph.timesteps, *graph.of_type(g.Input)[0].shape)
        first = None if example is None else example[:, 0].detach().cpu().double().numpy()
        recordings = drawn(exported, shape, count, first)
        source = "drawn" if first is None or recordings[0].x is not first else "the example"
    result = replace(compare(graph, recordings), source=source)
    return Witnessed(result, tuple(r.without_currents() for r in recordings))


_remembered: dict[int, tuple[weakref.ref[Any], Witnessed]] = {}


def remember(graph: nir.NIRGraph, found: Witnessed) -> None:
    """Keep what was found of a graph in memory as long as the graph lives."""
    key = id(graph)
    _remembered[key] = (weakref.ref(graph, lambda _: _remembered.pop(key, None)), found)


def remembered(graph: nir.NIRGraph) -> Witnessed | None:
    """What `export` found of this very object; None for a graph from elsewhere."""
    kept = _remembered.get(id(graph))
    return kept[1] if kept is not None and kept[0]() is graph else None
