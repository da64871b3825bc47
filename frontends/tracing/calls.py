"""What an export remembers of its model: which calls of which modules the graph's neurons are."""

from __future__ import annotations

from dataclasses import dataclass, field

import nir
import torch
from torch import fx, nn

from .dims import Dims


@dataclass
class TracedCalls:
    """The calls of a neuron module that became one node, as the walk meets them.

    number  of the stand-in;  dims  of what a call returns
    calls   which call of the module it was: one that computes all steps, or one for each step
    total   calls of the module in the whole trace
    """

    number: int
    dims: Dims
    total: int
    calls: list[int] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class NeuronCalls:
    """A neuron of the graph and the calls of the user's module that it stands for.

    node   in the graph;  path, module  in the model
    dims   axes of what one call returns, as traced
    calls  numbers of the calls, from 0: one for all steps, or those of steps 0, 1, ... as traced
    total  calls of the module in one forward, as traced
    methods  of the module that were one op in the trace
    unit   what the module returns for one spike
    """

    node: str
    path: str
    module: nn.Module
    dims: Dims
    calls: tuple[int, ...]
    total: int
    methods: tuple[str, ...] = ("forward",)
    unit: float = 1.0

    @property
    def over_time(self) -> bool:
        """Whether one call computes all steps."""
        return self.dims.timed

    def of(self, steps: int, made: int) -> list[int] | None:
        """The calls to look at where the module was called `made` times in a forward of `steps`.

        None where the trace does not tell: it saw another number of calls, or no regular order.
        """
        if self.over_time:
            return list(self.calls) if made == self.total else None
        if self.total % self.dims.steps or made * self.dims.steps != self.total * steps:
            return None
        first, *later = self.calls
        stride = later[0] - first if later else 1
        if any(c != first + (i + 1) * stride for i, c in enumerate(later)):
            return None
        return [first + t * stride for t in range(steps)]


@dataclass(frozen=True, eq=False)
class Exported:
    """A NIR graph together with the live model it was traced from.

    input_layout  as of `export`;  dtype  of the example
    neurons   every neuron of the graph that is a module of the model
    output    axes of the deployed output, as traced; without T where the model reduced the steps
    returned  which of the model's returned values it is, flattened
    """

    graph: nir.NIRGraph
    model: nn.Module
    input_layout: str
    dtype: torch.dtype
    neurons: tuple[NeuronCalls, ...]
    output: Dims
    returned: int


def which(node: fx.Node, name: str, number: int) -> tuple[int, int]:
    """(which call of neuron `number` the traced node is, how many there are)."""
    same = [n for n in node.graph.nodes if n.op == "call_function" and _is_call(n, name, number)]
    return same.index(node), len(same)


def _is_call(node: fx.Node, name: str, number: int) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.name == name and bool(node.args[2] == number)
