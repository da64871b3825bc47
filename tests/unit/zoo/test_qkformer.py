"""QKFormer: sizes, live neurons, token attention by OR and AND, pools of currents, keys, trace."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from sfx.frontends.zoo.qkformer import QKFORMER, QKFormer, QKFormerConfig  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from tests.unit.zoo import published as pub  # noqa: E402

pytestmark = pytest.mark.needs_torch

FACTS_TINY = QKFormerConfig(heads=8)
TINY = QKFormerConfig(dim=32, image_size=16)
EVENTS = replace(QKFORMER["gesture_2_256"], dim=32, heads=2, image_size=32, timesteps=4)
LARGE = replace(QKFORMER["imagenet_10_384"], dim=32, heads=2, image_size=64, depths=(1, 1, 1))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (FACTS_TINY, 140_306),
        (QKFORMER["cifar10_4_384"], 6_706_234),
        (QKFORMER["cifar10dvs_2_256"], 1_504_138),
        (QKFORMER["gesture_2_256"], 1_999_371),
        (QKFORMER["imagenet_10_384"], 16_473_688),
    ],
)
def test_published_parameters(config: QKFormerConfig, expected: int) -> None:
    assert pub.parameters(QKFormer, config) == expected


@pytest.mark.parametrize(
    ("name", "millions"), [("imagenet_10_512", 29.08), ("imagenet_10_768", 64.96)]
)
def test_published_parameters_in_millions(name: str, millions: float) -> None:
    assert pub.parameters(QKFormer, QKFORMER[name]) / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (FACTS_TINY, 362_496),
        (QKFORMER["cifar10_4_384"], 2_369_536),
        (QKFORMER["gesture_2_256"], 1_052_672),
    ],
)
def test_published_neurons(config: QKFormerConfig, expected: int) -> None:
    assert pub.neurons(QKFormer, config) == expected


def test_constants_are_the_published_ones() -> None:
    model = pub.seeded(QKFormer, TINY)
    cells = {p: m.cell for p, m in model.named_modules() if p.endswith("_lif")}
    assert {cell.tau for cell in cells.values()} == {2.0}
    assert {p: cell.threshold for p, cell in cells.items() if cell.threshold != 1.0} == {
        "stage1.0.tssa.attn_lif": 0.5,
        "stage2.0.tssa.attn_lif": 0.5,
        "stage3.0.attn.attn_lif": 0.5,
    }


@pytest.mark.parametrize(
    ("config", "populations"),
    [
        (TINY, 3 + 2 * 3 + 2 * 6 + 7),
        (EVENTS, 5 + 3 + 6 + 7),
        (LARGE, 4 + 2 * 3 + 2 * 6 + 7),
        (replace(TINY, depths=(1, 2, 2)), 3 + 2 * 3 + 3 * 6 + 2 * 7),
    ],
)
def test_every_population_fires(config: QKFormerConfig, populations: int) -> None:
    model, x = pub.awake(pub.seeded(QKFormer, config))
    pub.assert_alive(model, x, populations)
    pub.assert_answers(model, x)


def test_weights_see_spikes_or_small_counts() -> None:
    model, x = pub.awake(pub.seeded(QKFormer, TINY))
    between = ("proj3_conv", "proj_res_conv")
    found = pub.inputs_of(model, x, [f"patch_embed{i}.{p}" for i in (2, 3) for p in between])
    assert set(found.values()) == {"0..4"}
    blocks = {"stage1.0.tssa": ("q", "k"), "stage3.0.attn": ("q", "k", "v")}
    found = pub.inputs_of(model, x, [f"{b}.{n}_conv" for b, ns in blocks.items() for n in ns])
    assert set(found.values()) == {"0..2"}
    assert pub.inputs_of(model, x, ["stage3.0.mlp.mlp1_conv"]).popitem()[1] == "0..3"
    binary = [
        *("patch_embed1.proj1_conv", "patch_embed1.proj_res_conv", "patch_embed2.proj4_conv"),
        *("stage1.0.tssa.proj_conv", "stage3.0.attn.proj_conv", "stage3.0.mlp.mlp2_conv"),
    ]
    assert set(pub.inputs_of(model, x, binary).values()) == {"binary"}


@pytest.mark.parametrize(
    ("config", "path", "pooled"),
    [
        (TINY, "patch_embed1.proj", False),
        (TINY, "patch_embed1.proj1", False),
        (TINY, "patch_embed2.proj3", False),
        (TINY, "patch_embed2.proj4", True),
        (LARGE, "patch_embed2.proj3", True),
        (LARGE, "patch_embed2.proj4", False),
        (EVENTS, "patch_embed1.proj", False),
        (EVENTS, "patch_embed1.proj3", True),
        (LARGE, "patch_embed1.proj", True),
        (LARGE, "patch_embed1.proj2", False),
    ],
)
def test_pools_take_currents_before_the_neuron(
    config: QKFormerConfig, path: str, pooled: bool
) -> None:
    model, x = pub.awake(pub.seeded(QKFormer, config))
    found = pub.seen(model, x, [f"{path}_bn", f"{path}_lif"])
    currents = found[f"{path}_bn"][1]
    assert pub.value_class(currents) == "real"
    if pooled:
        currents = functional.max_pool2d(currents, 3, 2, 1)
    assert torch.equal(found[f"{path}_lif"][0].flatten(0, 1), currents)


def test_the_shortcut_goes_round_the_last_convolutions_of_the_stem() -> None:
    for config, branch in ((TINY, "proj_lif"), (EVENTS, "proj1_lif"), (LARGE, "proj_lif")):
        model, x = pub.awake(pub.seeded(QKFormer, config))
        stem, last = "patch_embed1.", f"patch_embed1.proj{len(config.stem_pools) - 1}_lif"
        paths = [stem + p for p in (branch, "proj_res_conv", "proj_res_lif")]
        found = pub.seen(model, x, ["patch_embed1", last, *paths])
        assert torch.equal(found[paths[0]][1].flatten(0, 1), found[paths[1]][0])
        assert torch.equal(found["patch_embed1"][1], found[last][1] + found[paths[2]][1])


def test_token_attention_is_or_and_and() -> None:
    """proj reads k AND the OR over its head's channels of q, the OR without memory."""
    model, x = pub.awake(pub.seeded(QKFormer, TINY))
    paths = [f"stage1.0.tssa.{p}" for p in ("q_lif", "k_lif", "attn_lif", "proj_conv")]
    found = pub.seen(model, x, paths)
    q, k = (found[p][1].bool().reshape(4, 2, 2, 4, 256) for p in paths[:2])
    mask = q.any(dim=3, keepdim=True)
    assert 0 < mask.float().mean() < 1
    assert torch.equal(found[paths[2]][1].bool(), mask)
    assert torch.equal(found[paths[3]][0].bool(), (k & mask).reshape(8, 8, 256))


