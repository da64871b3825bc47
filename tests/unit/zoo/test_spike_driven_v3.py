"""Spike-driven Transformer v3: sizes, live integer neurons, what its weights read, keys."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from sfx.frontends.neurons.integer import MultiSpike  # noqa: E402
from sfx.frontends.zoo.spike_driven_v3 import (  # noqa: E402
    SPIKE_DRIVEN_V3,
    SpikeDrivenTransformerV3,
    SpikeDrivenV3Config,
)
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from tests.unit.zoo import published as pub  # noqa: E402

pytestmark = pytest.mark.needs_torch

TINY = SpikeDrivenV3Config(dims=(8, 16, 16, 16))


def awake() -> tuple[SpikeDrivenTransformerV3, Tensor]:
    model, x = pub.awake(pub.seeded(SpikeDrivenTransformerV3, TINY))
    assert isinstance(model, SpikeDrivenTransformerV3)
    return model, x


@pytest.mark.parametrize(
    ("size", "millions"), [("imagenet_s", 5.1), ("imagenet_m", 10.0), ("imagenet_l", 19.0)]
)
def test_published_parameters_in_millions(size: str, millions: float) -> None:
    found = pub.parameters(SpikeDrivenTransformerV3, SPIKE_DRIVEN_V3[size]) / 1e6
    assert found == pytest.approx(millions, abs=0.1)


def test_every_population_fires_more_than_once_in_a_step() -> None:
    model, x = awake()
    paths = [p for p, m in model.named_modules() if isinstance(m, MultiSpike)]
    # 5 in each of 4 convolution blocks, 4 where the map shrinks or widens, 10 per block, the head
    assert len(paths) == 5 * 4 + 4 + 10 * 2 + 1
    for path, (_, sent) in pub.seen(model, x, paths).items():
        counts = sent * model.get_submodule(path).norm
        assert torch.equal(counts, counts.round()), path
        assert 1 < counts.max() <= 4, path
    pub.assert_answers(model, x)


def test_weights_see_whole_numbers_over_four() -> None:
    model, x = awake()
    layers = (nn.Conv1d, nn.Conv2d, nn.Linear)
    paths = [p for p, m in model.named_modules() if isinstance(m, layers)]
    found = pub.seen(model, x, paths)
    assert len(found) == len(paths)
    del found["downsample1_1.encode_conv"]  # the frames
    for path, (read, _) in found.items():
        units = read if path == "head" else read * 4
        assert torch.equal(units, units.round()), path
        assert units.max() == 4, path


def test_attention_is_the_scaled_product_of_three_numbers() -> None:
    model, x = awake()
    attn = "block3.0.attn."
    found = pub.seen(model, x, [attn + f"{p}_spike" for p in ("q", "k", "v", "attn")])
    q, k = (found[attn + f"{p}_spike"][1].reshape(1, 2, 2, 8, 16) for p in "qk")
    v = found[attn + "v_spike"][1].reshape(1, 2, 2, 32, 16)
    products = torch.einsum("tbhin,tbhim,tbhjm->tbhjn", q, k, v)
    entering = found[attn + "attn_spike"][0].reshape(products.shape)
    torch.testing.assert_close(entering, products * (2 / 8**0.5))
    assert products.max() > 1


def test_a_checkpoint_loads() -> None:
    model, x = awake()
    public = {f"module.{key}": value for key, value in model.state_dict().items()}
    pub.assert_round_trip(model, x, public)


@pytest.mark.parametrize(
    "fields",
    [
        {"dims": [8, 16, 16]},
        {"dims": [7, 16, 16, 16]},
        {"dims": [8, 16, 16, 17]},
        {"depths": [1]},
        {"image_size": 24},
        {"most": 0},
        {"tau": 2.0},
    ],
)
def test_values_that_do_not_fit_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InputError, match="SFX-E121 spike_driven_v3 config"):
        SpikeDrivenV3Config.from_mapping(fields)
