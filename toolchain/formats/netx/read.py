"""A lava-dl network (`.net`, netx's HDF5) as an integer Program, without quantization.

The file holds integers already, so nothing is scaled or rounded: every population has the spikes,
u and v that lava-dl's own netx gives on Lava (docs/adr/0002-netx-becomes-a-program.md). A
sigma-delta network keeps netx's own time too: each layer reads what the one before sent a step
ago, and begins with its bias at the first step (`sigma_delta`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np

from ...ground.arith import INPUT_SHIFT, IntArray
from ...ground.arithmetic import LOIHI
from ...ground.errors import InputError
from ...ir.program import (
    LIF,
    Connection,
    Conv2d,
    Dense,
    Input,
    NeuronProgram,
    Population,
    Program,
    Projection,
    Readout,
    Shape,
    Structured,
)
from . import inputs as netx_input
from . import late, membrane, recurrence, sigma_delta
from . import weights as netx_weights
from .file import Changes, Layer, Membrane, NetFile, Neuron, read_file

DENSE = ("dense", "dense_rec")
BIAS_MAX = (1 << 12) - 1
MAX_EXPONENT = 7
MAX_NEURONS = 1 << 24
"""Most neurons of one layer; Loihi 2 systems hold 2^30 in all."""


def read(
    path: str | os.PathLike[str],
    *,
    timesteps: int | None = None,
    skip_input: bool = False,
    input_bits: int = 8,
    data: str | None = None,
) -> Program:
    """The network in `path`: an Input, then one LIF population per layer, in the order C, H, W.

    Samples are `timesteps` long (default: the file's simulation/tSample) and reset at their
    start, as netx does with reset_interval; delays are not balanced yet.

    A spiking input layer takes int(weight * x + bias) at every step, which netx sets as that
    neuron's bias. Samples are graded events 0..2^input_bits - 1: x, or with data='transformed' that
    number itself (`sfx.toolchain.formats.netx.inputs`; None: raw where the file leaves no doubt). A
    sigma-delta input takes that number, of either sign.
    skip_input: leave that neuron out (netx's skip_layers=1); its spikes are the input then.
    The read-out counts the spikes of the last layer; where its neurons never fire, it is their
    membrane (`membrane`).

    Raises InputError or SfxError: SFX-E160..E163 (the file), SFX-E164 weights that no synapse
    holds, SFX-E165 layers that do not fit each other, SFX-E166 unknown number of steps,
    SFX-E173 where `data` must be said.
    """
    path = Path(path)
    file = read_file(path)
    steps = timesteps if timesteps is not None else file.timesteps
    if steps is None or steps < 1:
        raise InputError(
            "SFX-E166",
            "does not give the number of steps of a sample" if steps is None else f"T is {steps}",
            where=str(path),
            hint="give --timesteps",
        )
    kind = netx_input.TRANSFORMED if skip_input else data
    first = file.layers[0]
    if first.kind == "input" and isinstance(first.neuron, Changes):
        sigma_delta.applied(first.transform, kind, str(path))
    populations, projections = _build(file, str(path), skip_input, input_bits, kind, steps)
    last = populations[-1]
    readout = Readout(last.name, 1.0, (0,) * last.size)
    end = file.layers[-1]
    if isinstance(end.neuron, Membrane):
        bias = _bias(end.bias, last.shape, f"layer/{end.index}")
        readout = membrane.readout(end.neuron, last, bias, steps)
    made = Program(tuple(populations), tuple(projections), steps, readout, name=path.stem)
    return sigma_delta.in_netx_time(membrane.bounded(made), str(path))


def input_facts(path: str | os.PathLike[str], data: str | None) -> dict[str, object] | None:
    """The transform of the input neurons, and what DATA holds, for a manifest; None without them.

    Raises InputError as `read` does.
    """
    first = read_file(Path(path)).layers[0]
    if first.kind != "input" or first.neuron is None:
        return None
    if isinstance(first.neuron, Changes):
        taken = sigma_delta.applied(first.transform, data, str(path))
    else:
        taken = netx_input.applied(first.transform, data, str(path))
    kind = netx_input.RAW if taken == first.transform else netx_input.TRANSFORMED
    return {"weight": first.transform.weight, "bias": first.transform.bias, "data": kind}


def _build(
    file: NetFile, where: str, skip_input: bool, input_bits: int, data: str | None, steps: int
) -> tuple[list[Population], list[Projection]]:
    layers = [layer for layer in file.layers if layer.kind != "flatten"]
    flattened = {b.index for a, b in pairwise(file.layers) if a.kind == "flatten"}
    if any(layer.kind == "input" for layer in layers[1:]):
        raise InputError("SFX-E165", "only the first layer may be an input", where=where)
    source, layers = _source(layers, where, skip_input, input_bits)
    if not layers:
        raise InputError("SFX-E165", "has no layer of neurons", where=where)
    populations, projections = [source], list[Projection]()
    for layer in layers:
        pre = populations[-1]
        if layer.kind == "input":
            taken = netx_input.applied(layer.transform, data, where)
            layer = replace(layer, transform=taken)
        if layer.read_late is not None:
            pre = late.add(populations, projections, layer.read_late, steps)
        post, wires = _connect(layer, pre, layer.index in flattened)
        populations.append(post)
        projections += wires
        if layer.recurrent is not None:
            recurrence.add(populations, projections, layer, steps)
        if layer.sent_late is not None:
            late.add(populations, projections, layer.sent_late, steps)
    return populations, projections


def _source(
    layers: list[Layer], where: str, skip_input: bool, bits: int
) -> tuple[Population, list[Layer]]:
    """The Input population, and the layers that follow it."""
    first = layers[0] if layers else None
    if first is not None and prod(first.shape) > MAX_NEURONS:
        raise _too_large("layer/0", first.shape)
    if first is not None and first.kind == "input":
        if isinstance(first.neuron, Changes) and not skip_input:
            return sigma_delta.input_population(first, bits), layers[1:]
        graded = first.neuron is not None and not skip_input
        shape, payload = first.shape, bits if graded else 0
        rest = layers if graded else layers[1:]
    elif first is not None and first.kind in DENSE and first.weight is not None:
        shape, payload, rest = (first.weight.shape[-1],), 0, layers
    else:
        raise InputError("SFX-E165", "does not give the shape of its input", where=where)
    high = (1 << payload) - 1 if payload else 1
    population = Population("input", shape, Input(payload), 0, high)
    if population.size > MAX_NEURONS:
        raise _too_large("layer/0", shape)
    return population, rest


def _connect(
    layer: Layer, pre: Population, flat: bool
) -> tuple[Population, tuple[Projection, ...]]:
    """The population of `layer`, and its projections from `pre`."""
    where = f"layer/{layer.index}"
    shape = layer.shape if layer.kind not in DENSE else (prod(layer.shape),)
    if prod(shape) > MAX_NEURONS:
        raise _too_large(where, shape)
    wires: Iterator[tuple[Connection, int]]
    if layer.kind == "input":
        wires = iter([_scaled(layer, where)])
    elif layer.kind in DENSE:
        wires = _dense(layer, pre, flat, where)
    else:
        wires = _conv(layer, pre, where)
    post = Population(layer.name, shape, _neuron(layer, shape, where), module=f"/{where}")
    if isinstance(layer.neuron, Changes):
        low, high = sigma_delta.declared(layer.neuron)
        post = replace(post, low=low, high=high)
    names = [f"{pre.name}->{post.name}", f"{pre.name}->{post.name}.negative"]
    projections = tuple(
        Projection(name, pre.name, post.name, connection, weight_exp=exponent)
        for name, (connection, exponent) in zip(names, wires, strict=False)
    )
    return post, projections


def _neuron(layer: Layer, shape: Shape, where: str) -> NeuronProgram:
    """netx puts the bias on exponent 6, the scale of synaptic input."""
    n = layer.neuron
    if isinstance(n, Changes):
        return sigma_delta.neuron(layer, n, _bias(layer.bias, shape, where), where)
    if isinstance(n, Membrane):
        return membrane.neuron(n, _bias(layer.bias, shape, where))
    assert isinstance(n, Neuron), "layers without a neuron are refused or skipped before"
    if layer.kind == "input":
        # netx sets the image as the bias; as input to a current that forgets at once it is the
        # same: v gets a_in << 6. netx's own current is 0 whatever its decay.
        offset = np.array(layer.transform.bias, np.int64)
        if abs(offset) > BIAS_MAX:
            what = f"bias is {offset}, and a neuron's is at most {BIAS_MAX}"
            raise InputError("SFX-E164", what, where=where)
        return LIF(LOIHI.full_decay, n.dv, n.vth, offset, INPUT_SHIFT)
    return LIF(n.du, n.dv, n.vth, _bias(layer.bias, shape, where), INPUT_SHIFT)


def _bias(bias: IntArray | None, shape: Shape, where: str) -> IntArray:
    """Per neuron, or per channel; netx keeps a bias per neuron in the order W, H, C."""
    if bias is None:
        return np.zeros((), np.int64)
    if bias.shape == shape[::-1]:
        return bias.transpose()
    if bias.shape in ((shape[0],), (1,), ()):
        return bias.reshape(-1, *(1,) * (len(shape) - 1))
    what = f"bias of shape {bias.shape} does not fit neurons of shape {shape}"
    raise InputError("SFX-E165", what, where=where)


def _scaled(layer: Layer, where: str) -> tuple[Structured, int]:
    """Each neuron takes its own event times the transform's weight, as mantissa and exponent."""
    weight, exponent = layer.transform.weight, 0
    while weight and weight % 2 == 0 and exponent < MAX_EXPONENT:
        weight, exponent = weight // 2, exponent + 1
    if not -256 <= weight <= 255:
        what = f"the input's weight is {layer.transform.weight}, more than a synapse holds"
        raise InputError("SFX-E164", what, where=where)
    return Structured.one_to_one(layer.shape, weight), exponent


def _dense(
    layer: Layer, pre: Population, flat: bool, where: str
) -> Iterator[tuple[Connection, int]]:
    weight = layer.weight
    assert weight is not None, "a dense layer has weights"
    expected = (prod(layer.shape), pre.size)
    if weight.shape != expected:
        what = f"weight is {weight.shape}, expected [out, in] = {expected}"
        raise InputError("SFX-E165", what, where=where)
    if len(pre.shape) > 1 and not flat:
        what = f"takes flat input, but {pre.name} has shape {pre.shape}"
        hint = "put a flatten layer between them"
        raise InputError("SFX-E165", what, where=where, hint=hint)
    if layer.recurrent is None:
        used = netx_weights.dense(weight, where)
    else:
        used, _ = netx_weights.dense_rec(weight, layer.recurrent, where)
    for mantissas, exponent in netx_weights.legal(used, where, shift=True):
        yield Dense(mantissas), exponent


def _conv(layer: Layer, pre: Population, where: str) -> Iterator[tuple[Connection, int]]:
    """netx flips the kernel for Lava's true convolution: together PyTorch's correlation."""
    weight = layer.weight
    assert weight is not None, "a conv layer has weights"
    if len(pre.shape) != 3 or weight.ndim != 4 or len(layer.shape) != 3:
        what = f"weight {weight.shape} does not convolve input {pre.shape} to {layer.shape}"
        raise InputError("SFX-E165", what, where=where)
    if min(*layer.stride, *layer.dilation, layer.groups) < 1 or min(layer.padding) < 0:
        what = "stride, dilation and groups must be at least 1, padding at least 0"
        raise InputError("SFX-E165", what, where=where)
    sizes = zip(
        pre.shape[1:], weight.shape[2:], layer.stride, layer.padding, layer.dilation, strict=True
    )
    out = (len(weight), *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes))
    channels = weight.shape[1] * layer.groups
    if out != layer.shape or channels != pre.shape[0] or len(weight) % layer.groups:
        what = (
            f"makes {out} of {channels} channels in {layer.groups} group(s), but lies between "
            f"{pre.shape} and {layer.shape}"
        )
        raise InputError("SFX-E165", what, where=where)
    (c, h, w), (o, oh, ow) = pre.shape, layer.shape
    geometry = (layer.stride, layer.padding, layer.dilation, layer.groups)
    for mantissas, exponent in netx_weights.legal(weight, where, shift=False):
        yield Conv2d(mantissas, (c, h, w), (o, oh, ow), *geometry), exponent


def _too_large(where: str, shape: Shape) -> InputError:
    what = f"shape {shape} has {prod(shape)} neurons, more than the limit of {MAX_NEURONS}"
    return InputError("SFX-E165", what, where=where)
