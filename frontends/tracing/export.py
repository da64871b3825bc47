"""From a PyTorch model to NIR: `export`.

1. Every known neuron module computes one opaque op, so that its loop over time is one node. It is
   run first, beside the equations with the constants that were read from it.
2. `torch.export` traces the model: concrete shapes, ATen ops, no Python control flow.
3. The traced graph is walked once; `sfx.frontends.tracing` has one rule per op, and follows the
   time axis through every view. A loop over time in the model itself is folded to one step. What
   has no rule is collected and reported all at once.

Both the decomposed ops of torch 2.3 and the undecomposed ones of later versions are known.
"""

from __future__ import annotations

import importlib

import nir
from torch import Tensor, nn

from ...toolchain.formats.nir import ext
from ...toolchain.formats.nir.from_graph import output_node
from ...toolchain.formats.nir.size import check_size
from ...toolchain.ground.errors import InputError
from ...toolchain.ir.graph import Output
from ..neurons.bare import bare, parts_bare
from ..neurons.opaque import Opaque
from .calls import Exported, NeuronCalls, TracedCalls
from .dims import BATCH, TIME, Axis, Dims
from .emitter import Emitter, Stream
from .lock import LOCK
from .prepare import leaves, memories, prepared, tensors, trace
from .steps import steps_shown
from .walk import Walk

for _rules in ("view", "math", "linear", "conv", "pool", "select", "steps"):
    importlib.import_module(f"sfx.frontends.tracing.ops_{_rules}")

LOOP_STEPS = 2
"""Steps that are traced where the loop over time is ours."""
LAYOUTS = ("TB", "BT", "B", "step")


def export(
    model: nn.Module,
    example: Tensor,
    *,
    dt: float = 1e-3,
    name: str = "model",
    input_layout: str = "TB",
    output: int = 0,
) -> nir.NIRGraph:
    """The NIR graph of a model, traced on `example` [T, 1, *input shape].

    The model runs in eval mode; it is left as it was, its training flags and the states of its
    neurons included. Values of `example` do not matter, only its shape and dtype: the graph
    computes what the model does for one sample of that T. Exports in several threads wait for each
    other, since tracing sets switches of the whole process. Of a model in DataParallel or
    torch.compile, as a whole or in parts, the modules inside are traced.

    dt     seconds of one model step; every neuron must have been built with it
    name   stored in the graph
    input_layout  what forward() takes:
           TB    all steps, [T, B, *input shape]
           BT    all steps, samples first, [B, T, *input shape]
           B     one image [B, *input shape], which forward() itself shows for its T steps; T is
                 the model's, not the example's
           step  one step [B, *input shape]; the caller loops over time. With an argument `state`
                 forward(x, state) returns (y, state). The graph's output is the mean over T
    output  which of the returned tensors that depend on the input is deployed

    Raises InputError: SFX-E101 example, SFX-E102 the model cannot be traced; UnsupportedError with
    every problem: SFX-E103 op, SFX-E104 mixes time steps or samples, SFX-E105 neuron, SFX-E106
    output, SFX-E107 a form of an op that is not mapped.
    """
    return traced(model, example, dt=dt, name=name, input_layout=input_layout, output=output).graph


def traced(
    model: nn.Module,
    example: Tensor,
    *,
    dt: float = 1e-3,
    name: str = "model",
    input_layout: str = "TB",
    output: int = 0,
) -> Exported:
    """As `export`, with what `sfx.frontends.witness` needs to run the model beside its graph."""
    if input_layout not in LAYOUTS:
        raise InputError(
            "SFX-E101", f"input_layout is {input_layout!r}", hint=f"one of: {', '.join(LAYOUTS)}"
        )
    steps = _check_example(example)
    given = _input(example, input_layout)
    emitter = Emitter(dt)
    emitter.repeats = input_layout == "B"
    model = bare(model)
    with LOCK, parts_bare(model), prepared(model, dt) as neurons:
        held = tensors(model)
        program = trace(model, given, neurons.values(), loop=input_layout == "step")
        if input_layout == "B":
            steps = steps_shown(program.graph)
        dims = _input_dims(given, input_layout, max(1, steps))
        walk = Walk(program, emitter, leaves(model, neurons), dims, output, held, memories(model))
        found = walk.run() if steps else walk.refuse_without_neurons()
    axes = found.dims
    if input_layout == "step" and found.reduce is None:
        found = Stream(found.name, found.dims, "mean")
    graph = _finish(emitter, found, steps, name)
    known = {o.number: (path, o) for path, o in neurons.items()}
    calls = tuple(
        _calls(node, *known[h.number], h)
        for node, h in emitter.traced_calls.items()
        if node in graph.nodes
    )
    return Exported(graph, model, input_layout, example.dtype, calls, axes, walk.returned)


def _calls(node: str, path: str, opaque: Opaque, traced_calls: TracedCalls) -> NeuronCalls:
    methods = tuple(opaque.methods())
    return NeuronCalls(
        node,
        path,
        opaque.module,
        traced_calls.dims,
        tuple(traced_calls.calls),
        traced_calls.total,
        methods,
        opaque.unit,
    )


def _input(example: Tensor, input_layout: str) -> Tensor:
    """What the model is traced on: one sample, so that what it makes of its shapes is right."""
    traced = example.detach()
    if input_layout == "B":
        traced = traced[0]
    elif input_layout == "BT":
        traced = traced.transpose(0, 1)
    elif input_layout == "step":
        traced = traced[:1].expand(LOOP_STEPS, *traced.shape[1:])
    return traced.contiguous()


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


def _input_dims(traced: Tensor, input_layout: str, steps: int) -> Dims:
    lead: dict[str, list[Axis]] = {"B": [(BATCH,)], "BT": [(BATCH,), (TIME,)]}
    axes = lead.get(input_layout, [(TIME,), (BATCH,)])
    length = steps if input_layout == "B" else int(traced.shape[1 if input_layout == "BT" else 0])
    space: list[Axis] = [(int(n),) for n in traced.shape[len(axes) :]]
    return Dims((), length).with_axes([*axes, *space])


# --- after the walk -------------------------------------------------------------------------


def _finish(e: Emitter, output: Stream, steps: int, name: str) -> nir.NIRGraph:
    """The graph that leads from the Input to `output`, with its facts."""
    e.path = ""
    end = output_node(output.shape, Output(output.reduce or "none", output.weights))
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
    made = ext.with_facts(graph, sfx=ext.FORMAT, timesteps=steps, dt=e.dt, name=name)
    check_size(made)
    return made


__all__ = ["export"]
