"""Spike-driven Transformer (v1): sizes, live neurons, attention by AND and OR, keys, a trace."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402
from torch.nn import functional  # noqa: E402

from sfx.frontends.zoo.public_model import PublicModel  # noqa: E402
from sfx.frontends.zoo.spike_driven import SPIKE_DRIVEN, SpikeDrivenConfig, SpikeDrivenTransformer  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from tests.unit.zoo import published as pub  # noqa: E402

pytestmark = pytest.mark.needs_torch

TINY = SpikeDrivenConfig()
EVENTS = SpikeDrivenConfig(in_channels=2, image_size=32, pools="0111", dilate=True, every_step=True)
ATTN = "block.0.attn."


def awake(config: SpikeDrivenConfig) -> tuple[PublicModel, Tensor]:
    """As `published.awake`; more offset than this and the head's neurons all fire."""
    return pub.awake(pub.seeded(SpikeDrivenTransformer, config), shifts=(-0.5, 1.0))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (TINY, 28_946),
        (SPIKE_DRIVEN["cifar10_2_256"], 2_567_082),
        (SPIKE_DRIVEN["cifar10_2_512"], 10_233_546),
        (SPIKE_DRIVEN["gesture_2_256"], 2_567_051),
        (SPIKE_DRIVEN["cifar10dvs_2_256"], 2_566_794),
        (SPIKE_DRIVEN["imagenet_8_384"], 16_816_536),
    ],
)
def test_published_parameters(config: SpikeDrivenConfig, expected: int) -> None:
    assert pub.parameters(SpikeDrivenTransformer, config) == expected


@pytest.mark.parametrize(
    ("name", "millions"), [("imagenet_8_512", 29.68), ("imagenet_8_768", 66.34)]
)
def test_published_parameters_in_millions(name: str, millions: float) -> None:
    found = pub.parameters(SpikeDrivenTransformer, SPIKE_DRIVEN[name]) / 1e6
    assert found == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (TINY, 49_216),
        (SPIKE_DRIVEN["cifar10_2_256"], 541_440),
        (SPIKE_DRIVEN["gesture_2_256"], 3_343_104),
    ],
)
def test_published_neurons(config: SpikeDrivenConfig, expected: int) -> None:
    assert pub.neurons(SpikeDrivenTransformer, config) == expected


def test_constants_are_the_published_ones() -> None:
    model = pub.seeded(SpikeDrivenTransformer, TINY)
    cells = {p: m.cell for p, m in model.named_modules() if p.endswith("_lif")}
    assert {cell.tau for cell in cells.values()} == {2.0}
    low = [p for p, cell in cells.items() if cell.threshold != 1.0]
    assert low == [ATTN + "talking_heads_lif"]
    assert cells[low[0]].threshold == 0.5


@pytest.mark.parametrize("config", [TINY, EVENTS, replace(TINY, depth=2)])
def test_every_population_fires(config: SpikeDrivenConfig) -> None:
    model, x = awake(config)
    dilated = 1 if config.dilate else 0  # the OR over all tokens of what was dilated twice
    pub.assert_alive(model, x, populations=4 + 7 * config.depth + 1, saturated=dilated)
    pub.assert_answers(model, x)


def test_every_weight_sees_spikes_but_the_first() -> None:
    model, x = awake(replace(TINY, depth=2))
    paths = [p for p, m in model.named_modules() if isinstance(m, torch.nn.Conv2d)]
    found = pub.inputs_of(model, x, [*paths, "head"])
    assert found.pop("patch_embed.proj_conv") == "0..3"  # the counts of the test's frames
    assert len(found) == 4 + 2 * 6 + 1
    assert set(found.values()) == {"binary"}


def test_the_fourth_pool_takes_currents_and_is_the_shortcut_too() -> None:
    model, x = awake(TINY)
    stem = "patch_embed."
    paths = ["patch_embed", *(stem + p for p in ("proj_bn3", "proj_lif3", "rpe_bn"))]
    found = pub.seen(model, x, paths)
    currents = found[stem + "proj_bn3"][1]
    pooled = functional.max_pool2d(currents, 3, 2, 1).reshape(4, 2, 32, 8, 8)
    assert pub.value_class(currents) == "real"
    assert torch.equal(found[stem + "proj_lif3"][0], pooled)
    assert torch.equal(
        found["patch_embed"][1], found[stem + "rpe_bn"][1].reshape(pooled.shape) + pooled
    )


def test_the_shortcut_carries_the_membrane_currents() -> None:
    model, x = awake(TINY)
    found = pub.seen(model, x, ["block.0", "block.0.attn", "block.0.mlp"])
    x_in, x_out = found["block.0"]
    assert pub.value_class(x_in) == "real"
    between, after = found["block.0.mlp"]
    assert torch.equal(between, x_in + found["block.0.attn"][1])
    assert torch.equal(after, x_out)