def test_the_last_stage_counts_coincidences_of_three_spikes() -> None:
    model, x = pub.awake(pub.seeded(QKFormer, TINY))
    paths = [f"stage3.0.attn.{p}" for p in ("q_lif", "k_lif", "v_lif", "attn_lif")]
    found = pub.seen(model, x, paths)
    q, k, v = (found[p][1].reshape(4, 2, 2, 16, 16) for p in paths[:3])
    counts = torch.einsum("tbhin,tbhim,tbhjm->tbhjn", q, k, v)
    assert counts.max() > 8
    assert torch.equal(found[paths[3]][0], counts.reshape(4, 2, 32, 16) * 0.125)


def test_keys_are_the_public_ones() -> None:
    """Of the event network: four convolutions in the stem, one stage of each kind."""
    expected: dict[str, tuple[int, ...]] = {
        "patch_embed1.proj_conv.weight": (2, 2, 3, 3),
        "patch_embed1.proj1_conv.weight": (4, 2, 3, 3),
        "patch_embed1.proj2_conv.weight": (8, 4, 3, 3),
        "patch_embed1.proj3_conv.weight": (16, 8, 3, 3),
        "patch_embed1.proj_res_conv.weight": (16, 4, 1, 1),
        "stage1.0.tssa.q_conv.weight": (16, 16, 1),
        "stage1.0.tssa.k_conv.weight": (16, 16, 1),
        "stage1.0.tssa.proj_conv.weight": (16, 16, 1),
        "stage1.0.tssa.proj_conv.bias": (16,),
        "stage1.0.mlp.mlp1_conv.weight": (64, 16, 1, 1),
        "stage1.0.mlp.mlp1_conv.bias": (64,),
        "stage1.0.mlp.mlp2_conv.weight": (16, 64, 1, 1),
        "stage1.0.mlp.mlp2_conv.bias": (16,),
        "patch_embed2.proj3_conv.weight": (32, 16, 3, 3),
        "patch_embed2.proj4_conv.weight": (32, 32, 3, 3),
        "patch_embed2.proj_res_conv.weight": (32, 16, 1, 1),
        "stage2.0.attn.q_conv.weight": (32, 32, 1),
        "stage2.0.attn.k_conv.weight": (32, 32, 1),
        "stage2.0.attn.v_conv.weight": (32, 32, 1),
        "stage2.0.attn.proj_conv.weight": (32, 32, 1),
        "stage2.0.attn.proj_conv.bias": (32,),
        "stage2.0.mlp.mlp1_conv.weight": (128, 32, 1, 1),
        "stage2.0.mlp.mlp1_conv.bias": (128,),
        "stage2.0.mlp.mlp2_conv.weight": (32, 128, 1, 1),
        "stage2.0.mlp.mlp2_conv.bias": (32,),
        "head.weight": (11, 32),
        "head.bias": (11,),
    }
    expected |= pub.norms(
        patch_embed1__proj_bn=2,
        patch_embed1__proj1_bn=4,
        patch_embed1__proj2_bn=8,
        patch_embed1__proj3_bn=16,
        patch_embed1__proj_res_bn=16,
        stage1__0__tssa__q_bn=16,
        stage1__0__tssa__k_bn=16,
        stage1__0__tssa__proj_bn=16,
        stage1__0__mlp__mlp1_bn=64,
        stage1__0__mlp__mlp2_bn=16,
        patch_embed2__proj3_bn=32,
        patch_embed2__proj4_bn=32,
        patch_embed2__proj_res_bn=32,
        stage2__0__attn__q_bn=32,
        stage2__0__attn__k_bn=32,
        stage2__0__attn__v_bn=32,
        stage2__0__attn__proj_bn=32,
        stage2__0__mlp__mlp1_bn=128,
        stage2__0__mlp__mlp2_bn=32,
    )
    assert pub.shapes(QKFormer(EVENTS).state_dict()) == expected


