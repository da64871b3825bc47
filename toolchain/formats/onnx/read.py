"""An ONNX model as a Graph: standard operators on [T, *shape], and those of our domain.

Nothing outside the file is read, nothing in it is run. Whatever has no counterpart is refused by
node name, all at once.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from ...ground.errors import InputError, Problem, UnsupportedError
from ...ir import graph as g
from ...ir.check import output_shape
from ...ir.names import with_clean_names
from ...ir.single import reached
from .names import DOMAIN, EPSILON, MODULE, NUMBERS

MAX_BYTES = 1 << 31
"""Protobuf's own limit."""
MAX_VALUES = 1 << 28
"""Most values of one step or one constant."""


class _Refused(Exception):
    def __init__(self, what: str, hint: str = "") -> None:
        self.what, self.hint = what, hint
        super().__init__(what)


def read(path: str | os.PathLike[str], *, timesteps: int | None = None) -> g.Graph:
    """The graph in an ONNX file whose one input is [T, *shape].

    timesteps: T, where the file does not say it.
    Raises InputError (SFX-E171) for no ONNX model or one with data outside the file, and
    UnsupportedError (SFX-E172) with every operator that is not mapped.
    """
    path = Path(path)
    model = _parse(path)
    r = _Reader(model, str(path))
    nodes = r.run()
    steps = timesteps or r.steps()
    name = model.graph.name or path.stem
    return with_clean_names(g.Graph(tuple(nodes), steps, r.number("sfx.dt", 1e-3), name))


def _parse(path: Path) -> onnx.ModelProto:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError("SFX-E171", "is larger than 2 GiB", where=str(path))
        model = onnx.load_model_from_string(path.read_bytes())
    except OSError as error:
        raise InputError("SFX-E171", f"cannot be read: {error}", where=str(path)) from error
    except Exception as error:  # protobuf raises a class of its own, by implementation
        if isinstance(error, InputError):
            raise
        raise InputError("SFX-E171", "is not an ONNX model", where=str(path)) from error
    if not model.graph.node:
        raise InputError("SFX-E171", "is not an ONNX model, or an empty one", where=str(path))
    return model


