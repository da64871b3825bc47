"""What writer and reader of ONNX models agree on: our domain and its operators."""

from __future__ import annotations

from ...ir import graph as g

DOMAIN = "ai.sfx"
VERSION = 1
OPSET = 17
NUMBERS: dict[type[g.Op], tuple[str, ...]] = {
    g.LIF: ("decay", "threshold", "gain", "leak", "reset", "syn", "w_in", "start", "drop", "unit"),
    g.IF: ("threshold", "gain", "reset", "start", "drop", "unit"),
    g.LI: ("decay", "gain", "leak", "syn", "w_in", "start"),
    g.Threshold: ("threshold",),
    g.Integrator: ("gain",),
}
"""Neuron -> its constants, in the order of the operator's inputs after x, as float64 scalars."""
RARE: dict[str, object] = {"fires": "once", "hold": 0, "most": 0, "floor": None}
"""Constants of a neuron that no operator of ours takes -> where they say nothing."""
EQUATIONS: dict[str, str] = {
    "LIF": "x, y [T, ...]; per step t: i = i + syn (w_in x[t] - i); v = v + decay ((leak - v) + "
    "gain i); y[t] = v > threshold, or with reached v >= threshold; where y[t]: v = reset, or with "
    "subtract v = v - drop (drop 0: threshold). Before step 0: i = 0, v = start.",
    "IF": "x, y [T, ...]; per step t: v = v + gain x[t]; y[t] = v > threshold, or with reached "
    "v >= threshold; where y[t]: v = reset, or with subtract v = v - drop (drop 0: threshold). "
    "Before step 0: v = start.",
    "LI": "x, y [T, ...]; per step t: i = i + syn (w_in x[t] - i); v = v + decay ((leak - v) + "
    "gain i); y[t] = v. Before step 0: i = 0, v = start.",
    "Threshold": "y = x > threshold",
    "Integrator": "y[t] = gain (x[0] + ... + x[t])",
    "TimeSum": "y[t] = x[0] + ... + x[T-1], at every t",
    "GroupSum": "y[t] = the sum of x over the steps of t's group: group steps from s group on, for "
    "whole s; group divides T",
    "SumPool": "sums over windows of [T, C, H, W], zero padded",
}
"""Operator of our domain -> what it computes, written into every file."""
EPSILON = "sfx.eps"
"""Node property: the epsilon of a batch norm to the bit; the attribute is a float32."""
MODULE = "sfx.module"
"""Node property: path of the module in the source model."""
