"""A Program in lava-dl's own file format, netx's HDF5 (integer semantics 9.1).

netx knows one chain of layers: conv or dense synapses onto CUBA neurons. Weights have no exponent
of their own there, and 8 bits, so a Program is written as it is or refused, with every reason:
nothing is rounded. A population of neurons that forget nothing (IF) is divided by a power of two
where that changes no spike.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from ...ground.arith import INPUT_SHIFT, IntArray
from ...ground.arithmetic import LOIHI
from ...ground.errors import Problem, UnsupportedError
from ...ir.connections import matrix
from ...ir.program import (
    LIF,
    Conv2d,
    Input,
    Population,
    Program,
    Projection,
    Structured,
)
from .neurons import RULES, Role

CODE = "SFX-E642"
OTHERWISE = "export --to onnx holds every Program"
MAX_DENSE = 1 << 24
"""Most entries of a dense layer's weight matrix."""


@dataclass(frozen=True)
class Exported:
    """The file, its layers by population, and the read-out that netx has no layer for, or ""."""

    content: bytes
    layers: tuple[str, ...]
    left_out: str
    shifts: tuple[int, ...]
    """Per layer, by how many bits its numbers went down."""

    def check(self, program: Program, back: Program) -> None:
        """Compare what netx would compute, read back from the file, with the Program.

        netx rounds some weights itself (optimize_weight_bits). Raises UnsupportedError.
        """
        read = [p for p in back if isinstance(p.neuron, LIF)]
        for name, theirs, shift in zip(self.layers, read, self.shifts, strict=True):
            ours = program[name]
            pre, behind = program.incoming[name][0].pre, back.incoming[theirs.name][0].pre
            want, got = _total(program, name), _total(back, theirs.name)
            if program[pre].size != back[behind].size or (want != got * (1 << shift)).nnz:
                raise _refused(ours, "netx rounds its weights")


def export(program: Program) -> Exported:
    """The `.net` file of a sequential Program: Input, LIF populations, read-out.

    A read-out with weights (Graded) is left to the host. Reading the file gives the Program's
    spikes, u and v of every layer, in populations that were divided the spikes.
    Raises UnsupportedError (SFX-E642) with every population that netx has no form for.
    """
    other = program.arithmetic.beyond(LOIHI)
    if other:
        what = f"the integers are for other widths than Loihi's, which netx has: {', '.join(other)}"
        raise UnsupportedError(CODE, what, where=program.name, hint=OTHERWISE)
    chain, left_out, problems = _chain(program)
    layers: list[dict[str, Any]] = [{"type": "input", "shape": np.array(program.input.shape)}]
    for population in chain:
        try:
            layers += _layer(program, population)
        except UnsupportedError as error:
            problems += error.problems
    if not chain and not problems:
        problems = [Problem(CODE, program.name, "no population of LIF neurons, netx needs one")]
    if problems:
        raise UnsupportedError.of(problems)
    if layers[1]["type"] == "input":  # the neurons of the input, instead of an input without
        del layers[0]
    names = tuple(p.name for p in chain)
    shifts = tuple(_shift(program, p) for p in chain)
    return Exported(_write(layers, program.timesteps), names, left_out, shifts)


def _total(program: Program, name: str) -> Any:
    """All weights into a population with their exponents, times 2^8 (exponents reach -8)."""
    pres = program.incoming[name]
    size = program[name].size
    parts = [matrix(j, program[j.pre].size, size) * (1 << (8 + j.weight_exp)) for j in pres]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _chain(program: Program) -> tuple[list[Population], str, list[Problem]]:
    """The LIF populations in order, the read-out to leave out, and what is no chain."""
    problems: list[Problem] = []
    chain: list[Population] = []
    left_out = ""
    for population in program:
        incoming = program.incoming[population.name]
        posts = sorted({j.post for j in program.outgoing[population.name]})
        pres = sorted({j.pre for j in incoming})
        if len(posts) > 1:
            problems.append(_branch(population, "sends to", posts))
        role = RULES.entry(type(population.neuron))
        if role is Role.INPUT:
            continue
        if len(pres) > 1:
            problems.append(_branch(population, "receives from", pres))
        if any(j.lag for j in incoming):
            problems.append(_problem(population.name, "a recurrent or delayed connection"))
        if role is Role.LAYER and not incoming:
            problems.append(
                _problem(population.name, "receives nothing and fires by its bias alone")
            )
        elif role is Role.LAYER:
            chain.append(population)
        elif role is Role.READ_OUT and not posts:
            left_out = population.name
        else:
            kind = population.neuron.label
            problems.append(_problem(population.name, f"its neurons are {kind}, netx has LIF only"))
    return chain, left_out, problems