class _Reader:
    def __init__(self, model: onnx.ModelProto, where: str) -> None:
        self.graph, self.where = model.graph, where
        self.props = {p.key: p.value for p in model.metadata_props}
        self.constants: dict[str, Any] = {}
        self.nodes: dict[str, g.Node] = {}
        self.values: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.module = ""

    def number(self, key: str, default: float) -> float:
        try:
            value = float(self.props.get(key, default))
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value <= 0:
            raise InputError("SFX-E171", f"{key} is {self.props.get(key)!r}", where=self.where)
        return value

    def steps(self) -> int:
        if "sfx.timesteps" not in self.props:
            hint = "give --timesteps"
            raise InputError("SFX-E171", "does not give its T", where=self.where, hint=hint)
        return int(self.number("sfx.timesteps", 1))

    def run(self) -> list[g.Node]:
        for tensor in self.graph.initializer:
            self.constants[tensor.name] = self._constant(tensor)
        self._input()
        for node in self.graph.node:
            self._node(node)
        if len(self.graph.output) != 1:
            what = f"has {len(self.graph.output)} outputs, but must have one"
            self.problems.append(Problem("SFX-E172", self.where, what))
        if self.problems:
            raise UnsupportedError.of(self.problems)
        return self._alive(self._output())

    # --- ends ---

    def _constant(self, tensor: onnx.TensorProto) -> Any:
        what = ""
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            what = "keeps its data outside the file"
        elif any(d < 0 for d in tensor.dims) or math.prod(tensor.dims) > MAX_VALUES:
            what = f"has shape {tuple(tensor.dims)}"
        else:
            try:
                array = numpy_helper.to_array(tensor)
                return array.astype(np.float64) if array.dtype.kind == "f" else array
            except Exception as error:  # truncated or mistyped data, of many kinds
                what = f"cannot be read ({type(error).__name__})"
        raise InputError("SFX-E171", f"the constant {tensor.name} {what}", where=self.where)

    def _input(self) -> None:
        free = [i for i in self.graph.input if i.name not in self.constants]
        dims = [d.dim_value for d in free[0].type.tensor_type.shape.dim] if len(free) == 1 else []
        if len(dims) < 2 or min(dims[1:]) < 1 or math.prod(dims[1:]) > MAX_VALUES:
            what = "must have one input [T, *shape] with a known shape"
            raise InputError("SFX-E171", what, where=self.where)
        self.module = ""
        high = int(self.number("sfx.high", 1)) if self.props.get("sfx.high", "0") != "0" else 0
        self.put(free[0].name, g.Input(high), (), tuple(dims[1:]), self._name(free[0].name))

    def _output(self) -> str:
        given = [o.name for o in self.graph.output]
        if not given or given[0] not in self.values:
            what = "has no output that its nodes make"
            raise InputError("SFX-E171", what, where=self.where)
        name = self.values[given[0]]
        if isinstance(self.nodes[name].op, g.Output):
            return name
        self.module = ""
        return self.put("", g.Output("none"), ((name,),), self.nodes[name].shape, "output")

    def _alive(self, end: str) -> list[g.Node]:
        found: set[str] = set()
        todo = [end]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += self.nodes[name].producers
        return [n for n in self.nodes.values() if n.name in found]

    # --- nodes ---

    def _node(self, node: onnx.NodeProto) -> None:
        known = [n for n in node.input if n]
        if any(n not in self.values and n not in self.constants for n in known):
            return  # behind a refused node
        self.module = next((p.value for p in node.metadata_props if p.key == MODULE), "")
        key = f"{DOMAIN}.{node.op_type}" if node.domain == DOMAIN else node.op_type
        where = node.name or (node.output[0] if node.output else node.op_type)
        try:
            if key not in READERS or node.domain not in ("", "ai.onnx", DOMAIN):
                name = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
                raise _Refused(f"the operator {name} is not mapped", _instead(node))
            READERS[key](self, node)
        except _Refused as refused:
            self.problems.append(Problem("SFX-E172", where, refused.what, refused.hint))
        except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
            what = f"this form of {node.op_type} is not mapped ({type(error).__name__}: {error})"
            self.problems.append(Problem("SFX-E172", where, what))

    def put(
        self, value: str, op: g.Op, inputs: tuple[tuple[str, ...], ...], shape: Any, name: str
    ) -> str:
        """A node of the graph whose result is the ONNX value `value`."""
        self.nodes[name] = g.Node(name, op, inputs, tuple(shape), self.module)
        self.values[value] = name
        return name

    def step(self, node: onnx.NodeProto, op: g.Op, declared: tuple[int, ...] = ()) -> None:
        """A node with one stream operand, its first input."""
        source = self.stream(node, 0)
        shape = output_shape(op, self.nodes[source].shape, declared)
        if math.prod(shape) > MAX_VALUES:
            raise _Refused(f"makes a value of shape {shape}")
        name = self._name(node.name or node.output[0])
        self.put(node.output[0], op, (self.producers(node.input[0]),), shape, name)

    def select(self, node: onnx.NodeProto, axis: int, index: list[int]) -> None:
        """A Gather of the operand, or of what earlier axes made of it; one on one axis of it."""
        done = self.values.get(node.output[0])
        source = (done,) if done else self.producers(node.input[0])
        made = self.nodes[source[0]].op
        if len(source) == 1 and isinstance(made, g.Gather) and made.axis == axis:
            index = [-1 if i < 0 else made.index[i] for i in index]
            (source,) = self.nodes[source[0]].inputs
        op = g.Gather(axis, tuple(index))
        shape = output_shape(op, self.nodes[source[0]].shape, ())
        if math.prod(shape) > MAX_VALUES:
            raise _Refused(f"makes a value of shape {shape}")
        self.put(node.output[0], op, (source,), shape, self._name(node.name or node.output[0]))

    def stream(self, node: onnx.NodeProto, index: int) -> str:
        if node.input[index] not in self.values:
            raise _Refused("an operand that does not depend on the input")
        return self.values[node.input[index]]

    def producers(self, value: str) -> tuple[str, ...]:
        """The producers of a port: those of a `Sum` that was written for it, else one."""
        name = self.values[value]
        made = self.nodes[name]
        if "/in" in name and isinstance(made.op, g.Sum) and len(made.inputs[0]) > 1:
            return made.inputs[0]
        return (name,)

    def const(self, node: onnx.NodeProto, index: int) -> Any:
        if index >= len(node.input) or not node.input[index]:
            return None
        if node.input[index] not in self.constants:
            raise _Refused(f"operand {index} is not a constant")
        return self.constants[node.input[index]]

    def _name(self, wanted: str) -> str:
        base = name = wanted.replace("/in", "@in").replace("/", "_").replace("@in", "/in")
        count = 1
        while name in self.nodes:
            count += 1
            name = f"{base}_{count}"
        return name


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attribute values by name."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _instead(node: onnx.NodeProto) -> str:
    """What a file may contain instead of an operator that is not mapped."""
    if node.domain not in ("", "ai.onnx", DOMAIN):
        return f"operators of ONNX itself and of {DOMAIN} are read, of no other domain"
    if node.op_type in INSTEAD:
        return INSTEAD[node.op_type]
    standard = ", ".join(k for k in READERS if "." not in k)
    own = ", ".join(k for k in READERS if "." in k)
    return f"mapped: {standard}; neurons and sums over time are operators of our own: {own}"


