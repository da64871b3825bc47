"""The loop: it learns, and a run that was broken off goes on as if it had not been."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")

from sfx.frontends.training.augment import Augment  # noqa: E402
from sfx.frontends.training.kept import read_state, write_log, write_state  # noqa: E402
from sfx.frontends.training.loop import Training  # noqa: E402
from sfx.frontends.training.recipe import Recipe  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from tests.unit.training.nets import network, patterns  # noqa: E402

pytestmark = pytest.mark.needs_torch
EPOCHS = 4
CHANGED = Augment(shift=1, flip=0.5, drop=0.2, cut=0.3)
RECIPES = {
    "one-cycle": {},
    "cosine": {"schedule": "cosine", "optimizer": "sgd", "rate": 0.05, "clip": 1.0},
    "constant": {"schedule": "constant", "warmup": 0.0, "optimizer": "adam", "partial": True},
    "best": {"keep": "best", "blocks": (0.2, 1.0), "settle": "plain"},
    "activity": {"activity": 0.3},
    "bfloat16": {"precision": "bfloat16"},
    "teacher": {"distill": 0.5},
}


def training(**changes: Any) -> Training:
    recipe = Recipe(**{"epochs": EPOCHS, "batch": 8, "rate": 1e-2, **changes})
    teacher = network(9).eval() if recipe.distill else None
    return Training(
        network(), patterns(), recipe, steps=3, validation=patterns(12, 1), augment=CHANGED,
        teacher=teacher,
    )  # fmt: skip


def weights(run: Training) -> list[Any]:
    run.finish()
    return list(run.model.state_dict().values())


@pytest.mark.parametrize("name", RECIPES)
def test_a_broken_run_goes_on_to_the_same_weights(name: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    whole = training(**RECIPES[name])
    list(whole)
    expected = weights(whole)
    torch.manual_seed(5)
    part = training(**RECIPES[name])
    for _ in range(1 + len(name) % (EPOCHS - 1)):
        part.epoch()
    write_state(tmp_path / "state.pt", part.state(), {"of": name})
    torch.manual_seed(77)
    later = training(**RECIPES[name])
    later.restore(read_state(tmp_path / "state.pt", {"of": name}))
    assert 0 < len(later.epochs) < EPOCHS
    list(later)
    assert all(torch.equal(a, b) for a, b in zip(expected, weights(later), strict=True))
    assert sum(int(w.numel()) for w in expected) > 1_000
    timeless = [[{**vars(e), "seconds": 0} for e in run.epochs] for run in (whole, later)]
    assert timeless[0] == timeless[1]


def test_without_its_draws_a_run_goes_elsewhere() -> None:
    """What the test above compares can differ."""
    whole, part = training(), training()
    list(whole)
    part.epoch()
    state = part.state()
    state["generator"] = torch.Generator().manual_seed(3).get_state()
    later = training()
    later.restore(state)
    list(later)
    assert not all(torch.equal(a, b) for a, b in zip(weights(whole), weights(later), strict=True))


def test_it_learns(tmp_path: Path) -> None:
    run = Training(
        network(), patterns(160), Recipe(12, 16, 1e-2), steps=3, validation=patterns(40, 1)
    )
    list(run)
    run.finish()
    assert not run.model.training
    assert run.epochs[-1].loss < 0.8 * run.epochs[0].loss
    assert run.correct(patterns(40, 1)) > 32
    write_log(tmp_path / "log.csv", run.epochs)
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0] == "number,loss,train,validation,activity,rate,seconds"
    assert len(lines) == 13


def test_the_best_epoch_is_kept_and_patience_ends() -> None:
    run = training(epochs=40, keep="best", patience=3, rate=3e-2)
    shares = [e.validation or 0.0 for e in run]
    best = shares.index(max(shares))
    assert len(shares) == best + 4 < 40
    run.finish()
    again = training(epochs=40, keep="best", patience=3, rate=3e-2)
    for _ in range(best + 1):
        again.epoch()
    again._best = None
    again.finish()
    pairs = zip(run.model.parameters(), again.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_teacher_is_drawn_near_to() -> None:
    def apart(distill: float) -> float:
        run = Training(
            network(), patterns(), Recipe(8, 8, 5e-3, distill=distill), steps=3, teacher=network(9)
        )
        list(run)
        x = torch.from_numpy(patterns().x).float().transpose(0, 1)
        with torch.no_grad():
            logits = [m.eval()(x).softmax(1) for m in (run.model, network(9))]
        return float((logits[0] - logits[1]).abs().mean())

    assert apart(20.0) < 0.7 * apart(0.0)


@pytest.mark.parametrize(
    ("code", "changes", "given"),
    [
        ("SFX-E385", {"batch": 41}, {}),
        ("SFX-E386", {"patience": 2}, {}),
        ("SFX-E386", {"keep": "best"}, {}),
        ("SFX-E386", {"distill": 1.0}, {}),
        ("SFX-E386", {"precision": "float16"}, {}),
        ("SFX-E384", {"activity": 1.0}, {"cost": {"nowhere": 1.0}}),
    ],
)
def test_settings_that_need_what_is_not_given(
    code: str, changes: dict[str, Any], given: dict[str, Any]
) -> None:
    recipe = Recipe(**{"epochs": 1, "batch": 8, "rate": 1e-2, **changes})
    with pytest.raises(InputError, match=code):
        Training(network(), patterns(), recipe, steps=3, **given)


def test_blocks_need_a_weight_each() -> None:
    run = Training(network(), patterns(), Recipe(1, 8, 1e-2, blocks=(1.0,)), steps=3)
    with pytest.raises(InputError, match="SFX-E383"):
        run.epoch()


def test_another_training_s_state_is_refused(tmp_path: Path) -> None:
    run = training()
    run.epoch()
    path = tmp_path / "state.pt"
    write_state(path, run.state(), {"rate": 1})
    with pytest.raises(InputError, match="SFX-E387"):
        read_state(path, {"rate": 2})
    wider = Training(
        network(dim=16), patterns(), Recipe(4, 8, 1e-2), steps=3, validation=patterns(12, 1)
    )
    with pytest.raises(InputError, match="SFX-E387"):
        wider.restore(read_state(path, {"rate": 1}))
    for wrong in ({}, {"model": 3}, {**run.state(), "epochs": 3}, {**run.state(), "schedule": []}):
        with pytest.raises(InputError, match="SFX-E387"):
            training().restore(wrong)


def test_images_stand_still_once() -> None:
    x = np.random.default_rng(0).integers(0, 9, (8, 1, 1, 8, 8)).astype(np.uint8)
    from sfx.frontends.training.samples import Arrays

    still = Arrays.of(np.repeat(x, 3, 1), np.arange(8) % 4)
    assert still.x.shape[1] == 1
    moving = Arrays(np.repeat(x, 3, 1), still.labels)
    runs = [Training(network(), s, Recipe(2, 4, 1e-2), steps=3) for s in (still, moving)]
    losses = [[e.loss for e in run] for run in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
