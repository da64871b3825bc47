"""A balanced Program as one ONNX model of standard integer operators.

One hardware step is the body of a Scan; its state is the step within the sample (for resets and
clocks), u and v of LIFs, and the delay line of every population that others read:

    events [H, *input shape] int64  ->  Scan over H  ->  per population, spikes [H, *shape]

H counts hardware steps: K samples of T steps back to back, then `last_phase` steps of zeros.
Spikes are bool where the population is a LIF or a clock, else int64 payloads; with `states`, u
and v of each LIF follow its spikes as int64. Metadata `sfx.*` say what each output is.
"""

from __future__ import annotations

import json

import onnx
from onnx import helper

import sfx

from ...toolchain.ground.errors import SfxError
from ...toolchain.ir.program import Program
from .. import check_input
from .body import INT64
from .step import Step, build

OPSET = 18
"""The first with BitwiseAnd."""
IR_VERSION = 8
"""What belongs to that opset; older readers take it."""
MAX_BYTES = (1 << 31) - 1
"""A protobuf message holds less than 2 GiB."""


def export(program: Program, *, states: bool = False, resumable: bool = False) -> onnx.ModelProto:
    """The model of `program`; with `states` it also gives u and v of every LIF.

    resumable  the Scan's state is input and output of the model (after `events`, after the
               records) instead of starting at 0, so that a long stream can be run in parts.

    Raises SfxError (SFX-E512) if delays are not balanced, SFX-E531 if it exceeds 2 GiB.
    """
    check_input.balanced(program)
    step = build(program, states)
    model = helper.make_model(
        _graph(program, step, resumable),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="sfx",
        producer_version=sfx.__version__,
        doc_string=(__doc__ or "").strip(),
    )
    helper.set_model_props(model, _metadata(program, step))
    if model.ByteSize() > MAX_BYTES:
        raise SfxError(
            "SFX-E531",
            f"the ONNX model has {model.ByteSize()} bytes, a file holds at most {MAX_BYTES}",
            where=program.name,
            hint="verify against lava instead",
        )
    return model


def _graph(program: Program, step: Step, resumable: bool) -> onnx.GraphProto:
    """The Scan, after nodes that make its states zero or with them as inputs and outputs."""
    info = helper.make_tensor_value_info
    scan = helper.make_node(
        "Scan",
        [*(c.first for c in step.carried), step.stream],
        [*(c.last for c in step.carried), *(o.name for o in step.outputs)],
        name="hardware steps",
        body=_body(program, step),
        num_scan_inputs=1,
    )
    inputs = [info(step.stream, INT64, ["steps", *program.input.shape])]
    outputs = [info(o.name, o.kind, ["steps", *o.shape]) for o in step.outputs]
    name = program.name or "model"
    if resumable:
        inputs += [info(c.first, c.kind, c.shape) for c in step.carried]
        outputs += [info(c.last, c.kind, c.shape) for c in step.carried]
        return helper.make_graph([scan], name, inputs, outputs)
    zeros, shapes = _zeros(step)
    return helper.make_graph([*zeros, scan], name, inputs, outputs, shapes)


def _body(program: Program, step: Step) -> onnx.GraphProto:
    info = helper.make_tensor_value_info
    inputs = [info(c.before, c.kind, c.shape) for c in step.carried]
    inputs += [info(step.events, INT64, program.input.shape)]
    outputs = [info(c.after, c.kind, c.shape) for c in step.carried]
    outputs += [info(o.inner, o.kind, o.shape) for o in step.outputs]
    body = step.body
    return helper.make_graph(body.nodes, "hardware step", inputs, outputs, body.initializers)


def _zeros(step: Step) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """A node for each state that makes it zero; stored as a shape, not as values."""
    nodes: list[onnx.NodeProto] = []
    shapes: list[onnx.TensorProto] = []
    for c in step.carried:
        shape = step.body.name(f"{c.first}/shape")
        shapes.append(helper.make_tensor(shape, INT64, [len(c.shape)], c.shape))
        zero = helper.make_tensor("zero", c.kind, [1], [0])
        node = step.body.name(f"{c.first}/ConstantOfShape")
        nodes.append(helper.make_node("ConstantOfShape", [shape], [c.first], name=node, value=zero))
    return nodes, shapes


def _metadata(program: Program, step: Step) -> dict[str, str]:
    populations = [
        {
            "name": p.name,
            "shape": list(p.shape),
            "neuron": type(p.neuron).__name__,
            "phase": p.phase,
            "module": p.module,
        }
        for p in program
    ]
    readout = {
        "population": program.readout.population,
        "scale": program.readout.scale,
        "offset": list(program.readout.offset),
        **({"weights": list(program.readout.weights)} if program.readout.weights else {}),
        **({"largest": True} if program.readout.largest else {}),
    }
    return {
        "sfx.version": sfx.__version__,
        "sfx.timesteps": str(program.timesteps),
        "sfx.last_phase": str(program.last_phase),
        "sfx.populations": json.dumps(populations),
        "sfx.readout": json.dumps(readout),
        "sfx.outputs": json.dumps([[o.population, o.quantity] for o in step.outputs]),
    }