NEURON = f"use a neuron of the domain {DOMAIN} (LIF, IF, Threshold), as sfx writes it"
INSTEAD = {
    **dict.fromkeys(("Relu", "Gelu", "Sigmoid", "Tanh", "Elu", "LeakyRelu", "Clip"), NEURON),
    **dict.fromkeys(("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Where"), NEURON),
    **dict.fromkeys(("Loop", "Scan", "If", "LSTM", "GRU", "RNN"), NEURON),
    **dict.fromkeys(
        ("LayerNormalization", "InstanceNormalization", "GroupNormalization"),
        "use BatchNormalization, which folds into the weights",
    ),
    "Softmax": "attention over spikes needs none: MatMul of spikes, Mul by a constant, a neuron",
    "Sub": "use Mul by -1 and Add",
    "Div": "use Mul by the reciprocal",
    "Unsqueeze": "use Reshape to [-1, *shape of one step]",
    "Squeeze": "use Reshape to [-1, *shape of one step]",
    "GlobalAveragePool": "use AveragePool with the whole plane as its kernel_shape",
}
"""Operator that is not mapped -> what to write instead; for all others what is mapped is listed."""


# --- standard operators ---------------------------------------------------------------------


def _pair(values: Any, default: int) -> tuple[int, int]:
    first, second = (int(v) for v in (values or [default, default]))
    return first, second


def _pads(a: dict[str, Any]) -> tuple[int, int]:
    if a.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID") or a.get("ceil_mode"):
        raise _Refused("auto_pad or ceil_mode", "write pads as numbers")
    pads = [int(p) for p in a.get("pads") or [0] * 4]
    if pads[:2] != pads[2:]:
        raise _Refused(f"uneven pads {pads}", "pad both sides alike")
    return _pair(pads[:2], 0)


def _conv(r: _Reader, node: onnx.NodeProto) -> None:
    a, weight, bias = attributes(node), r.const(node, 1), r.const(node, 2)
    if weight.ndim != 4:
        raise _Refused(f"a convolution of {weight.ndim - 2} axes", "use Conv of [T, C, H, W]")
    offset = np.zeros(len(weight)) if bias is None else bias
    strides, dilations = _pair(a.get("strides"), 1), _pair(a.get("dilations"), 1)
    groups = int(a.get("group", 1))
    r.step(node, g.Conv2d(weight, offset, strides, _pads(a), dilations, groups))


def _gemm(r: _Reader, node: onnx.NodeProto) -> None:
    a, weight, bias = attributes(node), r.const(node, 1), r.const(node, 2)
    if a.get("transA", 0) or a.get("alpha", 1.0) != 1 or a.get("beta", 1.0) != 1:
        raise _Refused("transA, alpha or beta", "use Gemm(x, W, b)")
    weight = weight if a.get("transB", 0) else weight.T.copy()
    r.step(node, g.Linear(weight, np.zeros(len(weight)) if bias is None else bias.reshape(-1)))


def _matmul(r: _Reader, node: onnx.NodeProto) -> None:
    weight = r.const(node, 1).T.copy()
    r.step(node, g.Linear(weight, np.zeros(len(weight))))


def _batch_norm(r: _Reader, node: onnx.NodeProto) -> None:
    if attributes(node).get("training_mode"):
        raise _Refused("batch norm in training mode", "export in eval mode")
    given = float(attributes(node).get("epsilon", 1e-5))
    exact = next((float(p.value) for p in node.metadata_props if p.key == EPSILON), given)
    eps = exact if np.float32(exact) == np.float32(given) else given
    weight, bias, mean, var = (r.const(node, i) for i in range(1, 5))
    r.step(node, g.BatchNorm(weight, bias, mean, var, eps))