def _branch(population: Population, what: str, others: list[str]) -> Problem:
    return _problem(population.name, f"{what} {' and '.join(others)}, netx has no branches")


def _problem(where: str, what: str) -> Problem:
    return Problem(CODE, where, what, OTHERWISE)


# --- one layer ------------------------------------------------------------------------------


def _layer(program: Program, population: Population) -> list[dict[str, Any]]:
    """The layers of one population; a flatten layer stands before synapses of vectors."""
    incoming = program.incoming[population.name]
    pre = program[incoming[0].pre]
    n = population.neuron
    assert isinstance(n, LIF), "only LIF populations are in the chain"
    if not n.reset and (n.du != LOIHI.full_decay or n.dv != LOIHI.full_decay):
        raise _refused(population, "keeps its state over samples, netx resets every layer")
    bias = np.broadcast_to(_biases(n), population.shape)
    shift = _shift(program, population)
    common = {
        "neuron": {
            "type": "CUBA",
            "iDecay": n.du + 1,
            "vDecay": n.dv,
            "vThMant": n.vth >> shift,
            "refDelay": 1,
            "gradedSpike": False,
        }
    }
    # netx puts a bias mantissa on exponent 6, the scale of the synapses
    mantissa = bias >> (INPUT_SHIFT + shift)
    if np.any(mantissa << (INPUT_SHIFT + shift) != bias):
        raise _refused(population, "a bias is not a multiple of 64, the scale of netx's biases")
    if _takes_pixels(incoming, pre, mantissa):
        transform = {"weight": _input_weight(incoming[0]) >> shift, "bias": int(mantissa.flat[0])}
        return [{"type": "input", "shape": np.array(population.shape)} | transform | common]
    if all(_plain_conv(j, incoming[0]) for j in incoming):
        return [_conv(incoming, population, shift) | common | _bias(mantissa, axis=True)]
    flat = [] if len(pre.shape) == 1 else [{"type": "flatten", "shape": np.array([pre.size])}]
    return [*flat, _dense(incoming, pre, population, shift) | common | _bias(mantissa.ravel())]


def _biases(n: LIF) -> IntArray:
    """The bias as it is added to v; a right shift has floored it."""
    if n.bias_exp >= 0:
        return n.bias_mant << n.bias_exp
    return n.bias_mant >> -n.bias_exp


def _shift(program: Program, population: Population) -> int:
    """By how many bits weights, bias and threshold go down without changing one spike.

    With du = 4095 and dv = 0 no rounding takes place, so v keeps the factor; v > vth << 6 is
    v / 2^k > floor(vth / 2^k) << 6, as v / 2^k is a multiple of 64. v must not reach its limits.
    """
    incoming, n = program.incoming[population.name], population.neuron
    assert isinstance(n, LIF), "only LIF populations are in the chain"
    least = min(j.weight_exp for j in incoming)
    if n.du != LOIHI.full_decay or n.dv != 0 or least <= 0:
        return 0
    pre, bias = program[incoming[0].pre], _biases(n)
    total = _total(program, population.name)
    sums = max(int(total.multiply(sign).maximum(0).sum(axis=1).max()) >> 8 for sign in (1, -1))
    largest = (sums * (pre.high - min(pre.low, 0)) << INPUT_SHIFT) + int(np.abs(bias).max())
    exact = not np.any(bias % (1 << (INPUT_SHIFT + least)))
    return int(least) if exact and program.timesteps * largest < LOIHI.state_limit else 0


def _input_weight(j: Projection) -> int:
    """What one event is multiplied by, of a projection that `_takes_pixels`."""
    assert isinstance(j.connection, Structured)
    return j.connection.weight << j.weight_exp


