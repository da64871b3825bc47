"""Every Python entry takes samples through one door: alike in form, and refused alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nir
import numpy as np
import pytest

import sfx
from sfx.toolchain.app import api
from sfx.toolchain.data import Data, calibration_of, classes_fit, samples_of
from sfx.toolchain.ground.errors import InputError

EYE = np.eye(4, dtype=np.uint8)[:, None].repeat(5, 1)
"""Sample i drives class i at each of five steps."""


def graph() -> nir.NIRGraph:
    """Four inputs, each onto its own neuron that fires at every event."""
    nodes = {
        "in": nir.Input({"input": np.array([4])}),
        "fc": nir.Linear(np.eye(4)),
        "n": nir.IF(r=np.full(4, 1e3), v_threshold=np.full(4, 0.5), v_reset=np.zeros(4)),
        "out": nir.Output({"output": np.array([4])}),
    }
    edges = [("in", "fc"), ("fc", "n"), ("n", "out")]
    return nir.NIRGraph(nodes, edges)


@pytest.fixture(scope="module")
def bundle() -> api.Bundle:
    return sfx.compile(graph(), calibrate=EYE)


def entries(bundle: api.Bundle) -> dict[str, Callable[[Any], object]]:
    """Everything in Python that takes samples of a compiled model, and what compiles one."""
    return {
        "run": lambda x: sfx.run(bundle, x),
        "verify": lambda x: sfx.verify(bundle, x, against="onnx"),
        "stream": lambda x: api.stream(bundle, x, "reference"),
        "report": lambda x: sfx.report(bundle, x),
        "remap": lambda x: api.remap(bundle, x),
        "compile": lambda x: sfx.compile(graph(), calibrate=x),
    }


WRONG: dict[str, tuple[Any, str, str]] = {
    "fractions": (EYE * 0.99, "SFX-E611", "fractions"),
    "nan": (np.where(EYE, np.nan, 0), "SFX-E611", "NaN"),
    "infinite": (np.where(EYE, np.inf, 0), "SFX-E611", "whole numbers"),
    "huge": (EYE * 1e300, "SFX-E611", "1e\\+300"),
    "negative": (EYE.astype(int) - 1, "SFX-E616", "down to -1"),
    "objects": (EYE.astype(object), "SFX-E611", "type object"),
    "complex": (EYE * 1j, "SFX-E611", "complex"),
    "text": (EYE.astype(str), "SFX-E611", "<U"),
    "ragged": ([[1, 2], [1]], "SFX-E611", "not an array"),
    "no axis": (3, "SFX-E611", r"shape \(\)"),
    "no sample": (EYE[:0], "SFX-E611", "no sample"),
    "no neuron": (EYE[..., :0], "SFX-E611", r"shape \(4, 5, 0\)"),
    "another shape": (EYE[..., :3], "SFX-E61[23]", r"\(5, 3\)"),
    "no Data": (None, "SFX-E611", "type object"),
}


@pytest.mark.parametrize("name", ["run", "verify", "stream", "report", "remap", "compile"])
@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_count_of_events_is_refused(bundle: api.Bundle, name: str, kind: str) -> None:
    x, code, what = WRONG[kind]
    if x is None and name in ("report", "remap", "compile"):
        pytest.skip("None says that there are no samples")
    for given in (x, Data(x, None)):
        with pytest.raises(InputError, match=what) as caught:
            entries(bundle)[name](given)
        assert caught.match(code)
        assert caught.value.problems[0].hint


FORMS: dict[str, Callable[[], Any]] = {
    "uint8": lambda: EYE,
    "bool": lambda: EYE.astype(bool),
    "int64": lambda: EYE.astype(np.int64),
    "whole floats": lambda: EYE.astype(np.float32),
    "lists": EYE.tolist,
    "Data": lambda: Data(EYE, np.arange(4)),
    "list of arrays": lambda: list(EYE),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_samples_gives_the_same(bundle: api.Bundle, form: str) -> None:
    given = FORMS[form]()
    assert sfx.run(bundle, given).sums.tolist() == (5 * np.eye(4)).tolist()
    assert sfx.verify(bundle, given, against="onnx").equal
    again = sfx.compile(graph(), calibrate=given)
    assert again.manifest["quantization"] == bundle.manifest["quantization"]


@pytest.mark.needs_torch
def test_tensors_are_samples(bundle: api.Bundle) -> None:
    import torch

    x = torch.as_tensor(EYE)
    odd = x.float().requires_grad_()
    for given in (x, x.bool(), odd, x.bfloat16(), list(x), list(odd)):
        assert sfx.run(bundle, given).sums.argmax(1).tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match="SFX-E611"):
        sfx.run(bundle, x * 0.5)
    with pytest.raises(InputError, match="SFX-E611"):
        sfx.run(bundle, x.to_sparse())


@pytest.mark.needs_torch
def test_training_takes_samples_through_the_same_door() -> None:
    from torch import nn

    from sfx import qat
    from sfx.frontends.neurons.multistep import MultiStep  # noqa: F401  (torch and Norse are here)

    net = nn.Sequential(nn.Linear(4, 4))
    for x, code, _ in WRONG.values():
        if x is not None and "61[23]" not in code:
            with pytest.raises(InputError, match=code):
                qat.prepare(net, calibrate=x)


def test_a_file_is_samples_too(bundle: api.Bundle, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=EYE, y=np.arange(4))
    assert sfx.report(bundle, tmp_path / "d.npz")["accuracy"] == 1.0
    assert sfx.run(bundle, str(tmp_path / "d.npz")).sums.shape == (4, 4)


def test_silence_chooses_no_scales() -> None:
    with pytest.raises(InputError, match="SFX-E618"):
        calibration_of(0 * EYE)


LABELS: dict[str, tuple[Any, str, str]] = {
    "from 1": (np.arange(1, 5), "SFX-E617", "subtract 1"),
    "without a label": (np.array([0, 1, -1, 2]), "SFX-E617", "leave them out"),
    "another data set's": (np.full(4, 99), "SFX-E617", "99..99"),
    "fractions": (np.full(4, 0.5), "SFX-E611", "float64"),
    "one hot": (np.eye(4, dtype=int), "SFX-E611", "argmax"),
    "too few": (np.arange(3), "SFX-E611", "for 4 samples"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_that_are_no_classes_are_refused(bundle: api.Bundle, kind: str) -> None:
    y, code, what = LABELS[kind]
    for name in ("run", "report"):
        with pytest.raises(InputError, match=code) as caught:
            entries(bundle)[name](Data(EYE, y))
        assert what in str(caught.value)


def test_the_first_strange_label_is_named() -> None:
    with pytest.raises(InputError, match=r"2 of 5 labels .* 0\.\.2, .* sample 1 has label 7"):
        classes_fit(np.array([0, 7, 1, 9, 2]), 3)
    classes_fit(np.array([0, 2]), 3)
    classes_fit(None, 3)


def test_data_is_checked_as_the_reader_does(tmp_path: Path) -> None:
    """The same arrays, in memory and in a file: the same samples or the same code."""
    rng = np.random.default_rng(0)
    for make in (lambda: rng.integers(-1, 3, (2, 3, 4)), lambda: rng.random((2, 3, 4)).round(1)):
        x = make()
        np.savez(tmp_path / "d.npz", x=x)
        found = []
        for given in (x, tmp_path / "d.npz"):
            try:
                found.append(samples_of(given).x.tolist())
            except InputError as error:
                found.append(error.code)
        assert found[0] == found[1]


def test_anything_with_x_and_y_is_samples() -> None:
    """A class of the user's own that holds both, as people keep their data."""

    mine = SimpleNamespace(x=[[[1, 0], [0, 2]]], y=[1])
    data = samples_of(mine)
    assert data.x.tolist() == mine.x
    assert data.y is not None
    assert data.y.tolist() == [1]