def _pool(kind: type[g.MaxPool2d] | type[g.SumPool2d]) -> Callable[..., None]:
    def read(r: _Reader, node: onnx.NodeProto) -> None:
        a = attributes(node)
        kernel = _pair(a["kernel_shape"], 1)
        if any(d != 1 for d in a.get("dilations") or []) or len(node.output) > 1:
            raise _Refused("a dilated pool, or one that returns indices")
        r.step(node, kind(kernel, _pair(a.get("strides"), 1), _pads(a)))

    return read


def _average_pool(r: _Reader, node: onnx.NodeProto) -> None:
    a = attributes(node)
    if any(a.get("pads") or []) and not a.get("count_include_pad"):
        raise _Refused("a mean without its padding", "use count_include_pad=1")
    _pool(g.SumPool2d)(r, node)
    total = r.values[node.output[0]]
    shape, name = r.nodes[total].shape, r._name(f"{total}.mean")
    r.put(node.output[0], g.Scale(1.0 / math.prod(a["kernel_shape"])), ((total,),), shape, name)


def _sum(r: _Reader, node: onnx.NodeProto) -> None:
    names = tuple(r.stream(node, i) for i in range(len(node.input)))
    shapes = {r.nodes[n].shape for n in names}
    if len(shapes) != 1 or len(set(names)) != len(names):
        raise _Refused("adds values of different shapes, or one twice", "use Expand, or Mul by 2")
    name = r._name(node.name or node.output[0])
    r.put(node.output[0], g.Sum(), (names,), shapes.pop(), name)


def _mul(r: _Reader, node: onnx.NodeProto) -> None:
    constant = next((i for i in (0, 1) if node.input[i] in r.constants), None)
    if constant is not None:
        factor = r.constants[node.input[constant]]
        if np.size(factor) != 1:
            raise _Refused("a product with a constant array", "put it into the layer before")
        if constant == 0:
            node.input.reverse()
        return r.step(node, g.Scale(float(np.reshape(factor, ()))))
    a, b = r.stream(node, 0), r.stream(node, 1)
    if r.nodes[a].shape != r.nodes[b].shape:
        raise _Refused("a product of values of different shapes", "use Expand before it")
    ports = (r.producers(node.input[0]), r.producers(node.input[1]))
    r.put(
        node.output[0], g.Product(), ports, r.nodes[a].shape, r._name(node.name or node.output[0])
    )
    return None


def _reduce(r: _Reader, node: onnx.NodeProto) -> None:
    a = attributes(node)
    axes = a.get("axes", r.const(node, 1) if len(node.input) > 1 else None)
    rank = len(r.nodes[r.stream(node, 0)].shape) + 1
    listed = sorted(int(x) % rank for x in np.ravel(np.asarray(axes)))
    if a.get("keepdims", 1):
        raise _Refused("a reduction that keeps its axes", "use keepdims=0")
    kind = node.op_type.removeprefix("Reduce").lower()
    if listed == [0] and node.output[0] == r.graph.output[0].name:
        return r.step(node, g.Output(kind))
    if 0 in listed or kind != "sum":
        raise _Refused("a reduction over time before the output, or a mean or maximum over space")
    return r.step(node, g.ReduceSum(tuple(x - 1 for x in listed)))


def _reshape(r: _Reader, node: onnx.NodeProto) -> None:
    shape = [int(n) for n in r.const(node, 1)]
    if not shape or shape[0] not in (-1, 0) or min(shape[1:], default=1) < 1:
        raise _Refused(f"a reshape to {shape}", "use [-1, *shape of one step]")
    r.step(node, g.Reshape(), tuple(shape[1:]))


def _flatten(r: _Reader, node: onnx.NodeProto) -> None:
    if attributes(node).get("axis", 1) != 1:
        raise _Refused("Flatten of another axis than 1")
    r.step(node, g.Reshape(), (math.prod(r.nodes[r.stream(node, 0)].shape),))


def _transpose(r: _Reader, node: onnx.NodeProto) -> None:
    order = [int(i) for i in attributes(node)["perm"]]
    if order[0] != 0:
        raise _Refused("moves the time axis")
    r.step(node, g.Permute(tuple(i - 1 for i in order[1:])))


