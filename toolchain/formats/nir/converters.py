"""NIR -> Graph, node by node: one converter per node type.

Each takes a NIR node whose operands are already in the Graph and adds what stands for it there.
Raises ShapeProblem where shapes do not fit, and what a malformed field makes Python raise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import nir
import numpy as np

from ...ir import graph as g
from ...ir.check import ShapeProblem
from ...ir.graph import Shape
from ...ir.single import reached
from . import ext
from .graph_builder import GraphBuilder, Junction, shape_of

NO_THRESHOLD = 1.0
"""Of a neuron that does not fire: any number will do."""
LONGEST = 1 << 31
"""Steps of a delay: array indices count them."""


def _f64(values: object) -> g.FloatArray:
    return np.asarray(values, dtype=np.float64)


def _whole(value: float) -> float:
    """A product r * dt is meant as a whole number where it is one up to rounding (1/dt * dt)."""
    nearest = round(value)
    return float(nearest) if abs(value - nearest) <= 1e-12 * abs(nearest) else value


def _input(b: GraphBuilder, node: nir.Input) -> None:
    b.shape = shape_of(node.input_type["input"])
    b.add(g.Input(high=b.facts.get("high", 0)))


def _output(b: GraphBuilder, node: nir.Output) -> None:
    weights = tuple(float(w) for w in b.facts.get("weights", "").split())
    b.add(g.Output(b.facts.get("reduce", "none"), weights))


def _sum(b: GraphBuilder, node: nir.NIRNode) -> None:
    b.add(g.Sum())


def _affine(b: GraphBuilder, node: nir.Affine | nir.Linear) -> None:
    weight = _f64(node.weight)
    bias = _f64(node.bias) if isinstance(node, nir.Affine) else np.zeros(weight.shape[0])
    b.add(g.Linear(weight, bias))


def _scale(b: GraphBuilder, node: nir.Scale) -> None:
    _multiply(b, _f64(node.scale))


def _multiply(b: GraphBuilder, scale: g.FloatArray, part: str = "") -> None:
    """Ones: a junction; one number: Scale; else a batch norm, per axis or per neuron."""
    first = float(scale.flat[0])
    if np.all(scale == first):
        b.add(g.Sum() if first == 1.0 else g.Scale(first), part)
        return
    for axis in range(scale.ndim):
        along = np.moveaxis(scale, axis, 0).reshape(scale.shape[axis], -1)
        if np.all(along == along[:, :1]):
            c = scale.shape[axis]
            factor = g.BatchNorm(along[:, 0], np.zeros(c), np.zeros(c), np.ones(c), 0.0, axis)
            b.add(factor, part)
            return
    shape, n = b.shape, scale.size
    lead = f"{part}." if part else ""
    b.add(g.Reshape(), f"{lead}flat", (n,))
    b.add(g.BatchNorm(scale.ravel(), np.zeros(n), np.zeros(n), np.ones(n), 0.0), f"{lead}factor")
    b.add(g.Reshape(), part, shape=shape)


def _gains(b: GraphBuilder, node: nir.NIRNode, *names: str, unit: float = 1.0) -> list[float]:
    """The one value of each factor of the input, times `unit`.

    Factors that differ between neurons multiply what arrives, so that the weights before take them
    in; they count as 1 in the neuron.
    """
    arrays = [_f64(getattr(node, n)) * unit for n in names]
    differ = [a.size > 1 and not np.all(a == a.flat[0]) for a in arrays]
    if any(differ):
        factors = [np.broadcast_to(a, b.shape) for a, d in zip(arrays, differ, strict=True) if d]
        _multiply(b, np.prod(factors, axis=0), "gain")
    return [1.0 if d else float(a.flat[0]) for a, d in zip(arrays, differ, strict=True)]


def _padding(node: nir.NIRNode, kernel: Shape, dilation: Shape) -> Shape:
    if not isinstance(node.padding, str | bytes):
        return ext._ints(node.padding, len(kernel))
    if node.padding in ("valid", b"valid"):
        return (0,) * len(kernel)
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if any(r % 2 for r in reach) or any(s != 1 for s in ext._ints(node.stride)):
        raise ShapeProblem("padding 'same' needs odd windows and stride 1 here")
    return tuple(r // 2 for r in reach)


def _bias(node: nir.NIRNode, channels: int) -> g.FloatArray:
    return np.zeros(channels) if node.bias is None else _f64(node.bias)


def _conv1d(b: GraphBuilder, node: nir.Conv1d) -> None:
    weight = _f64(node.weight)[:, :, :, None]
    dilation = ext._ints(node.dilation, 1)
    (padding,) = _padding(node, weight.shape[2:3], dilation)
    (stride,) = ext._ints(node.stride, 1)
    if len(b.shape) != 2:
        raise ShapeProblem(f"needs an input (C, N), got {b.shape}")
    b.add(g.Reshape(), "in", (*b.shape, 1))
    op = g.Conv2d(
        weight,
        _bias(node, weight.shape[0]),
        (stride, 1),
        (padding, 0),
        (dilation[0], 1),
        int(node.groups),
    )
    b.add(op, "conv")
    b.add(g.Reshape(), shape=b.shape[:2])


def _conv2d(b: GraphBuilder, node: nir.Conv2d | ext.GroupedConv2d) -> None:
    weight = _f64(node.weight)
    dilation = ext._ints(node.dilation, 2)
    padding = _padding(node, weight.shape[2:], dilation)
    stride = ext._ints(node.stride, 2)
    b.add(
        g.Conv2d(
            weight,
            _bias(node, weight.shape[0]),
            (stride[0], stride[1]),
            (padding[0], padding[1]),
            (dilation[0], dilation[1]),
            int(node.groups),
        )
    )


def _pairs(*values: object) -> Iterator[tuple[int, int]]:
    for value in values:
        first, second = ext._ints(value, 2)
        yield first, second


def _sum_pool(b: GraphBuilder, node: nir.SumPool2d) -> None:
    b.add(g.SumPool2d(*_pairs(node.kernel_size, node.stride, node.padding)))


def _avg_pool(b: GraphBuilder, node: nir.AvgPool2d) -> None:
    kernel, stride, padding = _pairs(node.kernel_size, node.stride, node.padding)
    b.add(g.SumPool2d(kernel, stride, padding), "sum")
    b.add(g.Scale(1.0 / (kernel[0] * kernel[1])))


def _max_pool(b: GraphBuilder, node: ext.MaxPool2d) -> None:
    b.add(g.MaxPool2d(*_pairs(node.kernel, node.stride, node.padding)))


def _flatten(b: GraphBuilder, node: nir.Flatten) -> None:
    start, end = int(node.start_dim), int(node.end_dim)
    start = start + len(b.shape) if start < 0 else start
    end = end + len(b.shape) if end < 0 else end
    if not 0 <= start <= end < len(b.shape):
        raise ShapeProblem(f"cannot flatten axes {start} to {end} of {b.shape}")
    middle = int(np.prod(b.shape[start : end + 1]))
    b.add(g.Reshape(), shape=(*b.shape[:start], middle, *b.shape[end + 1 :]))


def _integrator(b: GraphBuilder, node: nir.I) -> None:
    (gain,) = _gains(b, node, "r", unit=b.dt)
    b.add(g.Integrator(_whole(gain)))


def _subtract(b: GraphBuilder) -> bool:
    mode = b.facts.get("reset_mode", "value")
    if mode not in ("value", "subtract"):
        b.problem("SFX-E211", f"reset_mode is {mode!r}, but must be 'value' or 'subtract'")
    return bool(mode == "subtract")


def _if(b: GraphBuilder, node: nir.IF) -> None:
    threshold, reset = b.uniform(node, "v_threshold", "v_reset")
    (gain,) = _gains(b, node, "r", unit=b.dt)
    _neuron(b, g.IF(threshold, _whole(gain), reset, _subtract(b)))


def _lif(b: GraphBuilder, node: nir.LIF) -> None:
    tau, leak, threshold, reset = b.uniform(node, "tau", "v_leak", "v_threshold", "v_reset")
    (r,) = _gains(b, node, "r")
    decay = _decay(b, "tau", tau, "decay")
    if decay is not None:
        _neuron(b, g.LIF(decay, threshold, r, leak, reset, _subtract(b)))


def _cuba_lif(b: GraphBuilder, node: nir.CubaLIF) -> None:
    tau, tau_syn, leak, threshold, reset = b.uniform(
        node, "tau_mem", "tau_syn", "v_leak", "v_threshold", "v_reset"
    )
    r, w_in = _gains(b, node, "r", "w_in")
    decay = _decay(b, "tau_mem", tau, "decay")
    syn = _decay(b, "tau_syn", tau_syn, "syn")
    if decay is not None and syn is not None:
        made = g.LIF(decay, threshold, r, leak, reset, _subtract(b), syn=syn, w_in=w_in)
        _neuron(b, made)


def _li(b: GraphBuilder, node: nir.LI) -> None:
    tau, leak = b.uniform(node, "tau", "v_leak")
    (r,) = _gains(b, node, "r")
    decay = _decay(b, "tau", tau, "decay")
    if decay is not None:
        _membrane(b, g.LIF(decay, NO_THRESHOLD, r, leak))


def _cuba_li(b: GraphBuilder, node: nir.CubaLI) -> None:
    tau, tau_syn, leak = b.uniform(node, "tau_mem", "tau_syn", "v_leak")
    r, w_in = _gains(b, node, "r", "w_in")
    decay = _decay(b, "tau_mem", tau, "decay")
    syn = _decay(b, "tau_syn", tau_syn, "syn")
    if decay is not None and syn is not None:
        _membrane(b, g.LIF(decay, NO_THRESHOLD, r, leak, syn=syn, w_in=w_in))


def _membrane(b: GraphBuilder, op: g.LIF) -> None:
    """A membrane that never fires, as the framework computes that of a neuron that does."""
    made = b.reader.neuron(op, "LI")
    assert isinstance(made, g.LIF)
    start = float(b.facts.get("start", 0.0 if b.options.rules.start == "reset" else made.start))
    b.add(g.LI(made.decay, made.gain, made.leak, made.syn, made.w_in, start))


def _neuron(b: GraphBuilder, op: g.LIF | g.IF) -> None:
    rules = b.options.rules
    if isinstance(op, g.IF) and (rules.tau_syn or rules.bias):
        b.problem("SFX-E226", "an IF with a current or a bias of its own is not mapped")
        return
    threshold, meant = reached(op.threshold)
    if b.facts.get("reached"):  # of any threshold, also of one that is no float32 number
        threshold, meant = math.nextafter(op.threshold, math.inf), True
    op = replace(op, threshold=threshold, reached=meant, **_extra(b))
    made = b.reader.neuron(op)
    if not b.options.rules.late:
        b.add(made)
        return
    b.add(made, "spikes")
    b.add(g.Delay(1))


def _decay(b: GraphBuilder, name: str, tau: float, fact: str) -> float | None:
    """What a step takes away, to the bit as the fact says it; None after a problem."""
    decay = b.reader.decay(tau)
    if not 0 < decay <= 1:
        b.problem(
            "SFX-E214",
            f"{name} is {tau:.9g} s, less than one step of dt = {b.dt:g} s",
            "NIR files do not contain dt: give that of the framework which wrote this one "
            "(--dt 1e-4), or the framework (--nir-convention)",
        )
        return None
    exact = float(b.facts.get(fact, decay))
    # tau was changed after the fact was written
    return decay if abs(exact - decay) > 4 * np.spacing(decay) else exact


def _extra(b: GraphBuilder) -> dict[str, Any]:
    found: dict[str, Any] = {
        k: float(b.facts[k]) for k in ("start", "drop", "unit", "floor") if k in b.facts
    }
    return found | {k: b.facts[k] for k in ("fires", "hold", "most") if k in b.facts}


def _delay(b: GraphBuilder, node: nir.Delay) -> None:
    seconds = np.asarray(node.delay, np.float64)
    longest = float(seconds.max(initial=0.0))
    if longest > LONGEST * b.dt:
        b.problem("SFX-E214", f"a delay of {longest:g} s is longer than any sample")
        return
    steps = seconds / b.dt
    whole = np.rint(steps)
    off = np.abs(steps - whole) > 1e-6 * np.maximum(np.abs(steps), 1.0)
    if off.any() or steps.min(initial=0.0) < 0:
        worst = float(steps[off].flat[0] if off.any() else steps.min())
        b.problem(
            "SFX-E214",
            f"delay is {worst * b.dt:g} s, which is not a whole number of steps of {b.dt:g} s",
            "round the delays to whole steps before the export, or give the step (--dt)",
        )
        return
    most = int(whole.max(initial=0))
    if most == 0:
        b.add(g.Sum())
    elif np.all(whole == most):
        b.add(g.Delay(most))
    else:
        b.add(g.Delay(most, tuple(int(d) for d in whole.ravel())))


def _threshold(b: GraphBuilder, node: nir.Threshold) -> None:
    (threshold,) = b.uniform(node, "threshold")
    b.add(g.Threshold(threshold))


def _product(b: GraphBuilder, node: ext.Product) -> None:
    operands = b.inputs
    if len(operands) < 2:
        b.problem("SFX-E213", f"a Product needs at least 2 in-edges, has {len(operands)}")
        return
    last = operands[0]
    for i, operand in enumerate(operands[1:], start=2):
        part = "" if i == len(operands) else f"first{i}"
        last = b.add(g.Product(), part, inputs=((last,), (operand,)))


def _time_sum(b: GraphBuilder, node: ext.TimeSum) -> None:
    b.add(g.TimeSum())


def _group_sum(b: GraphBuilder, node: ext.GroupSum) -> None:
    b.add(g.TimeSum(node.group))


def _time_map(b: GraphBuilder, node: ext.TimeMap) -> None:
    b.add(g.TimeMap(_f64(node.weight), _f64(node.bias)))


def _expand(b: GraphBuilder, node: ext.Expand) -> None:
    b.add(g.Expand(), shape=node.output_shape)


def _reduce_sum(b: GraphBuilder, node: ext.ReduceSum) -> None:
    b.add(g.ReduceSum(node.axes))


def _permute(b: GraphBuilder, node: ext.Permute) -> None:
    b.add(g.Permute(node.order))


def _reshape(b: GraphBuilder, node: ext.Reshape) -> None:
    b.add(g.Reshape(), shape=node.output_shape)


def _gather(b: GraphBuilder, node: ext.Gather) -> None:
    b.add(g.Gather(node.axis, node.index))


def _batch_norm(b: GraphBuilder, node: ext.BatchNorm) -> None:
    weight, bias, mean, var = (_f64(a) for a in (node.weight, node.bias, node.mean, node.var))
    b.add(g.BatchNorm(weight, bias, mean, var, node.eps, node.axis))


CONVERTERS: dict[type[nir.NIRNode], Callable[[GraphBuilder, Any], None]] = {
    nir.Input: _input,
    nir.Output: _output,
    Junction: _sum,
    nir.Affine: _affine,
    nir.Linear: _affine,
    nir.Scale: _scale,
    nir.Conv1d: _conv1d,
    nir.Conv2d: _conv2d,
    nir.SumPool2d: _sum_pool,
    nir.AvgPool2d: _avg_pool,
    nir.Flatten: _flatten,
    nir.I: _integrator,
    nir.IF: _if,
    nir.LI: _li,
    nir.CubaLI: _cuba_li,
    nir.LIF: _lif,
    nir.CubaLIF: _cuba_lif,
    nir.Threshold: _threshold,
    nir.Delay: _delay,
    ext.Product: _product,
    ext.TimeSum: _time_sum,
    ext.GroupSum: _group_sum,
    ext.TimeMap: _time_map,
    ext.Expand: _expand,
    ext.ReduceSum: _reduce_sum,
    ext.Permute: _permute,
    ext.Reshape: _reshape,
    ext.Gather: _gather,
    ext.MaxPool2d: _max_pool,
    ext.BatchNorm: _batch_norm,
    ext.GroupedConv2d: _conv2d,
}
