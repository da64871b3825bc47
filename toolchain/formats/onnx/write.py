"""A Graph as an ONNX model: every value is [T, *shape], so the time steps are the batch axis.

Stateless operators are standard ones in float64. What couples the steps is an operator of our
domain, with its equation in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...ground.errors import Problem, UnsupportedError
from ...ir import graph as g
from .names import (
    DOMAIN,
    EPSILON,
    EQUATIONS,
    MODULE,
    NUMBERS,
    OPSET,
    RARE,
    VERSION,
)


def to_onnx(graph: g.Graph) -> onnx.ModelProto:
    """The model of a graph in imported form.

    Raises UnsupportedError (SFX-E170) with every node that stands in a loop: ONNX has none.
    """
    w = _Writer(graph)
    problems = []
    for node in graph:
        late = [p for p in node.producers if p not in w.done]
        if late:
            what = f"a recurrent connection from {', '.join(late)} has no ONNX form"
            problems.append(Problem("SFX-E170", node.name, what, "keep the model as .nir"))
        w.node(node)
    if problems:
        raise UnsupportedError.of(problems)
    return w.model()


class _Writer:
    def __init__(self, graph: g.Graph) -> None:
        self.graph = graph
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.done: set[str] = set()

    def constant(self, name: str, values: Any) -> str:
        array = np.asarray(values, order="C")
        if array.dtype.kind == "f":
            array = array.astype(np.float64)
        self.tensors.append(numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, inputs: Sequence[str], node: g.Node, **attributes: Any) -> None:
        domain = DOMAIN if op in EQUATIONS else ""
        made = helper.make_node(
            op, list(inputs), [node.name], node.name, EQUATIONS.get(op), domain, **attributes
        )
        if node.module:
            helper.set_model_props(made, {MODULE: node.module})
        self.nodes.append(made)

    def node(self, node: g.Node) -> None:
        self.done.add(node.name)
        if isinstance(node.op, g.Input):
            return
        ports = [self._port(node, i, p) for i, p in enumerate(node.inputs)]
        WRITERS[type(node.op)](self, node, node.op, ports)

    def _port(self, node: g.Node, port: int, producers: tuple[str, ...]) -> str:
        """The one value of a port; several producers add up."""
        if len(producers) == 1 or isinstance(node.op, g.Sum):
            return producers[0]
        name = f"{node.name}/in{port}"
        self.nodes.append(helper.make_node("Sum", list(producers), [name], name))
        return name

    def model(self) -> onnx.ModelProto:
        (start,) = self.graph.of_type(g.Input)
        (end,) = self.graph.of_type(g.Output)
        f64 = TensorProto.DOUBLE
        lead: list[str | int | None] = ["T"]
        assert isinstance(start.op, g.Input), "of_type gave it"
        assert isinstance(end.op, g.Output), "of_type gave it"
        shape = [*end.shape] if end.op.reduce != "none" else [*lead, *end.shape]
        made = helper.make_graph(
            self.nodes,
            self.graph.name,
            [helper.make_tensor_value_info(start.name, f64, [*lead, *start.shape])],
            [helper.make_tensor_value_info(end.name, f64, shape)],
            self.tensors,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, VERSION)]
        model = helper.make_model(made, opset_imports=opsets, producer_name="sfx", ir_version=10)
        facts = {
            "sfx.timesteps": str(self.graph.timesteps),
            "sfx.dt": repr(self.graph.dt),
            "sfx.high": str(start.op.high),
        }
        helper.set_model_props(model, facts)
        return model


Ports = list[str]


def _conv(w: _Writer, n: g.Node, op: g.Conv2d, x: Ports) -> None:
    inputs = [x[0], w.constant(f"{n.name}/W", op.weight), w.constant(f"{n.name}/B", op.bias)]
    pads = [*op.padding, *op.padding]
    w.add("Conv", inputs, n, strides=op.stride, pads=pads, dilations=op.dilation, group=op.groups)


def _linear(w: _Writer, n: g.Node, op: g.Linear, x: Ports) -> None:
    inputs = [x[0], w.constant(f"{n.name}/W", op.weight), w.constant(f"{n.name}/B", op.bias)]
    w.add("Gemm", inputs, n, transB=1)


def _batch_norm(w: _Writer, n: g.Node, op: g.BatchNorm, x: Ports) -> None:
    parts = {"scale": op.weight, "B": op.bias, "mean": op.mean, "var": op.var}
    inputs = [w.constant(f"{n.name}/{k}", v) for k, v in parts.items()]
    source, target = x[0], n.name
    order = list(range(len(n.shape) + 1))
    order[1], order[op.axis + 1] = order[op.axis + 1], order[1]
    if op.axis:  # ONNX norms axis 1 of [T, ...]
        source, target = f"{n.name}/to", f"{n.name}/at"
        w.nodes.append(helper.make_node("Transpose", x, [source], source, perm=order))
    made = helper.make_node(
        "BatchNormalization", [source, *inputs], [target], target, epsilon=op.eps
    )
    helper.set_model_props(made, {EPSILON: repr(op.eps), MODULE: n.module})
    w.nodes.append(made)
    if op.axis:
        w.add("Transpose", [target], n, perm=order)


def _pool(name: str) -> Callable[..., None]:
    def write(w: _Writer, n: g.Node, op: g.SumPool2d | g.MaxPool2d, x: Ports) -> None:
        pads = [*op.padding, *op.padding]
        w.add(name, x, n, kernel_shape=op.kernel, strides=op.stride, pads=pads)

    return write


def _reduce_sum(w: _Writer, n: g.Node, op: g.ReduceSum, x: Ports) -> None:
    axes = w.constant(f"{n.name}/axes", np.array([a + 1 for a in op.axes], np.int64))
    w.add("ReduceSum", [x[0], axes], n, keepdims=0)


def _shaped(op_name: str, lead: int) -> Callable[..., None]:
    def write(w: _Writer, n: g.Node, op: g.Op, x: Ports) -> None:
        shape = w.constant(f"{n.name}/shape", np.array([lead, *n.shape], np.int64))
        w.add(op_name, [x[0], shape], n)

    return write


def _gather(w: _Writer, n: g.Node, op: g.Gather, x: Ports) -> None:
    """Gather; where values are 0, one 0 is appended to the axis before, which -1 then takes."""
    axis, index, source = op.axis + 1, np.array(op.index, np.int64), x[0]
    if op.pads:
        length = w.graph[n.producers[0]].shape[op.axis]
        before, after = [0] * (len(n.shape) + 1), [0] * (len(n.shape) + 1)
        after[axis] = 1
        pads = w.constant(f"{n.name}/pads", np.array([*before, *after], np.int64))
        source = f"{n.name}/padded"
        w.nodes.append(helper.make_node("Pad", [x[0], pads], [source], source))
        index = np.where(index < 0, length, index)
    w.add("Gather", [source, w.constant(f"{n.name}/index", index)], n, axis=axis)


def _neuron(w: _Writer, n: g.Node, op: Any, x: Ports) -> None:
    numbers = [w.constant(f"{n.name}/{k}", np.float64(getattr(op, k))) for k in NUMBERS[type(op)]]
    flags = {"subtract": int(op.subtract)} if hasattr(op, "subtract") else {}
    rare = [f"{k}={getattr(op, k)}" for k, plain in RARE.items() if getattr(op, k, plain) != plain]
    if rare:
        raise UnsupportedError(
            "SFX-E224",
            f"the ONNX operator cannot express {', '.join(rare)}",
            where=n.name,
        )
    if getattr(op, "reached", False):
        flags["reached"] = 1
    w.add(type(op).__name__, [x[0], *numbers], n, **flags)


def _delay(w: _Writer, n: g.Node, op: g.Delay, x: Ports) -> None:
    raise _unsaid("a delay", n)


def _time_map(w: _Writer, n: g.Node, op: g.TimeMap, x: Ports) -> None:
    raise _unsaid("a map of the steps", n)


def _unsaid(what: str, node: g.Node) -> UnsupportedError:
    return UnsupportedError(
        "SFX-E224",
        f"no ONNX operator of ours expresses {what}",
        where=node.name,
        hint="keep the model as .nir",
    )


def _output(w: _Writer, n: g.Node, op: g.Output, x: Ports) -> None:
    if op.reduce == "none":
        w.add("Identity", x, n)
    elif op.reduce in ("mean", "max"):
        w.add(f"Reduce{op.reduce.capitalize()}", x, n, axes=[0], keepdims=0)
    elif op.reduce == "weighted":
        raise _unsaid("weights of steps", n)
    else:
        axes = w.constant(f"{n.name}/axes", np.array([0], np.int64))
        w.add("ReduceSum", [x[0], axes], n, keepdims=0)


WRITERS: dict[type[g.Op], Callable[..., None]] = {
    g.Conv2d: _conv,
    g.Linear: _linear,
    g.BatchNorm: _batch_norm,
    g.Scale: lambda w, n, op, x: w.add(
        "Mul", [x[0], w.constant(f"{n.name}/factor", np.float64(op.factor))], n
    ),
    g.SumPool2d: _pool("SumPool"),
    g.MaxPool2d: _pool("MaxPool"),
    g.Sum: lambda w, n, op, x: w.add("Sum", n.inputs[0], n),
    g.ReduceSum: _reduce_sum,
    g.Reshape: _shaped("Reshape", -1),
    g.Expand: _shaped("Expand", 1),
    g.Gather: _gather,
    g.Permute: lambda w, n, op, x: w.add("Transpose", x, n, perm=[0, *(i + 1 for i in op.order)]),
    g.Product: lambda w, n, op, x: w.add("Mul", x, n),
    g.TimeSum: lambda w, n, op, x: (
        w.add("GroupSum", x, n, group=op.group) if op.group else w.add("TimeSum", x, n)
    ),
    g.LI: _neuron,
    g.LIF: _neuron,
    g.Delay: _delay,
    g.TimeMap: _time_map,
    g.IF: _neuron,
    g.Threshold: _neuron,
    g.Integrator: _neuron,
    g.Output: _output,
}
