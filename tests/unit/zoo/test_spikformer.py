"""Spikformer: the published sizes, live neurons, the values its weights see, keys, a trace."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from sfx.frontends.zoo.spikformer import (  # noqa: E402
    SPIKFORMER,
    LinearConv,
    MapConv,
    Spikformer,
    SpikformerConfig,
)
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from tests.unit.zoo import published as pub  # noqa: E402

pytestmark = pytest.mark.needs_torch

TINY = SpikformerConfig()
EVENTS = SpikformerConfig(
    in_channels=2,
    image_size=32,
    timesteps=4,
    pools="1110",
    attention_scale=0.25,
    order="kv",
    qkv_bias=False,
    dead_position=True,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cifar10_4_256", 4_159_274),
        ("cifar10_2_384", 5_768_122),
        ("cifar10_4_384", 9_330_874),
        ("cifar10dvs_2_256", 2_585_610),
        ("imagenet_8_512", 29_705_768),
    ],
)
def test_published_parameters(name: str, expected: int) -> None:
    assert pub.parameters(Spikformer, SPIKFORMER[name]) == expected


@pytest.mark.parametrize(
    ("name", "millions"), [("imagenet_8_384", 16.81), ("imagenet_8_768", 66.34)]
)
def test_published_parameters_in_millions_leave_the_dead_norms_out(
    name: str, millions: float
) -> None:
    config = SPIKFORMER[name]
    dead = config.depth * 2 * 2 * config.dim
    alive = (pub.parameters(Spikformer, config) - dead) / 1e6
    assert alive == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (TINY, 59_392),
        (SPIKFORMER["cifar10_4_256"], 966_656),
        (SPIKFORMER["cifar10_4_384"], 1_449_984),
        (SPIKFORMER["cifar10dvs_2_256"], 1_327_104),
        (SPIKFORMER["imagenet_8_512"], 14_149_632),
    ],
)
def test_published_neurons(config: SpikformerConfig, expected: int) -> None:
    assert pub.neurons(Spikformer, config) == expected


def test_constants_are_the_published_ones() -> None:
    model = pub.seeded(Spikformer, TINY)
    for path, module in model.named_modules():
        if path.endswith("_lif"):
            assert module.cell.tau == 2.0
            assert module.cell.threshold == (0.5 if path.endswith("attn_lif") else 1.0)
    assert SPIKFORMER["cifar10_4_384"].attention_scale == 0.125
    assert SPIKFORMER["cifar10dvs_2_256"].attention_scale == 0.25


@pytest.mark.parametrize("config", [TINY, EVENTS, replace(TINY, depth=2)])
def test_every_population_fires(config: SpikformerConfig) -> None:
    model, x = pub.awake(pub.seeded(Spikformer, config))
    pub.assert_alive(model, x, populations=5 + 7 * config.depth)
    pub.assert_answers(model, x)


def test_weights_see_spikes_or_small_counts() -> None:
    model, x = pub.awake(pub.seeded(Spikformer, replace(TINY, depth=2)))
    stem, block = "patch_embed.", "block.{}."
    paths = [stem + p for p in ("proj_conv1", "proj_conv2", "proj_conv3", "rpe_conv")]
    paths += [f"block.{i}.attn.proj_conv" for i in (0, 1)]
    paths += [f"block.{i}.mlp.fc2_conv" for i in (0, 1)]
    assert set(pub.inputs_of(model, x, paths).values()) == {"binary"}
    counts = pub.inputs_of(
        model,
        x,
        [block.format(i) + p for i in (0, 1) for p in ("attn.q_conv", "mlp.fc1_conv")],
    )
    assert list(counts.values()) == ["0..2", "0..3", "0..4", "0..5"]


def test_attention_counts_coincidences_of_three_spikes() -> None:
    model, x = pub.awake(pub.seeded(Spikformer, TINY))
    attn = "block.0.attn."
    found = pub.seen(model, x, [attn + p for p in ("q_lif", "k_lif", "v_lif", "attn_lif")])
    q, k, v = (
        found[attn + p][1].reshape(4, 2, TINY.heads, 16, 64) for p in ("q_lif", "k_lif", "v_lif")
    )
    counts = torch.einsum("tbhin,tbhim,tbhjm->tbhjn", q, k, v)
    assert counts.max() > 8
    assert torch.equal(found[attn + "attn_lif"][0], counts.reshape(4, 2, 32, 64) * 0.125)


def test_order_of_the_products_does_not_matter() -> None:
    model, x = pub.awake(pub.seeded(Spikformer, TINY))
    other = Spikformer(replace(TINY, order="kv"))
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model(x), other.eval()(x))


def test_keys_are_the_public_ones() -> None:
    """Of the event network, written out: names, shapes, and the keys that nothing reads."""
    expected: dict[str, tuple[int, ...]] = {
        "pos_embed": (1, 16, 32),
        "norm.weight": (32,),
        "norm.bias": (32,),
        "patch_embed.proj_conv.weight": (4, 2, 3, 3),
        "patch_embed.proj_conv1.weight": (8, 4, 3, 3),
        "patch_embed.proj_conv2.weight": (16, 8, 3, 3),
        "patch_embed.proj_conv3.weight": (32, 16, 3, 3),
        "patch_embed.rpe_conv.weight": (32, 32, 3, 3),
        "block.0.norm1.weight": (32,),
        "block.0.norm1.bias": (32,),
        "block.0.norm2.weight": (32,),
        "block.0.norm2.bias": (32,),
        "block.0.attn.q_conv.weight": (32, 32, 1),
        "block.0.attn.k_conv.weight": (32, 32, 1),
        "block.0.attn.v_conv.weight": (32, 32, 1),
        "block.0.attn.proj_conv.weight": (32, 32, 1),
        "block.0.attn.proj_conv.bias": (32,),
        "block.0.mlp.fc1_conv.weight": (128, 32, 1),
        "block.0.mlp.fc1_conv.bias": (128,),
        "block.0.mlp.fc2_conv.weight": (32, 128, 1),
        "block.0.mlp.fc2_conv.bias": (32,),
        "head.weight": (10, 32),
        "head.bias": (10,),
    }
    expected |= pub.norms(
        patch_embed__proj_bn=4,
        patch_embed__proj_bn1=8,
        patch_embed__proj_bn2=16,
        patch_embed__proj_bn3=32,
        patch_embed__rpe_bn=32,
        block__0__attn__q_bn=32,
        block__0__attn__k_bn=32,
        block__0__attn__v_bn=32,
        block__0__attn__proj_bn=32,
        block__0__mlp__fc1_bn=128,
        block__0__mlp__fc2_bn=32,
    )
    assert pub.shapes(Spikformer(EVENTS).state_dict()) == expected


def test_a_checkpoint_of_the_cifar_code_loads() -> None:
    """Its token layers are `*_linear` with matrices; one trained on several GPUs has `module.`."""
    model, x = pub.awake(pub.seeded(Spikformer, TINY))
    public = {
        "module." + re.sub(r"(block.*)_conv\.", r"\1_linear.", key): value.squeeze(-1)
        if key.startswith("block") and key.endswith("_conv.weight")
        else value
        for key, value in model.state_dict().items()
    }
    assert "module.block.0.attn.q_linear.weight" in public
    pub.assert_round_trip(model, x, public)


def test_dead_keys_may_be_absent_and_are_never_read() -> None:
    model, x = pub.awake(pub.seeded(Spikformer, EVENTS))
    public = {k: v for k, v in model.state_dict().items() if "norm" not in k}
    public["pos_embed"] = torch.full((1, 5), torch.nan)
    pub.assert_round_trip(model, x, public)


def test_keys_that_fit_nothing_are_refused() -> None:
    model = pub.seeded(Spikformer, TINY)
    with pytest.raises(RuntimeError, match="surplus"):
        model.load_state_dict({**model.state_dict(), "surplus": torch.zeros(1)})
    lacking = {k: v for k, v in model.state_dict().items() if k != "head.bias"}
    with pytest.raises(RuntimeError, match=r"head\.bias"):
        model.load_state_dict(lacking)


def test_traceable() -> None:
    pub.assert_traceable(*pub.awake(pub.seeded(Spikformer, TINY)))


def test_the_dead_parameters_take_no_gradient() -> None:
    parameters = pub.seeded(Spikformer, TINY).named_parameters()
    dead = [n for n, p in parameters if not p.requires_grad]
    assert dead == [f"block.0.norm{i}.{f}" for i in (1, 2) for f in ("weight", "bias")]


def test_bad_fields_are_all_named() -> None:
    with pytest.raises(InputError) as error:
        SpikformerConfig(depth=0, order="vk", pools="0a11", qkv_bias=1, tau=float("nan"))  # type: ignore[arg-type]
    assert error.value.code == "SFX-E121"
    fields = {problem.where.split(": ")[1] for problem in error.value.problems}
    assert fields == {"depth", "order", "pools", "qkv_bias", "tau"}


@pytest.mark.parametrize(
    "fields",
    [{"pools": "011"}, {"dim": 36}, {"heads": 3}, {"image_size": 30}, {"tau": 0.5}, {"width": 1}],
)
def test_values_that_do_not_fit_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InputError, match="SFX-E121 spikformer config"):
        SpikformerConfig.from_mapping(fields)


def test_an_input_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"SFX-E122.*not \[T, B, 3, 32, 32\]"):
        pub.seeded(Spikformer, TINY)(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize(("kind", "channels", "edge"), [("linear", 96, 8), ("conv2d", 512, 14)])
def test_kernels_round_as_the_authors_layers(kind: str, channels: int, edge: int) -> None:
    """Not close: equal. (A Conv1d differs from the Conv2d in most sums of such sizes.)"""
    torch.manual_seed(0)
    ours = (LinearConv if kind == "linear" else MapConv)(channels, 4 * channels, 1)
    x = torch.randint(0, 3, (16, channels, edge, edge)).float()
    if kind == "linear":
        theirs = nn.functional.linear(
            x.flatten(2).transpose(1, 2).contiguous(), ours.weight[..., 0], ours.bias
        ).transpose(1, 2)
    else:
        theirs = nn.functional.conv2d(x, ours.weight[..., None], ours.bias).flatten(2)
    assert torch.equal(ours(x.flatten(2)), theirs)
    assert theirs.abs().max() > 1
