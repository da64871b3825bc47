"""`sfx map`, `sfx report` and `sfx targets` on a compiled model, as a user calls them."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sfx.toolchain.app import api
from sfx.toolchain.app.cli import app
from sfx.toolchain.data import Data
from sfx.toolchain.ground.errors import FitError, InputError
from sfx.toolchain.ir import memory_use
from sfx.toolchain.ir.program import Program
from tests.unit.netx import files

TEXT = {"COLUMNS": "140", "NO_COLOR": "1", "TERM": "dumb"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled model, small.sfx, and its input, few.npz."""
    folder = tmp_path_factory.mktemp("model")
    bundle = api.compile(files.write(folder / "small.net", files.live_conv_net()))
    api.save(bundle, folder / "small.sfx")
    shape = (3, bundle.program.timesteps, *bundle.program.input.shape)
    np.savez(folder / "few.npz", x=np.random.default_rng(0).integers(0, 2, shape))
    return folder


def sfx(*arguments: str | Path) -> str:
    done = CliRunner(env=TEXT).invoke(app, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def refused(*arguments: str | Path) -> str:
    """What `main` turns into a message and exit status 2."""
    done = CliRunner(env=TEXT).invoke(app, [str(a) for a in arguments])
    assert isinstance(done.exception, InputError)
    return str(done.exception)


def same(a: Program, b: Program) -> bool:
    """The same integers: remapping changes the placement only."""
    return all(
        np.array_equal(
            np.asarray(getattr(x.connection, "weight", 0)), getattr(y.connection, "weight", 0)
        )
        and replace(x, connection=y.connection) == y
        for x, y in zip(a.projections, b.projections, strict=True)
    )


# --- map --------------------------------------------------------------------------------------


def test_map_again_for_another_objective_and_target(folder: Path, tmp_path: Path) -> None:
    text = sfx(
        "map", folder / "small.sfx", "-o", tmp_path / "b.sfx", "--objective", "cores",
        "--target", "kapoho-point", "--json", tmp_path / "b.json",
    )  # fmt: skip
    before, after = api.load(folder / "small.sfx"), api.load(tmp_path / "b.sfx")
    assert after.placed.objective == "cores"
    assert after.manifest["target"] == "kapoho-point"
    assert api.target_of(after).limits.chips == 8
    assert same(before.program, after.program)
    found = json.loads((tmp_path / "b.json").read_text())
    assert found["cores"] == after.placed.cores <= before.placed.cores
    assert f"{after.placed.cores} cores" in text
    x = np.load(folder / "few.npz")["x"]
    sums = [api.run(b, Data(x, None)).sums for b in (before, after)]
    assert np.array_equal(*sums)


def test_measured_rates_weigh_the_traffic(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    from sfx.toolchain.compiler.mapping import place as module

    original = module.place

    def spy(program: Program, target: object, options: module.MappingOptions) -> object:
        seen.update(options.known)
        return original(program, target, options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "place", spy)
    bundle = api.load(folder / "small.sfx")
    x = np.load(folder / "few.npz")["x"]
    api.remap(bundle, Data(x, None))
    assert seen[bundle.program.input.name] == pytest.approx((x != 0).mean())
    assert set(seen) == {p.name for p in bundle.program}


def test_what_cannot_be_mapped_is_refused(folder: Path, tmp_path: Path) -> None:
    bundle = api.load(folder / "small.sfx")
    own = tmp_path / "tiny.toml"
    own.write_text(
        'name = "tiny"\nextends = "loihi2"\n[limits]\n'
        'synapse_words_per_core = { value = 2, source = "a test" }\n'
    )
    with pytest.raises(FitError, match="SFX-E411"):
        api.remap(bundle, target=str(own))
    with pytest.raises(InputError, match="SFX-E403"):
        api.remap(bundle, objective="beauty")
    assert "SFX-E401" in refused(
        "map", folder / "small.sfx", "-o", tmp_path / "c.sfx", "--target", "loihi9"
    )
    assert not (tmp_path / "c.sfx").exists()


# --- report -----------------------------------------------------------------------------------


def test_every_form_of_the_report(folder: Path, tmp_path: Path) -> None:
    page, table, values = (tmp_path / n for n in ("r.html", "r.csv", "r.json"))
    text = sfx(
        "report", folder / "small.sfx", "--input", folder / "few.npz",
        "--html", page, "--csv", table, "--json", values,
    )  # fmt: skip
    for part in ("fits loihi2", "speed is set by", "total", "dense twin", "What sets the step"):
        assert part in text, part
    found = json.loads(values.read_text())
    assert found["energy"]["uncertainty"]["total_j"][0] < found["energy"]["total_j"]
    assert found["links"] == [] or found["links"][0]["bits"] > 0
    assert len(list(csv.DictReader(table.read_text().splitlines()))) == found["populations"]
    html = page.read_text()
    assert len(html) < 2_000_000
    assert html.count("<svg") == 3
    assert "http" not in html.replace("http://www.w3.org", "")


def test_the_table_of_operations_as_papers_print_it(folder: Path, tmp_path: Path) -> None:
    table, latex, values = (tmp_path / n for n in ("o.csv", "o.tex", "r.json"))
    asked = ("report", folder / "small.sfx", "--input", folder / "few.npz", "--operations")
    text = sfx(*asked, table, "--json", values)
    assert "NeuroBench" in text
    found = json.loads(values.read_text())
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [r["name"] for r in rows[:-1]] == [r["name"] for r in found["operations"]]
    for key in ("op_proxy_j", "op_proxy_ann_j"):
        assert found["energy"][key] > 0
        assert float(rows[-1][key]) == pytest.approx(found["energy"][key])
    assert found["neurobench"]["effective_acs"] > 0
    assert 0 < found["neurobench"]["activation_sparsity"] < 1
    assert found["neurobench"]["membrane_updates"] > 0
    sfx(*asked, latex)
    lines = latex.read_text().splitlines()
    assert sum(line.endswith(r"\\") for line in lines) == len(rows) + 1
    assert {line.count("&") for line in lines if line.endswith(r"\\")} == {6}
    assert "SFX-E671" in refused("report", folder / "small.sfx", "--operations", table)


def test_two_models_side_by_side(folder: Path, tmp_path: Path) -> None:
    sfx("map", folder / "small.sfx", "-o", tmp_path / "b.sfx", "--objective", "cores")
    text = sfx(
        "report", folder / "small.sfx", tmp_path / "b.sfx", "--input", folder / "few.npz",
        "--json", tmp_path / "both.json",
    )  # fmt: skip
    assert "45 nm proxy, dense twin" in text
    rows = {r["figure"]: r for r in json.loads((tmp_path / "both.json").read_text())["figures"]}
    assert rows["neurons"]["ratio"] == 1
    assert rows["45 nm proxy (no device)"]["ratio"] == 1  # a count, whatever the placement
    assert rows["dynamic energy"]["a"] > 0
    asked = ("report", folder / "small.sfx", tmp_path / "b.sfx", "--html", tmp_path / "r.html")
    assert "SFX-E672" in refused(*asked)
    assert not (tmp_path / "r.html").exists()


def test_a_verdict_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "v.json").write_text("{}")
    text = refused("report", folder / "small.sfx", "--verified", tmp_path / "v.json")
    assert "SFX-E218" in text


def test_run_and_report_count_the_same(folder: Path, tmp_path: Path) -> None:
    """One run, three outputs: the terminal, the JSON of `run` and that of `report`."""
    np.savez(folder / "labelled.npz", x=np.load(folder / "few.npz")["x"], y=np.zeros(3, int))
    few = ("--input", folder / "labelled.npz", "--json")
    text = sfx("run", folder / "small.sfx", *few, tmp_path / "run.json")
    shown = sfx("report", folder / "small.sfx", *few, tmp_path / "report.json")
    ran, cost = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("run", "report"))
    assert ran["accuracy"] == cost["accuracy"]
    assert ran["spikes"] / 3 == pytest.approx(cost["events"]["spikes"])
    assert ran["synops"] / 3 == pytest.approx(cost["events"]["synops"])
    accuracy = re.search(r"accuracy +([\d.]+%)", text)
    assert accuracy is not None
    assert f"accuracy {accuracy[1]}" in shown


def test_targets_that_fit(folder: Path) -> None:
    text = sfx("targets", "--fits", folder / "small.sfx")
    assert text.count("smallest that fits") == 1
    assert "hala-point" in text


def test_a_raster_that_is_too_large_is_left_out_and_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("report", folder / "small.sfx", "--input", folder / "few.npz", "--html")
    sfx(*command, tmp_path / "with.html")
    assert "columns hardware steps" in (tmp_path / "with.html").read_text()
    monkeypatch.setattr(memory_use, "RECORD", 1000)
    said = sfx(*command, tmp_path / "without.html")
    page = (tmp_path / "without.html").read_text()
    assert "columns hardware steps" not in page
    for text in (said, page):
        assert re.search(
            r"[Nn]o raster: the record of a sample takes .* MB, more than 0\.0 MB", text
        )
