"""What commands print of a mapping: how full cores are, and the table of layers and cores."""

from __future__ import annotations

import re

from sfx.toolchain.compiler.mapping.place import MappingOptions, place
from sfx.toolchain.compiler.mapping.utilization import layers
from sfx.toolchain.report.mapped import MOST_CORES, layer_table, mapped_lines
from sfx.toolchain.targets import load
from tests.unit.mapping.programs import transformer_like
from tests.unit.report.test_report import text_of

LOIHI2 = load("loihi2")


def test_lines_fit_80_columns_and_say_the_objective() -> None:
    placed = place(transformer_like(), LOIHI2, MappingOptions("cores"))
    lines = mapped_lines(placed, LOIHI2)
    assert lines[0] == ("objective", "cores")
    assert all(len(line) <= 65 for _, line in lines)
    assert "groups 100%" in dict(lines)["used, most"]  # 9 populations on two cores


def test_table_has_a_row_for_each_layer_and_each_core() -> None:
    placed = place(transformer_like(), LOIHI2, MappingOptions("intel"))
    rows = layers(placed, LOIHI2)
    text = text_of(layer_table(placed, LOIHI2), 100)
    for row in rows:
        assert re.search(
            rf"{100 * row.shares['neurons']:.2f}%.* {row.cores} {row.population} ", text
        )
    assert sum(row.cores for row in rows) == placed.cores < MOST_CORES
    assert len(re.findall(r"^ *0 +\d+ ", text, re.MULTILINE)) == placed.cores
    for name in ("AxonIn", "NeuronGr", "Neurons", "Synapses", "AxonMap", "Cores", "Per core"):
        assert name in text


def test_layers_of_shared_cores_count_what_is_theirs() -> None:
    placed = place(transformer_like(), LOIHI2, MappingOptions("cores"))
    stem = next(row for row in layers(placed, LOIHI2) if row.population == "stem")
    assert stem.largest.neurons == 512
    assert stem.mean["synapse_words"] == 2 * 9  # 18 lists of 8 weights of 3 bits
