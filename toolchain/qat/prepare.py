"""From a float graph to a `QatModel`: lower, quantize once, train from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..compiler.quantize.options import MOST_COUNTS, Options
from ..compiler.quantize.quantize import Quantized, quantize
from ..formats.fine_tuned import USUAL
from ..ground.errors import UnsupportedError
from ..ir import graph as g
from ..ir.find_facts import with_facts
from ..ir.phases import in_phase_order
from ..ir.program import Program
from .alike import alike
from .membranes import widened
from .model import QatModel, Template


def from_graph(
    imported: g.Graph,
    events: NDArray[np.int64],
    target: str = "loihi",
    options: Options | None = None,
    lowered: Callable[[g.Graph], None] = lambda graph: None,
    *,
    train_zeros: bool = False,
    train: Sequence[str] = USUAL,
) -> QatModel:
    """A torch model whose forward pass is the integer Program of a float graph.

    events   [K, T, *input shape], whole counts, that choose the scales
    train_zeros  weights of 0 are trained; else there is no synapse, and none is added
    train    which of `formats.fine_tuned.TRAINED` are trained
    lowered  receives the neuron form before anything is made of it, and may raise
    Raises SfxError: what quantization and mapping refuse, SFX-E360 what has no torch rule,
    SFX-E371 what cannot be trained.
    """
    from ..compiler.compile import compile_program, neuron_form
    from ..targets import load as load_target

    chosen = load_target(target)
    options = _for_training(imported, events, options or Options())
    graph = neuron_form(imported, chosen, events, options)
    lowered(graph)
    quantized = quantize(graph, events, options=options, arithmetic=chosen.arithmetic)
    if any(q.measured for q in quantized.program):
        with suppress(UnsupportedError):  # then it is refused for the range that was measured
            proved = replace(options, proved=True)
            quantized = quantize(graph, events, options=proved, arithmetic=chosen.arithmetic)
    compile_program(quantized.program, chosen)
    made = replace(template(quantized, graph, target), train=tuple(train))
    return QatModel(replace(made, origins=made.origins.dense) if train_zeros else made)


SPARE = 2
"""Times as many events in a step as in the calibration samples may enter what is trained, where a
wide register sums them.
"""


def _for_training(graph: g.Graph, events: NDArray[np.int64], options: Options) -> Options:
    """Where a reset subtracts, or spikes feed back, the bound of counts follows the data.

    A membrane that holds the worst case of 255 events a step on every input is so coarse that no
    gradient reaches the first layer: its threshold is far below what such inputs could bring.
    """
    wide = any(
        isinstance(n.op, g.LIF | g.IF) and (n.op.subtract or _feeds_back(graph, n)) for n in graph
    )
    most = int(events.max(initial=0))
    said = options.counts or any(n.op.high for n in graph if isinstance(n.op, g.Input))
    if not wide or said or most <= 1:
        return options
    return replace(options, counts=min(SPARE * most, MOST_COUNTS))


def _feeds_back(graph: g.Graph, node: g.Node) -> bool:
    """True if a neuron reads its own spikes."""
    seen: set[str] = set()
    left = list(node.producers)
    while left:
        name = left.pop()
        if name == node.name:
            return True
        if name not in seen and not graph[name].op.neuron:
            left += graph[name].producers
        seen.add(name)
    return False


def template(quantized: Quantized, graph: g.Graph, target: str) -> Template:
    """What the quantizer decided and training keeps."""
    program = widened(quantized.program)
    maps = {n.name for n in graph.of_type(g.TimeMap)}  # whose weights are not trained
    said = {r.population: r.weight_bits for r in quantized.records if r.population not in maps}
    bits = _bits(program, said)
    (output,) = graph.of_type(g.Output)
    assert isinstance(output.op, g.Output)
    return Template(in_phase_order(program), bits, target, output.op.reduce, quantized.origins)


def _bits(program: Program, said: dict[str, int]) -> dict[str, int]:
    """By population; those of a cell have the bits of its neuron, whose name theirs start with."""
    out = dict(said)
    for q in program:
        above = [name for name in said if q.name.startswith(f"{name}.")]
        if q.name not in out and above:
            out[q.name] = said[max(above, key=len)]
    return out


def from_program(
    program: Program,
    target: str = "loihi",
    *,
    train_zeros: bool = False,
    train: Sequence[str] = USUAL,
) -> QatModel:
    """The same for a Program that is there already; its output is the read-out (summed over T).

    What copies of a neuron hold alike stays alike.

    Raises SfxError if it is not legal or does not fit `target`; UnsupportedError (SFX-E360),
    SFX-E371 for what cannot be trained.
    """
    from ..compiler.compile import compile_program
    from ..targets import load as load_target
    from ..targets.widths import for_target

    chosen = load_target(target)
    compile_program(program, chosen)
    program = in_phase_order(with_facts(widened(for_target(program, chosen))))
    origins = alike(program)
    origins = origins.dense if train_zeros else origins
    return QatModel(Template(program, {}, target, "sum", origins, tuple(train)))
