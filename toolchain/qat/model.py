"""`QatModel`: a torch module whose forward pass is an integer Program, with gradients."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..formats.fine_tuned import TRAINED, USUAL
from ..ground.arith import IntArray
from ..ground.errors import InputError, UnsupportedError
from ..ir import program as p
from ..ir.carried import Origins
from ..ir.codec import encode
from ..ir.facts import Cell
from ..ir.kinds import Refused
from . import limits, straight
from .biases import Bias, bias_of, constant_of, port_of, with_bias, with_constant
from .dynamics import dynamics_of, key, parameters
from .eager import eager
from .layers import Layer, layers_of
from .membranes import holds_all
from .neurons import RULES
from .room import Room
from .rules import Moving
from .run import Numbers, Plan, run
from .ticks import with_ticks
from .watched import Watch, costs, one_of, populations_of
from .wires import Wire, channels, wires_of

FINGERPRINT = "_extra_state"
"""Its key in a state_dict, as torch has it."""
MOST_SHRINKS = 40
"""More often than a mantissa has bits: what then does not fit is not trained."""
SIGN = 31
"""A shift that leaves only the sign of a product."""
MOST_GAIN = 64.0
"""Of a layer's weights: far beyond what the grid's ends let them use."""
LIF_FIELDS = {"du", "dv", "vth", "bias_mant", "bias_exp", "reset"}


@dataclass(frozen=True)
class Template:
    """What training does not change.

    program  unbalanced; its weights, biases and read-out offset are replaced by the trained ones
    bits     by population, bits of the weights into it (absent: all of a synapse)
    target   what the Program will be compiled for
    reduce   how the model's own output treats time: mean, sum, none, max or weighted
    origins  which layers of the model its projections carry
    train    which of `TRAINED` are trained
    """

    program: p.Program
    bits: Mapping[str, int]
    target: str
    reduce: str
    origins: Origins = field(default_factory=Origins)
    train: tuple[str, ...] = USUAL


class QatModel(nn.Module):
    """x [T, B, *input shape], whole event counts -> the model's output, e.g. logits [B, classes].

    Every spike, current and membrane is the Program's own integer, held in floats that are exact
    for it; gradients pass straight through rounding, and through a triangle at each threshold.
    Parameters: `weights` in shares of the largest mantissa (256 of 8 bits); `biases` in shares of
    the threshold, the read-out's in the model's own units. On request also `thresholds` in shares
    of what they were, `leaks` (what stays at a step of v, and of a current u) and `scales`, gains
    of the layers' weights. Train it with any torch loop; `program()` is the integer Program of any
    moment, without another rounding.

    Built by `sfx.qat.prepare` or `sfx.qat.load`.
    """

    def __init__(self, template: Template) -> None:
        super().__init__()
        self.template = template
        program, origins = template.program, template.origins
        for q in program:
            _supported(program, q)
        _known(template.train)
        self.wires = wires_of(program, origins)
        self.layers = layers_of(self.wires, template.bits, program.arithmetic, origins)
        self.layer_of = {w.name: layer for layer in self.layers for w in layer.wires}
        self.weights, self.scales = nn.ParameterDict(), nn.ParameterDict()
        self.thresholds, self.leaks = nn.ParameterDict(), nn.ParameterDict()
        self._dynamics = dynamics_of(program, self.wires, self.layer_of, template.train)
        for kind, name, start in parameters(self._dynamics):
            getattr(self, kind)[key(name)] = nn.Parameter(start)
        for layer in self.layers:
            self._add_layer(layer)
        self.biases = nn.ParameterDict()
        self._channel: dict[str, Tensor] = {}
        self._bias: dict[str, Bias] = {}
        self._of: dict[str, str] = {}
        self._first: dict[tuple[object, ...], tuple[str, float]] = {}
        self._constants = {c.population: c for c in origins.constants}
        for q in program:
            self._add_bias(q)
        self._plan = Plan.of(program, self.wires, self.layer_of)
        self._watches: list[Watch] = []
        self._fixed = {
            w.name: limits.ends(program, w)
            for wires in self.wires.values()
            for w in wires
            if w.name not in self.layer_of and any(v.name in self.layer_of for v in wires)
        }
        self._room = Room.of(program, self.wires, self.layer_of)
        for kind in USUAL:
            getattr(self, kind).requires_grad_(kind in template.train)
        self._print = fingerprint(template)

    # --- its state ----------------------------------------------------------------------------

    def get_extra_state(self) -> Tensor:
        """Of which template the state is, in every state_dict."""
        return torch.frombuffer(bytearray(self._print), dtype=torch.uint8)

    def set_extra_state(self, state: Any) -> None:
        """Raises InputError (SFX-E366) if it is the state of another template."""
        same = isinstance(state, Tensor) and bytes(state.cpu().numpy().tobytes()) == self._print
        if not same:
            raise InputError(
                "SFX-E366",
                "the state is of a model that was prepared otherwise: its shapes fit, its scales "
                "do not",
                where=self.template.program.name,
                hint="load it into a model prepared from the same network, samples and options, "
                "or keep both with sfx.qat.save",
            )

    def _load_from_state_dict(
        self, state: Mapping[str, Any], prefix: str, meta: Any, strict: bool,
        missing: list[str], *rest: Any,
    ) -> None:  # fmt: skip
        """Nothing is taken of another template's state; one without a fingerprint, of an older
        sfx, is taken as it is.
        """
        if prefix + FINGERPRINT in state:
            self.set_extra_state(state[prefix + FINGERPRINT])
        super()._load_from_state_dict(state, prefix, meta, strict, missing, *rest)  # type: ignore[no-untyped-call]
        if prefix + FINGERPRINT in missing:
            missing.remove(prefix + FINGERPRINT)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> QatModel:
        """Moves it. Integers stay as they are; raises UnsupportedError (SFX-E367) for floats that
        cannot hold them.
        """
        kind = fn(torch.zeros(1)).dtype
        if kind not in (torch.float32, torch.float64):
            raise UnsupportedError(
                "SFX-E367",
                f"{str(kind).removeprefix('torch.')} cannot hold the integers of a Program",
                where=self.template.program.name,
                hint="keep float32; around the model, autocast may be on: inside it is off",
            )
        kept = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in kept.items():
            moved = self._buffers[name]
            if buffer is not None and moved is not None:
                self._buffers[name] = buffer.to(moved.device)
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made of it again, functions, which are not pickled, and who watches."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_plan", "_watches")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._plan = Plan.of(self.template.program, self.wires, self.layer_of)
        self._watches = []

    def _check_finite(self) -> None:
        """Raise InputError (SFX-E365) for a parameter that is NaN or infinite."""
        for name, value in self.named_parameters():
            wrong = int((~torch.isfinite(value.detach())).sum())
            if wrong:
                raise InputError(
                    "SFX-E365",
                    f"{wrong} of {value.numel()} numbers of {name} are NaN or infinite",
                    where=self.template.program.name,
                    hint="the training diverged: go back to an earlier state, and train with a "
                    "smaller rate or clipped gradients",
                )

    # --- parameters ---------------------------------------------------------------------------

    def _add_layer(self, layer: Layer) -> None:
        """Its parameter, if it is its own, and what its integers are made with."""
        if layer.lead is None:
            start = torch.from_numpy(layer.start / layer.rows.top).float()
            self.weights[layer.key] = nn.Parameter(start)
            if "scales" in self.template.train:
                self.scales[layer.key] = nn.Parameter(torch.ones(1))
        elif not layer.copies:
            self._keep(f"start of {layer.key}", layer.start)
            self._keep(f"lead of {layer.key}", layer.lead.start)
            self._keep(f"times of {layer.key}", layer.times)
        if layer.absent is not None:
            self._keep(f"present in {layer.key}", ~layer.absent)

    def _keep(self, name: str, value: NDArray[Any] | None) -> None:
        kept = torch.from_numpy(np.array(value, np.float64))
        self.register_buffer(name, kept, persistent=False)

    def _add_bias(self, q: p.Population) -> None:
        """The constant that `q` adds, and beside it a trainable offset per channel of weights.

        What carries the same layers on one scale each shares its offsets: copies of a neuron, and
        a layer that is used twice.
        """
        program, known = self.template.program, self._constants.get(q.name)
        if known is not None:
            found: Bias | None = constant_of(program, known)
        else:
            found = bias_of(program, q, (limits.ends(program, w) for w in self.wires[q.name]))
        if found is None:
            return
        start = torch.from_numpy(found.start.astype(np.float64))
        self.register_buffer(f"start {key(q.name)}", start)
        own = [w for w in self.wires[q.name] if w.name in self.layer_of]
        rows = [channels(w.whole, q) for w in own]
        if rows and (known is not None or not _is_part(program, q)):
            index = np.unique(np.stack(rows), axis=1, return_inverse=True)[1].reshape(-1)
            self._channel[q.name] = torch.from_numpy(index)
            name, unit = self._shared(q, own, int(index.max()) + 1, found.unit)
            self._of[q.name], found = key(name), replace(found, unit=unit)
            if name == q.name:
                self.biases[key(q.name)] = nn.Parameter(torch.zeros(int(index.max()) + 1))
        self._bias[q.name] = found

    def _shared(
        self, q: p.Population, own: list[Wire], size: int, unit: float
    ) -> tuple[str, float]:
        """The population whose offsets are those of `q`, and what 1 of them is worth to it."""
        layers = [self.layer_of[w.name] for w in own]
        scales = {float(t) for y in layers for t in np.ravel(1.0 if y.times is None else y.times)}
        if not isinstance(q.neuron, p.LIF) or q.name in self._constants or len(scales) != 1:
            return q.name, unit
        of = tuple(sorted(y.parameter for y in layers))
        exponents = {int(e) for w in own for e in w.row_exponents}
        if any(len({int(e) for e in w.row_exponents}) != 1 for w in own) or len(exponents) != 1:
            return q.name, unit
        worth = scales.pop() * 2.0 ** exponents.pop()
        first, base = self._first.setdefault((of, size, q.size), (q.name, unit / worth))
        return first, base * worth

    def weight(self, layer: Layer) -> Tensor:
        """The integer weights of a layer [O, ...], as trained."""
        if layer.copies and layer.lead is not None:
            return self.weight(layer.lead)
        if layer.lead is None:
            scaled = self._scaled(layer) * layer.rows.top
        else:
            start, lead, times = (
                self.get_buffer(f"{what} of {layer.key}") for what in ("start", "lead", "times")
            )
            moved = self._scaled(layer.lead).double() * layer.lead.rows.top - lead
            scaled = start + times * moved
        whole = straight.mantissas(scaled, layer.rows)
        if layer.absent is not None:
            whole = whole * self.get_buffer(f"present in {layer.key}").to(whole)
        return whole

    def _scaled(self, layer: Layer) -> Tensor:
        """Its parameter with its gain, before any rounding."""
        weight: Tensor = self.weights[layer.key]
        return weight * self.scales[layer.key] if layer.key in self.scales else weight

    def moving(self, name: str) -> Moving | None:
        """A neuron as it is now, None where neither its threshold nor its leak is trained."""
        found = self._dynamics.get(name)
        if found is None:
            return None
        threshold = self.thresholds[key(found.threshold)] if found.threshold else None
        return found.now(threshold, self.leaks[key(found.leak)] if found.leak else None)

    def _now(self, q: p.Population) -> p.Population:
        """`q` with the threshold and the leak of this moment."""
        moving = self.moving(q.name)
        return q if moving is None else replace(q, neuron=moving.neuron)

    def bias(self, name: str) -> Tensor:
        """A LIF's bias [size] in membrane units, a staircase's in those of its input, or a graded
        read-out's offset (summed over T); a constant in units of what it is added to.
        """
        start, own = self.get_buffer(f"start {key(name)}"), self._bias[name]
        if name in self._channel:
            offset = self.biases[self._of[name]][self._channel[name].to(start.device)]
            start = start + offset.double() * own.unit
        whole = straight.bias(start, own.exp, own.limit)
        return whole if own.wide else whole.float()

    def offset(self) -> Tensor:
        """What the host adds to the read-out's sums [n]; fixed where those count spikes."""
        readout = self.template.program.readout
        if not self._bias[readout.population].wide:
            device = self.get_buffer(f"start {key(readout.population)}").device
            return torch.tensor(readout.offset, dtype=torch.float64, device=device)
        return self.bias(readout.population)

    @torch.no_grad()
    def settle(self) -> None:
        """Bring the parameters back to where every sum provably fits; `forward` begins with it.

        Raises InputError (SFX-E365) for parameters that are NaN or infinite.
        """
        self._check_finite()
        for d in self._dynamics.values():
            d.clamp(self.thresholds, self.leaks)
        for layer in self.layers:
            rows, gain = layer.rows, 1.0
            if layer.lead is None:
                if layer.key in self.scales:
                    gain = float(self.scales[layer.key].clamp_(1 / MOST_GAIN, MOST_GAIN).detach())
                low, high = rows.low / rows.top / gain, rows.high / rows.top / gain
                self.weights[layer.key].clamp_(low, high)
        ports = [
            (self._now(q), port)
            for q in self.template.program
            for port in {w.whole.port for w in self.wires[q.name] if w.name in self.layer_of}
        ]
        for _ in range(MOST_SHRINKS):  # of what is shared, one population may undo another's
            if not any([self._shrink(q, port) for q, port in ports]):
                return

    def _shrink(self, q: p.Population, port: str) -> bool:
        """True if anything had to shrink."""
        program = self.template.program
        wires = [w for w in self.wires[q.name] if w.whole.port == port]
        for shrunk in range(MOST_SHRINKS):
            delivered = {
                w.name: limits.ends(program, w, self._whole(self.layer_of[w.name]))
                if w.name in self.layer_of
                else self._fixed[w.name]
                for w in wires
            }
            if q.name in self._constants:
                delivered["constant"] = limits.of_constant(program, self._ints(q.name))
            factor = self._room.excess(q, port, delivered, self._most(q))
            if factor is None:
                return shrunk > 0
            for layer in {self.layer_of[w.name] for w in wires if w.name in self.layer_of}:
                weight = self.weights[layer.parameter]
                rows = np.ones(len(weight))
                np.minimum.at(rows, channels(layer.wires[0].whole, q), factor)
                weight.mul_(
                    torch.from_numpy(rows).to(weight).reshape(-1, *[1] * (weight.dim() - 1))
                )
        return True

    def _most(self, q: p.Population) -> int:
        """The largest constant of its own that `q` may add."""
        known = q.name in self._bias and q.name not in self._constants
        return self._bias[q.name].most if known else 0

    def _whole(self, layer: Layer) -> IntArray:
        whole: IntArray = self.weight(layer).detach().cpu().double().numpy().astype(np.int64)
        return whole

    def _ints(self, name: str) -> IntArray:
        """Its bias as integers."""
        whole: IntArray = self.bias(name).detach().cpu().double().numpy().astype(np.int64)
        return whole

    # --- the Program --------------------------------------------------------------------------

    def program(self) -> p.Program:
        """The integers of this moment as an unbalanced Program; nothing is rounded again.

        Raises InputError (SFX-E365) for parameters that are NaN or infinite.
        """
        self.settle()
        program = self.template.program
        made: dict[str, p.Projection] = {}
        for layer in self.layers:
            whole = self._whole(layer)
            made |= {j.name: j for w in layer.wires for j in w.split(whole)}
        projections = tuple(made.get(j.name, j) for j in program.projections)
        populations = tuple(self._with_bias(self._now(q)) for q in program)
        offset = self.offset().detach().cpu().numpy()
        readout = replace(program.readout, offset=tuple(int(v) for v in offset))
        program = replace(
            program, populations=populations, projections=projections, readout=readout
        )
        for name, known in self._constants.items():
            if name in self._channel:
                program = with_constant(program, known, self._ints(name))
        return with_ticks(program)

    def _with_bias(self, q: p.Population) -> p.Population:
        if q.name not in self._channel or self._bias[q.name].wide or q.name in self._constants:
            return q
        return with_bias(q, self._ints(q.name))

    # --- forward ------------------------------------------------------------------------------

    @eager
    def forward(self, x: Tensor) -> Tensor:
        """The model's output for events x [T, B, *input shape].

        Raises InputError (SFX-E361) for values that are not whole event counts of the input.
        """
        output = self.template.program.readout.population
        return self._read(self._sent(x, lambda name: name == output)[output])

    def spikes(
        self, x: Tensor, names: Iterable[str] | None = None, *, gradient: bool = False
    ) -> dict[str, Tensor]:
        """What populations send, [T, B, *shape] by name, as `forward` computes it.

        names     of populations, or paths of modules of the source; None: every population
        gradient  keep it, for a loss of spikes alone. Beside `forward`, `watching` costs no second
                  pass.

        Populations that `forward` contracts are computed here beside it, from the same operands.
        Raises InputError (SFX-E361) for x, SFX-E368 for a name.
        """
        chosen = [q.name for q in self.template.program] if names is None else names
        graph = torch.set_grad_enabled(gradient and torch.is_grad_enabled())
        with graph, self.watching(*chosen) as sent:
            self._sent(x, lambda name: False)
        return dict(sent)

    @contextmanager
    def watching(self, *names: str) -> Iterator[dict[str, Tensor]]:
        """While it is open, each forward pass leaves here what these send, with its gradient.

        names  of populations, or paths of modules of the source -> spikes [T, B, *shape] of the
               latest forward pass

            with model.watching("blocks.0.mlp.fc1.lif") as sent:
                loss = criterion(model(x), y) + 1e-4 * sent["blocks.0.mlp.fc1.lif"].sum()

        Raises InputError (SFX-E368) for a name that is neither, or stands for several populations.
        """
        watch = Watch({name: one_of(self.template.program, name) for name in names})
        self._watches.append(watch)
        try:
            yield watch.sent
        finally:
            self._watches = [w for w in self._watches if w is not watch]

    def populations(self, name: str) -> tuple[str, ...]:
        """The population of this name, or those of a module of the source.

        Raises InputError (SFX-E368) if there is neither.
        """
        return populations_of(self.template.program, name)

    def synops(self) -> Mapping[str, NDArray[np.float64]]:
        """Population -> synops that an event of each of its neurons causes [size], as the cost
        model counts them with the weights of this moment; of what sends events that training can
        change.
        """
        contracted = {
            j.pre for j in self.template.program.projections if j.name in self._plan.contractions
        }
        return costs(self.program(), contracted)

    def _sent(self, x: Tensor, keep: Callable[[str], bool]) -> dict[str, Tensor]:
        self.settle()
        program = self.template.program
        events = _events(program, x)
        samples = events.shape[1]
        if not samples:  # of one without events nothing is kept, but gradients of 0
            events = events.new_zeros(len(events), 1, events.shape[2])
        numbers = Numbers(
            {layer.key: self.weight(layer) for layer in self.layers},
            self.bias,
            self._constant(),
            {n: m for n in self._dynamics if (m := self.moving(n)) is not None},
        )
        watched = {name for watch in self._watches for name in watch.names.values()}

        def kept(name: str) -> bool:
            return name in watched or keep(name)

        with torch.autocast(x.device.type, enabled=False):
            sent = run(self._plan, events, numbers, kept)
        if not samples:
            sent = {name: value[:, :0] for name, value in sent.items()}
        for watch in self._watches:
            watch.see(program, sent)
        return sent

    def _constant(self) -> dict[str, tuple[str, Tensor]]:
        program = self.template.program
        return {n: (port_of(program, c), self.bias(n)) for n, c in self._constants.items()}

    def _read(self, sent: Tensor) -> Tensor:
        """Output spikes [T, B, n] on the model's scale."""
        program = self.template.program
        shape = program[program.readout.population].shape
        offset = self.offset()
        if self.template.reduce == "none":
            value = (sent.double() + offset / program.timesteps) / program.readout.scale
        else:
            value = (_together(program.readout, sent.double()) + offset) / program.readout.scale
        return value.float().reshape(*value.shape[:-1], *shape)


