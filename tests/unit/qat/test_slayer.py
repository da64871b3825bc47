"""lava-dl's SLAYER nets through the same gate: SLAYER's spikes, the Program's and `sfx.qat`'s.

A net that SLAYER trained and exported becomes a Program (frontends.netx) whose spikes are those of
SLAYER's own torch blocks, bit for bit, where it is accepted; where SLAYER's floats and the
registers may differ it is refused. An accepted one can be fine-tuned by `sfx.qat`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_lava

import sfx  # noqa: E402
from sfx.toolchain.ground.errors import SfxError  # noqa: E402
from tests.unit.netx.beside import run_slayer  # noqa: E402

REFUSED = {
    "odd scale": "SFX-E163",  # weights off the grid of a power of two: no whole mantissas
    "overflow": "SFX-E345",  # SLAYER's u neither wraps nor saturates, the register would
}
EQUAL = ("default", "decays", "no current", "no leak")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What SLAYER computed and exported."""
    return run_slayer("tests.unit.qat.run_slayer", tmp_path_factory.mktemp("slayer"))


@pytest.mark.parametrize("name", EQUAL)
def test_slayers_spikes_are_the_programs(folder: Path, name: str) -> None:
    record = np.load(folder / f"{name}.npz")
    x = record["x"].astype(np.int64)
    model = sfx.qat.prepare(folder / f"{name}.net", calibrate=x)
    spikes = model.spikes(torch.from_numpy(x).float().transpose(0, 1))
    layers = [q.name for q in model.template.program][1:]
    assert len(layers) == 2
    for i, layer in enumerate(layers, 1):
        theirs = record[str(i)]
        assert 0.05 < theirs.mean() < 0.95
        assert np.array_equal(spikes[layer].transpose(0, 1).numpy(), theirs)
    found = sfx.qat.verify(model, x)
    assert found.equal
    assert found.silent == ()


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_differ_is_refused(folder: Path, name: str) -> None:
    x = np.load(folder / f"{name}.npz")["x"].astype(np.int64)
    with pytest.raises(SfxError) as error:
        sfx.qat.prepare(folder / f"{name}.net", calibrate=x)
    assert error.value.code == REFUSED[name]


def test_a_slayer_net_is_fine_tuned(folder: Path) -> None:
    """The read-out counts the last layer's spikes; half of the counts shall rise, half fall."""
    x = np.load(folder / "no current.npz")["x"].astype(np.int64)
    model = sfx.qat.prepare(folder / "no current.net", calibrate=x)
    events = torch.from_numpy(x).float().transpose(0, 1)
    wanted = model(events).detach()
    last = model.template.program.readout.population
    assert torch.equal(wanted, model.spikes(events)[last].sum(0))
    wanted[:, :5] += 4
    wanted[:, 5:] -= 4
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(25):
        loss = ((model(events) - wanted) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    found = sfx.qat.verify(model, x)
    assert found.equal
    assert found.silent == ()
    assert sfx.compile(model).program.readout.population == last