@pytest.mark.parametrize("ratio", [4.0, 1.0])
def test_an_mlp_that_does_not_widen_adds_its_hidden_layer_to_the_stream(ratio: float) -> None:
    model, x = awake(replace(TINY, mlp_ratio=ratio))
    mlp = "block.0.mlp"
    found = pub.seen(model, x, [mlp, f"{mlp}.fc1_bn", f"{mlp}.fc2_lif", f"{mlp}.fc2_bn"])
    stream, out = found[mlp]
    hidden, last = (found[f"{mlp}.{n}"][1] for n in ("fc1_bn", "fc2_bn"))
    if ratio == 1.0:
        stream = stream + hidden.reshape(stream.shape)
        assert torch.equal(found[f"{mlp}.fc2_lif"][0], stream)
    assert torch.equal(out, last.reshape(stream.shape) + stream)


def test_attention_is_and_or_and() -> None:
    """proj reads q AND OR over the tokens of (k AND v), head by head, the OR without memory."""
    model, x = awake(replace(TINY, image_size=16))
    paths = [ATTN + p for p in ("q_lif", "k_lif", "v_lif", "talking_heads_lif", "proj_conv")]
    found = pub.seen(model, x, paths)
    q, k, v = (found[p][1].bool() for p in paths[:3])
    mask = (k & v).flatten(3).any(dim=3)
    assert 0 < mask.float().mean() < 1
    assert torch.equal(found[paths[3]][1].bool().flatten(2), mask)
    expected = q & mask[..., None, None]
    assert torch.equal(found[paths[4]][0].bool(), expected.flatten(0, 1))


def test_dilation_is_an_or_over_neighbours() -> None:
    """Of pixels in k and v; of token index and head channel in k AND v and in the result."""
    model, x = awake(EVENTS)
    paths = [ATTN + p for p in ("q_lif", "k_lif", "v_lif", "talking_heads_lif", "proj_conv")]
    found = pub.seen(model, x, paths)
    q, k, v = (found[p][1] for p in paths[:3])

    def heads(z: Tensor) -> Tensor:
        return z.reshape(4, 2, 2, 16, 16).transpose(3, 4)

    def dilated(z: Tensor) -> Tensor:
        grown = functional.pad(z, (1, 1, 1, 1))
        a, b = z.shape[-2:]
        shifts = [grown[..., i : i + a, j : j + b] for i in range(3) for j in range(3)]
        return torch.stack(shifts).amax(0)

    kv = dilated(heads(dilated(k).flatten(3)) * heads(dilated(v).flatten(3)))
    assert torch.equal(found[paths[3]][0], kv.sum(3, keepdim=True))
    result = dilated(heads(q.flatten(3)) * (kv.sum(3, keepdim=True) > 0))
    assert torch.equal(found[paths[4]][0].reshape(4, 2, 2, 16, 16), result.transpose(3, 4))


def test_logits_of_every_step_in_training_only() -> None:
    model, x = awake(EVENTS)
    with torch.no_grad():
        assert model(x).shape == (2, 10)
        assert model.train()(x).shape == (4, 2, 10)


def test_keys_are_the_public_ones() -> None:
    expected: dict[str, tuple[int, ...]] = {
        "patch_embed.proj_conv.weight": (4, 3, 3, 3),
        "patch_embed.proj_conv1.weight": (8, 4, 3, 3),
        "patch_embed.proj_conv2.weight": (16, 8, 3, 3),
        "patch_embed.proj_conv3.weight": (32, 16, 3, 3),
        "patch_embed.rpe_conv.weight": (32, 32, 3, 3),
        "block.0.attn.q_conv.weight": (32, 32, 1, 1),
        "block.0.attn.k_conv.weight": (32, 32, 1, 1),
        "block.0.attn.v_conv.weight": (32, 32, 1, 1),
        "block.0.attn.talking_heads.weight": (2, 2, 1),
        "block.0.attn.proj_conv.weight": (32, 32, 1, 1),
        "block.0.attn.proj_conv.bias": (32,),
        "block.0.mlp.fc1_conv.weight": (128, 32, 1, 1),
        "block.0.mlp.fc1_conv.bias": (128,),
        "block.0.mlp.fc2_conv.weight": (32, 128, 1, 1),
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
    assert pub.shapes(SpikeDrivenTransformer(TINY).state_dict()) == expected


def test_a_checkpoint_loads_with_or_without_its_dead_keys() -> None:
    model, x = awake(TINY)
    state = model.state_dict()
    dead = "block.0.attn.talking_heads.weight"
    pub.assert_round_trip(model, x, {f"module.{k}": v for k, v in state.items() if k != dead})
    pub.assert_round_trip(model, x, {**state, dead: torch.full((2, 2, 1), torch.nan)})


@pytest.mark.parametrize("config", [TINY, EVENTS])
def test_traceable(config: SpikeDrivenConfig) -> None:
    pub.assert_traceable(*awake(config))


@pytest.mark.parametrize("fields", [{"pools": "1"}, {"dim": 36}, {"heads": 5}, {"dilate": 0}])
def test_values_that_do_not_fit_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InputError, match="SFX-E121 spike_driven config"):
        SpikeDrivenConfig.from_mapping(fields)
