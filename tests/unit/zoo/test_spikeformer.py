"""The Spikeformer: shapes, attention against naive loops, causality, files, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")

from torch import Tensor  # noqa: E402

from sfx.frontends import zoo  # noqa: E402
from sfx.frontends.checkpoints.save import save  # noqa: E402
from sfx.frontends.checkpoints.spikeformer import load  # noqa: E402
from sfx.frontends.neurons.multistep import MultiStep  # noqa: E402
from sfx.frontends.training.losses import supervised  # noqa: E402
from sfx.frontends.zoo.spikeformer import (  # noqa: E402
    Spikeformer,
    SpikeformerConfig,
    SpikingAttention,
    firing_rates,
    settle_batch_norm,
)
from sfx.toolchain.ground.errors import InputError  # noqa: E402

pytestmark = pytest.mark.needs_torch

T, B = 5, 3


def config(**fields: object) -> SpikeformerConfig:
    small = {"image_size": 8, "stem": [6], "dim": 8, "heads": 2, "timesteps": T, "num_classes": 4}
    return SpikeformerConfig.from_mapping({**small, "attention_scale": 1.5, **fields})


def frames(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(T, B, 2, 8, 8, generator=generator) < 0.3).float()


def live(**fields: object) -> Spikeformer:
    """An untrained model whose every population fires on `frames()`, in eval mode."""
    torch.manual_seed(2)
    model = Spikeformer(config(**fields))
    settle_batch_norm(model, [frames()])
    rates = firing_rates(model, [frames()])
    per_block = 12 if model.config.attention == "divided" else 7
    assert len(rates) == 2 + per_block * model.config.depth
    assert min(rates.values()) > 0, rates
    return model


def spikes_of(model: Spikeformer, x: Tensor) -> dict[str, Tensor]:
    """Spikes of every neuron by module path."""
    found: dict[str, Tensor] = {}
    handles = [
        m.register_forward_hook(lambda _, __, z, n=n: found.update({n: z}))
        for n, m in model.named_modules()
        if isinstance(m, MultiStep)
    ]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("attention", ["joint", "spatial"])
def test_shapes(attention: str) -> None:
    model = live(attention=attention, depth=3)
    assert model.config.tokens == 4
    logits = model(frames())
    assert isinstance(logits, Tensor)
    assert logits.shape == (B, 4)
    every = model.train()(frames())
    assert isinstance(every, tuple)
    assert [y.shape for y in every] == [(B, 4)] * 3
    spikes = spikes_of(model.eval(), frames())
    assert spikes["tokenizer.0.lif"].shape == (T, B, 6, 8, 8)
    assert spikes["tokenizer.1.lif"].shape == (T, B, 8, 4, 4)
    assert spikes["blocks.2.attn.attn_lif"].shape == (T, B, 4, 8)
    assert spikes["blocks.2.mlp.fc1.lif"].shape == (T, B, 4, 16)
    assert all(set(z.unique().tolist()) == {0, 1} for z in spikes.values())


def test_eval_returns_the_last_of_the_trained_classifiers() -> None:
    model = live()
    seen: list[Tensor] = []
    model.classifiers[-1].register_forward_hook(lambda _, __, y: seen.append(y))
    assert torch.equal(model(frames()), seen[0])
    trained = model.train()(frames())
    assert len(seen) == 2
    assert torch.equal(trained[-1], seen[1])
    assert not torch.equal(trained[0], trained[1])


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("attention", ["joint", "spatial", "temporal"])
def test_attention_is_the_naive_loop(attention: str, causal: bool) -> None:
    """a[t] = scale * sum over what t may see of (q . k) v, in spikes."""
    model = live(attention=attention, causal=causal)
    x = frames()
    spikes = spikes_of(model, x)
    c, block = model.config, model.blocks[0].attn
    assert isinstance(block, SpikingAttention)
    q, k, v = (spikes[f"blocks.0.attn.{n}.lif"] for n in "qkv")
    d = c.dim // c.heads
    current = torch.zeros(T, B, c.tokens, c.dim)
    for t in range(T):
        steps = [t] if attention == "spatial" else range(t + 1 if causal else T)
        for head in range(c.heads):
            h = slice(head * d, (head + 1) * d)
            for s in steps:
                weight = q[t, :, :, h] @ k[s, :, :, h].transpose(1, 2)  # [B, N, N]
                if attention == "temporal":
                    weight = weight * torch.eye(c.tokens)
                current[t, :, :, h] += weight @ v[s, :, :, h]
    expected = block.attn_lif(c.attention_scale * current)
    assert expected.any()
    assert torch.equal(spikes["blocks.0.attn.attn_lif"], expected)


def test_divided_attention_is_temporal_then_spatial() -> None:
    model = live(attention="divided", causal=False)
    block = model.blocks[0]
    assert block.temporal is not None
    assert (block.temporal.mode, block.attn.mode) == ("temporal", "spatial")
    x = model.tokens(frames())
    x = x + block.temporal(x)
    x = x + block.attn(x)
    assert torch.equal(x + block.mlp(x), block(model.tokens(frames())))


def test_joint_attention_sees_more_than_spatial() -> None:
    joint = spikes_of(live(attention="joint"), frames())["blocks.0.attn.attn_lif"]
    spatial = spikes_of(live(attention="spatial"), frames())["blocks.0.attn.attn_lif"]
    assert torch.equal(joint[0], spatial[0])  # no earlier step yet
    assert joint.sum() > spatial.sum()


@pytest.mark.parametrize("attention", ["joint", "spatial", "divided"])
@pytest.mark.parametrize("step", range(1, T))
def test_a_changed_step_changes_nothing_before_it(attention: str, step: int) -> None:
    model = live(attention=attention)
    changed = frames()
    changed[step:] = frames(seed=9)[step:]
    before, after = spikes_of(model, frames()), spikes_of(model, changed)
    for name, spikes in before.items():
        assert torch.equal(spikes[:step], after[name][:step]), name
        assert not torch.equal(spikes[step:], after[name][step:]), name


def test_samples_do_not_see_each_other() -> None:
    model = live()
    together = model(frames())
    alone = torch.cat([model(x) for x in frames().split(1, dim=1)])
    torch.testing.assert_close(together, alone)


def test_attention_over_the_whole_sample_sees_later_steps() -> None:
    model = live(attention="joint", causal=False)
    changed = frames()
    changed[-1:] = frames(seed=9)[-1:]
    before, after = (spikes_of(model, x)["blocks.0.attn.attn_lif"] for x in (frames(), changed))
    assert not torch.equal(before[0], after[0])


def test_residual_counts_stay_in_their_bounds() -> None:
    model = live(depth=3)
    counts: list[float] = []
    for block in model.blocks:
        block.register_forward_hook(lambda _, __, y: counts.append(float(y.detach().max())))
    model(frames())
    assert [n <= 2 * i + 3 for i, n in enumerate(counts)] == [True] * 3
    assert max(counts) > 1


def test_deep_supervision_reaches_every_weight() -> None:
    model = live().train()
    supervised(model(frames()), torch.tensor([0, 1, 2])).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_deep_supervision_is_the_weighted_mean() -> None:
    from torch.nn.functional import cross_entropy

    logits = [torch.randn(3, 4, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    y = torch.tensor([3, 0, 1])
    a, b, c = (float(cross_entropy(z, y)) for z in logits)
    loss = supervised(logits, y, (0.25, 0.25, 1.0))
    assert float(loss) == pytest.approx((0.25 * a + 0.25 * b + c) / 1.5)


def test_a_checkpoint_reads_back(tmp_path: Path) -> None:
    from sfx.frontends.checkpoints.checkpoint import load_checkpoint

    model, file = live(attention="spatial"), tmp_path / "model.pt"
    samples = frames().transpose(0, 1).to(torch.uint8)
    save(model, file, samples)
    copy = load(file)
    assert copy.config == model.config
    assert not copy.training
    assert torch.equal(copy(frames()), model(frames()))
    saved = load_checkpoint(file)
    assert saved.model == "spikeformer"
    assert torch.equal(torch.as_tensor(saved.calibration), samples)


def test_a_checkpoint_with_another_config_is_refused(tmp_path: Path) -> None:
    model, file = live(), tmp_path / "model.pt"
    content = {"sfx": 1, "model": "spikeformer", "config": config(dim=16).to_mapping()}
    torch.save({**content, "state_dict": model.state_dict()}, file)
    with pytest.raises(InputError, match=r"blocks\.0\.attn\.q\.linear\.weight"):
        load(file)


def test_a_checkpoint_with_a_missing_key_is_refused(tmp_path: Path) -> None:
    model, file = live(), tmp_path / "model.pt"
    state = {k: v for k, v in model.state_dict().items() if k != "classifiers.1.fc.bias"}
    content = {"sfx": 1, "model": "spikeformer", "config": model.config.to_mapping()}
    torch.save({**content, "state_dict": state}, file)
    with pytest.raises(InputError, match=r"classifiers\.1\.fc\.bias"):
        load(file)


@pytest.mark.parametrize(
    "shape", [(T, B, 2, 8, 9), (T, B, 1, 8, 8), (B, 2, 8, 8)], ids=["width", "channels", "dims"]
)
def test_an_input_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"not \[T, B, 2, 8, 8\]") as raised:
        live()(torch.zeros(shape))
    assert raised.value.code == "SFX-E122"


def test_build_makes_the_model_of_a_plain_config() -> None:
    model = zoo.build("spikeformer", config(attention="spatial").to_mapping())
    assert isinstance(model, Spikeformer)
    assert model.config == config(attention="spatial")
    assert "spikeformer" in zoo.NAMES


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="spikeformer") as raised:
        zoo.build("vit", {})
    assert raised.value.code == "SFX-E120"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"width": 3}, "config: width: is not a field.*\n.*fields: in_channels, image_size"),
        ({"dim": 10, "heads": 4}, "dim: 10 is not divisible by heads = 4"),
        ({"image_size": 10}, "image_size: 10 is not divisible by 4"),
        ({"dim": 8.0}, "dim: is 8.0, not a whole number"),
        ({"depth": 0}, "depth: is 0"),
        ({"heads": True}, "heads: is True"),
        ({"stem": 6}, "stem: is 6"),
        ({"stem": [6, -1]}, r"stem: is \(6, -1\)"),
        ({"attention": "global"}, "attention: is 'global'\n.*joint, spatial, temporal, divided"),
        ({"causal": 1}, "causal: is 1, not true or false"),
        ({"neuron": "relu"}, "neuron: is 'relu'\n.*lif, plif"),
        ({"neuron": "plif", "tau": 1}, "tau: is 1 model steps; a learned one starts above 1"),
        ({"tau": 0.5}, "tau: is 0.5 model steps"),
        ({"tau": "2"}, "tau: is '2'"),
        ({"threshold": float("nan")}, "threshold: is nan"),
        ({"attention_scale": 0}, "attention_scale: is 0"),
    ],
)
def test_a_bad_config_is_refused(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError, match=reason) as raised:
        config(**fields)
    assert raised.value.code == "SFX-E121"


def test_every_bad_field_is_listed_at_once() -> None:
    with pytest.raises(InputError) as raised:
        config(depth=-1, tau=0)
    assert [p.where for p in raised.value.problems] == [
        "spikeformer config: depth",
        "spikeformer config: tau",
    ]
