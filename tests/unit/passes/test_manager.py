"""Passes in an order that cannot work, what is said of a failure, and the dump of every step."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

from sfx.toolchain.app import api
from sfx.toolchain.app.api.dumping import MARK
from sfx.toolchain.app.cli import app
from sfx.toolchain.app.commands.exit_status import status_of
from sfx.toolchain.compiler.compile import TO_NEURON_FORM, lower
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.passes.base import Condition, GraphPass, OrderError, Trail, run_passes
from sfx.toolchain.compiler.passes.conditions import NO_BATCH_NORM, NO_MAX_POOL
from sfx.toolchain.compiler.passes.fold_batch_norm import FoldBatchNorm
from sfx.toolchain.compiler.passes.fold_convs import FoldConvs
from sfx.toolchain.compiler.passes.lower_max_pool import LowerMaxPool
from sfx.toolchain.compiler.passes.lower_products import LowerProducts
from sfx.toolchain.compiler.passes.place_relays import PlaceRelays
from sfx.toolchain.compiler.standard_nir import STEPS
from sfx.toolchain.formats.nir.bridge import write as write_nir
from sfx.toolchain.ground.errors import InputError, UnsupportedError
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.check import check_graph
from sfx.toolchain.ir.text import graph_text, program_text
from tests.graphs import spikeformer
from tests.unit.ir.graphs import node
from tests.unit.netx import files as net_files

PASSES = [p.name for p in TO_NEURON_FORM]


def test_every_pass_says_who_it_is() -> None:
    steps = [*TO_NEURON_FORM, *STEPS, BalanceDelays(1)]
    names = {type(s): s.name for s in steps}
    assert len(set(names.values())) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", n) for n in names.values())
    assert all(s.ensures for s in steps), "a pass that ensures nothing is for nothing"


@pytest.mark.parametrize("steps", [TO_NEURON_FORM, STEPS])
def test_what_a_pass_requires_an_earlier_one_ensures(steps: tuple[GraphPass, ...]) -> None:
    ensured: set[Condition] = set()
    for step in steps:
        assert set(step.requires) <= ensured, step.name
        ensured |= set(step.ensures)


@pytest.mark.parametrize(
    ("steps", "absent"),
    [
        ([FoldConvs()], "fold-convs after [] requires: no batch norm"),
        ([PlaceRelays()], "requires: no batch norm, no max-pool, no product of two spike trains"),
        (
            [FoldBatchNorm(), LowerProducts()],
            "lower-products after [fold-batch-norm] requires: no max-pool",
        ),
        ([FoldBatchNorm(), LowerMaxPool(), PlaceRelays()], "requires: no product of two spike"),
    ],
)
def test_an_order_that_cannot_work_is_found(steps: list[GraphPass], absent: str) -> None:
    with pytest.raises(OrderError, match=re.escape(absent)):
        run_passes(spikeformer(), steps, check_graph)


@dataclass(frozen=True)
class Idle:
    """Ensures what it does nothing for."""

    name: ClassVar[str] = "idle"
    requires: ClassVar[tuple[Condition, ...]] = ()
    ensures: ClassVar[tuple[Condition, ...]] = (NO_MAX_POOL, NO_BATCH_NORM)

    def run(self, graph: g.Graph) -> g.Graph:
        """The same."""
        return graph


def test_a_pass_that_does_not_do_its_part_is_found() -> None:
    with pytest.raises(OrderError, match=r"idle after .* does not ensure: no max-pool, no batch"):
        run_passes(spikeformer(), [Idle()], check_graph)


def real_product() -> g.Graph:
    """A product of real numbers, which no neuron computes."""
    weight = g.Linear(np.full((2, 2), 0.3), np.zeros(2))
    nodes = (
        node("input", g.Input(1), (2,)),
        node("w", weight, (2,), "input"),
        node("product", g.Product(), (2,), "w", "input"),
        node("lif", g.LIF(0.5, 0.4), (2,), "product"),
        node("output", g.Output(), (2,), "lif"),
    )
    return g.Graph(nodes, 3)


AFTER = (
    "failed after [part-axes, fold-batch-norm, fold-gathers, fold-convs, sink-scales, "
    "lower-max-pool] in the pass lower-products"
)


def test_a_failure_says_after_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnsupportedError) as error:
        lower(real_product())
    assert error.value.code == "SFX-E303"
    assert str(error.value).endswith(f"\n  {AFTER}")
    path = tmp_path / "m.nir"
    write_nir(real_product(), path)
    words = ["check", str(path), "--json", str(tmp_path / "said.json")]
    assert status_of(lambda: app(words, standalone_mode=False)) == 2
    assert " ".join(capsys.readouterr().err.split()).endswith(AFTER)
    said = json.loads((tmp_path / "said.json").read_text())
    assert said["during"] == AFTER
    assert [q["code"] for q in said["problems"]] == ["SFX-E303"]


def test_a_failure_outside_of_the_passes_names_none() -> None:
    with pytest.raises(InputError) as error:
        api.compile("absent.pt")
    assert error.value.during == ""


def sound() -> g.Graph:
    made = real_product()
    whole = g.Linear(np.eye(2), np.zeros(2))
    return made.with_nodes(replace(n, op=whole) if n.name == "w" else n for n in made)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_nir(sound(), tmp_path / "m.nir")
    return tmp_path / "m.nir"


def command(*words: object) -> int:
    done = CliRunner().invoke(app, [str(w) for w in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code


@pytest.mark.parametrize("name", ["compile", "check"])
def test_the_dump_holds_the_model_after_every_step(name: str, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dump"
    out = ["-o", tmp_path / "m.sfx"] if name == "compile" else []
    assert command(name, model, "--dump-passes", folder, *out) == 0
    steps = ["imported", *PASSES, "quantize", "balance-delays"]
    assert sorted(f.name for f in folder.iterdir()) == [
        f"{i:02d}-{step}.txt" for i, step in enumerate(steps)
    ]
    seen: dict[str, str] = {}
    trail = Trail(lambda step, form: seen.__setitem__(step, graph_text(form)))  # type: ignore[arg-type]
    lower(sound(), trail=trail)
    assert list(seen) == PASSES
    for step, text in seen.items():
        (file,) = folder.glob(f"??-{step}.txt")
        head, _, body = file.read_text().partition("\n")
        assert head == f"{MARK}{step}"
        assert body.partition("\n")[2] == text.partition("\n")[2]  # but for the graph's name
    if name == "compile":
        last = (folder / "10-balance-delays.txt").read_text()
        assert last.partition("\n")[2] == program_text(api.load(tmp_path / "m.sfx").program)


def test_a_model_of_integers_is_dumped_as_a_program(tmp_path: Path) -> None:
    net_files.write(tmp_path / "m.net", net_files.live_conv_net())
    api.compile(tmp_path / "m.net", dump_passes=tmp_path / "dump")
    names = sorted(f.name for f in (tmp_path / "dump").iterdir())
    assert names == ["00-imported.txt", "01-balance-delays.txt"]


def test_a_failure_leaves_the_steps_before_it(tmp_path: Path) -> None:
    write_nir(real_product(), tmp_path / "m.nir")
    with pytest.raises(UnsupportedError):
        api.compile(tmp_path / "m.nir", dump_passes=tmp_path / "dump")
    done = ["imported", *PASSES[: PASSES.index("lower-products")]]
    assert [f.name[3:-4] for f in sorted((tmp_path / "dump").iterdir())] == done


def test_an_earlier_dump_is_replaced_and_nothing_else(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dump"
    folder.mkdir()
    (folder / "notes.md").write_text("mine")
    (folder / "11-from-before.txt").write_text(f"{MARK}from-before\n")
    api.compile(model, dump_passes=folder)
    assert not (folder / "11-from-before.txt").exists()
    assert (folder / "notes.md").read_text() == "mine"
    assert len(list(folder.iterdir())) == 12


def test_files_of_others_are_not_touched(model: Path, tmp_path: Path) -> None:
    folder, target = tmp_path / "dump", tmp_path / "elsewhere.txt"
    folder.mkdir()
    target.write_text(f"{MARK}imported\n")
    (folder / "00-imported.txt").write_text("mine")
    (folder / "01-fold-batch-norm.txt").symlink_to(target)
    (folder / "02-fold-convs.txt").write_text(f"{MARK}fold-convs\n")
    with pytest.raises(InputError, match=r"00-imported\.txt, 01-fold-batch-norm.txt") as error:
        api.compile(model, dump_passes=folder)
    assert error.value.code == "SFX-E606"
    assert (folder / "00-imported.txt").read_text() == "mine"
    assert (folder / "02-fold-convs.txt").exists()
    assert target.read_text() == f"{MARK}imported\n"


def test_nothing_is_made_before_there_is_something_to_write(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SFX-E600"):
        api.compile(tmp_path / "absent.nir", dump_passes=tmp_path / "dump")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_is_refused_before_the_work(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for bad in (tmp_path / "file", tmp_path / "no" / "dump"):
        with pytest.raises(InputError, match="SFX-E603"):
            api.compile(model, dump_passes=bad)
    assert (tmp_path / "file").read_text() == "x"
    assert sorted(os.listdir(tmp_path)) == ["file", "m.nir"]
