"""What the converters from NIR share: the Graph that they build, node by node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np

from ...ground.errors import Problem
from ...ir.check import output_shape
from ...ir.graph import Node, Op, Shape, unused
from .conventions import NirOptions
from .neurons import Reader


class Junction(nir.NIRNode):  # type: ignore[misc]  # nir ships no types
    """Stands for a subgraph's Input or Output once the subgraph is inlined: values add up."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}


@dataclass
class GraphBuilder:
    """What the converters share: one NIR node at a time becomes one or more Graph nodes."""

    dt: float
    taken: set[str]
    options: NirOptions
    recurrent: set[str]
    name: str = ""
    module: str = ""
    shape: Shape = ()
    inputs: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def begin(self, name: str, shape: Shape, inputs: list[str], facts: dict[str, Any]) -> None:
        """The next NIR node: the shape that arrives, its producers, what its metadata say."""
        self.name, self.shape, self.inputs, self.facts = name, shape, tuple(inputs), facts
        self.module = facts.get("module", "")

    @property
    def reader(self) -> Reader:
        """What the exporting framework means by this node."""
        recurrent = self.name in self.recurrent
        return Reader(self.options, self.dt, recurrent)

    def problem(self, code: str, what: str, hint: str = "") -> None:
        """Something is wrong with this node; all problems are raised together at the end."""
        self.problems.append(Problem(code, self.name, what, hint))

    def add(
        self,
        op: Op,
        part: str = "",
        shape: Shape | None = None,
        inputs: tuple[tuple[str, ...], ...] | None = None,
    ) -> str:
        """Append a node that reads the one before (or `inputs`); `part` names a helper node."""
        if inputs is None:
            inputs = (self.inputs,) if op.ports else ()
        made = output_shape(op, self.shape, shape if shape is not None else self.shape)
        name = unused(f"{self.name}.{part}", self.taken) if part else self.name
        self.nodes.append(Node(name, op, inputs, made, self.module))
        self.inputs, self.shape = (name,), made
        return name

    def uniform(self, node: nir.NIRNode, *names: str) -> list[float]:
        """The one value of each array; a problem for those that hold several."""
        values = []
        for name in names:
            array = np.asarray(getattr(node, name), dtype=np.float64)
            if array.size and not np.all(array == array.flat[0]):
                self.problem(
                    "SFX-E208",
                    f"{name} differs between neurons ({array.min():g} to {array.max():g})",
                    "one node's neurons must share each parameter: split the node",
                )
            values.append(float(array.flat[0]) if array.size else float("nan"))
        return values


def shape_of(values: object) -> Shape:
    """A shape as NIR stores it: any array of whole numbers."""
    return tuple(int(v) for v in np.ravel(np.asarray(values)))
