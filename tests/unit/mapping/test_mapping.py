"""Partition and placement: always legal, as few blocks as possible, or a clear refusal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfx.toolchain.compiler.mapping.check import check_placed
from sfx.toolchain.compiler.mapping.grid import Grid
from sfx.toolchain.compiler.mapping.overlap import owner_of
from sfx.toolchain.compiler.mapping.place import MappingOptions, place
from sfx.toolchain.compiler.mapping.search import Search
from sfx.toolchain.compiler.mapping.utilization import utilization
from sfx.toolchain.ground.errors import FitError, InputError
from sfx.toolchain.ir.connections import matrix
from sfx.toolchain.ir.placed import Block, PlacedProgram, Tile, Usage
from sfx.toolchain.ir.program import Conv2d, Dense, Graded, Input, Program, Sparse, Structured
from sfx.toolchain.targets import Target, load
from sfx.toolchain.targets.memory import channel_words
from sfx.toolchain.targets.rules import check_core
from tests.unit.mapping.programs import Net, conv, dense, lif, sparse, transformer_like

LOIHI2 = load("loihi2")


FEWEST = MappingOptions("cores")
LEVEL = MappingOptions("latency")


def target(**limits: int) -> Target:
    """Loihi 2 with these limits."""
    return replace(LOIHI2, limits=replace(LOIHI2.limits, **limits))


def by_neuron(**limits: int) -> Target:
    """The same with the axons of Loihi 1, neuron by neuron, and rows of 8 bit weights."""
    fields = {
        "synapse_index_bits": 0,
        "least_weight_bits": 8,
        "word_bits": 32,
        "axons_in_per_core": 0,
        "axons_out_per_core": 0,
    }
    return target(**fields | limits)


def blocks_of(placed: PlacedProgram, name: str) -> list[Block]:
    return [b for b in placed.blocks if b.population == name]


# --- words of synaptic memory, by hand -------------------------------------------------------


def one_layer(connection: Conv2d | Dense | Sparse | Structured, pre: int, post: int) -> Program:
    net = Net(2)
    net.add("input", (pre,), Input())
    net.add("layer", (post,), lif(), ("input", connection))
    return net.done("layer")


def words(program: Program, where: Target = LOIHI2) -> list[int]:
    return [b.usage.synapse_words for b in blocks_of(place(program, where, FEWEST), "layer")]


def test_dense_words_are_those_of_the_compiler_log() -> None:
    # PilotNet's 2560 -> 100 on one core: 61440 words for the 3 bit weights of the LIF network,
    # 66560 for the 4 bit ones of the sigma-delta network
    roomy = target(synapse_words_per_core=70_000)
    assert words(one_layer(dense(100, 2560), 2560, 100), roomy) == [61_440]
    wider = Dense(np.resize([-16, 14], (100, 2560)).astype(np.int64))
    assert words(one_layer(wider, 2560, 100), roomy) == [66_560]


def test_dense_splits_into_the_fewest_blocks_that_fit() -> None:
    # n neurons take 2560 x ceil((15 n + 10) / 64) words; 16000 allow 6, so 24 neurons, so 5 cores
    placed = place(one_layer(dense(100, 2560), 2560, 100), LOIHI2, FEWEST)
    assert placed.cores == 5
    assert all(u.usage.synapse_words <= 16_000 for u in utilization(placed, LOIHI2))


def test_sparse_words() -> None:
    c = Sparse(np.array([0, 2, 3]), np.array([0, 2, 2]), np.array([2, 4, 6]))
    # axon 0: one synapse, axon 2: two; 3 bits of weight + 12 of index and a header fit a word
    assert words(one_layer(c, 3, 2)) == [1 + 1]
    # in rows: 8 bits of weight + 1 of index are one word each, behind a word as header
    assert words(one_layer(c, 3, 2), by_neuron()) == [(1 + 1) + (1 + 1)]


def test_kernel_words_once_per_core() -> None:
    program = one_layer(conv(8, (4, 6, 6), 3), 4 * 36, 8 * 16)
    lists = 4 * 9  # each of 8 weights of 3 bits: a word
    assert words(program) == [lists]
    assert words(program, target(neurons_per_core=64)) == [lists, lists]
    kernel = 8 * 4 * 9 * 8 // 32
    assert words(program, by_neuron()) == [kernel]


def test_lists_of_a_kernel_are_taken_apart_into_powers_of_two() -> None:
    """The words of PilotNet's conv layers in Intel's logs, by channels and bits of the weights."""
    logged = {(24, 5): 3, (24, 6): 3, (36, 4): 4, (36, 5): 4, (48, 4): 5, (64, 4): 5, (64, 5): 6}
    for (channels, bits), expected in logged.items():
        assert channel_words(np.array([channels]), bits, LOIHI2.limits).tolist() == [expected]


def test_axons_of_a_kernel_are_those_of_its_lists() -> None:
    """Columns AxonIn and AxonMap of PilotNet's log: 2 and 256 for 24 channels on 4 x 32 pixels."""
    net = Net(1)
    net.add("input", (3, 32, 8), Input())
    net.add("a", (24, 32, 8), lif(), ("input", conv(24, (3, 32, 8), 3, padding=1)))
    net.add("b", (64, 32, 8), lif(), ("a", conv(64, (24, 32, 8), 3, padding=1)))
    net.add("c", (5,), lif(), ("b", dense(5, 64 * 32 * 8)))
    roomy = target(synapse_words_per_core=10**6, axons_in_per_core=10**5)
    placed = place(net.done("c"), roomy, MappingOptions("intel"))
    first = {b.population: b for b in reversed(placed.blocks)}
    assert (first["a"].tile.lengths, first["b"].tile.lengths) == ((24, 32, 4), (64, 32, 1))
    assert (first["a"].usage.axons_in, first["a"].usage.axons_out) == (2, 2 * 4 * 32)
    assert (first["b"].usage.axons_in, first["b"].usage.axons_out) == (1, 64 * 32)
    assert first["c"].usage.axons_in == 64 * 32 * 8
    assert first["c"].usage.axons_out == 5  # to the host


