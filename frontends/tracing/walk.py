"""Visits the nodes of an exported program once, in order, and applies their rules."""

from __future__ import annotations

import hashlib
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn, cast

import nir
import numpy as np
import torch
from torch import Tensor, fx

from ...toolchain.ground.errors import Problem, UnsupportedError
from ..neurons.refusal import Refusal
from .dims import Dims
from .emitter import Emitter, Stream
from .ops_steps import LOOP, STEPWISE, Partial, State, accumulated
from .prepare import NOT_THE_MODELS, op_name
from .rules import RULES, hint_for
from .steps import PASSED_ON, ancestors

PREFIX = "model."
"""Of every path: the attribute of `prepare.Traced` that holds the model."""
UNKNOWN = object()
"""Value of a node that was refused, or that depends on one."""
WEIGHED = (
    "constants must be the same at every step (no time embedding); weights of a read-out are "
    "followed by the sum or mean over the steps"
)
VIEWS = {
    *PASSED_ON, "aten::view", "aten::_unsafe_view", "aten::reshape", "aten::flatten",
    "aten::squeeze", "aten::unsqueeze", "aten::to", "aten::_to_copy",
}  # fmt: skip
"""Ops that leave every value as it is, and the steps where they are."""
READS_MEMBRANE = (
    "this neuron never resets, so it has no spikes: read its membrane (the last value that "
    "snnTorch's neuron returns, the first of Norse's)"
)
MEMORY = (
    "spiking neurons are the memory on the chip: use a recurrent neuron (snnTorch's RLeaky, say)"
)
SMALL = 4096
"""Constants up to this many values are told apart by what they hold, larger ones by their place."""


