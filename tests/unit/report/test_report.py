"""Report values and their renderers: terminal, JSON, CSV, page."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import RenderableType

import sfx
from sfx.toolchain.app.commands.common import PlainConsole
from sfx.toolchain.compiler.compile import compile_program
from sfx.toolchain.report import render
from sfx.toolchain.report.collect import collect
from sfx.toolchain.report.raster import raster
from sfx.toolchain.report.targets import target_details, target_list
from sfx.toolchain.report.units import count, share, si, si_range
from sfx.toolchain.targets import load, names
from tests.unit.ir.test_last_step import totals
from tests.unit.report.samples import MANIFEST, SAMPLES, STEPS, target, toy, values


def text_of(renderable: RenderableType, width: int = 100) -> str:
    console = PlainConsole(width=width, file=io.StringIO(), force_terminal=False)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00151, "J", "1.51 mJ"),
        (999.6e-6, "J", "1.00 mJ"),
        (0.0, "J", "0 J"),
        (12.34, "s", "12.3 s"),
        (2.5e-7, "s", "250 ns"),
        (145_000.0, "", "145 k"),
        (3e-18, "J", "0.003 fJ"),
        (5e13, "Hz", "50.0 THz"),
    ],
)
def test_three_digits_and_a_prefix(value: float, unit: str, text: str) -> None:
    assert si(value, unit) == text


def test_a_range_has_one_prefix() -> None:
    assert si_range([0.000754, 0.00301], "J") == "0.754 .. 3.01 mJ"
    assert si_range((0.0, 2e-6), "s") == "0 .. 2.00 us"


def test_counts_and_shares() -> None:
    assert (count(12345.6), count(3.0), count(0.25)) == ("12,346", "3", "0.25")
    assert (share(0.1234), share(None)) == ("12.3%", "-")


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1.0, 1, "100.0%"),
        (0.0, 1, "0.0%"),
        (0.9996, 1, ">99.9%"),
        (0.9995, 2, "99.95%"),
        (9999 / 10000, 2, "99.99%"),
        (99_999 / 100_000, 2, ">99.99%"),
        (0.0004, 1, "<0.1%"),
        (0.00004, 2, "<0.01%"),
        (0.0006, 1, "0.1%"),
        (1.25, 1, "125.0%"),
    ],
)
def test_all_and_none_are_said_only_of_all_and_none(value: float, digits: int, text: str) -> None:
    """99.95 % was shown as 100.0 %."""
    assert share(value, digits) == text


def test_no_figure_is_rounded_to_a_percentage_elsewhere() -> None:
    """One function makes the percentages of terminal, page and tables."""
    root = Path(sfx.__file__).parent
    files = [f for part in ("toolchain", "backends") for f in (root / part).resolve().rglob("*.py")]
    assert len(files) > 100
    own = re.compile(r":[+,]?\.\d%[}\"]")
    found = {f.name for f in files if own.search(f.read_text())}
    assert not found


def test_terminal_and_page_give_the_same_accuracy() -> None:
    placed, _, counts = toy()
    v = collect(placed, counts, 1 - 0.25 / SAMPLES, MANIFEST, target())
    v |= {"samples": 2000, "accuracy": 1999 / 2000}
    assert "accuracy 99.95% (1,999 of 2,000 samples)" in text_of(render.summary(v))
    page = " ".join(Page(render.html(v, placed)).words)
    assert "99.95%" in page
    assert "1,999 of 2,000 samples" in page


def test_what_the_raster_leaves_out_is_said() -> None:
    placed, spikes, _ = toy()
    page = " ".join(Page(render.html(values(), placed, spikes, SAMPLES)).words)
    assert "of more than 96 neurons, 96 are drawn, evenly chosen" in page
    small = {n: s for n, s in spikes.items() if placed.program[n].size <= 96}
    for shown, said in ((spikes, True), (small, False)):
        (axes,) = raster(placed.program, shown, samples=SAMPLES).axes
        assert ("96 are drawn" in axes.get_xlabel()) is said


# --- values ---------------------------------------------------------------------------------


def test_the_keys_that_scripts_rely_on() -> None:
    v = values()
    assert {"cores", "chips", "energy", "latency", "per_population", "per_core"} <= set(v)
    assert {"dynamic_j", "total_j", "op_proxy_j", "uncertainty"} <= set(v["energy"])
    assert {"step_s", "latency_s", "throughput_hz", "uncertainty"} <= set(v["latency"])
    assert len(v["per_population"]) == v["populations"]
    assert len(v["per_core"]) == v["cores"]
    assert json.loads(json.dumps(v, allow_nan=False)) == v


def test_rows_add_up() -> None:
    v = values()
    assert sum(p["share"] for p in v["per_population"]) == pytest.approx(1)
    assert sum(c["neurons"] for c in v["per_core"]) == v["neurons"] - 128  # the input has no core
    for key in ("synops", "messages"):
        total = sum(p[key] for p in v["per_population"])
        assert total == pytest.approx(v["events"][key])
        assert total > 0
    assert sum(c["synops"] for c in v["per_core"]) == pytest.approx(v["events"]["synops"])
    parts = ("synapses_j", "neurons_j", "network_j", "steps_j")
    assert sum(v["energy"][p] for p in parts) == pytest.approx(v["energy"]["dynamic_j"])
    assert v["energy"]["total_j"] == pytest.approx(
        v["energy"]["dynamic_j"] + v["energy"]["static_j"]
    )


def test_without_events_there_is_no_energy() -> None:
    v = values(counted=False)
    assert v["energy"] is None
    assert v["latency"] is None
    assert v["per_population"][1]["energy_j"] is None
    assert v["cores"] == 56


def test_the_verdict_names_what_binds() -> None:
    assert values()["verdict"].startswith("fits loihi2: 56 of 120 cores, 1 chip; speed is set by ")
    assert values(counted=False)["verdict"] == "fits loihi2: 56 of 120 cores, 1 chip"


def test_the_target_comes_from_the_placement_if_not_given() -> None:
    placed, _, counts = toy()
    assert collect(placed, counts, None, {})["utilization"]["cores_available"] == 120


# --- terminal, JSON, CSV ------------------------------------------------------------------------


def test_summary_says_what_it_is_and_what_it_is_not() -> None:
    v = values()
    text = text_of(render.summary(v))
    for part in (
        "Report for toy <b>&amp; net on Intel Loihi 2",
        v["verdict"].split(";")[0],
        "Energy per",
        si(v["energy"]["dynamic_j"], "J"),
        si_range(v["energy"]["uncertainty"]["total_j"], "J"),
        "45 nm convention, no device",
        "throughput",
        "What sets the step time",
        f"of {STEPS}",
        "estimate, not a",
    ):
        assert part in text, part
    for p in v["per_population"]:
        assert re.search(rf"^  {p['name']} +{p['kind']} ", text, re.MULTILINE)


def test_summary_fits_a_terminal() -> None:
    for counted in (True, False):
        lines = text_of(render.summary(values(counted=counted)), 80).splitlines()
        assert max(map(len, lines)) <= 80


def test_summary_without_events_asks_for_them() -> None:
    text = text_of(render.summary(values(counted=False)))
    assert "--input DATA" in text
    assert "dynamic" not in text


def test_a_long_list_of_populations_is_cut_to_the_largest() -> None:
    v = values()
    rows = [dict(v["per_population"][1], name=f"p{i}", energy_j=i * 1e-9) for i in range(30)]
    text = text_of(render.summary(v | {"per_population": rows}))
    assert "p29" in text
    assert " p9 " not in text
    assert "and 10 more" in text


def test_names_are_not_markup() -> None:
    v = values()
    v["per_population"][1]["name"] = "blocks[bold]"
    assert "blocks[bold]" in text_of(render.summary(v))


def test_json_has_a_version() -> None:
    parsed = json.loads(render.to_json(values()))
    assert parsed["schema_version"] == 1
    assert parsed["cores"] == 56


@pytest.mark.parametrize("counted", [True, False])
def test_csv_has_one_row_per_population(counted: bool) -> None:
    v = values(counted=counted)
    rows = list(csv.DictReader(io.StringIO(render.csv(v))))
    assert [r["name"] for r in rows] == [p["name"] for p in v["per_population"]]
    if counted:
        assert float(rows[1]["energy_low_j"]) < float(rows[1]["energy_j"])
        assert float(rows[1]["energy_high_j"]) > float(rows[1]["energy_j"])
    else:
        assert rows[1]["energy_j"] == ""


# --- page ---------------------------------------------------------------------------------------

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Checks that tags close in order; collects texts and what would be fetched."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith(
                ("#", "data:")
            ):
                self.fetched.append(str(value))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_page_is_whole_and_offline() -> None:
    placed, spikes, _ = toy()
    page = Page(render.html(values(), placed, spikes, SAMPLES))
    assert page.fetched == []
    assert "script" not in page.tags
    assert page.tags.count("svg") == 3  # energy, chips, spikes
    text = " ".join(page.words)
    for part in (
        "Energy per sample",
        "Mapping",
        "Spikes",
        "Quantization",
        "42.12",
        "6.00%",  # wrong spikes, of a row of an older sfx: 0.6 % of neurons and steps, 10 % fire
        "87.50%",
        "hardware step",
        "sample 2",
        '"sha256": "abc"',
        "SANA-FE",
    ):
        assert part in text, part


def test_page_without_events_or_spikes() -> None:
    placed, _, _ = toy()
    page = Page(render.html(values(counted=False), placed))
    assert page.tags.count("svg") == 1
    text = " ".join(page.words)
    assert "need events" in text
    assert "joules" not in text


def test_names_cannot_inject_markup() -> None:
    placed, _, _ = toy()
    v = values()
    v["per_population"][1]["name"] = "<script>alert(1)</script>"
    v["manifest"]["note"] = "</pre><script>"
    html = render.html(v, placed)
    assert "<script" not in html
    assert "toy &lt;b&gt;&amp;amp; net" in html


def test_equal_data_give_an_equal_page() -> None:
    placed, spikes, _ = toy()
    assert render.html(values(), placed, spikes, SAMPLES) == render.html(
        values(), placed, spikes, SAMPLES
    )
    assert re.search(r"\b20[2-9]\d-\d\d-\d\d", render.html(values(), placed)) is None


def test_every_quantization_row_is_optional() -> None:
    placed, _, counts = toy()
    v = collect(
        placed, counts, None, {k: w for k, w in MANIFEST.items() if k != "quantization"}, target()
    )
    assert "Quantization" not in " ".join(Page(render.html(v, placed)).words)


# --- targets ------------------------------------------------------------------------------------


def test_target_list_has_every_target() -> None:
    text = text_of(target_list())
    for name in names():
        assert name in text
    assert "loihi2 (loihi)" in text
    assert "140,544" in text


@pytest.mark.parametrize("name", names())
def test_target_details_show_every_number_with_its_source(name: str) -> None:
    text = text_of(target_details(name), 120)
    t = load(name)
    for field in (*t.limit_sources, *t.costs):
        assert field in text
    assert "A core holds at most" in text


def test_a_row_says_what_its_population_is_part_of() -> None:
    """What the compiler added has no module, but it is there for a population that has one."""
    placed = compile_program(totals()[0], load("loihi"))
    rows = collect(placed, None, None, {})["per_population"]
    parts = {row["name"]: row["part_of"] for row in rows if row["part_of"]}
    assert parts == {"total.memory": "total", "total.memory.clear": "total"}
    assert all(not row["module"] for row in rows if row["name"] in parts)
