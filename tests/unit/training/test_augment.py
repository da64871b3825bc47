"""Frames and recordings, changed: whole numbers, the seed, and nothing from nowhere."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")

from sfx.frontends.events.events import Events, count_events  # noqa: E402
from sfx.frontends.training.augment import Augment  # noqa: E402
from sfx.frontends.training.event_augment import EventAugment  # noqa: E402
from sfx.frontends.training.split import stratified  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402

pytestmark = pytest.mark.needs_torch


def frames() -> torch.Tensor:
    return torch.randint(
        0, 9, (6, 3, 2, 16, 16), generator=torch.Generator().manual_seed(0)
    ).float()


@pytest.mark.parametrize(
    "change",
    [
        Augment(2, 10, 0.1, "nearest"),
        Augment(2, 10, 0.1, "bilinear"),
        Augment(3, mode="whole"),
        Augment(flip=0.5, drop=0.3, cut=0.4),
    ],
)
def test_counts_stay_whole_and_the_seed_decides(change: Augment) -> None:
    x = frames()
    a, b = (change(x, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(a, b)
    assert torch.equal(a, a.round())
    assert a.shape == x.shape
    assert not torch.equal(a, x)
    assert float(a.max()) <= float(x.max())
    assert not torch.equal(a, change(x, torch.Generator().manual_seed(6)))


def test_nothing_asked_for_changes_nothing() -> None:
    assert torch.equal(Augment()(frames(), torch.Generator()), frames())


def test_whole_pixels_move_counts_and_lose_only_what_leaves() -> None:
    x = torch.zeros(40, 2, 1, 9, 9)
    x[:, 0, 0, 4, 4], x[:, 1, 0, 4, 5] = 5, 7
    moved = Augment(2, mode="whole")(x, torch.Generator().manual_seed(1))
    assert torch.equal(moved.sum((1, 2, 3, 4)), x.sum((1, 2, 3, 4)))
    places = {tuple(torch.nonzero(sample[0, 0])[0].tolist()) for sample in moved}
    assert len(places) > 12
    for sample in moved:  # both steps by the same
        (r, c), (r2, c2) = (torch.nonzero(sample[t, 0])[0].tolist() for t in (0, 1))
        assert (r2, c2) == (r, c + 1)


def test_flips_and_cuts() -> None:
    x = frames()
    always = Augment(flip=1.0)(x, torch.Generator().manual_seed(1))
    assert torch.equal(always, x.flip(-1))
    cut = Augment(cut=1.0)(x + 1, torch.Generator().manual_seed(2))
    lost = (cut == 0).float().mean((1, 2, 3, 4))
    assert float(lost.max()) > 0.1
    kept = cut != 0
    assert torch.equal(cut[kept], (x + 1)[kept])
    assert torch.equal(kept[:, 0], kept[:, 1])


def test_what_is_no_frame_can_only_lose_events() -> None:
    x = torch.ones(4, 5, 700)
    assert Augment(drop=0.5)(x, torch.Generator().manual_seed(0)).mean() < 1
    with pytest.raises(InputError, match="SFX-E382"):
        Augment(shift=1)(x, torch.Generator())


def recording() -> Events:
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 300_000, 5000))
    return Events(rng.integers(0, 34, 5000), rng.integers(0, 30, 5000), t % 2, t)


def test_recordings_are_changed_event_by_event() -> None:
    events, sensor = recording(), (30, 34)
    same = EventAugment()(events, sensor, np.random.default_rng(0))
    assert all(np.array_equal(getattr(same, k), getattr(events, k)) for k in "xypt")
    flipped = EventAugment(flip=1.0)(events, sensor, np.random.default_rng(0))
    a, b = (count_events(e, 5, sensor, 300_000) for e in (events, flipped))
    assert np.array_equal(a[..., ::-1], b)
    shaken = EventAugment(jitter=2_000.0)(events, sensor, np.random.default_rng(0))
    assert len(shaken) == len(events)
    assert (np.diff(shaken.t) >= 0).all()
    assert 0 <= shaken.t.min() <= shaken.t.max() <= events.t.max()
    off = np.sort(shaken.t) - events.t
    assert 0 < np.abs(off).max() < 12_000
    moved = EventAugment(shift=5)(events, sensor, np.random.default_rng(3))
    assert 0.6 * len(events) < len(moved) < len(events)
    for axis, size in (("x", 34), ("y", 30)):
        values = getattr(moved, axis)
        assert 0 <= values.min() <= values.max() < size
    fewer = EventAugment(drop=1.0)(events, sensor, np.random.default_rng(1))
    assert 0 < len(fewer) < len(events)
    gap = EventAugment(cut=0.9)(events, sensor, np.random.default_rng(1))
    assert np.diff(gap.t).max() > 20 * np.diff(events.t).max()


def test_every_class_is_held_out_alike() -> None:
    y = torch.tensor([0] * 100 + [1] * 20 + [2] * 5)
    learned, held = stratified(y, 0.2, seed=3)
    assert torch.bincount(y[held]).tolist() == [20, 4, 1]
    assert sorted([*learned.tolist(), *held.tolist()]) == list(range(125))
    assert torch.equal(held, stratified(y, 0.2, seed=3)[1])
    assert not torch.equal(held, stratified(y, 0.2, seed=4)[1])
    assert len(stratified(y, 0.0, seed=3)[1]) == 0
    with pytest.raises(InputError, match="SFX-E381"):
        stratified(torch.tensor([0, 0, 1]), 0.5, seed=0)
