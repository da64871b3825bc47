"""A lava-dl `.net` file (HDF5) as plain values: read without trust, layer by layer.

Nothing in the file may point to another place or unpack without bound. Layers and neurons that
have no exact counterpart are refused by name, all at once, before anything is built from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from ...ground.arith import IntArray
from ...ground.arithmetic import LOIHI
from ...ground.errors import InputError, Problem, SfxError
from ..hdf5 import faults
from .inputs import UNITY, InputTransform

MAX_TEXT = 64
"""Longest name of a type, in bytes."""
SUPPORTED_LAYERS = ("input", "conv", "flatten", "dense", "dense_rec")
INSTEAD = {
    "pool": "netx itself cannot build it: use a conv block with a stride",
    "average": "netx itself cannot build it: leave it out, the host sums the spikes of a class",
    "convT": "netx itself cannot build it: bring the network in from torch (ConvTranspose2d)",
    "unpool": "netx itself cannot build it: bring the network in from torch (Upsample)",
}
"""Types of layers that lava-dl writes and that are refused, with what to use."""
SUPPORTED_NEURONS = ("LOIHI", "CUBA", "SDNN")
MOST_DELAY = 62
"""Steps that SLAYER lets a spike wait; netx clamps longer delays to it."""
UNREACHED = 1 << 17
"""From this threshold on a membrane of 24 bits never passes it: SLAYER's Affine writes 2^18 - 1."""
NEVER = "from 2^17 on neurons never fire, as those of SLAYER's Affine: only the last layer may"
MESSAGE_BITS = 16
"""Of what a sigma-delta neuron sends, where the file does not say; its sign is one of them."""


@dataclass(frozen=True)
class Neuron:
    """A LIF as netx builds it from a neuron group: du = iDecay - 1, dv = vDecay, vth = vThMant."""

    du: int
    dv: int
    vth: int


@dataclass(frozen=True)
class Membrane:
    """Neurons that never fire, in the last layer: their v is read out. du, dv as in `Neuron`.

    summed  a layer without a neuron: SLAYER sends what arrives, netx adds it up over the steps
    """

    du: int
    dv: int
    summed: bool = False


@dataclass(frozen=True)
class Changes:
    """Sigma-delta neurons: the threshold of a change, and the bits of what they send.

    sums  they send the sum of their input, at every step, instead of changes (`sigma_output`)
    """

    vth: int
    message_bits: int
    sums: bool


@dataclass(frozen=True, eq=False)
class Layer:
    """One group `/layer/<index>`. Weights are those of the file: nothing is clipped yet.

    shape     as the file has it: (C, H, W) or (features,)
    weight    conv [Cout, Cin/groups, kH, kW], dense [out, in], else None
    bias      as the file has it, or None
    transform what an input layer with neurons does to a sample; its weight and bias are this
    recurrent dense_rec: weights from the layer's own spikes of the step before [out, out]
    sent_late steps that its spikes wait, per neuron or channel; None: none
    read_late steps that what it reads waits, per neuron of the layer before
    """

    index: int
    kind: str
    shape: tuple[int, ...]
    neuron: Neuron | Membrane | Changes | None = None
    weight: IntArray | None = None
    bias: IntArray | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    transform: InputTransform = UNITY
    recurrent: IntArray | None = None
    sent_late: IntArray | None = None
    read_late: IntArray | None = None

    @property
    def name(self) -> str:
        """Name of its population, such as 'conv3'."""
        return f"{self.kind}{self.index}"


@dataclass(frozen=True, eq=False)
class NetFile:
    """The layers in order, and the steps of a sample if the file says them."""

    layers: tuple[Layer, ...]
    timesteps: int | None