def test_other_spellings_of_the_keys_load() -> None:
    model, x = pub.awake(pub.seeded(QKFormer, TINY))
    public = {
        key.replace("stage3.0.attn.", "stage3.0.ssa.").replace("mlp.mlp", "mlp.fc"): value
        for key, value in model.state_dict().items()
    }
    assert "stage3.0.ssa.q_conv.weight" in public
    assert "stage1.0.mlp.fc2_conv.bias" in public
    pub.assert_round_trip(model, x, public)


def test_keys_of_the_event_code_load() -> None:
    """Between stages it has `proj_conv` where the others have `proj3_conv`; so has the stem."""
    model, x = pub.awake(pub.seeded(QKFormer, EVENTS))
    public = {
        k.replace("patch_embed2.proj3_", "patch_embed2.proj_"): v
        for k, v in model.state_dict().items()
    }
    assert {"patch_embed2.proj_conv.weight", "patch_embed1.proj_conv.weight"} <= set(public)
    pub.assert_round_trip(model, x, public)


def test_traceable() -> None:
    pub.assert_traceable(*pub.awake(pub.seeded(QKFormer, EVENTS)))


@pytest.mark.parametrize(
    "fields",
    [
        {"stem_pools": "000"},
        {"stem_branch": 2},
        {"down_pools": "11"},
        {"stem_divisors": [2, 2]},
        {"dim": 66},
        {"heads": 3},
        {"depths": []},
        {"image_size": 18},
    ],
)
def test_values_that_do_not_fit_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InputError, match="SFX-E121 qkformer config"):
        QKFormerConfig.from_mapping(fields)
