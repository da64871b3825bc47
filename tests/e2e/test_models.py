"""Small models as users write them: through the check, and the integer Program beside torch.

Every neuron module is compared on the same samples, none is silent, and where nothing is rounded
the Program sends what torch sends, to the last spike, and answers with the same numbers.
"""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for _library in ("norse", "snntorch", "spikingjelly"):
    pytest.importorskip(_library, reason=f"{_library} is not installed")

import sfx  # noqa: E402  (after importorskip)
from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402
from sfx.frontends.neurons import registry  # noqa: E402
from sfx.frontends.tracing.calls import Exported  # noqa: E402
from sfx.frontends.tracing.export import traced  # noqa: E402
from sfx.frontends.witness.record import record  # noqa: E402
from sfx.toolchain.app import api  # noqa: E402
from tests.models import families, norse, own, snntorch, spikingjelly  # noqa: E402
from tests.models.case import Case  # noqa: E402

pytestmark = [
    pytest.mark.needs_torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

FILES = {
    m.__name__.rsplit(".", 1)[-1]: m.CASES for m in (families, norse, own, snntorch, spikingjelly)
}
try:
    from tests.models import clock_driven

    FILES["clock_driven"] = clock_driven.CASES
except ImportError:  # SpikingJelly 2 does not have it
    pass
MODELS = {f"{file}: {name}": case for file, cases in FILES.items() for name, case in cases.items()}
SAMPLES = 2
SLOW = ("families: zoo: qkformer", "families: zoo: spike_driven_v2")


def test_there_are_forty_and_more_of_each_way() -> None:
    assert len(MODELS) >= 40
    assert {c.input_layout for c in MODELS.values()} == {"TB", "BT", "B", "step"}
    assert any(c.shape[0] == 1 for c in MODELS.values())
    assert sum(c.exact for c in MODELS.values()) >= 40


def neurons(model: torch.nn.Module) -> set[str]:
    """Paths of the neuron modules of a model; one of several names each, parts of one left out."""
    found = [p for p, m in model.named_modules() if registry.read(m, 1e-3, p) is not None]
    return {p for p in found if not any(p.startswith(f"{q}.") for q in found)}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in MODELS]
)
def test_a_model_goes_through_the_check(name: str) -> None:
    case: Case = MODELS[name]
    model, x = case.model(), case.samples(SAMPLES)
    exported = traced(model, torch.zeros(case.shape)[:, None], input_layout=case.input_layout)
    assert {n.path for n in exported.neurons} == neurons(model), "every neuron is in the graph"

    source = api.Source(exported.graph, name, "", None, exported=exported)
    bundle = api.compile(source, calibrate=sfx.Data(x, None), check_samples=SAMPLES)
    found = bundle.manifest["witness"]
    assert found["checked"]
    assert found["source"] == "--calibrate"
    assert found["samples"] == SAMPLES
    assert found["populations"] == len(exported.neurons)
    assert found["compared"] >= found["lowered"] > 0
    assert found["spikes"] > 0
    assert (found["differ"], found["ties"], found["end_to_end"]) == (0, 0, 0)
    assert found["silent"] == found["unmatched"] == []
    _the_program_beside_torch(case, exported, bundle, x)


def _the_program_beside_torch(
    case: Case, exported: Exported, bundle: api.Bundle, x: np.ndarray
) -> None:
    program = bundle.program
    sent = ReferenceBackend().layers(program, x)
    lossless = all(r["exact"] for r in bundle.manifest["quantization"])
    assert lossless == case.exact
    for number, sample in enumerate(x):
        heard = record(exported, sample.astype(np.float64)).neurons
        assert set(heard) == {n.node for n in exported.neurons}
        for node, torchs in heard.items():
            ours = sent[node][number].reshape(torchs.sent.shape)
            same = np.mean(ours == torchs.sent)
            assert same == 1 if lossless else same > 0.8, f"{node}: {same:.1%} equal"
    sums = sent[program.readout.population].sum(1).reshape(len(x), -1)
    values = (sums + np.array(program.readout.offset)) / program.readout.scale
    wanted = case.answers(x).reshape(len(x), -1)
    if lossless:
        np.testing.assert_allclose(values, wanted, rtol=1e-6, atol=1e-6)