def _expand(r: _Reader, node: onnx.NodeProto) -> None:
    shape = [int(n) for n in r.const(node, 1)]
    if not shape or shape[0] != 1:
        raise _Refused(f"an expansion to {shape}", "use [1, *shape of one step]")
    r.step(node, g.Expand(), tuple(shape[1:]))


def _gather(r: _Reader, node: onnx.NodeProto) -> None:
    index = np.asarray(r.const(node, 1))
    shape = r.nodes[r.stream(node, 0)].shape
    axis = int(attributes(node).get("axis", 0)) % (len(shape) + 1)
    if axis == 0:
        raise _Refused("takes single time steps")
    length = shape[axis - 1]
    if index.ndim != 1 or not index.size or index.min() < -length or index.max() >= length:
        raise _Refused("a Gather with indices of another shape, or outside the axis")
    r.select(node, axis - 1, [int(i) % length for i in index])


def _group_sum(r: _Reader, node: onnx.NodeProto) -> None:
    group = attributes(node).get("group")
    if not isinstance(group, int) or group < 1:
        raise _Refused(f"a group of {group} steps")
    r.step(node, g.TimeSum(group))


def _pad(r: _Reader, node: onnx.NodeProto) -> None:
    a = attributes(node)
    pads = [int(n) for n in a.get("pads", r.const(node, 1) if len(node.input) > 1 else ())]
    fill = r.const(node, 2) if len(node.input) > 2 and node.input[2] else a.get("value", 0.0)
    shape = r.nodes[r.stream(node, 0)].shape
    rank = len(shape) + 1
    plain = a.get("mode", b"constant") in (b"constant", "constant") and not np.any(fill)
    if not plain or len(node.input) > 3 or len(pads) != 2 * rank or pads[0] or pads[rank]:
        raise _Refused("a Pad other than zeros on axes behind that of time")
    if max(map(abs, pads)) > MAX_VALUES:
        raise _Refused(f"a Pad of {max(map(abs, pads))}")
    if not any(pads):
        r.values[node.output[0]] = r.stream(node, 0)
    for axis, n in enumerate(shape):
        before, after = pads[axis + 1], pads[rank + axis + 1]
        kept = range(max(0, -before), n - max(0, -after))
        if before or after:
            r.select(node, axis, [-1] * max(0, before) + [*kept] + [-1] * max(0, after))


def _identity(r: _Reader, node: onnx.NodeProto) -> None:
    if node.output[0] == r.graph.output[0].name:
        return r.step(node, g.Output("none"))
    r.values[node.output[0]] = r.stream(node, 0)
    return None


def _constant(r: _Reader, node: onnx.NodeProto) -> None:
    r.constants[node.output[0]] = r._constant(attributes(node)["value"])


def _neuron(kind: type[g.Op]) -> Callable[..., None]:
    def read(r: _Reader, node: onnx.NodeProto) -> None:
        numbers = {
            k: float(np.reshape(r.const(node, i), ())) for i, k in enumerate(NUMBERS[kind], start=1)
        }
        flags = {k: bool(v) for k, v in attributes(node).items()}
        if set(flags) - {"subtract", "reached"}:
            raise _Refused(f"attributes {sorted(flags)}")
        if kind in (g.LIF, g.IF) and "reached" not in flags:  # files of before that attribute
            numbers["threshold"], flags["reached"] = reached(numbers["threshold"])
        r.step(node, kind(**numbers, **flags))

    return read


READERS: dict[str, Callable[[_Reader, onnx.NodeProto], None]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "MaxPool": _pool(g.MaxPool2d),
    "AveragePool": _average_pool,
    "Sum": _sum,
    "Add": _sum,
    "Mul": _mul,
    "ReduceSum": _reduce,
    "ReduceMean": _reduce,
    "ReduceMax": _reduce,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Expand": _expand,
    "Gather": _gather,
    "Pad": _pad,
    "Identity": _identity,
    "Constant": _constant,
    f"{DOMAIN}.SumPool": _pool(g.SumPool2d),
    f"{DOMAIN}.TimeSum": lambda r, node: r.step(node, g.TimeSum()),
    f"{DOMAIN}.GroupSum": _group_sum,
    **{f"{DOMAIN}.{kind.__name__}": _neuron(kind) for kind in NUMBERS},
}
"""Operator -> its reader."""
