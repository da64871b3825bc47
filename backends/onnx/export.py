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
from sfx.backends import check_input
from sfx.backends.onnx.body import INT64
from sfx.backends.onnx.step import Step, build
from sfx.toolchain.errors import SfxError
from sfx.toolchain.ir.program import Program

OPSET = 18
"""The first with BitwiseAnd."""
IR_VERSION = 8
"""What belongs to that opset; older readers take it."""
MAX_BYTES = (1 << 31) - 1
"""A protobuf message holds less than 2 GiB."""


def export(program: Program, *, states: bool = False) -> onnx.ModelProto:
    """The model of `program`; with `states` it also gives u and v of every LIF.

    Raises SfxError (SFX-E512) if delays are not balanced, SFX-E531 if it exceeds 2 GiB.
    """
    check_input.balanced(program)
    step = build(program, states)
    model = helper.make_model(
        _graph(program, step),
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
            hint="verify against lava or layer by layer instead",
        )
    return model


def _graph(program: Program, step: Step) -> onnx.GraphProto:
    """Zero states, then the Scan; its outputs are the model's."""
    now = helper.make_tensor_value_info(step.events, INT64, program.input.shape)
    inputs = [helper.make_tensor_value_info(c.before, c.kind, c.shape) for c in step.carried]
    outputs = [helper.make_tensor_value_info(c.after, c.kind, c.shape) for c in step.carried]
    outputs += [helper.make_tensor_value_info(o.inner, o.kind, o.shape) for o in step.outputs]
    body = helper.make_graph(
        step.body.nodes, "hardware step", [*inputs, now], outputs, step.body.initializers
    )
    nodes: list[onnx.NodeProto] = []
    shapes: list[onnx.TensorProto] = []
    for c in step.carried:
        shapes.append(helper.make_tensor(f"{c.first}/shape", INT64, [len(c.shape)], c.shape))
        zero = helper.make_tensor(f"{c.first}/zero", c.kind, [1], [0])
        nodes.append(
            helper.make_node(
                "ConstantOfShape", [f"{c.first}/shape"], [c.first], name=c.first, value=zero
            )
        )
    scan = helper.make_node(
        "Scan",
        [*(c.first for c in step.carried), "events"],
        [*(c.last for c in step.carried), *(o.name for o in step.outputs)],
        name="hardware steps",
        body=body,
        num_scan_inputs=1,
    )
    events = helper.make_tensor_value_info("events", INT64, ["steps", *program.input.shape])
    records = [
        helper.make_tensor_value_info(o.name, o.kind, ["steps", *o.shape]) for o in step.outputs
    ]
    return helper.make_graph([*nodes, scan], program.name or "model", [events], records, shapes)


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
    }
    return {
        "sfx.version": sfx.__version__,
        "sfx.timesteps": str(program.timesteps),
        "sfx.last_phase": str(program.last_phase),
        "sfx.populations": json.dumps(populations),
        "sfx.readout": json.dumps(readout),
        "sfx.outputs": json.dumps([[o.population, o.quantity] for o in step.outputs]),
    }