def test_pattern_words_do_not_depend_on_the_size() -> None:
    big = Structured((("n", 5000),), (("n", 5000),))
    assert set(words(one_layer(big, 5000, 5000))) == {2}


# --- the shape of the blocks ---------------------------------------------------------------


def test_a_convolution_is_cut_into_tiles_with_all_channels() -> None:
    net = Net(1)
    net.add("input", (1, 8, 8), Input())
    net.add("layer", (4, 8, 8), lif(), ("input", conv(4, (1, 8, 8), 3, padding=1)))
    placed = place(net.done("layer"), by_neuron(neurons_per_core=64), FEWEST)
    assert placed.cores == 4
    # a cut by channels would make every spike go to several cores
    assert all(b.tile.lengths[0] == 4 for b in blocks_of(placed, "layer"))
    assert max(b.usage.axons_in for b in blocks_of(placed, "layer")) <= 32


def test_a_kernel_too_large_for_a_core_is_cut_by_channels() -> None:
    net = Net(1)
    net.add("input", (512, 4, 1), Input())
    net.add("layer", (512, 4, 1), lif(), ("input", conv(512, (512, 4, 1), 1)))
    placed = place(net.done("layer"), by_neuron(synapse_words_per_core=12_000), FEWEST)
    # 128 words a channel, 512 channels: 5.5 cores' memory
    assert placed.cores == 6
    assert sum(b.usage.synapse_words for b in placed.blocks) == 128 * 512
    assert all(b.tile.lengths[1] == 4 for b in placed.blocks)


def test_an_attention_product_is_cut_where_nothing_is_sent_twice() -> None:
    net = Net(1)
    net.add("input", (8, 16), Input())
    net.add(
        "k", (8, 16), lif(), ("input", Structured((("n", 8), ("i", 16)), (("n", 8), ("i", 16))))
    )
    k = Structured((("n", 8), ("i", 16)), (("n", 8), ("i", 16), ("j", 16)))
    v = Structured((("n", 8), ("j", 16)), (("n", 8), ("i", 16), ("j", 16)))
    net.add("product", (8, 16, 16), lif(), ("k", k), ("k", v))
    placed = place(net.done("product"), target(neurons_per_core=256), FEWEST)
    tiles = blocks_of(placed, "product")
    # cut along tokens, every spike of k goes to one tile only
    assert all(b.tile.lengths[1:] == (16, 16) for b in tiles)


