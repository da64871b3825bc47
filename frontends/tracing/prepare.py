"""Before the walk: every neuron swapped for an opaque op, and the model traced."""

from __future__ import annotations

import inspect
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn

from sfx.frontends.neurons import registry
from sfx.frontends.tracing.rules import RULES
from sfx.frontends.tracing.step_op import OpaqueStep
from sfx.toolchain.errors import InputError, Problem, SfxError, UnsupportedError

NOT_THE_MODELS = (
    "/site-packages/",
    "/dist-packages/",
    "/frontends/tracing/",
    "/frontends/neurons/",
)
"""Places whose lines say nothing about the model."""


@contextmanager
def prepared(model: nn.Module, dt: float) -> Iterator[None]:
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


def _replacements(model: nn.Module, dt: float) -> list[tuple[nn.Module, str, nn.Module]]:
    """(parent, child name, stand-in) for every neuron; raises for all refused ones at once."""
    found: list[tuple[nn.Module, str, nn.Module]] = []
    made: dict[nn.Module, nn.Module] = {}  # a neuron used in two places is one neuron
    problems: list[Problem] = []
    todo: list[tuple[str, nn.Module]] = [("", model)]
    seen: set[nn.Module] = {model}
    while todo:
        path, parent = todo.pop()
        for child, module in parent._modules.items():
            if module is None:
                continue
            where = f"{path}.{child}" if path else child
            if module not in made:
                try:
                    neuron = registry.stand_in(module, dt, where)
                except UnsupportedError as error:
                    problems += error.problems
                    continue
                if neuron is not None:
                    made[module] = neuron
            if module in made:
                found.append((parent, child, made[module]))
            elif module not in seen:
                seen.add(module)
                todo.append((where, module))
    if problems:
        raise UnsupportedError.of(sorted(problems, key=lambda p: p.where))
    return found


class Traced(nn.Module):
    """The model as it is traced: every neuron at rest, then forward(), or our loop over time.

    Tracers run a model more than once. In the loop a model with the argument `state` (Norse's
    SequentialState) gets what it returned last, and its first tensor of every step is the output.
    """

    def __init__(self, model: nn.Module, *, loop: bool) -> None:
        super().__init__()
        self.model = model
        self.loop = loop
        self.carries = "state" in inspect.signature(model.forward).parameters

    def forward(self, x: Tensor) -> Any:
        """What the model returns; with `loop` [T, B, ...] of x [T, B, ...]."""
        for module in self.model.modules():
            if isinstance(module, OpaqueStep):
                module.reset()
        if not self.loop:
            return self.model(x)
        outputs: list[Tensor] = []
        state: Any = None
        for step in x.unbind(0):
            made = self.model(step, state) if self.carries else self.model(step)
            if self.carries:
                made, state = made
            outputs.append(made[0] if isinstance(made, tuple | list) else made)
        return torch.stack(outputs)


# --- the trace ------------------------------------------------------------------------------


def trace(model: nn.Module, example: Tensor, *, loop: bool) -> Any:
    """The exported program, with "model." before every path.

    In-place ops and unknown compound ops are decomposed where possible.
    """
    try:
        with warnings.catch_warnings(), torch.no_grad(), _source_lines():
            warnings.simplefilter("ignore")
            program = torch.export.export(Traced(model, loop=loop), (example,), strict=False)
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
            "on values, and without state kept in attributes; for other inputs see the argument "
            "`takes` of sfx.export (--takes)"
        )
        what = f"torch.export cannot trace the model ({type(error).__name__}: {text})"
        if "not installed as a submodule" in text:
            hint = "forward() creates a module (nn.X(...)): create it in __init__"
        if "data-dependent" in text.lower() or "DataDependent" in type(error).__name__:
            what = "the control flow here depends on values, which the chip cannot follow"
            hint = "compute with neurons and masks for every input alike, without if and while"
        raise InputError("SFX-E102", what, where=_place(model, error), hint=hint) from error


def _place(model: nn.Module, error: BaseException) -> str:
    """`module.path (file.py:line)` of the model's own code that was running, as far as known."""
    first = error.__cause__ or error.__context__
    if first is not None:  # torch wraps what it caught
        place = _place(model, first)
        if place.endswith(")"):
            return place
    paths = {id(m): name for name, m in model.named_modules()}
    where, line = type(model).__name__, ""
    for frame, number in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if any(part in file for part in NOT_THE_MODELS):
            continue
        line = f"{file.rsplit('/', 1)[-1]}:{number}"
        where = paths.get(id(frame.f_locals.get("self")), "") or where
    return f"{where} ({line})" if line else where


@contextmanager
def _source_lines() -> Iterator[None]:
    """Every traced node knows the line of the model that made it, as in newer torch by default."""
    tracer = fx.proxy.TracerBase
    before = tracer.record_stack_traces
    tracer.record_stack_traces = True
    try:
        yield
    finally:
        tracer.record_stack_traces = before


def op_name(node: fx.Node) -> str:
    """`aten::linear`, or the name of a Python function."""
    schema = getattr(node.target, "_schema", None)
    return str(schema.name) if schema is not None else getattr(node.target, "__name__", "")


def _mutates(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return node.op == "call_function" and schema is not None and bool(schema.is_mutable)


def _unknown(node: fx.Node) -> bool:
    return (
        node.op == "call_function"
        and hasattr(node.target, "_schema")
        and op_name(node) not in RULES
        and bool(node.all_input_nodes)
    )
