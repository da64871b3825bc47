"""SGLFormer: sizes, live neurons, windows of attention, the weighing read-out, keys, a trace."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.frontends.zoo.sglformer import SGLFORMER, SGLFormer, SGLFormerConfig  # noqa: E402
from sfx.toolchain.ground.errors import InputError, UnsupportedError  # noqa: E402
from tests.unit.zoo import published as pub  # noqa: E402

pytestmark = pytest.mark.needs_torch

BLOCKS = SGLFormerConfig()
UNITS = replace(SGLFORMER["cifar10_4_384"], dim=48, heads=2, image_size=16)
LOCAL, ATTENTION, MLP = 4, 5, 2
"""Neuron layers of the local convolutions, of an attention and of an MLP."""


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("cifar10_4_384", 8.85),
        ("cifar100_4_384", 8.88),
        ("imagenet_8_384", 16.25),
        ("imagenet_8_512", 28.67),
        ("imagenet2_8_512", 28.67),
        ("imagenet_8_768", 64.02),
    ],
)
def test_published_parameters_in_millions(name: str, millions: float) -> None:
    assert pub.parameters(SGLFormer, SGLFORMER[name]) / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize(
    ("config", "populations"),
    [
        (BLOCKS, 5 + (LOCAL + ATTENTION + MLP) + (ATTENTION + MLP)),
        (UNITS, 5 + LOCAL + 3 * (ATTENTION + MLP)),
    ],
)
def test_every_population_fires(config: SGLFormerConfig, populations: int) -> None:
    model, x = pub.awake(pub.seeded(SGLFormer, config))
    pub.assert_alive(model, x, populations)
    pub.assert_answers(model, x)


def test_local_attention_sees_pixels_of_equal_parity() -> None:
    """A change of one pixel changes attention only where row and column have its parity."""
    model, _ = pub.awake(pub.seeded(SGLFormer, BLOCKS))
    attention = model.get_submodule("localblock.0.local2_SSA")
    changed = torch.zeros(4, 4, dtype=torch.bool)
    for seed in range(20):
        torch.manual_seed(seed)
        x = torch.randint(0, 3, (4, 1, 32, 4, 4)).float()
        other = x.clone()
        other[..., 1, 2] = 2 - other[..., 1, 2]
        with torch.no_grad():
            changed |= (attention(x) != attention(other)).any(0)[0].any(0)
    rows, columns = torch.arange(4)[:, None] % 2, torch.arange(4)[None] % 2
    assert torch.equal(changed, (rows == 1) & (columns == 0))


def test_the_read_out_of_units_weighs_every_token_and_step() -> None:
    model, x = pub.awake(pub.seeded(SGLFormer, UNITS))
    found = pub.seen(model, x, ["blocks", "full_size_conv"])
    counts = found["blocks"][1].flatten(3)
    conv = model.get_submodule("full_size_conv")
    weight, bias = conv.weight[:, 0], conv.bias
    weighed = torch.einsum("tbcn,cnt->bc", counts, weight) + bias
    torch.testing.assert_close(found["full_size_conv"][1].flatten(1), weighed)


@pytest.mark.parametrize("config", [BLOCKS, UNITS])
def test_a_checkpoint_loads(config: SGLFormerConfig) -> None:
    model, x = pub.awake(pub.seeded(SGLFormer, config))
    public = {f"module.{key}": value for key, value in model.state_dict().items()}
    pub.assert_round_trip(model, x, public)


def test_traceable() -> None:
    pub.assert_traceable(*pub.awake(pub.seeded(SGLFormer, BLOCKS)))


def test_a_read_out_that_weighs_steps_is_refused_by_name() -> None:
    model, x = pub.awake(pub.seeded(SGLFormer, UNITS))
    with pytest.raises(UnsupportedError, match=r"SFX-E104 full_size_conv.*mixes time steps"):
        export(model, x[:, :1])


@pytest.mark.parametrize(
    "fields",
    [
        {"dim": 34},
        {"dim": 36, "heads": 8},
        {"form": "wide"},
        {"pools": "0011"},
        {"image_size": 12},
        {"image_size": 10},
    ],
)
def test_values_that_do_not_fit_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InputError, match="SFX-E121 sglformer config"):
        SGLFormerConfig.from_mapping(fields)
