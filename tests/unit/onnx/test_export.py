"""The exported model: standard integer operators, legible names, the same from disk."""

from __future__ import annotations

import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

import json  # noqa: E402  (after importorskip)
from collections.abc import Iterator  # noqa: E402
from dataclasses import replace  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

from sfx.backends.onnx import export as export_module  # noqa: E402
from sfx.backends.onnx.backend import execute  # noqa: E402
from sfx.backends.onnx.export import export  # noqa: E402
from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402
from sfx.toolchain.ground.errors import SfxError  # noqa: E402
from tests.strategies import random_events, random_program  # noqa: E402
from tests.unit.onnx.nets import compiled  # noqa: E402

SURVEY = range(12)


def scan_body(model: onnx.ModelProto) -> onnx.GraphProto:
    (scan,) = (n for n in model.graph.node if n.op_type == "Scan")
    return next(a.g for a in scan.attribute if a.name == "body")


def graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    yield model.graph
    yield scan_body(model)


def test_the_checker_passes() -> None:
    onnx.checker.check_model(export(compiled("causal")[0].program, states=True), full_check=True)
    for seed in SURVEY:
        onnx.checker.check_model(export(random_program(seed), states=True), full_check=True)


def test_only_standard_operators_on_whole_numbers() -> None:
    types = onnx.TensorProto
    whole = {types.BOOL, types.INT8, types.INT16, types.INT32, types.INT64}
    for seed in SURVEY:
        model = export(random_program(seed), states=True)
        assert [o.domain for o in model.opset_import] == [""]
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        for graph in graphs(inferred):
            assert all(n.domain == "" for n in graph.node)
            assert {t.data_type for t in graph.initializer} <= whole
            values = [*graph.input, *graph.output, *graph.value_info]
            assert {v.type.tensor_type.elem_type for v in values} <= whole


def test_names_are_unique_and_those_of_the_program() -> None:
    program = compiled("causal")[0].program
    body = scan_body(export(program))
    names = [n.name for n in body.node]
    assert len(names) == len(set(names))
    owners = {name.rsplit("/", 1)[0] for name in names}
    assert owners - {"t"} == {q.name for q in program} | {j.name for j in program.projections}


@pytest.mark.parametrize("name", ["events", "t", "p0/u", "p0/Cast:0", "int/0", "p0/u at first"])
def test_any_population_name_will_do(name: str) -> None:
    """Names of values are unique, inside the body and out, whatever the populations are called."""
    program = random_program(3, neurons=("lif",))
    renamed = replace(
        program,
        populations=tuple(replace(q, name=name) if q.name == "p1" else q for q in program),
        projections=tuple(
            replace(
                j,
                pre=name if j.pre == "p1" else j.pre,
                post=name if j.post == "p1" else j.post,
            )
            for j in program.projections
        ),
    )
    assert name in [q.name for q in renamed]
    model = export(renamed, states=True)
    onnx.checker.check_model(model, full_check=True)
    made: list[str] = []
    for graph in graphs(model):
        made += [i.name for i in [*graph.input, *graph.initializer]]
        made += [o for n in graph.node for o in n.output]
    assert len(made) == len(set(made))
    x = random_events(renamed, 1)
    got = execute(model, renamed, x).spikes
    expected = ReferenceBackend().stream(renamed, x).spikes
    assert all(np.array_equal(got[q.name], expected[q.name]) for q in renamed)


def test_metadata_say_what_the_model_is() -> None:
    program = compiled("causal")[0].program
    model = export(program, states=True)
    kept = {m.key: m.value for m in model.metadata_props}
    assert kept["sfx.timesteps"] == str(program.timesteps)
    assert [q["name"] for q in json.loads(kept["sfx.populations"])] == [q.name for q in program]
    assert json.loads(kept["sfx.readout"])["population"] == program.readout.population
    outputs = json.loads(kept["sfx.outputs"])
    assert len(outputs) == len(model.graph.output)
    for (population, quantity), output in zip(outputs, model.graph.output, strict=True):
        expected = population if quantity == "spikes" else f"{population}/{quantity}"
        assert output.name == expected
    assert model.producer_name == "sfx"


def test_the_same_from_disk_and_without_sfx(tmp_path: Path) -> None:
    """What a stranger with onnxruntime alone would do."""
    placed, x = compiled("causal")
    program = placed.program
    path = tmp_path / "model.onnx"
    onnx.save(export(program, states=True), path)
    again = execute(onnx.load(path), program, x)
    expected = ReferenceBackend().stream(program, x, states=True)
    for kind in ("spikes", "u", "v"):
        for name, values in getattr(expected, kind).items():
            assert np.array_equal(getattr(again, kind)[name], values)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    padding = np.zeros((program.last_phase, *program.input.shape), dtype=np.int64)
    events = np.concatenate([x.reshape(-1, *program.input.shape), padding])
    name = program.readout.population
    (spikes,) = session.run([name], {"events": events})
    assert spikes.any()
    assert np.array_equal(spikes, expected.spikes[name])


def test_a_second_executor_agrees() -> None:
    """ONNX's own evaluator in numpy: the model means the same without ONNX Runtime."""
    from onnx.reference import ReferenceEvaluator

    for seed in SURVEY[:6]:
        program = random_program(seed, populations=4)
        x = random_events(program, 2, seed)
        model = export(program)
        padding = np.zeros((program.last_phase, *program.input.shape), dtype=np.int64)
        events = np.concatenate([x.reshape(-1, *program.input.shape), padding])
        got = ReferenceEvaluator(model).run(None, {"events": events})
        expected = ReferenceBackend().stream(program, x).spikes
        for q, values in zip(program, got, strict=True):
            assert np.array_equal(values.astype(np.int64), expected[q.name]), q.name


def test_same_program_same_bytes() -> None:
    program = compiled("causal")[0].program
    first, second = (export(program).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_a_model_beyond_protobuf_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "MAX_BYTES", 1000)
    with pytest.raises(SfxError, match=r"SFX-E531.*at most 1000"):
        export(random_program(0))
