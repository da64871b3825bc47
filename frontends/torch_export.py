"""From a PyTorch model to NIR: `export`.

1. Every known neuron module is swapped for one opaque op, so that its loop over time is one node.
2. `torch.export` traces the model: concrete shapes, ATen ops, no Python control flow.
3. The traced graph is walked once; `sfx.frontends.tracing` has one rule per op, and follows the
   time axis through every view. What has no rule is collected and reported all at once.

Both the decomposed ops of torch 2.3 and the undecomposed ones of later versions are known.
"""

from __future__ import annotations

import importlib
import operator
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, fx, nn

from sfx.frontends.neurons import registry
from sfx.frontends.tracing.dims import BATCH, TIME, Axis, Dims
from sfx.frontends.tracing.emitter import Emitter, Refusal, Stream
from sfx.frontends.tracing.lif_op import NAME as LIF
from sfx.frontends.tracing.lif_op import OpaqueLif
from sfx.frontends.tracing.rules import RULES, hint_for
from sfx.toolchain.errors import InputError, Problem, SfxError, UnsupportedError
from sfx.toolchain.ir import nir_ext as ext

for _rules in ("ops_view", "ops_math", "ops_linear"):
    importlib.import_module(f"sfx.frontends.tracing.{_rules}")

TRACE_BATCH = 2
"""Samples in the traced example: more than one, so that the batch axis is never mistaken."""
UNKNOWN = object()
"""Value of a node that was refused, or that depends on one."""


def export(
    model: nn.Module, example: Tensor, *, dt: float = 1e-3, name: str = "model"
) -> nir.NIRGraph:
    """The NIR graph of a multi-step model, traced on `example` [T, 1, *input shape].

    The model runs in eval mode; it is left as it was, its training flags included. Values of
    `example` do not matter, only its shape and dtype.

    dt    seconds of one model step; every neuron must have been built with it
    name  stored in the graph

    Raises InputError: SFX-E101 example, SFX-E102 the model cannot be traced; UnsupportedError with
    every problem: SFX-E103 op, SFX-E104 mixes time steps or samples, SFX-E105 neuron, SFX-E106
    output, SFX-E107 a form of an op that is not mapped.
    """
    steps = _check_example(example)
    traced = example.detach().expand(-1, TRACE_BATCH, *example.shape[2:])
    if steps == 1:  # an axis of length 1 could not be followed
        traced = traced.expand(2, *traced.shape[1:])
    with _prepared(model, dt):
        program = _trace(model, traced.contiguous())
        leaves = {path for path, m in model.named_modules() if not any(m.children())}
        emitter = Emitter(dt)
        output = _Walk(program, emitter, leaves, _input_dims(traced)).run()
    return _finish(emitter, output, steps, name)


def _check_example(example: Tensor) -> int:
    """T of an example [T, 1, *input shape]."""
    hint = "give one sample, time first: [T, 1, *input shape], float"
    given: object = example
    if not isinstance(given, Tensor) or not given.is_floating_point():
        kind = given.dtype if isinstance(given, Tensor) else type(given).__name__
        raise InputError("SFX-E101", f"the example is {kind}, not a float tensor", hint=hint)
    if example.dim() < 3 or 0 in example.shape:
        raise InputError("SFX-E101", f"the example has shape {tuple(example.shape)}", hint=hint)
    if example.shape[1] != 1:
        raise InputError("SFX-E101", f"the example holds {example.shape[1]} samples", hint=hint)
    return int(example.shape[0])


def _input_dims(traced: Tensor) -> Dims:
    axes: list[Axis] = [(TIME,), (BATCH,), *((int(n),) for n in traced.shape[2:])]
    return Dims((), int(traced.shape[0]), TRACE_BATCH).with_axes(axes)


# --- before the trace -----------------------------------------------------------------------


@contextmanager
def _prepared(model: nn.Module, dt: float) -> Iterator[None]:
    """The model in eval mode with every neuron swapped; as it was when the block ends."""
    flags = [(m, m.training) for m in model.modules()]
    swapped: list[tuple[nn.Module, str, nn.Module]] = []
    try:
        for parent, child, made in _replacements(model, dt):
            module = parent._modules[child]
            if module is not None:
                swapped.append((parent, child, module))
                parent._modules[child] = made
        model.eval()
        yield
    finally:
        for parent, child, module in reversed(swapped):
            parent._modules[child] = module
        for module, training in flags:
            module.training = training


