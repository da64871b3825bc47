"""The table of rules: ATen op name -> the function that turns one traced node into NIR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, fx

Rule = Callable[..., Any]
"""rule(emitter, fx node, *args, **kwargs), args as traced with streams and constants in place."""

RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a function for the ATen ops `names`, all overloads."""

    def register(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return register


def result_shape(node: fx.Node) -> tuple[int, ...]:
    """Shape of the first tensor that a traced node makes."""
    value = node.meta["val"]
    first = value if isinstance(value, Tensor) else value[0]
    return tuple(int(n) for n in first.shape)


def per_axis(values: Sequence[int] | int, rank: int) -> tuple[int, ...]:
    """An argument as torch takes it, one number for all `rank` axes or one for each."""
    listed = [values] if isinstance(values, int) else list(values)
    return tuple(int(v) for v in (listed * rank if len(listed) == 1 else listed))


SPIKING = "use a spiking neuron (MultiStep) as the nonlinearity"
COMPARES = (
    "only a neuron module compares: use one of SpikingJelly, snnTorch or Norse instead of a neuron "
    "written out in forward()"
)
INTEGERS = (
    "an integer neuron is a module of its own, round(clamp(x, 0, D)) and nothing else: use "
    "MultiSpike or integer_lif of sfx.frontends.neurons.integer, or SpikingJelly's ILIFNode"
)
RANDOM = "nothing random is deployed: draw spikes beforehand and give them as samples"
LARGEST = "use MaxPool2d on spikes; over the steps take x.max(dim), and return that"
HINTS: dict[str, str] = {
    "log_softmax": "return the logits: the largest one is the most likely class",
    "softmax": "attention over spikes needs none: (q k^T) v * scale, then a neuron",
    "layer_norm": "use BatchNorm, which folds into the weights",
    "group_norm": "use BatchNorm, which folds into the weights",
    "instance_norm": "use BatchNorm, which folds into the weights",
    "rms_norm": "use BatchNorm, which folds into the weights",
    "batch_norm": "use track_running_stats=True and export in eval mode",
    "gelu": SPIKING,
    "relu": SPIKING,
    "silu": SPIKING,
    "elu": SPIKING,
    "sigmoid": SPIKING,
    "tanh": SPIKING,
    "hardtanh": SPIKING,
    **dict.fromkeys(("gt", "ge", "lt", "le", "eq", "ne", "where", "heaviside"), COMPARES),
    "round": INTEGERS,
    "clamp": INTEGERS,
    "cat": "join parts of the value at one step; steps only in order, all of them",
    "stack": "stack the steps of one stream, all of them in order",
    "as_strided": "use x.unfold(dim, size, step), or slices",
    "bilinear": "use mode='nearest', or a transposed convolution",
    "bicubic": "use mode='nearest', or a transposed convolution",
    "scaled_dot_product": "it holds a softmax; write (q k^T) v * scale on spikes",
    "rand_like": RANDOM,
    "bernoulli": RANDOM,
    "fft": "Fourier transforms are not mapped",
}
"""Word in the name of an op without a rule -> what to use instead."""


MAPPED = (
    "mapped: conv1d, conv2d, linear, matmul, batch_norm, max and mean pools, add, sub, mul, "
    "division by a constant, mean and sum, cumsum over time, views, permutes, broadcasts, slices, "
    "splits, concatenations, padding, nearest upsampling"
)


def hint_for(name: str) -> str:
    """What to use instead of the op `name`."""
    base = name.partition("::")[2].strip("_")
    if base in HINTS:
        return HINTS[base]
    found = [k for k in HINTS if len(k) > 3 and k in base]
    return HINTS[max(found, key=len)] if found else MAPPED
