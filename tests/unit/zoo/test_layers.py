"""The parts that the published networks share, against index arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sfx.frontends.zoo.layers import Readout, coincidences, merge_heads, pool, split_heads  # noqa: E402
from sfx.frontends.zoo.public_model import KeyTable  # noqa: E402

pytestmark = pytest.mark.needs_torch


def test_channel_c_is_channel_c_mod_d_of_head_c_div_d() -> None:
    x = torch.arange(2 * 3 * 6 * 5).float().reshape(2, 3, 6, 5)
    split = split_heads(x, heads=2)
    assert split.shape == (2, 3, 2, 5, 3)
    for c in range(6):
        assert torch.equal(split[:, :, c // 3, :, c % 3], x[:, :, c])
    assert torch.equal(merge_heads(split), x)


@pytest.mark.parametrize("order", ["qk", "kv"])
def test_coincidences_are_counts(order: str) -> None:
    rng = np.random.default_rng(0)
    q, k, v = rng.integers(0, 2, (3, 2, 1, 2, 7, 4))
    counts = np.zeros((2, 1, 2, 7, 4), int)
    for t, h, n, m, i, j in np.ndindex(2, 2, 7, 7, 4, 4):
        counts[t, 0, h, n, j] += q[t, 0, h, n, i] & k[t, 0, h, m, i] & v[t, 0, h, m, j]
    streams = [torch.as_tensor(a, dtype=torch.float32) for a in (q, k, v)]
    assert counts.max() > 4
    assert np.array_equal(coincidences(*streams, 0.125, order).numpy(), counts * 0.125)


def test_pool_is_the_maximum_of_3_by_3_windows_every_second_pixel() -> None:
    x = torch.randn(2, 1, 1, 6, 4, generator=torch.Generator().manual_seed(0))
    y = pool(x)
    assert y.shape == (2, 1, 1, 3, 2)
    for i, j in np.ndindex(3, 2):
        window = x[..., max(2 * i - 1, 0) : 2 * i + 2, max(2 * j - 1, 0) : 2 * j + 2]
        assert torch.equal(y[..., i, j], window.amax(dim=(-1, -2)))


def test_readout_takes_the_mean_over_steps_and_tokens() -> None:
    head = Readout(3, 2)
    x = torch.randn(4, 2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.linear(x.mean(dim=(0, 3, 4)), head.weight, head.bias)
    torch.testing.assert_close(head(x), expected)
    torch.testing.assert_close(head(x.flatten(3)), expected)


def test_keys_are_renamed_reshaped_or_left_alone() -> None:
    table = KeyTable(renames=((r"^old\.", "new."),), dead=(r"^never",))
    own = {
        "new.weight": torch.zeros(2, 3, 1),
        "never": torch.ones(4),
        "bias": torch.zeros(1),
    }
    state = {
        "module.old.weight": torch.arange(6.0).reshape(2, 3),
        "module.never": torch.zeros(9),
        "module.bias": torch.zeros(1, 1),
        "module.more": torch.zeros(1),
    }
    made = table.translate(state, own)
    assert torch.equal(made["new.weight"], torch.arange(6.0).reshape(2, 3, 1))
    assert torch.equal(made["never"], own["never"])
    assert made["bias"].shape == (1, 1)  # a vector is no kernel: torch refuses it
    assert set(made) == {"new.weight", "never", "bias", "more"}