def _replacements(model: nn.Module, dt: float) -> list[tuple[nn.Module, str, OpaqueLif]]:
    """(parent, child name, opaque neuron) for every neuron; raises for all refused ones at once."""
    found: list[tuple[nn.Module, str, OpaqueLif]] = []
    problems: list[Problem] = []
    todo: list[tuple[str, nn.Module]] = [("", model)]
    seen: set[nn.Module] = {model}
    while todo:
        path, parent = todo.pop()
        for child, module in parent._modules.items():
            if module is None:
                continue
            where = f"{path}.{child}" if path else child
            try:
                spec = registry.read(module, dt, where)
            except UnsupportedError as error:
                problems += error.problems
                continue
            if spec is not None:
                found.append((parent, child, OpaqueLif(spec)))
            elif module not in seen:
                seen.add(module)
                todo.append((where, module))
    if problems:
        raise UnsupportedError.of(sorted(problems, key=lambda p: p.where))
    return found


def _trace(model: nn.Module, example: Tensor) -> Any:
    """The exported program; in-place ops and unknown compound ops are decomposed where possible."""
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(model, (example,), strict=False)
            if any(_mutates(n) or _unknown(n) for n in program.graph.nodes):
                simpler = program.run_decompositions()
                before = sum(_unknown(n) for n in program.graph.nodes)
                if any(_mutates(n) for n in program.graph.nodes) or before > sum(
                    _unknown(n) for n in simpler.graph.nodes
                ):
                    program = simpler
            return program
    except SfxError:
        raise
    except Exception as error:  # torch.export raises many kinds, from its own and the model's code
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = lines[0][:300] if lines else ""
        hint = (
            "forward() must take [T, B, ...] for any B, without Python control flow that depends "
            "on values, and without state kept in attributes"
        )
        if "not installed as a submodule" in text:
            hint = "forward() creates a module (nn.X(...)): create it in __init__"
        raise InputError(
            "SFX-E102",
            f"torch.export cannot trace the model ({type(error).__name__}: {text})",
            where=type(model).__name__,
            hint=hint,
        ) from error


def _op_name(node: fx.Node) -> str:
    schema = getattr(node.target, "_schema", None)
    return str(schema.name) if schema is not None else getattr(node.target, "__name__", "")


