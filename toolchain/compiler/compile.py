"""The compiler: NIR to a placed Program, pass by pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ground.arith import IntArray
from ..ground.memory import require
from ..ir.check import check_graph
from ..ir.check_facts import holding
from ..ir.check_program import check_program
from ..ir.find_facts import with_facts
from ..ir.graph import LIF, Graph, Input
from ..ir.matched import Silence
from ..ir.memory_use import of_compile
from ..ir.placed import PlacedProgram
from ..ir.program import Program
from ..ir.record import LayerRecord
from ..targets.target import Target
from ..targets.widths import for_target
from .cost.synops import synapses
from .mapping.place import MappingOptions, place
from .passes.balance_delays import BalanceDelays
from .passes.base import GraphPass, Trail, Watch, ignore, run_passes
from .passes.fold_batch_norm import FoldBatchNorm
from .passes.fold_convs import FoldConvs
from .passes.fold_gathers import FoldGathers
from .passes.integer_slots import IntegerSlots, left_graded, without_memory
from .passes.lower_max_pool import LowerMaxPool
from .passes.lower_products import LowerProducts
from .passes.part_axes import PartAxes
from .passes.place_relays import PlaceRelays
from .passes.sink_scales import SinkScales
from .quantize.forms import refuse_forms
from .quantize.options import Options
from .quantize.quantize import quantize

TO_NEURON_FORM: tuple[GraphPass, ...] = (
    PartAxes(),
    FoldBatchNorm(),
    FoldGathers(),
    FoldConvs(),
    SinkScales(),
    LowerMaxPool(),
    LowerProducts(),
    PlaceRelays(),
)
Stage = Callable[[str], None]
"""Called with the name of each stage as it begins."""


@dataclass(frozen=True, eq=False)
class Compiled:
    """A placed Program, the graph it came from and what the compiler did.

    graded  integer neurons that send numbers though slots were asked for
    """

    placed: PlacedProgram
    graph: Graph
    records: tuple[LayerRecord, ...]
    seconds: float
    silent: tuple[Silence, ...] = ()
    graded: tuple[str, ...] = ()


def lower(
    graph: Graph,
    input_high: int | None = None,
    trail: Trail | None = None,
    slots: IntegerSlots | None = None,
) -> Graph:
    """The graph in neuron form: one projection between any two neurons.

    input_high: the largest value that may enter, which the input then declares; None: what it
    declares already, else 1. A maximum or a product of spikes is not lowered as one of counts, so
    the quantizer takes no data beyond it. trail: sees the graph after each pass. slots: how integer
    neurons become binary spikes, None: they send numbers. Raises UnsupportedError (SFX-E22x) for
    neurons that have no integer form.
    """
    check_graph(graph)
    graph = without_memory(graph)
    refuse_forms(graph)
    high = input_high or entering(graph, None, None)
    bounded = (replace(n, op=Input(high)) if isinstance(n.op, Input) else n for n in graph)
    passes = TO_NEURON_FORM
    if slots is not None:
        passes = (*passes[:-1], slots, passes[-1])
    return run_passes(graph.with_nodes(bounded), passes, check_graph, trail)


def slots_for(graph: Graph, target: Target, options: Options | None) -> IntegerSlots | None:
    """How integer neurons become binary spikes on `target`; None where they send numbers.

    A number is one message, one population and one copy of the weights behind it, D slots are up to
    D of each: where spikes carry a payload, it always costs less. So slots are for targets without
    one, or for whoever asks for them.
    """
    binary = not target.limits.payload_bits
    asked = (options or Options()).integer_spikes
    found = any(isinstance(n.op, LIF) and n.op.keeps_nothing for n in graph)
    if not (binary or asked == "slots") or not found:
        return None
    return IntegerSlots(relayed=not binary)


def entering(graph: Graph, data: IntArray | None, options: Options | None) -> int:
    """The largest value that may enter: what the options, the model or the data say of it.

    Raises InputError (SFX-E329) if the data hold more.
    """
    declared = [n.op.high for n in graph if isinstance(n.op, Input)]
    return (options or Options()).input_high(data, declared[0] if declared else 0)


def neuron_form(
    graph: Graph,
    target: Target,
    data: IntArray | None = None,
    options: Options | None = None,
    trail: Trail | None = None,
) -> Graph:
    """`lower` as the options want it: what may enter, and how integer neurons send on `target`.

    data: the samples that will be seen [K, T, *input shape]. Raises as `entering` and `lower`.
    """
    slots = slots_for(without_memory(graph), target, options)
    return lower(graph, entering(graph, data, options), trail, slots)


def compile_graph(
    graph: Graph,
    target: Target,
    calibration: NDArray[Any] | None = None,
    stage: Stage = lambda name: None,
    options: Options | None = None,
    mapping: MappingOptions | None = None,
    memory: int | None = None,
    lowered: Callable[[Graph], None] = lambda graph: None,
    watch: Watch = ignore,
) -> Compiled:
    """Lower, quantize, balance delays, partition and place.

    calibration: events [K, T, *input shape]; its spike rates also guide the mapping.
    options: how to quantize; mapping: what the placement is made for.
    lowered: receives the neuron form before anything is made of it, and may raise.
    watch: sees the graph as it was imported ("imported") and what came out of every pass.
    memory: bytes that it may take (default: what is free); SFX-E605 if that cannot be enough.
    Raises SfxError of the pass that cannot go on.
    """
    start = time.perf_counter()
    stage("lower")
    trail = Trail(watch)
    watch("imported", graph)
    data = None if calibration is None else calibration.astype(np.int64)
    form = neuron_form(graph, target, data, options, trail)
    lowered(form)
    samples = 0 if calibration is None else len(calibration)
    require(of_compile(form, samples), "compiling it", allowed=memory)
    stage("quantize")
    quantized = quantize(form, data, options=options, arithmetic=target.arithmetic)
    trail.add("quantize", quantized.program)
    counted = {r.population: r.rate for r in quantized.records if r.rate is not None}
    chosen = mapping or MappingOptions()
    chosen = replace(chosen, known=counted | dict(chosen.known))
    placed = compile_program(quantized.program, target, stage, chosen, trail)
    seconds = time.perf_counter() - start
    graded = left_graded(form, (options or Options()).integer_spikes)
    return Compiled(placed, form, quantized.records, seconds, quantized.silent, graded)


def compile_program(
    program: Program,
    target: Target,
    stage: Stage = lambda name: None,
    mapping: MappingOptions | None = None,
    trail: Trail | None = None,
) -> PlacedProgram:
    """Balance delays, partition and place a Program; all that integers still need.

    trail: what ran before; without one the Program is what was imported.
    Raises SfxError of the pass that cannot go on, FitError (SFX-E406) if its integers are for
    other widths than the target's.
    """
    stage("balance delays")
    program = for_target(program, target)
    steps = (BalanceDelays(target.limits.max_delay),)
    balanced = holding(with_facts(run_passes(program, steps, lambda program: None, trail)))
    check_program(balanced, balanced=True)
    stage("place")
    return place(balanced, target, mapping)


def statistics(program: Program) -> dict[str, int]:
    """Counts that the compiler prints: populations, neurons, synapses, depth, timesteps."""
    total = sum(synapses(program, j) for j in program.projections)
    return {
        "populations": len(program.populations),
        "projections": len(program.projections),
        "neurons": sum(p.size for p in program),
        "synapses": total,
        "depth": program.depth,
        "timesteps": program.timesteps,
    }