def _takes_pixels(incoming: tuple[Projection, ...], pre: Population, mantissa: IntArray) -> bool:
    """netx's input layer with a neuron: each neuron takes weight x + bias of its own value x."""
    (j, *others) = incoming
    c = j.connection
    plain = j.weight_exp >= 0 and j.pre_view is None and j.post_view is None and not others
    same = isinstance(c, Structured) and c.pre == c.post
    uniform = bool(np.all(mantissa == mantissa.flat[0]))
    return isinstance(pre.neuron, Input) and pre.graded and plain and same and uniform


def _plain_conv(j: Projection, first: Projection) -> bool:
    c, d = j.connection, first.connection
    if not isinstance(c, Conv2d) or not isinstance(d, Conv2d) or j.pre_view or j.post_view:
        return False
    same = (c.stride, c.padding, c.dilation, c.groups, c.weight.shape)
    return same == (d.stride, d.padding, d.dilation, d.groups, d.weight.shape)


def _conv(incoming: tuple[Projection, ...], population: Population, shift: int) -> dict[str, Any]:
    total = np.zeros((), np.int64)
    for j in incoming:
        assert isinstance(j.connection, Conv2d)
        total = total + _shifted(j.connection.weight, j.weight_exp - shift, population)
    first = incoming[0].connection
    assert isinstance(first, Conv2d)
    return {
        "type": "conv",
        "shape": np.array(first.out_shape),
        "weight": _fitting(total, population),
        "stride": np.array(first.stride),
        "padding": np.array(first.padding),
        "dilation": np.array(first.dilation),
        "groups": first.groups,
    }


def _dense(
    incoming: tuple[Projection, ...], pre: Population, population: Population, shift: int
) -> dict[str, Any]:
    if pre.size * population.size > MAX_DENSE:
        raise _refused(population, f"a dense layer of {pre.size} x {population.size} weights")
    total = np.zeros((population.size, pre.size), np.int64)
    for j in incoming:
        weights = np.asarray(matrix(j, pre.size, population.size).todense(), np.int64)
        total += _shifted(weights, j.weight_exp - shift, population)
    shape = np.array([population.size])
    return {"type": "dense", "shape": shape, "weight": _fitting(total, population)}


def _shifted(weight: IntArray, exponent: int, population: Population) -> IntArray:
    if exponent >= 0:
        return weight << exponent
    if np.any(weight % (1 << -exponent)):
        raise _refused(population, f"weight exponent {exponent} rounds sums, netx's do not")
    return weight >> -exponent


def _fitting(weight: IntArray, population: Population) -> IntArray:
    low, high = int(weight.min()), int(weight.max())
    if low < -256 or high > 255 or (low < 0 < high and high > 254):
        raise _refused(
            population,
            f"weights {low}..{high} with their exponent, netx's are -256..254",
            "neurons without decay (IF) are divided down exactly; " + OTHERWISE,
        )
    return weight


def _bias(mantissa: IntArray, *, axis: bool = False) -> dict[str, Any]:
    if not mantissa.any():
        return {}
    if not axis:
        return {"bias": mantissa}
    channel = mantissa.reshape(len(mantissa), -1)
    uniform = np.all(channel == channel[:, :1])
    return {"bias": channel[:, 0].copy() if uniform else mantissa.transpose()}


def _refused(population: Population, what: str, hint: str = OTHERWISE) -> UnsupportedError:
    return UnsupportedError(CODE, what, where=population.name, hint=hint)


# --- the file -------------------------------------------------------------------------------


def _write(layers: list[dict[str, Any]], steps: int) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for i, layer in enumerate(layers):
            _fill(file.create_group(f"layer/{i}"), layer)
        file["simulation/tSample"] = steps
        file["simulation/Ts"] = 1
    return buffer.getvalue()


def _fill(group: h5py.Group, fields: dict[str, Any]) -> None:
    for key, value in fields.items():
        if isinstance(value, dict):
            _fill(group.create_group(key), value)
        elif key == "type" and group.name.endswith("neuron"):
            group[key] = value.encode()
        elif key == "type":
            group.create_dataset(key, (1,), "S10", np.array([value.encode()], "S10"))
        else:
            group[key] = value
