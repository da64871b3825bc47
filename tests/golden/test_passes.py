"""What every pass makes of a small graph, in text: a pass that changes is seen in a diff.

`pytest tests/golden --update-golden` rewrites `passes/NAME.txt`; read the diff.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from sfx.toolchain.compiler.compile import TO_NEURON_FORM
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.passes.base import Pass, run_passes
from sfx.toolchain.compiler.passes.fold_batch_norm import FoldBatchNorm
from sfx.toolchain.compiler.passes.fold_convs import FoldConvs
from sfx.toolchain.compiler.passes.fold_gathers import FoldGathers
from sfx.toolchain.compiler.passes.lower_max_pool import LowerMaxPool
from sfx.toolchain.compiler.passes.lower_products import LowerProducts
from sfx.toolchain.compiler.passes.part_axes import PartAxes
from sfx.toolchain.compiler.passes.place_relays import PlaceRelays
from sfx.toolchain.compiler.passes.sink_scales import SinkScales
from sfx.toolchain.compiler.passes.standard_nodes import StandardNodes
from sfx.toolchain.compiler.standard_nir import STEPS
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.check import check_graph
from sfx.toolchain.ir.text import graph_text, program_text
from tests.unit.ir.graphs import node

FOLDER = Path(__file__).parent / "passes"
LIF = g.LIF(0.5, 1.0)


def weights(*shape: int) -> np.ndarray:
    """Quarters, the same for the same shape."""
    return (np.arange(np.prod(shape)).reshape(shape) % 7 - 2) / 4


def conv(out: int, inner: int, kernel: int, pad: int = 0) -> g.Conv2d:
    return g.Conv2d(weights(out, inner, kernel, kernel), weights(out), padding=(pad, pad))


def norm(channels: int) -> g.BatchNorm:
    gain = 1 + np.arange(channels) / 2
    return g.BatchNorm(gain, gain - 1, gain / 4, np.full(channels, 4.0), 0.0)


def graph(*nodes: g.Node) -> g.Graph:
    last = nodes[-1]
    return g.Graph((*nodes, node("output", g.Output("sum"), last.shape, last.name)), 3)


def norms() -> g.Graph:
    """A norm behind a layer, one before a layer, and one with neither beside it."""
    return graph(
        node("input", g.Input(1), (2, 4, 4)),
        node("a", conv(3, 2, 3, 1), (3, 4, 4), "input"),
        node("a.norm", norm(3), (3, 4, 4), "a"),
        node("a.lif", LIF, (3, 4, 4), "a.norm"),
        node("b.norm", norm(3), (3, 4, 4), "a.lif"),
        node("b", conv(2, 3, 1), (2, 4, 4), "b.norm"),
        node("b.lif", LIF, (2, 4, 4), "b"),
        node("c.norm", norm(2), (2, 4, 4), "b.lif"),
        node("c.lif", LIF, (2, 4, 4), "c.norm"),
    )


def rep_conv() -> g.Graph:
    """1x1, 3x3 and 1x1 without a neuron between them, and a pair that padding keeps apart."""
    return graph(
        node("input", g.Input(1), (2, 5, 5)),
        node("a", conv(2, 2, 1), (2, 5, 5), "input"),
        node("b", conv(2, 2, 3), (2, 3, 3), "a"),
        node("c", conv(2, 2, 1), (2, 3, 3), "b"),
        node("lif", LIF, (2, 3, 3), "c"),
        node("d", conv(2, 2, 1), (2, 3, 3), "lif"),
        node("e", conv(2, 2, 3, 1), (2, 3, 3), "d"),
        node("last", LIF, (2, 3, 3), "e"),
    )


def halves() -> g.Graph:
    """A layer and a neuron that are read in halves, and a concatenation behind a norm."""
    return graph(
        node("input", g.Input(1), (2, 4, 4)),
        node("a", conv(4, 2, 3, 1), (4, 4, 4), "input"),
        node("a.lif", LIF, (4, 4, 4), "a"),
        node("first", g.Gather(0, (0, 1)), (2, 4, 4), "a.lif"),
        node("second", g.Gather(0, (2, 3)), (2, 4, 4), "a.lif"),
        node("b.lif", LIF, (2, 4, 4), "first"),
        node("left", g.Gather(0, (0, 1, -1, -1)), (4, 4, 4), "b.lif"),
        node("right", g.Gather(0, (-1, -1, 0, 1)), (4, 4, 4), "second"),
        node("norm", norm(4), (4, 4, 4), ("left", "right")),
        node("last", LIF, (4, 4, 4), "norm"),
    )


def choices() -> g.Graph:
    """A concatenation, uneven padding and repeated rows before layers, and a stride behind one."""
    return graph(
        node("input", g.Input(1), (2, 4, 4)),
        node("left", g.Gather(0, (0, 1, -1, -1)), (4, 4, 4), "input"),
        node("right", g.Gather(0, (-1, -1, 1, 0)), (4, 4, 4), "input"),
        node("a", conv(2, 4, 1), (2, 4, 4), ("left", "right")),
        node("a.lif", LIF, (2, 4, 4), "a"),
        node("padded", g.Gather(1, (-1, 0, 1, 2, 3)), (2, 5, 4), "a.lif"),
        node("b", conv(2, 2, 2), (2, 4, 3), "padded"),
        node("odd", g.Gather(1, (1, 3)), (2, 2, 3), "b"),
        node("b.lif", LIF, (2, 2, 3), "odd"),
        node("twice", g.Gather(1, (0, 0, 1, 1)), (2, 4, 3), "b.lif"),
        node("c", conv(2, 2, 3, 1), (2, 4, 3), "twice"),
        node("last", LIF, (2, 4, 3), "c"),
    )


def scaled_attention() -> g.Graph:
    """(counts * 1/8) times spikes, summed: the factor goes behind the sum."""
    return graph(
        node("input", g.Input(1), (2, 3)),
        node("counts", g.Integrator(), (2, 3), "input"),
        node("scale", g.Scale(0.125), (2, 3), "counts"),
        node("product", g.Product(), (2, 3), "scale", "input"),
        node("sum", g.ReduceSum((1,)), (2,), "product"),
        node("lif", LIF, (2,), "sum"),
    )


def pools() -> g.Graph:
    """A maximum of spikes and one of currents."""
    return graph(
        node("input", g.Input(1), (2, 4, 4)),
        node("spikes", g.MaxPool2d((2, 2), (2, 2)), (2, 2, 2), "input"),
        node("currents", conv(2, 2, 1), (2, 2, 2), "spikes"),
        node("largest", g.MaxPool2d((1, 2), (1, 2)), (2, 2, 1), "currents"),
        node("lif", LIF, (2, 2, 1), "largest"),
    )


def products() -> g.Graph:
    """Spikes times spikes, and spikes times counts."""
    return graph(
        node("input", g.Input(1), (4,)),
        node("both", g.Product(), (4,), "input", "input"),
        node("counts", g.Integrator(), (4,), "both"),
        node("weighted", g.Product(), (4,), "counts", "input"),
        node("lif", LIF, (4,), "weighted"),
    )


def residual() -> g.Graph:
    """A sum that two layers read, and weights behind a sum over an axis."""
    return graph(
        node("input", g.Input(1), (2, 2)),
        node("lif", LIF, (2, 2), "input"),
        node("stream", g.Sum(), (2, 2), ("input", "lif")),
        node("a", LIF, (2, 2), "stream"),
        node("next", g.Sum(), (2, 2), ("stream", "a")),
        node("mean", g.ReduceSum((1,)), (2,), "next"),
        node("head", g.Linear(weights(3, 2), weights(3)), (3,), "mean"),
        node("last", LIF, (3,), "head"),
    )


def views() -> g.Graph:
    """Tokens in another order, and a sum over them."""
    return graph(
        node("input", g.Input(1), (2, 3)),
        node("turned", g.Permute((1, 0)), (3, 2), "input"),
        node("lif", LIF, (3, 2), "turned"),
        node("sum", g.ReduceSum((0,)), (2,), "lif"),
        node("last", LIF, (2,), "sum"),
    )


def skip() -> p.Program:
    """in -> a -> b -> c beside in -> c, on a chip whose delays end at 2 steps."""
    one = p.Structured((("n", 2),), (("n", 2),))
    names = ("in", "a", "b", "c")
    pops = [p.Population(n, (2,), p.Input() if n == "in" else p.Graded(), 0, 9) for n in names]
    ends = [("in", "a"), ("a", "b"), ("b", "c"), ("in", "c")]
    js = [p.Projection(f"{a}->{b}", a, b, one) for a, b in ends]
    return p.Program(tuple(pops), tuple(js), 4, p.Readout("c", 1.0, (0, 0)))


CASES: dict[str, tuple[Pass, g.Graph | p.Program]] = {  # type: ignore[type-arg]
    step.name: (step, before)
    for step, before in (
        (PartAxes(), halves()),
        (FoldBatchNorm(), norms()),
        (FoldGathers(), choices()),
        (FoldConvs(), rep_conv()),
        (SinkScales(), scaled_attention()),
        (LowerMaxPool(), pools()),
        (LowerProducts(), products()),
        (PlaceRelays(), residual()),
        (StandardNodes(), views()),
        (BalanceDelays(2), skip()),
    )
}


def text_of(form: g.Graph | p.Program) -> str:
    return graph_text(form) if isinstance(form, g.Graph) else program_text(form)


def told(step: Pass, before: g.Graph | p.Program) -> str:  # type: ignore[type-arg]
    """The form before and after the pass."""
    if isinstance(before, g.Graph):
        check_graph(before)
    after = run_passes(before, [step], check_graph if isinstance(before, g.Graph) else id)
    return f"before\n{text_of(before)}\nafter {step.name}\n{text_of(after)}{arrays(after)}"


def arrays(form: g.Graph | p.Program) -> str:
    """Every number of the arrays, of which the text says the range."""
    if isinstance(form, p.Program):
        return ""
    return "".join(
        f"  {n.name}.{f.name} {' '.join(f'{v:g}' for v in getattr(n.op, f.name).ravel())}\n"
        for n in form
        for f in fields(n.op)
        if isinstance(getattr(n.op, f.name), np.ndarray)
    )


@pytest.mark.parametrize("name", CASES)
def test_a_pass_does_what_it_did(name: str, request: pytest.FixtureRequest) -> None:
    path, text = FOLDER / f"{name}.txt", told(*CASES[name])
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{path.name} is missing: run with --update-golden"
    assert path.read_text(encoding="utf-8") == text


def test_every_pass_has_a_golden_and_no_golden_is_left_over() -> None:
    steps = [*TO_NEURON_FORM, *STEPS, BalanceDelays(1)]
    assert {step.name for step in steps} == set(CASES)
    assert {f.stem for f in FOLDER.glob("*.txt")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_pass_that_changes_is_seen(name: str) -> None:
    """The case exercises the pass: one that did nothing, or gave other constants, would differ."""
    golden = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    before, _, after = golden.partition(f"\nafter {name}\n")
    untouched = before.removeprefix("before\n")
    assert not after.startswith(untouched), "the pass has nothing to do in its case"


def test_other_constants_are_seen() -> None:
    """Another factor, threshold, weight or order of operands each give another text."""
    golden = (FOLDER / "lower-products.txt").read_text(encoding="utf-8")
    step, before = CASES["lower-products"]

    class Changed(LowerProducts):
        def run(self, graph: g.Graph) -> g.Graph:
            made = super().run(graph)
            return made.with_nodes(
                replace(n, op=g.Threshold(1.25)) if isinstance(n.op, g.Threshold) else n
                for n in made
            )

    assert told(step, before) == golden
    assert told(Changed(), before) != golden
