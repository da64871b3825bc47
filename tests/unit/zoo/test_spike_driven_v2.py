"""Spike-driven Transformer v2: sizes, live neurons, RepConv as one convolution, keys, a trace."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from sfx.frontends.zoo.spike_driven_v2 import (  # noqa: E402
    SPIKE_DRIVEN_V2,
    RepConv,
    SpikeDrivenTransformerV2,
    SpikeDrivenV2Config,
)
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from tests.unit.zoo import published as pub  # noqa: E402

pytestmark = pytest.mark.needs_torch

TINY = SpikeDrivenV2Config(dims=(8, 16, 16, 16))
FACTS_TINY = SpikeDrivenV2Config(dims=(16, 32, 32, 32), depths=(6, 2))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (FACTS_TINY, 366_330),
        (SPIKE_DRIVEN_V2["imagenet_8_384"], 31_333_864),
        (SPIKE_DRIVEN_V2["imagenet_8_512"], 55_350_248),
    ],
)
def test_published_parameters(config: SpikeDrivenV2Config, expected: int) -> None:
    assert pub.parameters(SpikeDrivenTransformerV2, config) == expected


def test_published_parameters_in_millions() -> None:
    smallest = pub.parameters(SpikeDrivenTransformerV2, SPIKE_DRIVEN_V2["imagenet_8_256"])
    assert smallest / 1e6 == pytest.approx(15.1, abs=0.05)


def test_published_neurons() -> None:
    assert pub.neurons(SpikeDrivenTransformerV2, FACTS_TINY) == 186_912


def test_every_population_fires() -> None:
    model, x = pub.awake(pub.seeded(SpikeDrivenTransformerV2, TINY))
    # 4 in each of 4 convolution blocks, 4 where the map shrinks or widens, 7 per block, the head
    pub.assert_alive(model, x, populations=4 * 4 + 4 + 7 * 2 + 1)
    pub.assert_answers(model, x)


def test_weights_see_spikes_but_inside_repconv_and_after_the_depthwise_convolution() -> None:
    model, x = pub.awake(pub.seeded(SpikeDrivenTransformerV2, TINY))
    layers = (nn.Conv1d, nn.Conv2d, nn.Linear)
    paths = [p for p, m in model.named_modules() if isinstance(m, layers)]
    # in eval() the first kernel of a RepConv is used without calling its module
    first = [p for p in paths if p.endswith(".body.0")]
    found = pub.inputs_of(model, x, [p for p in paths if p not in first])
    assert found.pop("downsample1_1.encode_conv") == "0..3"  # the counts of the test's frames
    real = {p for p, kind in found.items() if kind == "real"}
    assert real == {p for p in paths if ".body.2." in p or p.endswith("pwconv2")}
    assert {kind for p, kind in found.items() if p not in real} == {"binary"}
    outer = pub.inputs_of(model, x, [p.removesuffix(".body.0") for p in first])
    assert len(outer) == 2 * 4
    assert set(outer.values()) == {"binary"}


def test_the_shortcuts_carry_the_membrane_currents() -> None:
    model, x = pub.awake(pub.seeded(SpikeDrivenTransformerV2, TINY))
    block, conv = "block4.0", "ConvBlock2_2.0"
    found = pub.seen(
        model, x, [block, f"{block}.attn", f"{block}.mlp", conv, f"{conv}.Conv", f"{conv}.bn2"]
    )
    for path, first, second in (
        (block, f"{block}.attn", f"{block}.mlp"),
        (conv, f"{conv}.Conv", f"{conv}.bn2"),
    ):
        x_in, x_out = found[path]
        assert pub.value_class(x_in) == "real"
        middle = x_in + found[first][1]
        assert torch.equal(x_out, middle + found[second][1].reshape(middle.shape))


def test_attention_counts_coincidences_of_three_spikes() -> None:
    model, x = pub.awake(pub.seeded(SpikeDrivenTransformerV2, TINY))
    attn = "block3.0.attn."
    found = pub.seen(model, x, [attn + p for p in ("q_lif", "k_lif", "v_lif", "attn_lif")])
    q, k, v = (found[attn + p][1].reshape(4, 2, 2, 8, 16) for p in ("q_lif", "k_lif", "v_lif"))
    counts = torch.einsum("tbhin,tbhim,tbhjm->tbhjn", q, k, v)
    assert counts.max() > 8
    assert torch.equal(found[attn + "attn_lif"][0], counts.reshape(4, 2, 16, 16) * 0.125)


def live_repconv(channels: int = 3) -> RepConv:
    torch.manual_seed(0)
    conv = RepConv(channels).double()
    for module in conv.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 1.0, 3.0)
            nn.init.uniform_(module.bias, -1.0, 1.0)
            nn.init.uniform_(module.running_mean, -1.0, 1.0)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return conv.eval()


def affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Gain and offset of a batch norm in `eval()`."""
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return gain, norm.bias - norm.running_mean * gain


