"""STAtten: sizes, live neurons, attention over the tokens of a chunk's steps, keys, a trace."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402
from torch.nn import functional  # noqa: E402

from sfx.frontends.zoo.public_model import PublicModel  # noqa: E402
from sfx.frontends.zoo.statten import STATTEN, Statten, StattenConfig  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from tests.unit.zoo import published as pub  # noqa: E402

pytestmark = pytest.mark.needs_torch

TINY = StattenConfig(image_size=16)
EVENTS = StattenConfig(in_channels=2, image_size=16, timesteps=6, chunk=3, dilate=True)
ATTN = "block.0.attn."


def awake(config: StattenConfig) -> tuple[PublicModel, Tensor]:
    """As `published.awake`; more offset than this and the head's neurons all fire."""
    return pub.awake(pub.seeded(Statten, config), shifts=(-0.5, 1.0))


@pytest.mark.parametrize(
    ("config", "millions"),
    [(STATTEN["cifar10_2_512"], 10.23), (STATTEN["imagenet_8_768"], 66.34)],
)
def test_published_parameters_are_those_of_its_base(config: StattenConfig, millions: float) -> None:
    """The attention has no weights of its own."""
    assert pub.parameters(Statten, config) / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize("config", [TINY, EVENTS, replace(TINY, chunk=4), replace(TINY, chunk=1)])
def test_every_population_fires_and_attends_to_its_chunk(config: StattenConfig) -> None:
    model, x = awake(config)
    pub.assert_alive(model, x, populations=4 + 7 + 1)
    pub.assert_answers(model, x)
    paths = [ATTN + p for p in ("shortcut_lif", "q_lif", "k_lif", "v_lif", "attn_lif", "proj_conv")]
    found = pub.seen(model, x, paths)
    sent, q, k, v = (near(found[p][1], config.dilate) for p in paths[:4])
    edge = q.shape[3]
    scale = 1 / (edge**2 * config.chunk) if config.dilate else 1 / edge
    chunks = zip(*(z.split(config.chunk) for z in (q, k, v)), strict=True)
    want = torch.cat([one_chunk(*part, scale) for part in chunks])
    assert torch.allclose(found[paths[4]][0], want, rtol=0, atol=1e-5)
    a = found[paths[4]][1]
    read = a * sent + sent if config.dilate else a
    assert torch.equal(found[paths[5]][0], read.flatten(0, 1))


def near(spikes: Tensor, dilate: bool) -> Tensor:
    if not dilate:
        return spikes
    return functional.max_pool2d(spikes.flatten(0, 1), 3, 1, 1).reshape(spikes.shape)


def one_chunk(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Pair by pair: the query at (t, n) meets the keys at all (s, m) of the chunk."""
    q, k, v = (z.reshape(*z.shape[:2], 2, -1, z.shape[3] * z.shape[4]) for z in (q, k, v))
    pairs = torch.einsum("tbhdn,sbhdm->tnsmbh", q, k)
    out = torch.einsum("tnsmbh,sbhem->tbhen", pairs, v) * scale
    steps, batch, heads, dim, tokens = out.shape
    edge = round(tokens**0.5)
    return out.reshape(steps, batch, heads * dim, edge, edge)


def test_a_checkpoint_loads_with_or_without_its_dead_keys() -> None:
    model, x = awake(TINY)
    state = model.state_dict()
    dead = "block.0.attn.talking_heads.weight"
    pub.assert_round_trip(model, x, {f"module.{k}": v for k, v in state.items() if k != dead})
    pub.assert_round_trip(model, x, {**state, dead: torch.full((2, 2, 1), torch.nan)})


@pytest.mark.parametrize("config", [TINY, EVENTS])
def test_traceable(config: StattenConfig) -> None:
    pub.assert_traceable(*awake(config))


@pytest.mark.parametrize("fields", [{"chunk": 3}, {"chunk": 0}, {"timesteps": 5}, {"dim": 36}])
def test_values_that_do_not_fit_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InputError, match="SFX-E121 statten config"):
        StattenConfig.from_mapping(fields)
