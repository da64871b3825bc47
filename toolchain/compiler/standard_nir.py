"""NIR files of standard nodes only, for readers that do not know sfx's extensions."""

from __future__ import annotations

import nir
import numpy as np

from ..formats.nir import ext
from ..formats.nir.bridge import from_graph
from ..ground.errors import Problem, UnsupportedError
from ..ir.check import check_graph
from ..ir.graph import Graph
from .passes.base import run_passes
from .passes.fold_batch_norm import FoldBatchNorm
from .passes.lower_max_pool import LowerMaxPool
from .passes.lower_products import LowerProducts
from .passes.standard_nodes import StandardNodes

STEPS = (FoldBatchNorm(), LowerMaxPool(), LowerProducts(), StandardNodes())
MEANING = {
    "reset_mode": "a reset by subtraction",
    "start": "a membrane that starts elsewhere than at 0",
    "drop": "a reset by another amount than the threshold",
    "fires": "a neuron that sends more than one spike a step, spikes of both signs, or tests its "
    "threshold twice",
    "hold": "a membrane that is held after a spike",
    "floor": "a membrane with a lower bound",
}
"""Facts of a neuron that no standard node expresses, and that another reader would ignore."""


def standard(graph: Graph) -> nir.NIRGraph:
    """The same net: AND and OR as thresholds of sums, views and reductions as dense layers.

    Raises UnsupportedError (SFX-E644) with every node that has no standard form.
    """
    lowered = run_passes(graph, STEPS, check_graph)
    made = from_graph(lowered)
    problems = []
    for name, node in made.nodes.items():
        if isinstance(node, ext.Reshape):
            shape = np.array(lowered[lowered[name].producers[0]].shape)
            made.nodes[name] = nir.Flatten({"input": shape}, 0, -1)
        elif type(node).__module__ == ext.__name__:
            what = f"{type(node).__name__} has no standard NIR node"
            problems.append(Problem("SFX-E644", name, what, "leave --standard-only out"))
        for fact in MEANING.keys() & ext.facts(node).keys():
            what = f"standard NIR cannot express {MEANING[fact]}"
            problems.append(Problem("SFX-E644", name, what, "leave --standard-only out"))
    if problems:
        raise UnsupportedError.of(problems)
    return made