def _together(readout: p.Readout, sent: Tensor) -> Tensor:
    """What the host makes of the steps [T, B, n], without the offset [B, n]."""
    if readout.largest:
        return sent.amax(0)
    if readout.weights:
        sent = sent * sent.new_tensor(readout.weights)[:, None, None]
    return sent.sum(0)


def _is_part(program: p.Program, q: p.Population) -> bool:
    """True if `q` only compares what the membrane of its cell is, which has the bias."""
    for fact in program.known(Cell):
        members = {fact.population, *fact.silent}
        if q.name in members:
            return any(isinstance(program[n].neuron, p.Product) for n in members)
    return False


def fingerprint(template: Template) -> bytes:
    """Equal for templates that give the same integers of the same parameters."""
    arrays: list[NDArray[Any]] = []
    said = [
        encode(template.program, arrays),
        sorted(template.bits.items()),
        template.target,
        template.reduce,
        [(c.layer, c.projections, c.scale.tolist()) for c in template.origins.weights],
        [(c.population, c.projections, c.threshold) for c in template.origins.constants],
    ]
    more = sorted(set(template.train) - set(USUAL))
    said += [more] if more else []
    arrays += [c.absent for c in template.origins.weights if c.absent is not None]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for array in arrays:
        digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _known(train: tuple[str, ...]) -> None:
    """Raise InputError (SFX-E371) for what cannot be trained, or nothing at all."""
    unknown = [k for k in train if k not in TRAINED]
    if unknown or not train:
        raise InputError(
            "SFX-E371",
            f"cannot train {unknown[0]!a}" if unknown else "nothing is trained",
            where="train",
            hint=f"any of: {', '.join(TRAINED)}",
        )