def test_stateful_neurons_take_more_of_a_core() -> None:
    axes = (("n", 400),)
    net = Net(1)
    net.add("input", (400,), Input())
    net.add("layer", (400,), lif(), ("input", Structured(axes, axes)))
    net.add("out", (400,), Graded(), ("layer", Structured(axes, axes)))
    tight = target(neurons_per_core=400, stateful_neurons_per_core=100)
    placed = place(net.done("out"), tight, FEWEST)
    assert placed.cores == 5  # four for the LIFs, one for the sums
    mixed = Usage(200, 0, 0, 0, 75)
    assert not check_core("", mixed, replace(tight.limits, neurons_per_core=600))
    assert [p.code for p in check_core("", mixed, tight.limits)] == ["SFX-E410"]


@settings(max_examples=20, deadline=None)
@given(axes=st.tuples(*[st.integers(1, 5)] * 3), parts=st.tuples(*[st.integers(1, 5)] * 3))
def test_a_grid_covers_every_neuron_once(
    axes: tuple[int, int, int], parts: tuple[int, int, int]
) -> None:
    grid = Grid(axes, tuple(min(a, p) for a, p in zip(axes, parts, strict=True)))
    owner = owner_of(grid)
    seen = np.zeros(np.prod(axes), dtype=np.int64)
    for b in range(grid.blocks):
        tile = grid.tile(b)
        assert (owner[tile.indices] == b).all()
        assert tile.neurons == tile.indices.size == grid.neurons()[b]
        np.testing.assert_array_equal(tile.of(np.arange(seen.size)).ravel(), tile.indices)
        seen[tile.indices] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize(
    ("start", "stop"), [((0,), (0,)), ((-1,), (2,)), ((0,), (5,)), ((0, 0), (1, 1))]
)
def test_an_impossible_tile_is_refused(start: tuple[int, ...], stop: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no tile"):
        Tile((4,), start, stop)


# --- placement -------------------------------------------------------------------------------


def test_inputs_have_no_core_and_blocks_follow_program_order() -> None:
    program = transformer_like()
    placed = place(program, LOIHI2)
    assert list(dict.fromkeys(b.population for b in placed.blocks)) == [
        p.name for p in program if not isinstance(p.neuron, Input)
    ]
    assert (placed.target, placed.objective, placed.seed) == ("loihi2", "latency", 0)


@pytest.mark.parametrize("objective", ["cores", "latency", "energy", "intel"])
def test_equal_inputs_and_seeds_give_equal_placements(objective: str) -> None:
    small = target(neurons_per_core=50)
    first, second, other = (
        place(transformer_like(), small, MappingOptions(objective, seed)).blocks
        for seed in (1, 1, 2)
    )
    assert first == second
    assert [(b.population, b.tile, b.usage) for b in first] == [
        (b.population, b.tile, b.usage) for b in other
    ]  # the seed is of the placement only


def test_intel_s_rule_gives_each_population_cores_of_its_own() -> None:
    """One piece a core, all of a population's pieces but the last 2^n places of its last axis."""
    placed = place(transformer_like(), target(neurons_per_core=50), MappingOptions("intel"))
    at = [(b.chip, b.core) for b in placed.blocks]
    names = {b.population for b in placed.blocks}
    assert len(set(at)) == len(at) > len(names)
    for population in (p for p in placed.program if p.name in names):
        held = [b.tile for b in placed.blocks if b.population == population.name]
        lengths = [tile.stop[-1] - tile.start[-1] for tile in held[:-1]]
        assert all(n & (n - 1) == 0 for n in lengths), population.name
        assert len(set(lengths)) <= 1


def test_an_unknown_objective_is_named() -> None:
    with pytest.raises(InputError, match=r"SFX-E403 .*'speed'"):
        place(transformer_like(), LOIHI2, MappingOptions("speed"))


def test_a_full_chip_is_followed_by_the_next() -> None:
    two = target(neurons_per_core=64, cores_per_chip=10, chips=4, chip_grid=(2, 2))  # type: ignore[arg-type]
    placed = place(transformer_like(), two, FEWEST)
    assert placed.chips == 2
    assert placed.cores <= 20


def test_fewest_cores_is_close_to_the_lower_bound() -> None:
    small = target(neurons_per_core=64)
    bound, binds = Search(transformer_like(), small, {}).parts.lower_bound()
    assert binds == "neurons"
    assert place(transformer_like(), small, FEWEST).cores <= max(bound + 1, 1.05 * bound)


def test_levelled_cores_are_about_equally_busy() -> None:
    search = Search(transformer_like(), LOIHI2, {})
    few, level = search.best("cores"), search.best("latency")
    assert level.busiest < few.busiest
    assert level.busiest <= max(1.6 * level.busy.mean(), LOIHI2.costs["t_barrier"].value)
    assert level.traffic.packets >= few.traffic.packets  # what it costs


def brute_force(placed: PlacedProgram, b: Block) -> tuple[int, int]:
    """(axons in, axons out) of a block, from the whole matrices."""
    program = placed.program
    axons_in = axons_out = 0
    rows = {
        j.name: matrix(j, program[j.pre].size, program[j.post].size).toarray() != 0
        for j in program.projections
    }
    axons: dict[str, np.ndarray] = {}
    for j in program.incoming[b.population]:
        hits = rows[j.name][b.indices].any(axis=0)
        axons[j.pre] = axons.get(j.pre, False) | hits
    axons_in = sum(int(h.sum()) for h in axons.values())
    for other in placed.blocks:
        reached = np.zeros(b.indices.size, dtype=bool)
        for j in program.incoming[other.population]:
            if j.pre == b.population:
                reached |= rows[j.name][other.indices][:, b.indices].any(axis=0)
        axons_out += int(reached.sum())
    return axons_in, axons_out


def test_axons_are_those_of_the_matrices() -> None:
    placed = place(
        transformer_like(), by_neuron(axons_in_per_core=10**6, neurons_per_core=40), FEWEST
    )
    assert placed.cores > 20
    for b in placed.blocks:
        assert (b.usage.axons_in, b.usage.axons_out) == brute_force(placed, b)


@settings(max_examples=4, deadline=None)
@given(
    neurons=st.integers(8, 200),
    memory=st.integers(150, 600),
    axons=st.integers(60, 200),
    sent=st.integers(30, 300),
    options=st.sampled_from([FEWEST, LEVEL]),
)
def test_whatever_the_limits_the_result_is_legal_or_refused(
    neurons: int, memory: int, axons: int, sent: int, options: MappingOptions
) -> None:
    tight = by_neuron(
        neurons_per_core=neurons,
        synapse_words_per_core=memory,
        axons_in_per_core=axons,
        axons_out_per_core=sent,
    )
    try:
        placed = place(transformer_like(), tight, options)
    except FitError as refusal:
        codes = {p.code for p in refusal.problems}
        assert codes <= {"SFX-E411", "SFX-E412", "SFX-E413", "SFX-E414"}
        return
    for b in placed.blocks:
        axons_in, axons_out = brute_force(placed, b)
        assert b.usage.neurons == b.indices.size <= neurons
        assert b.usage.synapse_words <= memory
        assert axons_in <= axons
        assert axons_out <= sent


def test_the_limits_of_the_property_above_do_bind() -> None:
    free = place(transformer_like(), by_neuron(), FEWEST).cores
    binding = (
        {"neurons_per_core": 60},
        {"synapse_words_per_core": 400},
        {"axons_in_per_core": 200},
        {"axons_out_per_core": 200},
    )
    for limit in binding:
        assert place(transformer_like(), by_neuron(**limit), FEWEST).cores > free, limit


# --- refusals ---------------------------------------------------------------------------------


def test_a_neuron_that_does_not_fit_is_named_with_value_and_limit() -> None:
    program = one_layer(dense(4, 17_000), 17_000, 4)
    with pytest.raises(FitError) as error:
        place(program, LOIHI2)
    assert error.value.code == "SFX-E411"
    assert error.value.exit_status == 1
    text = str(error.value)
    for part in ("layer (net.layer), neuron", "16000 words", "17000", "pool"):
        assert part in text


def test_every_population_that_does_not_fit_is_listed() -> None:
    net = Net(1)
    net.add("input", (17_000,), Input())
    net.add("a", (4,), lif(), ("input", dense(4, 17_000)))
    net.add("b", (4,), lif(), ("input", dense(4, 17_000)))
    with pytest.raises(FitError) as error:
        place(net.done("b"), LOIHI2)
    assert [p.where for p in error.value.problems] == [
        f"{name} (net.{name}), neuron 0" for name in "ab"
    ]


def test_too_many_in_axons() -> None:
    program = one_layer(Structured((("n", 5000),), (("k", 2),)), 5000, 2)
    with pytest.raises(FitError, match=r"SFX-E412 .*4096.*5000"):
        place(program, load("loihi1"))


def test_too_many_cores_names_the_smallest_target_that_fits() -> None:
    net = Net(1)
    net.add("input", (2560,), Input())
    net.add("layer", (3000,), lif(), ("input", dense(3000, 2560)))  # 24 neurons a core
    with pytest.raises(FitError) as error:
        place(net.done("layer"), LOIHI2, FEWEST)
    assert error.value.code == "SFX-E414"
    assert "needs 125 cores, there are 120" in str(error.value)
    assert "kapoho-point (125 of 960 cores)" in str(error.value)


def test_too_many_cores_for_intel_s_rule_names_the_objective_that_fits() -> None:
    net = Net(1)
    net.add("input", (2560,), Input())
    # 4095 // 106 = 38 neurons ask for 9 words an axon, 38 // 2 = 19 for 5; 24 would fit
    net.add("layer", (2800,), lif(), ("input", dense(2800, 2560)))
    with pytest.raises(FitError, match="needs 148 cores") as error:
        place(net.done("layer"), LOIHI2, MappingOptions("intel"))
    assert "--objective cores needs 117" in str(error.value)


def test_intel_s_rule_refuses_a_neuron_too_large_as_the_others_do() -> None:
    net = Net(1)
    net.add("input", (70_000,), Input())
    net.add("layer", (4,), lif(), ("input", dense(4, 70_000)))
    said = []
    for objective in ("cores", "intel"):
        with pytest.raises(FitError) as error:
            place(net.done("layer"), LOIHI2, MappingOptions(objective))
        said.append(str(error.value))
    assert said[0] == said[1]


def test_too_many_cores_and_no_listed_target_can_help() -> None:
    net = Net(1)
    net.add("input", (4,), Input())
    net.add("a", (4,), lif(), ("input", dense(4, 4)))
    net.add("b", (4,), Graded(), ("a", dense(4, 4)), high=2**28)  # more than 24 bits
    own = target(payload_bits=30, cores_per_chip=1, neurons_per_core=4)
    with pytest.raises(FitError, match="no listed target is large enough"):
        place(net.done("b"), own)


def test_graded_spikes_do_not_fit_loihi1() -> None:
    with pytest.raises(FitError) as error:
        place(transformer_like(), load("loihi1"))
    assert {p.code for p in error.value.problems} == {"SFX-E420", "SFX-E421"}
    assert len(error.value.problems) == 4  # the counted input; Product, Graded sum and head


# --- check_placed -----------------------------------------------------------------------------


def altered(placed: PlacedProgram, i: int, **fields: object) -> PlacedProgram:
    blocks = list(placed.blocks)
    blocks[i] = replace(blocks[i], **fields)  # type: ignore[arg-type]
    return replace(placed, blocks=tuple(blocks))


@pytest.fixture
def placed() -> PlacedProgram:
    return place(transformer_like(), LOIHI2, FEWEST)


def refused(placed: PlacedProgram, code: str, where: Target = LOIHI2) -> str:
    with pytest.raises(FitError) as error:
        check_placed(placed, where)
    assert code in [p.code for p in error.value.problems]
    return str(error.value)


def cut(block: Block, stop: int) -> Tile:
    """The first `stop` neurons of a block that holds its whole population."""
    return Tile((block.tile.neurons,), (0,), (stop,))


def test_a_neuron_on_no_core(placed: PlacedProgram) -> None:
    text = refused(altered(placed, 0, tile=cut(placed.blocks[0], 511)), "SFX-E430")
    assert "1 of 512 neurons" in text
    assert "the first, 511, is on 0" in text


def test_a_population_without_blocks(placed: PlacedProgram) -> None:
    refused(replace(placed, blocks=placed.blocks[1:]), "SFX-E430")


def test_a_neuron_on_two_cores(placed: PlacedProgram) -> None:
    extra = replace(placed.blocks[0], tile=Tile((512,), (5,), (6,)), core=50)
    text = refused(replace(placed, blocks=(*placed.blocks, extra)), "SFX-E430")
    assert "5, is on 2" in text


def test_a_tile_of_another_size(placed: PlacedProgram) -> None:
    refused(altered(placed, 0, tile=Tile((513,), (0,), (513,))), "SFX-E430")


def test_a_core_that_is_not_there(placed: PlacedProgram) -> None:
    refused(altered(placed, 0, core=120), "SFX-E431")
    refused(altered(placed, 0, chip=1), "SFX-E431")


def test_an_input_on_a_core(placed: PlacedProgram) -> None:
    extra = replace(placed.blocks[0], population="input", core=50)
    refused(replace(placed, blocks=(*placed.blocks, extra)), "SFX-E430")


def test_a_wrong_record_of_usage(placed: PlacedProgram) -> None:
    refused(altered(placed, 0, usage=Usage(1, 1, 1, 1)), "SFX-E432")


def test_a_core_that_is_too_full(placed: PlacedProgram) -> None:
    one = replace(placed, blocks=tuple(replace(b, core=0) for b in placed.blocks))
    text = refused(one, "SFX-E410", target(neurons_per_core=600))
    assert "chip 0 core" in text
    assert "(gate and head and k and kv and pool and q and stem and sum)" in text


def test_values_are_checked_again(placed: PlacedProgram) -> None:
    refused(placed, "SFX-E421", target(payload_bits=8))


# --- utilization and size -----------------------------------------------------------------------


def test_utilization() -> None:
    placed = place(one_layer(dense(100, 2560), 2560, 100), LOIHI2, FEWEST)
    rows = utilization(placed, LOIHI2)
    assert len(rows) == 5
    assert rows[0].populations == ("layer",)
    assert rows[0].binds == "synapse_words"
    assert rows[0].shares == {
        "neurons": rows[0].usage.neurons / 4095,
        "synapse_words": rows[0].usage.synapse_words / 16000,
        "axons_in": 2560 / 16000,
        "axons_out": rows[0].usage.neurons / 16000,
        "neuron_groups": 1 / 8,
    }


def test_a_core_holds_no_more_populations_than_it_tells_apart() -> None:
    net = Net(1)
    net.add("input", (4,), Input())
    for i in range(20):
        net.add(f"p{i}", (4,), lif(), (f"p{i - 1}" if i else "input", dense(4, 4)))
    program = net.done("p19")
    placed = place(program, LOIHI2, FEWEST)
    assert placed.cores == 3  # of 8, 8 and 4
    one = replace(placed, blocks=tuple(replace(b, core=0) for b in placed.blocks))
    assert "at most 8 populations" in refused(one, "SFX-E415")
    assert place(program, target(neuron_groups_per_core=0), FEWEST).cores == 1


def test_large_populations_cost_no_more_than_their_cores() -> None:
    net = Net(4)
    net.add("input", (4, 256), Input())
    tokens, pairs = (("h", 4), ("n", 256)), (("h", 4), ("n", 256), ("m", 256), ("d", 16))
    net.add("q", (4, 256), lif(), ("input", Structured(tokens, tokens)))
    # 4 million coincidences, counted by tiles: by neuron this would take minutes
    net.add("product", (4, 256, 256, 16), lif(), ("q", Structured(tokens, pairs)))
    net.add("sum", (4, 256), Graded(), ("product", Structured(pairs, tokens)), high=2**14)
    search = Search(net.done("sum"), load("hala-point"), {})
    assert search.bound == 1025  # 4 million neurons of 4095 a core, and the rest
    assert search.best("cores").cores <= 1.05 * search.bound


def test_recurrence_counts_its_own_cores() -> None:
    net = Net(2)
    net.add("input", (4,), Input())
    net.add("layer", (8,), lif(), ("input", dense(8, 4)))
    program = net.done("layer")
    loop = replace(program.projections[0], name="loop", pre="layer", connection=dense(8, 8), lag=1)
    program = replace(program, projections=(*program.projections, loop))
    placed = place(program, by_neuron(neurons_per_core=4, axons_in_per_core=100), FEWEST)
    assert [b.usage.axons_in for b in placed.blocks] == [4 + 8, 4 + 8]
    assert [b.usage.axons_out for b in placed.blocks] == [8, 8]  # 4 neurons x 2 cores


def test_sparse_partition_is_legal() -> None:
    program = one_layer(sparse(300, 400, 0.3), 400, 300)
    got = words(program, target(synapse_words_per_core=4000))
    assert len(got) > 1
    assert max(got) <= 4000
