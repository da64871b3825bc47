"""Spikingformer: the published sizes, live neurons, spikes at every weight, keys, a trace."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from sfx.frontends.zoo.spikingformer import SPIKINGFORMER, Spikingformer, SpikingformerConfig  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from tests.unit.zoo import published as pub  # noqa: E402

pytestmark = pytest.mark.needs_torch

TINY = SpikingformerConfig()
EVENTS = SpikingformerConfig(in_channels=2, tau=1.5, pools="1110", order="kv")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (TINY, 29_070),
        (SPIKINGFORMER["cifar10_4_256"], 4_156_202),
        (SPIKINGFORMER["cifar10_2_384"], 5_765_818),
        (SPIKINGFORMER["cifar10_4_384"], 9_326_266),
        (SPIKINGFORMER["gesture_2_256"], 2_568_971),
        (SPIKINGFORMER["imagenet_8_512"], 29_705_768),
    ],
)
def test_published_parameters(config: SpikingformerConfig, expected: int) -> None:
    assert pub.parameters(Spikingformer, config) == expected


@pytest.mark.parametrize(
    ("config", "expected"), [(TINY, 57_344), (SPIKINGFORMER["cifar10_4_384"], 1_425_408)]
)
def test_published_neurons(config: SpikingformerConfig, expected: int) -> None:
    assert pub.neurons(Spikingformer, config) == expected


def test_tau_is_1_5_in_every_neuron_on_events() -> None:
    model = pub.seeded(Spikingformer, replace(SPIKINGFORMER["gesture_2_256"], dim=32))
    cells = {p: m.cell for p, m in model.named_modules() if p.endswith("_lif")}
    assert {cell.tau for cell in cells.values()} == {1.5}
    assert {p for p, cell in cells.items() if cell.threshold != 1.0} == {
        "block.0.attn.attn_lif",
        "block.1.attn.attn_lif",
    }
    assert {c.tau for n, c in SPIKINGFORMER.items() if n.startswith(("cifar10_", "image"))} == {2.0}


@pytest.mark.parametrize("config", [TINY, EVENTS, replace(TINY, depth=2)])
def test_every_population_fires(config: SpikingformerConfig) -> None:
    model, x = pub.awake(pub.seeded(Spikingformer, config))
    pub.assert_alive(model, x, populations=4 + 7 * config.depth)
    pub.assert_answers(model, x)


def test_every_weight_sees_spikes_but_the_first_and_the_head() -> None:
    model, x = pub.awake(pub.seeded(Spikingformer, replace(TINY, depth=2)))
    paths = [p for p, _ in model.named_modules() if p.endswith("_conv")]
    found = pub.inputs_of(model, x, [*paths, "head"])
    assert found.pop("patch_embed.proj_conv") == "0..3"  # the counts of the test's frames
    assert found.pop("head") == "real"
    assert len(found) == 4 + 2 * 6
    assert set(found.values()) == {"binary"}


def test_pools_take_spikes_before_the_convolution() -> None:
    model, x = pub.awake(pub.seeded(Spikingformer, TINY))
    stem = "patch_embed.proj"
    paths = [f"{stem}{i}_{part}" for i in (2, 3, 4) for part in ("lif", "conv")]
    found = pub.seen(model, x, paths)
    spikes = [found[f"{stem}{i}_lif"][1].flatten(0, 1) for i in (2, 3, 4)]
    reads = [found[f"{stem}{i}_conv"][0] for i in (2, 3, 4)]
    assert torch.equal(reads[0], spikes[0])
    for i in (1, 2):
        assert torch.equal(reads[i], functional.max_pool2d(spikes[i], 3, 2, 1))


def test_attention_counts_coincidences_of_three_spikes() -> None:
    model, x = pub.awake(pub.seeded(Spikingformer, TINY))
    attn = "block.0.attn."
    found = pub.seen(model, x, [attn + p for p in ("q_lif", "k_lif", "v_lif", "attn_lif")])
    q, k, v = (
        found[attn + p][1].reshape(4, 2, TINY.heads, 16, 64) for p in ("q_lif", "k_lif", "v_lif")
    )
    counts = torch.einsum("tbhin,tbhim,tbhjm->tbhjn", q, k, v)
    assert counts.max() > 8
    assert torch.equal(found[attn + "attn_lif"][0], counts.reshape(4, 2, 32, 64) * 0.125)


def test_the_shortcut_carries_the_membrane_currents() -> None:
    model, x = pub.awake(pub.seeded(Spikingformer, TINY))
    found = pub.seen(model, x, ["block.0", "block.0.attn", "block.0.mlp"])
    x_in, x_out = found["block.0"]
    assert pub.value_class(x_in) == "real"
    assert torch.equal(x_out, (x_in + found["block.0.attn"][1]) + found["block.0.mlp"][1])


def test_keys_are_the_public_ones() -> None:
    expected: dict[str, tuple[int, ...]] = {
        "patch_embed.proj_conv.weight": (4, 3, 3, 3),
        "patch_embed.proj1_conv.weight": (8, 4, 3, 3),
        "patch_embed.proj2_conv.weight": (16, 8, 3, 3),
        "patch_embed.proj3_conv.weight": (32, 16, 3, 3),
        "patch_embed.proj4_conv.weight": (32, 32, 3, 3),
        "block.0.norm1.weight": (32,),
        "block.0.norm1.bias": (32,),
        "block.0.norm2.weight": (32,),
        "block.0.norm2.bias": (32,),
        "block.0.attn.q_conv.weight": (32, 32, 1),
        "block.0.attn.k_conv.weight": (32, 32, 1),
        "block.0.attn.v_conv.weight": (32, 32, 1),
        "block.0.attn.proj_conv.weight": (32, 32, 1),
        "block.0.attn.proj_conv.bias": (32,),
        "block.0.mlp.mlp1_conv.weight": (128, 32, 1, 1),
        "block.0.mlp.mlp1_conv.bias": (128,),
        "block.0.mlp.mlp2_conv.weight": (32, 128, 1, 1),
        "block.0.mlp.mlp2_conv.bias": (32,),
        "head.weight": (10, 32),
        "head.bias": (10,),
    }
    expected |= pub.norms(
        patch_embed__proj_bn=4,
        patch_embed__proj1_bn=8,
        patch_embed__proj2_bn=16,
        patch_embed__proj3_bn=32,
        patch_embed__proj4_bn=32,
        block__0__attn__q_bn=32,
        block__0__attn__k_bn=32,
        block__0__attn__v_bn=32,
        block__0__attn__proj_bn=32,
        block__0__mlp__mlp1_bn=128,
        block__0__mlp__mlp2_bn=32,
    )
    assert pub.shapes(Spikingformer(TINY).state_dict()) == expected


def test_other_spellings_of_the_keys_load() -> None:
    model, x = pub.awake(pub.seeded(Spikingformer, TINY))
    public = {}
    for key, value in model.state_dict().items():
        for i in range(1, 5):
            key = key.replace(f"proj{i}_conv", f"proj_conv{i}").replace(
                f"proj{i}_bn", f"proj_bn{i}"
            )
        key = key.replace("mlp.mlp1_", "mlp.fc1_").replace("mlp.mlp2_", "mlp.fc2_")
        flat = value.flatten(1) if "mlp.fc" in key and key.endswith("conv.weight") else value
        public[key] = flat
    assert public["block.0.mlp.fc1_conv.weight"].shape == (128, 32)
    assert "patch_embed.proj_bn4.running_mean" in public
    pub.assert_round_trip(model, x, {k: v for k, v in public.items() if "norm" not in k})


def test_the_keys_of_the_cifar_network_load() -> None:
    """Its tokenizer counts blocks (cifar10/model.py): block0_conv, block0_bn, block1_conv, ..."""
    model, x = pub.awake(pub.seeded(Spikingformer, TINY))
    public = {
        re.sub(r"^patch_embed\.proj(\d?)_", lambda m: f"patch_embed.block{m[1] or 0}_", key): value
        for key, value in model.state_dict().items()
    }
    assert {"patch_embed.block0_conv.weight", "patch_embed.block4_bn.bias"} <= set(public)
    pub.assert_round_trip(model, x, public)


def test_heads_are_those_of_the_authors_settings_and_logs() -> None:
    """No key or parameter shows them, and another number is another network."""
    heads = {name: config.heads for name, config in SPIKINGFORMER.items()}
    assert {heads[f"imagenet_8_{dim}"] for dim in (384, 512, 768)} == {8}
    assert (heads["cifar10_4_384"], heads["cifar100_4_384"]) == (12, 8)
    assert (heads["cifar10dvs_2_256"], heads["gesture_2_256"]) == (16, 16)


def test_traceable() -> None:
    pub.assert_traceable(*pub.awake(pub.seeded(Spikingformer, TINY)))


@pytest.mark.parametrize("fields", [{"pools": "00110"}, {"dim": 36}, {"heads": 5}, {"depth": 1.5}])
def test_values_that_do_not_fit_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InputError, match="SFX-E121 spikingformer config"):
        SpikingformerConfig.from_mapping(fields)
