"""The graph's node of a neuron, and of its recurrent connection where it has one."""

from __future__ import annotations

import dataclasses

import nir
import numpy as np

from ...toolchain.formats.nir import ext
from ...toolchain.ir.graph import LI, LIF
from ..neurons.lif_op import SPECS
from ..neurons.refusal import Refusal
from ..neurons.spec import LifSpec, MapSpec
from ..neurons.step_op import RECURRENT, Recurrent
from .emitter import Emitter, Stream, array

FLAT = "flatten the value at one step to a vector before a recurrent neuron"


def add_neuron(e: Emitter, x: Stream, number: int) -> str:
    """Append the neuron `number` fed by `x`; its name."""
    e.fires = True
    spec = SPECS[number]
    if spec.fires == "never":
        name = e.add(_membrane(x, spec, e.dt), "li", x.name, main=True)
        e.membranes.add(name)
        return name
    if isinstance(spec, MapSpec):
        return e.add(_time_map(x, spec), "psn", x.name, main=True)
    made = ext.lif_node(x.shape, LIF(**dataclasses.asdict(spec)), e.dt)
    name = e.add(made, "lif", x.name, main=True)
    if number in RECURRENT:
        _add_recurrent(e, x, name, RECURRENT[number])
    return name


def _membrane(x: Stream, spec: LifSpec, dt: float) -> nir.NIRNode:
    """The node of a neuron that never fires."""
    if spec.decay == 0:
        return ext.integrator_node(x.shape, gain=spec.gain, dt=dt)
    known = {f.name: getattr(spec, f.name) for f in dataclasses.fields(LI)}
    return ext.li_node(x.shape, LI(**known), dt)


def _time_map(x: Stream, spec: MapSpec) -> nir.NIRNode:
    """The node of neurons that map the steps of the sample."""
    weight, bias = spec.map(x.dims.steps)
    if not bias:
        raise Refusal(
            "SFX-E105",
            f"the neuron maps {len(spec.bias)} steps onto as many, but T is {x.dims.steps}",
            f"run the model with T = {len(spec.bias)}, as it was trained",
        )
    return ext.TimeMap(x.shape, np.array(weight), np.array(bias))


def _add_recurrent(e: Emitter, x: Stream, name: str, recurrent: Recurrent) -> None:
    """Edges neuron -> R -> neuron: R reads the spikes of the step before."""
    weight = array(recurrent.weight)
    if weight.ndim < 2:  # a neuron's own spike only
        if len(x.shape) != 1:
            raise Refusal("SFX-E107", f"one-to-one recurrence on a value of shape {x.shape}", FLAT)
        weight = np.diag(np.broadcast_to(weight, x.shape))
    bias = np.zeros(len(weight), weight.dtype)
    if recurrent.bias is not None:
        bias = array(recurrent.bias)
    if weight.ndim == 2:
        if x.shape != (len(weight),):
            raise Refusal(
                "SFX-E107",
                f"a recurrent connection of {len(weight)} neurons on a value of shape {x.shape}",
                FLAT,
            )
        made = nir.Affine(weight, bias) if bias.any() else nir.Linear(weight)
    else:
        if len(x.shape) != 3:
            raise Refusal(
                "SFX-E107",
                f"a recurrent convolution on a value of shape {x.shape}",
                "give the neuron [B, C, H, W] at every step",
            )
        pad = (weight.shape[2] // 2, weight.shape[3] // 2)
        if weight.shape[2] == weight.shape[3]:
            made = nir.Conv2d(x.shape[1:], weight, (1, 1), pad, (1, 1), 1, bias)
        else:  # NIR's type check gets it wrong
            made = ext.GroupedConv2d(x.shape, weight, (1, 1), pad, (1, 1), 1, bias)
    back = e.add(made, "recurrent", name)
    e.edges.append((back, name))