def read_file(path: Path) -> NetFile:
    """Read `path`.

    Raises InputError (SFX-E160: not a sound `.net` file) or SfxError with every problem of its
    layers (SFX-E161 layer type, SFX-E162 neuron, SFX-E163 fields).
    """
    with _opened(path) as file:
        for what in faults(file):
            raise _unreadable(path, what)
        group = file.get("layer")
        if not isinstance(group, h5py.Group) or not len(group):
            raise _unreadable(path, "has no group 'layer', so it is not a netx file")
        if set(group) != {str(i) for i in range(len(group))}:
            raise _unreadable(path, f"layers are not numbered 0..{len(group) - 1}")
        layers: list[Layer] = []
        last = len(group) - 1
        problems: list[Problem] = []
        for i in range(len(group)):
            try:
                layers.append(_layer(group[str(i)], i, last=i == last))
            except SfxError as error:
                problems.extend(error.problems)
        if problems:
            raise SfxError.of(problems)
        steps = file.get("simulation/tSample")
        known = isinstance(steps, h5py.Dataset)
        return NetFile(tuple(layers), _whole(steps, "simulation", "tSample") if known else None)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        raise _unreadable(path, f"is not a readable HDF5 file: {error}") from error


def _unreadable(path: Path, what: str) -> InputError:
    hint = "a .net file is what lava-dl's export_hdf5 writes"
    return InputError("SFX-E160", what, where=str(path), hint=hint)


def _layer(group: h5py.Group, index: int, *, last: bool) -> Layer:
    where = f"layer/{index}"
    if not isinstance(group, h5py.Group):
        raise InputError("SFX-E163", "is an array, not a layer", where=where)
    kind = _text(group, where)
    if kind not in SUPPORTED_LAYERS:
        raise InputError(
            "SFX-E161",
            f"layers of type {kind!r} are not supported",
            where=where,
            hint=INSTEAD.get(kind, f"supported: {', '.join(SUPPORTED_LAYERS)}"),
        )
    if kind == "flatten":
        return Layer(index, kind, ())
    shape = tuple(int(n) for n in _array(group, "shape", where).reshape(-1))
    if len(shape) not in (1, 3) or min(shape) < 1:
        what = f"shape is {shape}, expected (C, H, W) or (features,), each at least 1"
        raise InputError("SFX-E163", what, where=where)
    layer = Layer(index, kind, shape)
    return _input(group, where, layer) if kind == "input" else _block(group, where, layer, last)


def _input(group: h5py.Group, where: str, layer: Layer) -> Layer:
    """`layer` with its neurons and their transform, where it has any."""
    if "neuron" not in group:
        return layer
    neuron = _neuron(group["neuron"], where, last=False)
    scale, offset = (_transform(group, where, *p) for p in (("weight", 64), ("bias", 0)))
    return replace(layer, neuron=neuron, transform=InputTransform(scale, offset))


def _block(group: h5py.Group, where: str, layer: Layer, last: bool) -> Layer:
    """`layer` with its neurons and synapses."""
    neuron = _neuron(group["neuron"], where, last=last) if "neuron" in group else None
    if neuron is None and layer.kind == "dense" and last:
        neuron = Membrane(LOIHI.full_decay, 0, summed=True)
    if neuron is None:
        raise InputError(
            "SFX-E162",
            "has no neuron; only the last layer may lack one, and it must be dense",
            where=where,
            hint="end with SLAYER's Affine, or give the block neurons",
        )
    layer = replace(layer, neuron=neuron)
    layer = _conv(group, where, layer) if layer.kind == "conv" else _dense(group, where, layer)
    return _delayed(group, where, layer) if "delay" in group else layer


def _delayed(group: h5py.Group, where: str, layer: Layer) -> Layer:
    """`layer` with its axonal delays.

    SLAYER delays what a layer sends, per neuron or channel; netx takes as many delays as the layer
    before has neurons for delays of what it reads.
    """
    delay = _array(group, "delay", where)
    if not delay.any():
        return layer
    _check_ranges(
        [("delay", int(v), 0, MOST_DELAY, "netx clamps it") for v in (delay.min(), delay.max())],
        where,
    )
    if not isinstance(layer.neuron, Neuron):
        what = "has delays, and its neurons do not spike"
        raise InputError("SFX-E162", what, where=where, hint="delay the spikes of the layer before")
    if delay.size in (1, layer.shape[0]) and delay.ndim <= 1:
        return replace(layer, sent_late=delay.reshape(-1))
    weight = layer.weight
    if layer.kind == "dense" and weight is not None and delay.shape == weight.shape[1:]:
        return replace(layer, read_late=delay)
    raise InputError(
        "SFX-E162",
        f"has delays of shape {delay.shape}, neither one for each of its neurons or channels nor "
        "one for each that it reads",
        where=where,
        hint="delays of single synapses are not mapped: train axonal delays (SLAYER's delay=True)",
    )