def _mutates(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return node.op == "call_function" and schema is not None and bool(schema.is_mutable)


def _unknown(node: fx.Node) -> bool:
    return (
        node.op == "call_function"
        and hasattr(node.target, "_schema")
        and _op_name(node) not in RULES
        and bool(node.all_input_nodes)
    )


# --- the walk -------------------------------------------------------------------------------


class _Walk:
    """Visits the nodes of an exported program once, in order, and applies their rules."""

    def __init__(self, program: Any, emitter: Emitter, leaves: set[str], dims: Dims) -> None:
        self.program = program
        self.e = emitter
        self.leaves = leaves
        self.dims = dims
        self.env: dict[fx.Node, Any] = {}

    def run(self) -> Stream:
        """The one output stream. Raises UnsupportedError with every problem."""
        placeholders = iter(self.program.graph_signature.input_specs)
        output: Stream | None = None
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self.env[node] = self._placeholder(node, next(placeholders))
            elif node.op == "get_attr":
                self.env[node] = getattr(self.program.graph_module, str(node.target))
            elif node.op == "call_function":
                self.env[node] = self._call(node)
            elif node.op == "output":
                output = self._output(node)
        if self.e.problems:
            raise UnsupportedError.of(_without_repeats(self.e.problems))
        if output is None:
            raise UnsupportedError("SFX-E106", "the model returns nothing")
        return output

    def _placeholder(self, node: fx.Node, spec: Any) -> Any:
        kind = spec.kind.name
        if kind == "USER_INPUT":
            made = nir.Input(np.array(self.dims.step_shape))
            return Stream(self.e.add(made, "input"), self.dims)
        target = spec.target
        for table in (self.program.state_dict, getattr(self.program, "constants", {})):
            if target in table:
                return table[target]
        self.e.problems.append(Problem("SFX-E102", str(target), f"a traced input of kind {kind}"))
        return UNKNOWN

    def _call(self, node: fx.Node) -> Any:
        values: list[Any] = []

        def look(n: fx.Node) -> Any:
            values.append(self.env[n])
            return self.env[n]

        args = fx.node.map_arg(node.args, look)
        kwargs = fx.node.map_arg(node.kwargs, look)
        if any(v is UNKNOWN for v in values):
            return UNKNOWN
        if node.target is operator.getitem and isinstance(args[0], tuple | list):
            return args[0][args[1]]
        self._enter(node)
        try:
            if not any(isinstance(v, Stream) for v in values):
                with torch.no_grad():
                    return node.target(*args, **kwargs)  # type: ignore[operator]  # a constant
            name = _op_name(node)
            if name not in RULES:
                raise Refusal(
                    "SFX-E103", f"the op {name or node.target} is not mapped", hint_for(name)
                )
            return RULES[name](self.e, node, *args, **kwargs)
        except Refusal as refusal:
            self._problem(node, refusal.code, refusal.what, refusal.hint)
        except (TypeError, ValueError, IndexError, KeyError, RuntimeError) as error:
            what = f"this form of {_op_name(node)} is not mapped ({type(error).__name__}: {error})"
            self._problem(node, "SFX-E107", what)
        return self._stand_in(node)

    def _stand_in(self, node: fx.Node) -> Any:
        """What a refused op is taken to return, so that the rest of the model is checked as well.

        Its first operand, where the result has that operand's shape (softmax, layer norm,
        activations). The walk has a problem already, so no graph comes of it.
        """
        made = node.meta.get("val")
        first = made[0] if isinstance(made, tuple | list) and made else made
        for operand in node.all_input_nodes:
            stream, shape = self.env[operand], getattr(operand.meta.get("val"), "shape", None)
            if isinstance(stream, Stream) and shape == getattr(first, "shape", ()):
                if first is made:
                    return stream
                return (stream, *[UNKNOWN] * (len(list(made or ())) - 1))
        return UNKNOWN

    def _enter(self, node: fx.Node) -> None:
        """Set the module path of the node, as names and messages need it."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path = str(stack[-1][0]) if stack else ""
        # older versions write "L['self'].blocks.0", newer ones "blocks.0"
        self.e.path = re.sub(r"^L\['[^']*'\]\.?", "", path)
        self.e.leaf = self.e.path in self.leaves

    def _problem(self, node: fx.Node, code: str, what: str, hint: str = "") -> None:
        where = self.e.path or "model"
        line = _source_line(node)
        self.e.problems.append(Problem(code, f"{where} ({line})" if line else where, what, hint))

    def _output(self, node: fx.Node) -> Stream | None:
        returned = node.args[0]
        specs = self.program.graph_signature.output_specs
        streams: list[Stream] = []
        others = 0
        for value, spec in zip(returned, specs, strict=True):  # type: ignore[arg-type]  # a tuple
            found = self.env.get(value) if isinstance(value, fx.Node) else value
            if spec.kind.name != "USER_OUTPUT":
                self.e.problems.append(
                    Problem(
                        "SFX-E106",
                        str(spec.target),
                        "forward() changes this buffer",
                        "a deployed model keeps no state but its neurons'",
                    )
                )
            elif isinstance(found, Stream):
                streams.append(found)
            elif found is UNKNOWN:
                return None  # its cause is among the problems
            elif found is not None:
                others += 1
        if len(streams) != 1 or others:
            self.e.problems.append(
                Problem(
                    "SFX-E106",
                    "model",
                    f"returns {len(streams)} tensors that depend on the input and {others} others",
                    "in eval mode forward() must return one tensor",
                )
            )
            return None
        return streams[0]


def _source_line(node: fx.Node) -> str:
    """`file.py:line` of the model's code, where the trace recorded it."""
    found = re.findall(r'File "([^"]+)", line (\d+)', str(node.meta.get("stack_trace") or ""))
    return f"{found[-1][0].rsplit('/', 1)[-1]}:{found[-1][1]}" if found else ""


def _without_repeats(problems: list[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))


# --- after the walk -------------------------------------------------------------------------


def _finish(e: Emitter, output: Stream, steps: int, name: str) -> nir.NIRGraph:
    """The graph that leads from the Input to `output`, with its facts."""
    e.path = ""
    end = ext.with_facts(nir.Output(np.array(output.shape)), reduce=output.reduce or "none")
    last = e.add(end, "output", output.name)
    feeds: dict[str, list[str]] = {n: [] for n in e.nodes}
    for a, b in e.edges:
        feeds[b].append(a)
    alive = {last}
    todo = [last]
    while todo:
        for source in feeds[todo.pop()]:
            if source not in alive:
                alive.add(source)
                todo.append(source)
    graph = nir.NIRGraph(
        {n: v for n, v in e.nodes.items() if n in alive},
        [(a, b) for a, b in e.edges if b in alive],
    )
    return ext.with_facts(graph, sfx=ext.FORMAT, timesteps=steps, dt=e.dt, name=name)


__all__ = ["LIF", "export"]