def test_repconv_is_one_dense_convolution() -> None:
    """3x3, zero padding, one bias per channel: the docstring's formula, on a map with borders."""
    conv = live_repconv()
    first, border, (depthwise, pointwise, last) = conv.body
    gain, zero = affine(border.bn)
    outer_gain, outer_offset = affine(last)
    a, d, p = first.weight[:, :, 0, 0], depthwise.weight[:, 0], pointwise.weight[:, :, 0, 0]
    weight = torch.einsum("oc,cyx,c,ci->oiyx", p, d, gain, a) * outer_gain[:, None, None, None]
    bias = torch.einsum("oc,cyx,c->o", p, d, zero) * outer_gain + outer_offset
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    with torch.no_grad():
        expected = functional.conv2d(x, weight, bias, padding=1)
        torch.testing.assert_close(conv(x), expected, rtol=0, atol=1e-12)
        assert (conv(x) - functional.conv2d(x, weight, padding=1)).abs().max() > 0.1


def test_zeros_before_the_norm_are_its_value_at_zero_after_it() -> None:
    conv = live_repconv()
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(conv(x), conv.body(x), rtol=0, atol=1e-12)


def test_in_training_the_border_takes_no_part_in_the_statistics() -> None:
    conv = live_repconv()
    border = conv.body[1]
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    border.bn.momentum = 1.0
    with torch.no_grad():
        y = border.train()(x)
    torch.testing.assert_close(border.bn.running_mean, x.mean((0, 2, 3)))
    inner = (x - x.mean((0, 2, 3))[:, None, None]) / torch.sqrt(
        x.var((0, 2, 3), unbiased=False)[:, None, None] + border.bn.eps
    )
    inner = inner * border.bn.weight[:, None, None] + border.bn.bias[:, None, None]
    torch.testing.assert_close(y[:, :, 1:-1, 1:-1], inner)
    _, zero = affine(border.bn)
    for edge in (y[:, :, 0], y[:, :, -1], y[:, :, :, 0], y[:, :, :, -1]):
        torch.testing.assert_close(edge, zero[:, None].expand_as(edge))
    with torch.no_grad():
        trained = conv.train()(x)
        assert torch.equal(trained, conv.body(x))
        assert not torch.allclose(trained, conv.eval()(x))


def block_keys(path: str, dim: int) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        f"{path}.mlp.fc1_conv.weight": (4 * dim, dim, 1),
        f"{path}.mlp.fc1_conv.bias": (4 * dim,),
        f"{path}.mlp.fc2_conv.weight": (dim, 4 * dim, 1),
        f"{path}.mlp.fc2_conv.bias": (dim,),
    }
    found |= pub.norms(**{f"{path}.mlp.fc1_bn": 4 * dim, f"{path}.mlp.fc2_bn": dim})
    for name in ("q_conv", "k_conv", "v_conv", "proj_conv"):
        conv = f"{path}.attn.{name}"
        found[f"{conv}.0.body.0.weight"] = (dim, dim, 1, 1)
        found[f"{conv}.0.body.2.0.weight"] = (dim, 1, 3, 3)
        found[f"{conv}.0.body.2.1.weight"] = (dim, dim, 1, 1)
        norms = ("0.body.1.bn", "0.body.2.2", "1")
        found |= pub.norms(**{f"{conv}.{norm}": dim for norm in norms})
    return found