def _dense(group: h5py.Group, where: str, layer: Layer) -> Layer:
    """`layer` with its weight and bias."""
    weight, bias = _parameters(group, where)
    # PilotNet's last layer: netx takes a flat weight as [out, in]
    rows = int(np.prod(layer.shape))
    if weight.ndim == 1 and weight.size % rows == 0:
        weight = weight.reshape(rows, -1)
    _check_rank(weight, 2, where)
    layer = replace(layer, weight=weight, bias=bias)
    return _recurrent(group, where, layer, rows) if layer.kind == "dense_rec" else layer


def _recurrent(group: h5py.Group, where: str, layer: Layer, rows: int) -> Layer:
    """`layer` with the weights of its own spikes."""
    own = _array(group, "weight_rec", where)
    own = own.reshape(rows, -1) if own.ndim == 1 and own.size % rows == 0 else own
    if own.shape != (rows, rows):
        what = f"weight_rec has shape {own.shape}, expected {(rows, rows)}"
        raise InputError("SFX-E163", what, where=where)
    if not isinstance(layer.neuron, Neuron):
        what = "is recurrent, and its neurons do not spike"
        raise InputError("SFX-E162", what, where=where, hint="use LIF neurons (CUBA)")
    return replace(layer, recurrent=own)


def _conv(group: h5py.Group, where: str, layer: Layer) -> Layer:
    """`layer` with its weight, bias and geometry."""
    weight, bias = _parameters(group, where)
    if weight.ndim == 5 and weight.shape[4] == 1:  # SLAYER's kernels have a time axis
        weight = weight[..., 0]
    _check_rank(weight, 4, where)
    stride, padding, dilation = (_pair(group, k, where) for k in ("stride", "padding", "dilation"))
    groups = _whole(group.get("groups"), where, "groups")
    return replace(
        layer,
        weight=weight,
        bias=bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


def _parameters(group: h5py.Group, where: str) -> tuple[IntArray, IntArray | None]:
    """Weight and bias as they are in the file."""
    weight = _array(group, "weight", where)
    return weight, _array(group, "bias", where) if "bias" in group else None


def _transform(group: h5py.Group, where: str, key: str, default: int) -> int:
    """One number of an input layer's transform; netx's default where the file has none."""
    return _whole(group.get(key, default), where, key)


def _check_rank(weight: IntArray, rank: int, where: str) -> None:
    if weight.ndim != rank or not weight.size:
        what = f"weight has shape {weight.shape}, expected {rank} axes and no empty one"
        raise InputError("SFX-E163", what, where=where)


def _neuron(group: h5py.Group, where: str, *, last: bool) -> Neuron | Membrane | Changes:
    where = f"{where}/neuron"
    if not isinstance(group, h5py.Group):
        raise InputError("SFX-E163", "is an array, not a neuron", where=where)
    kind = _text(group, where)
    if kind not in SUPPORTED_NEURONS:
        raise InputError(
            "SFX-E162",
            f"neurons of type {kind!r} are not supported",
            where=where,
            hint=f"supported: {', '.join(SUPPORTED_NEURONS)}",
        )
    if kind == "SDNN":
        return _changes(group, where)
    i_decay, v_decay, vth = (
        _whole(group.get(k), where, k) for k in ("iDecay", "vDecay", "vThMant")
    )
    rules = (
        ("iDecay", i_decay, 0, 4096, ""),
        ("vDecay", v_decay, 0, 4095, "no membrane decays at once: use 4095"),
        ("vThMant", vth, 0, (1 << 18 if last else UNREACHED) - 1, NEVER),
        ("refDelay", _whole(group.get("refDelay", 1), where, "refDelay"), 0, 1, "Lava has none"),
        ("gradedSpike", _whole(group.get("gradedSpike", 0), where, "gradedSpike"), 0, 0, ""),
    )
    _check_ranges(rules, where)
    return Membrane(i_decay - 1, v_decay) if vth >= UNREACHED else Neuron(i_decay - 1, v_decay, vth)


def _changes(group: h5py.Group, where: str) -> Changes:
    """netx reads the threshold and whether sums are sent; every activation is its ReLU."""
    vth = _whole(group.get("vThMant"), where, "vThMant")
    bits = _whole(group.get("messageBits", MESSAGE_BITS), where, "messageBits")
    _check_ranges((("vThMant", vth, 0, (1 << 19) - 1, ""), ("messageBits", bits, 2, 24, "")), where)
    activation = _text(group, where, "activation") if "activation" in group else "relu"
    if activation != "relu":
        what = f"activation {activation!r}, which netx replaces by relu"
        raise InputError("SFX-E162", what, where=where, hint="train with relu")
    return Changes(vth, bits, "sigma_output" in group)


def _check_ranges(rules: Iterable[tuple[str, int, int, int, str]], where: str) -> None:
    """Raises SfxError (SFX-E162) for values outside: (name, value, low, high, hint) each."""
    bad = [
        Problem("SFX-E162", where, f"{name} is {value}, but must be in {low}..{high}", hint)
        for name, value, low, high, hint in rules
        if not low <= value <= high
    ]
    if bad:
        raise SfxError.of(bad)


def _text(group: h5py.Group, where: str, key: str = "type") -> str:
    item = group.get(key)
    if isinstance(item, h5py.Dataset) and item.size == 1 and _is_short(item):
        value = np.asarray(item[()]).reshape(-1)[0]
        if isinstance(value, bytes | str):
            return value.decode("ascii", "replace") if isinstance(value, bytes) else value
    raise InputError("SFX-E163", f"has no field {key!r} with one name", where=where)


def _is_short(item: h5py.Dataset) -> bool:
    """True if a text is at most MAX_TEXT bytes.

    For text of variable length HDF5 allocates what the file claims, up to 4 GiB, before it looks
    whether the text is there; so the claim, the first 4 bytes of the entry, is read beforehand.
    """
    text = h5py.check_string_dtype(item.dtype)
    if text is None or text.length is not None:
        return text is not None and text.length <= MAX_TEXT
    offset = item.id.get_offset()
    if offset is None:  # not stored in one piece, as no writer of .net files does
        return False
    with open(item.file.filename, "rb") as raw:
        raw.seek(offset + item.file.userblock_size)
        return int.from_bytes(raw.read(4), "little") <= MAX_TEXT


def _array(group: h5py.Group, key: str, where: str) -> IntArray:
    item = group.get(key)
    if isinstance(item, h5py.Group):
        what = f"{key} is a group; complex weights are not supported"
        raise InputError("SFX-E163", what, where=where)
    if item is None:
        raise InputError("SFX-E163", f"has no field {key!r}", where=where)
    return _integers(item, where, key)


def _integers(item: h5py.Dataset, where: str, key: str) -> IntArray:
    """The array as int64. netx would truncate fractions, so they are refused."""
    if item.dtype.kind not in "biuf" or item.shape is None:
        what = f"{key} has type {item.dtype}, numbers are needed"
        raise InputError("SFX-E163", what, where=where)
    values = np.asarray(item[()])
    if values.size == 0:
        raise InputError("SFX-E163", f"{key} is empty", where=where)
    whole = values.dtype.kind != "f" or bool(np.all(values == np.rint(values)))
    if not whole or float(values.max()) >= 1 << 31 or float(values.min()) < -(1 << 31):
        raise InputError(
            "SFX-E163",
            f"{key} must contain whole numbers of 32 bits",
            where=where,
            hint="a .net file holds quantized values; export the network with export_hdf5",
        )
    return values.astype(np.int64)


def _whole(item: object, where: str, key: str) -> int:
    if isinstance(item, int):
        return item
    if isinstance(item, h5py.Dataset) and item.size == 1:
        return int(_integers(item, where, key).reshape(-1)[0])
    raise InputError("SFX-E163", f"has no field {key!r} with one number", where=where)


def _pair(group: h5py.Group, key: str, where: str) -> tuple[int, int]:
    values = _array(group, key, where).reshape(-1)
    if values.size not in (1, 2):
        raise InputError("SFX-E163", f"{key} has {values.size} numbers, not 1 or 2", where=where)
    return int(values[0]), int(values[-1])
