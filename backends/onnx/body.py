"""The graph of one hardware step while it is built: nodes, constants, unique names.

Values are named by strings, as in ONNX. A `Scope` adds nodes under the name of a population or a
projection, so that the model reads well in a viewer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

INT64, INT32, BOOL = TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL


@dataclass
class Body:
    """Collects nodes and initializers; every name is used once."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)
    _constants: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)

    def name(self, wish: str) -> str:
        """`wish`, or `wish` with a number where it is taken."""
        name, n = wish, 1
        while name in self._names:
            n += 1
            name = f"{wish}.{n}"
        self._names.add(name)
        return name

    def constant(self, value: NDArray[Any], wish: str) -> str:
        """An initializer with `value`; equal ones are stored once."""
        array = np.array(value, order="C")
        key = (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest())
        if key not in self._constants:
            name = self.name(wish)
            self.initializers.append(numpy_helper.from_array(array, name))
            self._constants[key] = name
        return self._constants[key]


@dataclass(frozen=True)
class Scope:
    """Adds nodes named after one population or projection."""

    body: Body
    name: str

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add one ONNX operator; the name of its output."""
        node = self.body.name(f"{self.name}/{kind}")
        output = self.body.name(f"{self.name}/{kind}:0")
        self.body.nodes.append(
            helper.make_node(kind, list(inputs), [output], name=node, **attributes)
        )
        return output

    def number(self, value: int) -> str:
        """An int64 scalar."""
        return self.body.constant(np.array(value, dtype=np.int64), f"int/{value}")

    def array(self, value: NDArray[Any]) -> str:
        """An array as it is."""
        return self.body.constant(value, f"{self.name}/constant")

    def weights(self, value: NDArray[np.int64], to: int = INT64) -> str:
        """Whole numbers stored in the narrowest type that holds them, then cast."""
        return self.cast(self.body.constant(narrow(value), f"{self.name}/weight"), to)

    def cast(self, x: str, to: int) -> str:
        """`x` in another type."""
        return self.op("Cast", x, to=to)

    def reshape(self, x: str, *shape: int) -> str:
        """`x` in another shape."""
        return self.op("Reshape", x, self.array(np.array(shape, dtype=np.int64)))


def narrow(value: NDArray[np.int64]) -> NDArray[Any]:
    """`value` in the narrowest of int8, int16, int32, int64 that holds it."""
    low, high = int(value.min(initial=0)), int(value.max(initial=0))
    for kind in (np.int8, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return value.astype(kind)
    return value
