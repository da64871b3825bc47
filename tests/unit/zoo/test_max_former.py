"""Max-Former: sizes, live neurons, pools of currents, shortcuts, what weights read, keys, trace."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from sfx.frontends.zoo.max_former import MAX_FORMER, MaxFormer, MaxFormerConfig  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from tests.unit.zoo import published as pub  # noqa: E402

pytestmark = pytest.mark.needs_torch

TINY = MaxFormerConfig()
EVENTS = replace(MAX_FORMER["gesture_2_256"], dim=64, heads=2, image_size=32, timesteps=4)
LARGE = replace(
    MAX_FORMER["imagenet_10_384"], dim=64, heads=2, image_size=32, depths=(1, 1, 1), num_classes=10
)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("cifar10_4_384", 6.57),
        ("gesture_2_256", 1.45),
        ("imagenet_10_384", 16.23),
        ("imagenet_10_512", 28.65),
        ("imagenet_10_768", 63.99),
    ],
)
def test_published_parameters_in_millions(name: str, millions: float) -> None:
    assert pub.parameters(MaxFormer, MAX_FORMER[name]) / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize(
    ("config", "populations"),
    [
        # stem, 2 more embeddings of 2, MLPs of 2, a mixer where there is one, attention of 5, head
        (TINY, 2 + 2 * 2 + 3 * 2 + 1 + 5 + 1),
        (EVENTS, 3 + 2 + 2 * 2 + 1 + 5 + 1),
        (LARGE, 2 + 2 * 2 + 3 * 2 + 2 + 5 + 1),
    ],
)
def test_every_population_fires(config: MaxFormerConfig, populations: int) -> None:
    model, x = pub.awake(pub.seeded(MaxFormer, config))
    pub.assert_alive(model, x, populations)
    pub.assert_answers(model, x)


@pytest.mark.parametrize("config", [TINY, EVENTS, LARGE])
def test_every_weight_but_the_first_sees_spikes(config: MaxFormerConfig) -> None:
    model, x = pub.awake(pub.seeded(MaxFormer, config))
    layers = (nn.Conv1d, nn.Conv2d)
    paths = [p for p, m in model.named_modules() if isinstance(m, layers)]
    found = pub.inputs_of(model, x, paths)
    first = "patch_embed1." + ("embed1.embed_conv" if config is LARGE else "proj_conv")
    assert found.pop(first) == "0..3"  # the counts of the test's frames
    assert set(found.values()) == {"binary"}


@pytest.mark.parametrize("path", ["max_embed1", "max_embed2"])
def test_the_largest_of_currents_passes(path: str) -> None:
    model, x = pub.awake(pub.seeded(MaxFormer, TINY))
    found = pub.seen(model, x, [f"patch_embed2.{p}" for p in (f"{path}.embed_bn", "embed1")])
    currents = found[f"patch_embed2.{path}.embed_bn"][1]
    assert pub.value_class(currents) == "real"
    pooled = functional.max_pool2d(currents, 3, 2, 1)
    assert (pooled > currents[..., ::2, ::2]).any()
    if path == "max_embed1":
        assert torch.equal(found["patch_embed2.embed1"][0].flatten(0, 1), pooled)


def test_the_shortcuts_carry_the_membrane_currents() -> None:
    model, x = pub.awake(pub.seeded(MaxFormer, EVENTS))
    block = "stage1.0"
    found = pub.seen(model, x, [block, f"{block}.mixer", f"{block}.mixer.conv_bn"])
    entering, mixed = found[f"{block}.mixer"]
    assert pub.value_class(entering) == "real"
    change = found[f"{block}.mixer.conv_bn"][1].reshape(entering.shape)
    assert torch.equal(mixed, change + entering)


def test_the_authors_name_of_the_widest_convolution_loads() -> None:
    model, x = pub.awake(pub.seeded(MaxFormer, LARGE))
    state = model.state_dict()
    public = {f"module.{k.replace('.mixer.conv', '.mixer.conv5')}": v for k, v in state.items()}
    assert any("conv5_bn" in key for key in public)
    pub.assert_round_trip(model, x, public)


@pytest.mark.parametrize("config", [TINY, EVENTS, LARGE])
def test_traceable(config: MaxFormerConfig) -> None:
    pub.assert_traceable(*pub.awake(pub.seeded(MaxFormer, config)))


@pytest.mark.parametrize(
    "fields",
    [
        {"dim": 34},
        {"dim": 36, "heads": 8},
        {"depths": [1, 1]},
        {"kernels": [1, 4]},
        {"stem": "wide"},
        {"image_size": 18},
        {"stem": "pooled", "dim": 16, "image_size": 32},
    ],
)
def test_values_that_do_not_fit_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InputError, match="SFX-E121 max_former config"):
        MaxFormerConfig.from_mapping(fields)
