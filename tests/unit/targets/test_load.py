"""Reading targets: the listed ones, a user's own, and every mistake in a file."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from sfx.toolchain.ground.arithmetic import LOIHI, RANGES, Arithmetic
from sfx.toolchain.ground.errors import InputError
from sfx.toolchain.targets import load, names
from sfx.toolchain.targets.parse import COSTS, REQUIRED_COSTS, parse
from sfx.toolchain.targets.table import to_table

OWN = """
name = "mine"
title = "half a chip"
extends = "loihi2"
[limits]
cores_per_chip = { value = 60, source = "half of it is broken" }
[costs]
p_static = { value = 0.5, unit = "W", low = 0.9, high = 1.1, source = "measured here" }
"""


def own(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_the_listed_targets_smallest_first() -> None:
    assert names() == ("loihi1", "loihi2", "loihi2-12000", "kapoho-point", "hala-point")


@pytest.mark.parametrize("name", names())
def test_every_number_has_a_source_and_a_range(name: str) -> None:
    target = load(name)
    assert target.name == name
    assert set(target.limit_sources) == set(type(target.limits).__dataclass_fields__)
    assert all(target.limit_sources.values())
    assert set(REQUIRED_COSTS) <= set(target.costs) <= set(COSTS)
    for quantity in target.costs.values():
        assert quantity.source
        assert 0 < quantity.low <= 1 <= quantity.high


def test_loihi_is_loihi2() -> None:
    assert load("loihi") == load("loihi2")


def test_the_figures_that_the_facts_fix() -> None:
    one, two = load("loihi1"), load("loihi2")
    assert (one.limits.neurons_per_core, one.limits.axons_in_per_core) == (1024, 4096)
    assert (one.limits.synapse_words_per_core, one.limits.word_bits) == (16384, 64)
    assert one.limits.payload_bits == 0
    assert (two.limits.synapse_words_per_core, two.limits.word_bits) == (16000, 64)
    assert (two.limits.axons_in_per_core, two.limits.axons_out_per_core) == (16000, 16000)
    assert (two.limits.neurons_per_core, two.limits.neuron_groups_per_core) == (4095, 8)
    assert load("loihi2-12000").limits == replace(two.limits, synapse_words_per_core=12000)
    assert two.costs["k"].value == 0.73
    assert load("kapoho-point").limits.chips == 8
    assert load("hala-point").limits.cores == 140_544


def test_loihi2_dynamic_energy_is_within_a_factor_of_two_either_way() -> None:
    k, synop = load("loihi2").costs["k"], load("loihi2").costs["e_synop_conv"]
    assert k.low * synop.low == pytest.approx(0.5, rel=0.01)
    assert k.high * synop.high == pytest.approx(2.0, rel=0.01)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError) as error:
        load("loihi3")
    assert error.value.code == "SFX-E401"
    for name in (*names(), "loihi (= loihi2)"):
        assert name in str(error.value)


def test_own_file_extends_a_listed_target(tmp_path: Path) -> None:
    target = load(own(tmp_path, OWN))
    assert (target.name, target.limits.cores) == ("mine", 60)
    assert target.limits.neurons_per_core == load("loihi2").limits.neurons_per_core
    assert target.limit_sources["cores_per_chip"] == "half of it is broken"
    assert target.costs["p_static"].value == 0.5
    assert target.costs["k"] == load("loihi2").costs["k"]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"SFX-E401 .*cannot be read"):
        load(tmp_path / "none.toml")


MISTAKES = {
    "not TOML": ("name = ", "is not TOML"),
    "no name": (OWN.replace('name = "mine"', ""), "name must be a non-empty text"),
    "unknown key": ('speed = "fast"\n' + OWN, "unknown key 'speed'"),
    "unknown base": (OWN.replace("loihi2", "loihi9"), "does not name another listed target"),
    "unknown limit": (OWN.replace("cores_per_chip", "cores"), "no field 'cores'"),
    "unknown cost": (OWN.replace("p_static", "p_stat"), "no field 'p_stat'"),
    "text for a number": (OWN.replace("value = 60", 'value = "60"'), "must be a whole number"),
    "fraction for a whole number": (OWN.replace("= 60", "= 60.5"), "must be a whole number"),
    "negative limit": (OWN.replace("value = 60", "value = -1"), "cores_per_chip is -1"),
    "more than fits into memory": (OWN.replace("value = 60", f"value = {10**30}"), "must be <="),
    "a cost that overflows": (OWN.replace("value = 0.5", "value = 1e300"), "a number up to 1e"),
    "infinite cost": (OWN.replace("value = 0.5", "value = inf"), "a number up to 1e"),
    "negative cost": (OWN.replace("value = 0.5", "value = -0.5"), "must be > 0"),
    "not a number": (OWN.replace("value = 0.5", "value = nan"), "must be a number"),
    "true for a number": (OWN.replace("value = 60", "value = true"), "must be a whole number"),
    "no source": (OWN.replace(', source = "measured here"', ""), "costs.p_static must be"),
    "bare number": (
        OWN.replace('{ value = 60, source = "half of it is broken" }', "60"),
        "limits.cores_per_chip must be",
    ),
    "other unit": (OWN.replace('"W"', '"mW"'), "is in 'W', not in 'mW'"),
    "factors the wrong way": (OWN.replace("low = 0.9", "low = 1.2"), "low <= 1 <= high"),
    "more cores than the mesh": (OWN.replace("value = 60", "value = 200"), "has space for 128"),
    "more chips than the grid": (
        OWN + 'k = { value = 1, unit = "1", low = 1, high = 1, source = "x" }\n'
        "[limits.chips]\nvalue = 3\nsource = 'x'\n",
        "chip_grid 1 x 1 has space for 1",
    ),
    "limits is no table": ('name = "x"\nlimits = 3\n', r"\[limits\] must be a table"),
    "pair of one": (OWN + '[limits.mesh]\nvalue = [8]\nsource = "x"\n', "must be a pair"),
    "alone and empty": ('name = "x"\n', "limits.neurons_per_core is missing"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(tmp_path: Path, mistake: str) -> None:
    text, message = MISTAKES[mistake]
    with pytest.raises(InputError, match=message) as error:
        load(own(tmp_path, text))
    assert error.value.code == "SFX-E402"


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = OWN.replace("value = 60", "value = -1").replace('"W"', '"mW"')
    with pytest.raises(InputError) as error:
        load(own(tmp_path, text))
    assert len(error.value.problems) == 2


@pytest.mark.parametrize("name", names())
def test_a_target_survives_the_tables_of_a_bundle(name: str) -> None:
    target = load(name)
    assert parse(json.loads(json.dumps(to_table(target))), "bundle") == target


# --- values fitted to a measurement -----------------------------------------------------------

FITTED = """
name = "mine"
extends = "loihi2"
[costs]
p_static = { value = 2.0, unit = "W", low = 0.9, high = 1.1, source = "a board", %s }
"""
PRIOR = 'prior = { value = 1.0, unit = "W", low = 0.5, high = 2.0, source = "a guess" }'


def test_a_prediction_of_a_measurement_takes_the_prior_of_what_was_fitted_to_it(
    tmp_path: Path,
) -> None:
    target = load(own(tmp_path, FITTED % f'fitted_to = "the board", {PRIOR}'))
    assert target.costs["p_static"].value == 2.0
    assert target.without("the board").costs["p_static"].value == 1.0
    assert target.without("the board").costs["p_static"].source == "a guess"
    assert target.without("another").costs == target.costs


def test_what_pilotnet_set_is_not_used_to_predict_pilotnet() -> None:
    target = load("loihi2")
    fitted = {name for name, q in target.costs.items() if q.fitted_to}
    assert fitted == {"k", "t_synop_dense", "t_synop_sparse", "t_synop_conv"}
    blind = target.without("PilotNet LIF")
    for name in fitted:
        prior = target.costs[name].prior
        assert prior is not None
        assert blind.costs[name] == prior != target.costs[name]


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        ('fitted_to = "the board"', "fitted_to and prior go together"),
        (PRIOR, "fitted_to and prior go together"),
        (f"fitted_to = 3, {PRIOR}", "must be a non-empty text"),
        ('fitted_to = "the board", prior = 3', r"p_static.prior must be"),
        (f'fitted_to = "b", {PRIOR.replace("W", "J")}', "is in 'W', not in 'J'"),
    ],
)
def test_half_a_fit_is_refused(tmp_path: Path, extra: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        load(own(tmp_path, FITTED % extra))


def test_what_a_fit_was_made_to_survives_a_bundle() -> None:
    target = load("loihi2")
    again = parse(json.loads(json.dumps(to_table(target))), "in a bundle")
    assert again == target


OTHERS = {
    "weight_bits": ("4", "9"),
    "weight_exp": ("[-4, 3]", "[-17, 7]"),
    "threshold_bits": ("12", "25"),
    "bias_bits": ("16", "7"),
    "bias_exp": ("[0, 3]", "[-1, 7]"),
    "decay_bits": ("10", "6"),
    "state_bits": ("16", "31"),
    "payload_bits": ("16", "1"),
}
"""Of every width another one that is computed with, and one that is not."""


@pytest.mark.parametrize("name", OTHERS)
def test_a_target_says_its_widths(tmp_path: Path, name: str) -> None:
    line = f'[limits.{name}]\nvalue = {OTHERS[name][0]}\nsource = "x"\n'
    made = load(own(tmp_path, OWN + line)).arithmetic
    value = json.loads(OTHERS[name][0])
    value = tuple(value) if isinstance(value, list) else value
    assert made == replace(LOIHI, **{name: value})
    assert made != LOIHI


@pytest.mark.parametrize("name", OTHERS)
def test_widths_that_nothing_computes_with_are_refused(tmp_path: Path, name: str) -> None:
    """They were stored and ignored, or refused late with hints that could not help."""
    line = f'[limits.{name}]\nvalue = {OTHERS[name][1]}\nsource = "x"\n'
    with pytest.raises(InputError, match="but sfx computes with") as error:
        load(own(tmp_path, OWN + line))
    assert error.value.code == "SFX-E405"
    (problem,) = error.value.problems
    assert f"limits.{name} is {OTHERS[name][1]}" in problem.what


def test_every_width_has_a_case_and_the_type_agrees_with_the_reader() -> None:
    assert set(OTHERS) == set(RANGES) == {f.name for f in fields(Arithmetic)}
    for name, (least, most) in RANGES.items():
        pair = isinstance(getattr(LOIHI, name), tuple)
        for wrong in (least - 1, most + 1):
            with pytest.raises(ValueError, match="sfx computes with"):
                replace(LOIHI, **{name: (wrong, wrong) if pair else wrong})


def test_a_bias_that_leaves_32_bits_is_refused(tmp_path: Path) -> None:
    lines = '[limits.bias_bits]\nvalue = 22\nsource = "x"\n'
    lines += '[limits.bias_exp]\nvalue = [0, 12]\nsource = "x"\n'
    with pytest.raises(InputError, match=r"reaches 2\^33, but sfx computes with 2\^30") as error:
        load(own(tmp_path, OWN + lines))
    assert error.value.code == "SFX-E405"


def test_fewer_bits_of_a_weight_need_no_second_line(tmp_path: Path) -> None:
    """The fewest that are stored, 3 on Loihi 2, are then at most those."""
    line = '[limits.weight_bits]\nvalue = 2\nsource = "x"\n'
    assert load(own(tmp_path, OWN + line)).limits.least_weight_bits == 2


@pytest.mark.parametrize("target", names())
def test_the_listed_targets_compute_with_loihis_widths(target: str) -> None:
    assert load(target).arithmetic == LOIHI