class Walk:
    """The values of all nodes that lead to output number `output`."""

    def __init__(
        self,
        program: Any,
        emitter: Emitter,
        leaves: set[str],
        dims: Dims,
        output: int = 0,
        tensors: Mapping[str, Tensor] | None = None,
        memories: Mapping[str, str] | None = None,
    ) -> None:
        self.memories = memories or {}
        self.tensors = tensors or {}
        self.program = program
        self.e = emitter
        self.leaves = leaves
        self.dims = dims
        self.output = output
        self.env: dict[fx.Node, Any] = {}
        self.copies: dict[Any, Any] = {}
        self.kept: list[Tensor] = []
        self.returned = 0

    def run(self) -> Stream:
        """The output stream. Raises UnsupportedError with every problem."""
        placeholders = iter(self.program.graph_signature.input_specs)
        chosen = self._chosen()
        alive = ancestors(chosen)
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self.env[node] = self._placeholder(node, next(placeholders))
            elif node.op == "get_attr":
                self.env[node] = getattr(self.program.graph_module, str(node.target))
            elif node.op == "call_function" and node in alive:
                self.env[node] = self._call(node)
        stream = self._stream(self.env.get(chosen)) if chosen is not None else None
        if self.e.problems:
            raise UnsupportedError.of(list(dict.fromkeys(self.e.problems)))
        if stream is None:
            raise UnsupportedError("SFX-E106", "the model returns nothing")
        return stream

    def refuse_without_neurons(self) -> NoReturn:
        """For an image that the model shows itself: without a neuron its T is not known.

        Raises UnsupportedError with what has no rule, which may be meant as a neuron, and
        SFX-E196. What depends on T cannot be judged.
        """
        alive = ancestors(self._chosen())
        moved: set[fx.Node] = set()
        inputs = iter(self.program.graph_signature.input_specs)
        for node in self.program.graph.nodes:
            if node.op == "placeholder" and next(inputs).kind.name == "USER_INPUT":
                moved.add(node)
            elif node.op == "call_function" and moved & set(node.all_input_nodes):
                moved.add(node)
                name = op_name(node)
                if node in alive and node.target is not operator.getitem and name not in RULES:
                    self._enter(node)
                    self._problem(node, "SFX-E103", f"the op {name} is not mapped", hint_for(name))
        what = (
            "contains no known neuron, so the number of steps for which it shows its image is "
            "unknown"
        )
        hint = (
            "use neurons of SpikingJelly, snnTorch or Norse, or MultiStep around a cell; a model "
            "that takes all steps is exported with input_layout='TB' (--input-layout TB)"
        )
        self.e.problems.append(Problem("SFX-E196", "model", what, hint))
        raise UnsupportedError.of(list(dict.fromkeys(self.e.problems)))

    # --- ends ---

    def _placeholder(self, node: fx.Node, spec: Any) -> Any:
        kind = spec.kind.name
        if kind == "USER_INPUT":
            made = nir.Input(np.array(self.dims.step_shape))
            return Stream(self.e.add(made, "input"), self.dims)
        target = spec.target
        own = str(target).removeprefix(PREFIX)
        if own in self.tensors:  # torch 2.3 may list its own stand-ins
            return self.tensors[own]
        for table in (self.program.state_dict, getattr(self.program, "constants", {})):
            if target in table:
                return table[target]
        self.e.problems.append(Problem("SFX-E102", str(target), f"a traced input of kind {kind}"))
        return UNKNOWN

    def _chosen(self) -> fx.Node | None:
        """The node of the deployed output: number `output` among those that depend on the input."""
        (end,) = [n for n in self.program.graph.nodes if n.op == "output"]
        specs = self.program.graph_signature.output_specs
        inputs = self.program.graph_signature.input_specs
        starts = [n for n in self.program.graph.nodes if n.op == "placeholder"]
        user = {n for n, s in zip(starts, inputs, strict=False) if s.kind.name == "USER_INPUT"}
        found: list[fx.Node] = []
        places: list[int] = []
        returned = -1
        for value, spec in zip(cast(Iterable[Any], end.args[0]), specs, strict=True):
            returned += spec.kind.name == "USER_OUTPUT"
            if spec.kind.name != "USER_OUTPUT":
                self.e.problems.append(
                    Problem(
                        "SFX-E106",
                        str(spec.target).removeprefix(PREFIX),
                        "forward() changes this buffer",
                        "the only state of a deployed model is that of its neurons",
                    )
                )
            elif isinstance(value, fx.Node) and ancestors(value) & user:
                found.append(value)
                places.append(returned)
        if self.output < len(found):
            self.returned = places[self.output]
            return found[self.output]
        self.e.problems.append(
            Problem(
                "SFX-E106",
                "model",
                f"returns {len(found)} tensors that depend on the input, "
                f"output {self.output} was asked for",
                "return what is computed from the input as a tensor, alone or among others "
                "(`output` says which)",
            )
        )
        return None

    def _stream(self, value: Any) -> Stream | None:
        """The chosen output, if it is a stream of all steps or their reduction."""
        if isinstance(value, State):
            self._refuse_output(
                f"the output is a state variable of the neuron {value.neuron}, not its spikes",
                READS_MEMBRANE
                if value.neuron in self.e.membranes
                else "return spikes, or the output of a layer behind them",
            )
        elif isinstance(value, Partial):
            self._refuse_output(f"the output is the sum of {len(value.steps)} steps only", LOOP)
        elif isinstance(value, Stream):
            alone = value.step is not None and value.dims.steps > 1
            timeless = not value.dims.timed and value.reduce is None
            if value.dims.steps == 1 and self.e.fires:
                return replace(value, step=None, reduce="mean" if timeless else value.reduce)
            if value.weights and value.reduce is None:
                self._refuse_output("the output is steps multiplied by weights of theirs", WEIGHED)
            elif alone and value.reduce is None:
                one = tuple(float(t == value.step) for t in range(value.dims.steps))
                return replace(value, step=None, reduce="weighted", weights=one)
            elif timeless and value.step is None:
                self._refuse_output("there is no neuron before the output", "use a spiking neuron")
            elif value.dims.group:
                self._refuse_output(
                    "the output has groups of steps on axes of their own",
                    "join them to one time axis, x.flatten(0, 1), or return a mean or sum",
                )
            else:
                return replace(value, step=None)
        return None

    def _refuse_output(self, what: str, hint: str) -> None:
        self.e.problems.append(Problem("SFX-E106", "model", what, hint))

    # --- one node ---

    def _call(self, node: fx.Node) -> Any:
        values: list[Any] = []

        def look(n: fx.Node) -> Any:
            values.append(self.env[n])
            return self.env[n]

        args = fx.node.map_arg(node.args, look)
        kwargs = fx.node.map_arg(node.kwargs, look)
        if node.target is operator.getitem and isinstance(args[0], tuple | list):
            return args[0][args[1]]
        if any(v is UNKNOWN for v in values):
            return UNKNOWN
        flat = [v for value in values for v in (value if isinstance(value, list) else [value])]
        traced = [v for v in flat if isinstance(v, Stream | State | Partial)]
        self._enter(node)
        try:
            name = op_name(node)
            if not traced:
                return _constant(node, name, args, kwargs)
            if name not in RULES:
                raise Refusal(
                    "SFX-E103", f"the op {name or node.target} is not mapped", hint_for(name)
                )
            return self._apply(node, name, args, kwargs, traced)
        except Refusal as refusal:
            self._problem(node, refusal.code, refusal.what, refusal.hint)
        except (TypeError, ValueError, IndexError, KeyError, RuntimeError) as error:
            what = f"this form of {op_name(node)} is not mapped ({type(error).__name__}: {error})"
            self._problem(node, "SFX-E107", what)
        return self._stand_in(node)

    def _apply(self, node: fx.Node, name: str, args: Any, kwargs: Any, traced: list[Any]) -> Any:
        """The rule of `name`; a copy of a step that was seen before is not made again."""
        rule = RULES[name]
        if name in STEPWISE:
            return rule(self.e, node, *args, **kwargs)
        steps = {v.step for v in traced if isinstance(v, Stream) and v.step is not None}
        if name in ("aten::add", "aten::add_") and len(args) == 2:
            total = accumulated(self.e, args[0], args[1], kwargs.get("alpha", 1))
            if total is not None:
                return total
        if not all(isinstance(v, Stream) for v in traced):
            return _of_state(self.e, name, args, traced)
        _still_linear(name, traced)
        if len(steps) > 1:
            raise Refusal(
                "SFX-E104", f"combines the steps {' and '.join(map(str, sorted(steps)))}", LOOP
            )
        if any(v.dims.timed or v.reduce for v in traced):
            return rule(self.e, node, *args, **kwargs)
        bare = _map(args, lambda v: replace(v, step=None))
        named = _map(kwargs, lambda v: replace(v, step=None))
        key = (name, self._key(bare), self._key(named))
        if key not in self.copies:
            self.copies[key] = rule(self.e, node, *bare, **named)
        step = next(iter(steps), None)
        return _map(self.copies[key], lambda v: replace(v, step=step))

    def _key(self, value: Any) -> Any:
        """`value` as a hashable that is equal for the same computation at another step."""
        if isinstance(value, tuple | list):
            return tuple(self._key(v) for v in value)
        if isinstance(value, dict):
            return tuple((k, self._key(v)) for k, v in sorted(value.items()))
        if not isinstance(value, Tensor):
            return value
        self.kept.append(value)  # so that its place is not given to another
        kind = (tuple(value.shape), value.stride(), value.dtype)
        if value.numel() > SMALL:
            return (*kind, value.data_ptr())
        content = value.detach().cpu().contiguous().view(-1).numpy().tobytes()
        return (*kind, hashlib.sha256(content).hexdigest())

    def _stand_in(self, node: fx.Node) -> Any:
        """What a refused op is taken to return, so that the rest of the model is checked as well.

        Its first operand, where the result has that operand's shape (softmax, layer norm,
        activations). The walk has a problem already, so no graph comes of it.
        """
        made = node.meta.get("val")
        first = made[0] if isinstance(made, tuple | list) and made else made
        for operand in node.all_input_nodes:
            stream, shape = self.env[operand], getattr(operand.meta.get("val"), "shape", None)
            known = isinstance(stream, Stream) and stream.step is None  # else steps would differ
            if known and shape == getattr(first, "shape", ()):
                if first is made:
                    return stream
                return (stream, *[UNKNOWN] * (len(list(made or ())) - 1))
        return UNKNOWN

    def _enter(self, node: fx.Node) -> None:
        """Set the module path of the node, as names and messages need it."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path = str(stack[-1][0]) if stack else ""
        # older versions write "L['self'].blocks.0", newer ones "blocks.0"
        path = re.sub(r"^L\['[^']*'\]\.?", "", path)
        self.e.path = f"{path}.".removeprefix(PREFIX).rstrip(".")
        self.e.leaf = self.e.path in self.leaves

    def _problem(self, node: fx.Node, code: str, what: str, hint: str = "") -> None:
        where = self.e.path or "model"
        line = _source_line(node)
        if self.e.path in self.memories:  # a tracer takes it apart, and its parts say nothing
            what, hint = f"the layer {self.memories[self.e.path]} is not mapped", MEMORY
            code = "SFX-E103"
        self.e.problems.append(Problem(code, f"{where} ({line})" if line else where, what, hint))


def _still_linear(name: str, traced: list[Any]) -> None:
    """Refuse what is computed with a maximum over time, or with steps of different weights."""
    for x in traced:
        if x.reduce == "max" and name not in VIEWS:
            raise Refusal("SFX-E104", f"{name} of a maximum over time", "return the maximum itself")
        if x.weights and x.reduce is None and name not in (*VIEWS, "aten::sum", "aten::mean"):
            raise Refusal("SFX-E104", f"{name} of steps multiplied by weights of theirs", WEIGHED)


def _map(value: Any, function: Callable[[Stream], Any]) -> Any:
    """`value` with every stream in it replaced."""
    if isinstance(value, Stream):
        return function(value)
    if isinstance(value, tuple | list):
        return type(value)([_map(v, function) for v in value])
    if isinstance(value, dict):
        return {k: _map(v, function) for k, v in value.items()}
    return value


def _of_state(e: Emitter, name: str, args: Any, traced: list[Any]) -> Any:
    """What an op makes of a neuron's state: good for nothing, unless it passes it on."""
    if any(isinstance(v, Partial) for v in traced):
        raise Refusal("SFX-E104", "computes with a sum over a part of the steps", LOOP)
    state = next(v for v in traced if isinstance(v, State))
    if not all(isinstance(v, State) for v in traced):
        raise Refusal(
            "SFX-E103",
            f"computes with a state variable of the neuron {state.neuron}",
            READS_MEMBRANE
            if state.neuron in e.membranes
            else "on the chip only spikes leave a neuron",
        )
    return state if name in PASSED_ON else replace(state, exact=False)


def _constant(node: fx.Node, name: str, args: Any, kwargs: Any) -> Any:
    """The value of an op on constants."""
    if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
        raise Refusal("SFX-E103", f"the random op {name}", "create weights in __init__")
    with torch.no_grad():
        return node.target(*args, **kwargs)  # type: ignore[operator]  # an ATen overload


def _source_line(node: fx.Node) -> str:
    """`file.py:line` of the model's code, where the trace recorded it."""
    found = re.findall(r'File "([^"]+)", line (\d+)', str(node.meta.get("stack_trace") or ""))
    own = [f for f in found if not any(part in f[0] for part in NOT_THE_MODELS)]
    return f"{own[-1][0].rsplit('/', 1)[-1]}:{own[-1][1]}" if own else ""