def _supported(program: p.Program, q: p.Population) -> None:
    """Raise UnsupportedError (SFX-E360) for a neuron program without a torch rule."""
    extra = set(vars(q.neuron)) - LIF_FIELDS if isinstance(q.neuron, p.LIF) else set()
    if isinstance(RULES.entry(type(q.neuron)), Refused) or extra:
        what = type(q.neuron).__name__ + (f" with {', '.join(sorted(extra))}" if extra else "")
        raise UnsupportedError(
            "SFX-E360",
            f"no torch rule for the neuron {what}",
            where=q.module or q.name,
            hint="compile the float model with `sfx compile`; fine-tuning it is not possible yet",
        )
    compares = isinstance(q.neuron, p.Product) and q.neuron.exp >= SIGN
    if q.measured is not None or compares:
        raise UnsupportedError(
            "SFX-E360",
            "compares its membrane in 32 bits, which has no torch rule"
            if compares
            else "its range was measured with these weights: no proved one fits its register",
            where=q.module or q.name,
            hint="fewer time steps, or calibration samples with fewer events in a step, need fewer "
            "bits; or train the float model",
        )
    if isinstance(q.neuron, p.LI) and not holds_all(program, q):
        raise UnsupportedError(
            "SFX-E360",
            "what reads its membrane may hold less than other weights make of it",
            where=q.module or q.name,
            hint="read the membrane out, or fine-tune the float model",
        )
    if max(-q.low, q.high) >= straight.EXACT32:
        raise UnsupportedError(
            "SFX-E360",
            f"sends values up to {max(-q.low, q.high)}, torch computes with less than 2^24",
            where=q.module or q.name,
            hint="fine-tune for a target whose spikes carry fewer bits",
        )


def _events(program: p.Program, x: Tensor) -> Tensor:
    """x [T, B, size], or InputError (SFX-E361)."""
    source = program.input
    if not isinstance(x, Tensor):
        raise InputError(
            "SFX-E361",
            f"input is a {type(x).__name__}, not a tensor",
            hint="torch.from_numpy(x).transpose(0, 1) makes one of samples [B, T, ...]",
        )
    if x.dim() < 3 or x.shape[0] != program.timesteps or x.shape[2:] != source.shape:
        raise InputError(
            "SFX-E361",
            f"input has shape {tuple(x.shape)}, not "
            f"[{program.timesteps}, B, {', '.join(map(str, source.shape))}]",
            hint="time first, then samples",
        )
    x = x.detach().float().flatten(2)
    low, high = (float(v) for v in torch.aminmax(x)) if x.numel() else (0.0, 0.0)
    if low < 0 or high > source.high or not torch.equal(x, x.round()):
        raise InputError(
            "SFX-E361",
            f"input lies in {low:g}..{high:g}, not whole numbers in 0..{source.high}",
            hint="bin events into counts; an input takes counts above 1 if the calibration "
            "samples have them, and more of them with options=sfx.qat.Options(counts=...)",
        )
    return x
