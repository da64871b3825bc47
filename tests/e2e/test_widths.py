"""The demo on a target of other widths: compiled, equal on three backends, refused by Lava's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sfx
from sfx.backends.fast.backend import FastBackend
from sfx.backends.lava.backend import LavaBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app.api import bundles
from sfx.toolchain.compiler.quantize.options import Options
from sfx.toolchain.formats.bundle.bundle import Bundle
from sfx.toolchain.formats.netx.write import export
from sfx.toolchain.ground.arithmetic import LOIHI
from sfx.toolchain.ground.errors import BackendError, FitError, SfxError, UnsupportedError
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.program import LIF
from sfx.toolchain.targets import load

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "tests" / "unit" / "targets" / "narrow.toml"
MODEL = ROOT / "examples" / "spikeformer" / "model.pt"
NARROW = replace(LOIHI, state_bits=16, weight_bits=6, decay_bits=10)


@pytest.fixture(scope="module")
def demo() -> Bundle:
    return sfx.compile(MODEL, str(TARGET), options=Options(effort=0), check=False)


@pytest.fixture(scope="module")
def events(demo: Bundle) -> np.ndarray:
    """One sample of random spikes."""
    shape = (1, demo.program.timesteps, *demo.program.input.shape)
    return (np.random.default_rng(0).random(shape) < 0.3).astype(np.int64)


def test_the_program_has_the_targets_widths(demo: Bundle) -> None:
    assert load(TARGET).arithmetic == demo.program.arithmetic == NARROW
    weights = [np.abs(j.connection.weights).max() for j in demo.program.projections]
    assert 32 <= max(weights) <= 64, "all bits are used, and no more"
    decays = {q.neuron.dv for q in demo.program if isinstance(q.neuron, LIF) and q.neuron.reset}
    assert decays
    assert max(decays) < 1 << 10
    with pytest.raises(SfxError):  # stateless neurons leave something at 12 bits, for one
        check_program(replace(demo.program, arithmetic=LOIHI), balanced=True)


def test_three_backends_agree(demo: Bundle, events: np.ndarray) -> None:
    """Spikes of every population, step and neuron, through the counts of one sample; the sums."""
    pytest.importorskip("onnxruntime")
    from sfx.backends.onnx.backend import OnnxBackend

    program = demo.program
    ours = ReferenceBackend().run(program, events)
    spiking = [q.name for q in program if isinstance(q.neuron, LIF) and q.neuron.reset]
    alive = [n for n in spiking if ours.counts.events[n].any()]
    assert len(alive) > len(spiking) / 2, "silence proves nothing"
    for backend in (FastBackend(), OnnxBackend()):
        theirs = backend.run(program, events)
        assert np.array_equal(theirs.sums, ours.sums), backend.name
        for q in program:
            same = np.array_equal(theirs.counts.events[q.name], ours.counts.events[q.name])
            assert same, (backend.name, q.name)


def test_a_bundle_keeps_its_widths(demo: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "narrow.sfx"
    bundles.save(demo, path)
    again = bundles.load(path)
    assert again.program.arithmetic == NARROW
    loihis = replace(demo.placed, program=replace(demo.program, arithmetic=LOIHI))
    bundles.save(replace(demo, placed=loihis), path)
    with pytest.raises(SfxError):
        bundles.load(path)


def test_another_target_of_other_widths_is_refused(demo: Bundle) -> None:
    with pytest.raises(FitError, match="state_bits 16, not 24") as error:
        bundles.remap(demo, target="loihi2")
    assert error.value.code == "SFX-E406"


def test_lava_refuses_it_with_the_reason(demo: Bundle, events: np.ndarray) -> None:
    with pytest.raises(BackendError, match="state_bits 16, not 24, decay_bits 10, not 12") as error:
        LavaBackend().stream(demo.program, events)
    assert error.value.code == "SFX-E523"
    assert "fast" in error.value.problems[0].hint


def test_netx_refuses_it_with_the_reason(demo: Bundle) -> None:
    with pytest.raises(UnsupportedError, match="state_bits 16, not 24") as error:
        export(demo.program)
    assert error.value.code == "SFX-E642"
