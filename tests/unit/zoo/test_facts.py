"""What the compiler writes down of real models is what a search of their integers finds."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sfx.frontends import zoo  # noqa: E402
from sfx.frontends.checkpoints.load import load_torch  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.frontends.zoo.public_model import PublicModel  # noqa: E402
from sfx.toolchain.compiler.compile import entering, lower  # noqa: E402
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays  # noqa: E402
from sfx.toolchain.compiler.quantize.options import Options  # noqa: E402
from sfx.toolchain.compiler.quantize.quantize import quantize  # noqa: E402
from sfx.toolchain.formats import fine_tuned  # noqa: E402
from sfx.toolchain.formats.nir.bridge import to_graph  # noqa: E402
from sfx.toolchain.ir.check_program import check_program  # noqa: E402
from sfx.toolchain.ir.facts import Accumulator, Coincidence, Fact, SampleTotal  # noqa: E402
from sfx.toolchain.ir.find_facts import with_facts  # noqa: E402
from sfx.toolchain.ir.program import Program  # noqa: E402
from tests.unit.zoo import published as pub  # noqa: E402

pytestmark = pytest.mark.needs_torch

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
PAIRS, SUMS = Coincidence, Accumulator


def integers(model: torch.nn.Module, x: np.ndarray, max_delay: int = 62) -> Program:
    """The balanced Program of a model, from a few samples [K, T, ...]."""
    graph = to_graph(export(model, torch.zeros(x.shape[1], 1, *x.shape[2:])))
    made = quantize(lower(graph, entering(graph, x, None)), x, options=Options(effort=0))
    return BalanceDelays(max_delay).run(made.program)


def agrees(program: Program, kinds: set[type[Fact]]) -> None:
    assert program.facts is not None
    assert {type(f) for f in program.facts} == kinds
    check_program(program, balanced=True)
    assert with_facts(replace(program, facts=None)).facts == program.facts


FAMILIES = [
    ("spikformer", "Spikformer", "SpikformerConfig", {}, {PAIRS}),
    ("spikingformer", "Spikingformer", "SpikingformerConfig", {"order": "kv"}, {PAIRS}),
    ("spike_driven", "SpikeDrivenTransformer", "SpikeDrivenConfig", {}, {PAIRS}),
    ("spike_driven_v2", "SpikeDrivenTransformerV2", "SpikeDrivenV2Config",
     {"dims": (8, 16, 16, 16)}, {PAIRS}),
    ("spike_driven_v3", "SpikeDrivenTransformerV3", "SpikeDrivenV3Config",
     {"dims": (8, 16, 16, 16)}, {PAIRS}),
    ("statten", "Statten", "StattenConfig", {}, {PAIRS, SUMS, SampleTotal}),
    ("qkformer", "QKFormer", "QKFormerConfig", {"dim": 32, "image_size": 16}, {PAIRS}),
    ("max_former", "MaxFormer", "MaxFormerConfig", {}, {PAIRS}),
    ("sglformer", "SGLFormer", "SGLFormerConfig", {}, {PAIRS}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "model", "config", "fields", "kinds"), FAMILIES)
def test_published_families(
    name: str, model: str, config: str, fields: dict[str, object], kinds: set[type[Fact]]
) -> None:
    module = importlib.import_module(f"sfx.frontends.zoo.{name}")
    kind: type[PublicModel] = getattr(module, model)
    live, x = pub.awake(pub.seeded(kind, getattr(module, config)(**fields)))
    agrees(integers(live, x.transpose(0, 1).numpy().astype(np.int64)), kinds)


@pytest.mark.parametrize("max_delay", [62, 1])
@pytest.mark.parametrize(
    ("attention", "causal", "kinds"),
    [
        ("spatial", True, {PAIRS}),
        ("temporal", True, {PAIRS, SUMS}),
        ("joint", True, {PAIRS, SUMS}),
        ("joint", False, {PAIRS, SUMS, SampleTotal}),
        ("divided", True, {PAIRS, SUMS}),
    ],
)
def test_spikeformer(attention: str, causal: bool, kinds: set[type[Fact]], max_delay: int) -> None:
    torch.manual_seed(3)
    fields = {
        "image_size": 4, "stem": [], "dim": 4, "heads": 2, "depth": 1, "num_classes": 3,
        "timesteps": 3, "attention": attention, "causal": causal,
    }  # fmt: skip
    model = zoo.build("spikeformer", fields).eval()
    x = np.random.default_rng(0).integers(0, 2, (2, 3, *model.input_shape[2:]))
    agrees(integers(model, x, max_delay), kinds)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kinds"),
    [("spikeformer", {PAIRS, SUMS}), ("mnist", {PAIRS, SUMS}), ("nmnist", {PAIRS, SUMS})],
)
def test_shipped_models(name: str, kinds: set[type[Fact]]) -> None:
    model, _, samples = load_torch(EXAMPLES / name / "model.pt")
    assert samples is not None
    agrees(integers(model, samples[:2].astype(np.int64)), kinds)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/qat*.safetensors")), ids=lambda f: f.stem)
def test_fine_tuned_models_from_before_there_were_facts(file: Path) -> None:
    """Training leaves what the compiler built as it was: the same facts before and after."""
    stored = fine_tuned.read(file)
    assert stored.program.facts == stored.template.facts
    assert {type(f) for f in stored.program.facts or ()} == {PAIRS, SUMS}
    agrees(BalanceDelays(62).run(stored.program), {PAIRS, SUMS})
