"""Forms of a neuron that the float Graph computes and no integer population does: refused."""

from __future__ import annotations

from ...ground.errors import Problem, UnsupportedError
from ...ir import graph as g
from ...ir.check import loops
from ...ir.stairs import MOST_LEVELS, stairs


def refuse_forms(graph: g.Graph) -> None:
    """Raises UnsupportedError (SFX-E220 to E229): neurons that have no integer form."""
    problems = [p for n in graph for p in [_problem(n, graph)] if p is not None]
    if problems:
        raise UnsupportedError.of(problems)


def _problem(node: g.Node, graph: g.Graph) -> Problem | None:
    where, op = node.module or node.name, node.op
    if isinstance(op, g.Delay) and op.of(node.shape).min() >= graph.timesteps:
        return Problem(
            "SFX-E223",
            where,
            f"a delay of {op.steps} step(s) is no shorter than a sample of {graph.timesteps}",
            "give longer samples (--timesteps), or leave the branch out: nothing comes of it",
        )
    if isinstance(op, g.Threshold) and _of_membrane(node, graph):
        return Problem(
            "SFX-E229",
            where,
            "a threshold tests a membrane that no reset follows",
            "train neurons with a reset (LIF), or read the membrane out",
        )
    if not isinstance(op, g.LIF | g.IF):
        return None
    if op.fires == "many" and stairs(op) is None:
        return Problem(
            "SFX-E220",
            where,
            "the neuron fires as often in a step as it likes, and nothing bounds the number that "
            "it sends"
            if not op.most
            else f"the neuron fires up to {op.most} times in a step, at most {MOST_LEVELS} fit",
            "train it with a bound (sinabs: spike_fn=MaxSpike(n); rockpool: max_spikes_per_dt=n, "
            f"n up to {MOST_LEVELS}) and say so with --nir-convention",
        )
    if stairs(op) is not None and (found := _integer_problem(node, op, graph)) is not None:
        return found
    if op.fires == "twice":
        return Problem(
            "SFX-E221",
            where,
            "the neuron tests its threshold a second time after a reset by subtraction",
            "train with snnTorch's default reset_delay=True",
        )
    if op.hold:
        return Problem(
            "SFX-E222",
            where,
            f"the membrane is held for {op.hold} step(s) after a spike while the current goes on",
            "train with snnTorch's reset_delay=False or reset_mechanism='subtract'",
        )
    if op.floor is not None:
        return Problem(
            "SFX-E225",
            where,
            f"the membrane is kept at {op.floor:g} or above, on Loihi 2 it has no lower bound",
            "train without a lower bound (sinabs: min_v_mem=None)",
        )
    return None


def _of_membrane(node: g.Node, graph: g.Graph) -> bool:
    """Whether it reads an LI, through whatever is no neuron."""
    before = [graph[p] for p in node.producers]
    return any(
        isinstance(n.op, g.LI) or (not n.op.neuron and _of_membrane(n, graph)) for n in before
    )


def text_of(op: g.LIF | g.IF) -> str:
    """What an integer neuron sends, in words."""
    return "a spike of either sign" if op.fires == "signed" else f"up to {op.most} spikes a step"


def _integer_problem(node: g.Node, op: g.LIF | g.IF, graph: g.Graph) -> Problem | None:
    """What an integer neuron may not have."""
    alone = isinstance(op, g.LIF) and op.keeps_nothing
    own = any(node.name in loop for loop in loops({n.name: n.producers for n in graph}))
    has = {
        "a loop onto itself": own,
        "a reset to a value": op.fires == "many" and not op.subtract and not alone,
        "a start of its own": bool(op.start) and not alone,
        "a scale that the file prescribes": bool(op.unit) and not alone,
    }
    what = next((name for name, found in has.items() if found), None)
    if what is None:
        return None
    return Problem(
        "SFX-E228",
        node.module or node.name,
        f"an integer neuron ({text_of(op)}) with {what} is not mapped",
        "use a plain I-LIF, v <- keep v + x from 0, or neurons that fire once",
    )