def conv_block_keys(path: str, dim: int) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        f"{path}.Conv.pwconv1.weight": (2 * dim, dim, 1, 1),
        f"{path}.Conv.dwconv.weight": (2 * dim, 1, 7, 7),
        f"{path}.Conv.pwconv2.weight": (dim, 2 * dim, 1, 1),
        f"{path}.conv1.weight": (4 * dim, dim, 3, 3),
        f"{path}.conv2.weight": (dim, 4 * dim, 3, 3),
    }
    inner = {f"{path}.Conv.bn1": 2 * dim, f"{path}.Conv.bn2": dim}
    return found | pub.norms(**inner, **{f"{path}.bn1": 4 * dim, f"{path}.bn2": dim})


def test_keys_are_the_public_ones() -> None:
    expected: dict[str, tuple[int, ...]] = {"head.weight": (10, 16), "head.bias": (10,)}
    for path, (a, b, kernel) in {
        "downsample1_1": (3, 4, 7),
        "downsample1_2": (4, 8, 3),
        "downsample2": (8, 16, 3),
        "downsample3": (16, 16, 3),
        "downsample4": (16, 16, 3),
    }.items():
        expected[f"{path}.encode_conv.weight"] = (b, a, kernel, kernel)
        expected[f"{path}.encode_conv.bias"] = (b,)
        expected |= pub.norms(**{f"{path}.encode_bn": b})
    for path, dim in {"1_1": 4, "1_2": 8, "2_1": 16, "2_2": 16}.items():
        expected |= conv_block_keys(f"ConvBlock{path}.0", dim)
    expected |= block_keys("block3.0", 16) | block_keys("block4.0", 16)
    assert pub.shapes(SpikeDrivenTransformerV2(TINY).state_dict()) == expected


def test_a_checkpoint_loads() -> None:
    model, x = pub.awake(pub.seeded(SpikeDrivenTransformerV2, TINY))
    public = {f"module.{key}": value for key, value in model.state_dict().items()}
    pub.assert_round_trip(model, x, public)


def test_distillation_gives_a_pair_in_training_and_its_mean_after() -> None:
    model, x = pub.awake(pub.seeded(SpikeDrivenTransformerV2, replace(TINY, distillation=True)))
    heads = pub.seen(model, x, ["head", "head_kd"])
    with torch.no_grad():
        both = [y.mean(0) for _, y in heads.values()]
        torch.testing.assert_close(model(x), (both[0] + both[1]) / 2)
        first, second = model.train()(x)
    assert first.shape == second.shape == (2, 10)
    assert not torch.equal(first, second)
    extra = set(model.state_dict()) - set(SpikeDrivenTransformerV2(TINY).state_dict())
    assert extra == {"head_kd.weight", "head_kd.bias"}


@pytest.mark.parametrize("teacher", [True, False])
def test_a_second_read_out_must_be_in_both_the_state_and_the_config(teacher: bool) -> None:
    """Eval takes the mean of both read-outs, so leaving one out would give other logits."""
    state = SpikeDrivenTransformerV2(replace(TINY, distillation=teacher)).state_dict()
    state = {f"module.{key}": value for key, value in state.items()}
    SpikeDrivenTransformerV2(replace(TINY, distillation=teacher)).load_state_dict(state)
    with pytest.raises(InputError, match=r"SFX-E172.*head_kd"):
        SpikeDrivenTransformerV2(replace(TINY, distillation=not teacher)).load_state_dict(state)


def test_traceable() -> None:
    pub.assert_traceable(*pub.awake(pub.seeded(SpikeDrivenTransformerV2, TINY)))


@pytest.mark.parametrize(
    "fields",
    [
        {"dims": [8, 16, 16]},
        {"dims": [7, 16, 16, 16]},
        {"dims": [8, 16, 16, 17]},
        {"dims": 8},
        {"depths": [1]},
        {"image_size": 24},
    ],
)
def test_values_that_do_not_fit_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InputError, match="SFX-E121 spike_driven_v2 config"):
        SpikeDrivenV2Config.from_mapping(fields)
