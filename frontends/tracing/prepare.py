"""Before the walk: every neuron computes an opaque op, and the model is traced."""

from __future__ import annotations

import inspect
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn

from ...toolchain.ground.errors import InputError, Problem, SfxError, UnsupportedError
from ..neurons import registry
from ..neurons.opaque import Opaque
from ..neurons.untouched import untouched
from .rules import RULES
from .true_modules import true_modules

NOT_THE_MODELS = (
    "/site-packages/",
    "/dist-packages/",
    "/frontends/tracing/",
    "/frontends/neurons/",
)
"""Places whose lines say nothing about the model."""


@contextmanager
def prepared(model: nn.Module, dt: float) -> Iterator[dict[str, Opaque]]:
    """The model in eval mode with every neuron (by path) computing one op; as it was at the end.

    Raises UnsupportedError with every neuron that is refused.
    """
    with untouched(model.modules()), ExitStack() as stack:
        model.eval()
        found = _neurons(model, dt)
        for opaque in found.values():
            stack.enter_context(opaque.covering())
        yield found


def _neurons(model: nn.Module, dt: float) -> dict[str, Opaque]:
    """What stands for the neuron at each path; raises for all refused ones at once."""
    found: dict[str, Opaque] = {}
    problems: list[Problem] = []
    inside: set[nn.Module] = set()  # parts of a neuron are no neurons of the model's
    for path, module in model.named_modules():
        if module in inside:
            continue
        try:
            opaque = registry.opaque(module, dt, path or "model")
        except UnsupportedError as error:
            problems += error.problems
            inside.update(module.modules())
            continue
        if opaque is not None:
            found[path] = opaque
            inside.update(module.modules())
    if problems:
        raise UnsupportedError.of(sorted(problems, key=lambda p: p.where))
    return found


def leaves(model: nn.Module, neurons: dict[str, Opaque]) -> set[str]:
    """Paths of the modules that stand for one node: without children, or a neuron."""
    found = {path for path, module in model.named_modules() if not any(module.children())}
    return (found | set(neurons)) - {path for path, o in neurons.items() if o.inside}


def memories(model: nn.Module) -> dict[str, str]:
    """Class names of the layers with a memory that is no neuron's, by path."""
    kinds = (nn.RNNBase, nn.RNNCellBase)
    return {path: type(m).__name__ for path, m in model.named_modules() if isinstance(m, kinds)}


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by every name that they have."""
    named = dict(model.named_parameters(remove_duplicate=False))
    return named | dict(model.named_buffers(remove_duplicate=False))


class Traced(nn.Module):
    """The model as it is traced: every neuron at rest, then forward(), or our loop over time.

    Tracers run a model more than once. In the loop a model with the argument `state` (Norse's
    SequentialState) gets what it returned last, and its first tensor of every step is the output.
    """

    def __init__(self, model: nn.Module, neurons: Iterable[Opaque] = (), *, loop: bool) -> None:
        super().__init__()
        self.model = model
        self.neurons = list(neurons)
        self.loop = loop
        self.carries = "state" in inspect.signature(model.forward).parameters

    def forward(self, x: Tensor) -> Any:
        """What the model returns; with `loop` [T, B, ...] of x [T, B, ...]."""
        for neuron in self.neurons:
            neuron.reset()
        try:
            return self._run(x)
        finally:  # newer tracers refuse a model that keeps a traced tensor
            for neuron in self.neurons:
                neuron.reset()

    def _run(self, x: Tensor) -> Any:
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


def trace(model: nn.Module, example: Tensor, neurons: Iterable[Opaque] = (), *, loop: bool) -> Any:
    """The exported program, with "model." before every path.

    In-place ops and unknown compound ops are decomposed where possible.
    """
    traced = Traced(model, neurons, loop=loop)
    try:
        with warnings.catch_warnings(), torch.no_grad(), _source_lines(), true_modules():
            warnings.simplefilter("ignore")
            program = torch.export.export(traced, (example,), strict=False)
            if any(_mutates(n) or _unknown(n) for n in program.graph.nodes):
                simpler = program.run_decompositions()
                before = sum(_unknown(n) for n in program.graph.nodes)
                if any(_mutates(n) for n in program.graph.nodes) or before > sum(
                    _unknown(n) for n in simpler.graph.nodes
                ):
                    program = simpler
            return program
    except (SfxError, MemoryError):
        raise
    except (Exception, SystemExit) as error:  # of torch's own or of the model's code
        given = list(example.shape[1:] if loop else example.shape)
        alone = _fails_untraced(traced, example)
        if alone is not None and "sfx::" not in str(alone):  # a neuron of ours is not the model
            raise InputError(
                "SFX-E102",
                f"the model itself fails on an input {given} of zeros ({_said(alone)})",
                where=_place(model, alone),
                hint="that is one sample in the `input_layout` of sfx.export (--input-layout): TB, "
                "BT, B or step; give the shape and the order of axes that forward() takes",
            ) from error
        text = _said(error)
        hint = (
            f"forward() is run once, on one sample {given}, with tensors that hold no values: "
            "let it compute with torch ops alone, without NumPy, .item() or control flow that "
            "depends on values, and keep no state in attributes"
        )
        what = f"torch.export cannot trace the model ({text})"
        if "not installed as a submodule" in text:
            hint = "forward() creates a module (nn.X(...)): create it in __init__"
        hooked = _failing_hook(model, error)
        if hooked is not None:
            hint = f"remove the hook of {hooked} before the export, or let it compute with torch"
        if "data-dependent" in text.lower() or "DataDependent" in type(error).__name__:
            what = "the control flow here depends on values, which the chip cannot follow"
            hint = "compute with neurons and masks for every input alike, without if and while"
        raise InputError("SFX-E102", what, where=_place(model, error), hint=hint) from error


def _fails_untraced(traced: Traced, example: Tensor) -> BaseException | None:
    """What the model raises on zeros when nothing traces it; None if it runs."""
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            traced(torch.zeros_like(example))
    except MemoryError:
        raise
    except (Exception, SystemExit) as error:  # of the model's own code
        return error
    return None


def _said(error: BaseException) -> str:
    """The kind and the first line of an error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def _failing_hook(model: nn.Module, error: BaseException | None) -> str | None:
    """Path of the module whose hook was running: it records values, say, and a trace has none."""
    if error is None:
        return None
    hooks = {
        getattr(getattr(hook, "__func__", hook), "__code__", None): path or type(model).__name__
        for path, m in model.named_modules()
        for hook in (*m._forward_hooks.values(), *m._forward_pre_hooks.values())
    }
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    found = next((hooks[code] for code in codes if code in hooks), None)
    return found or _failing_hook(model, error.__cause__ or error.__context__)


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
