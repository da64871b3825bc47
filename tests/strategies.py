"""Random legal Programs: skips of random depth, fan-in, every neuron program and connection kind.

`random_program(seed, ...)` is a plain function, `programs(...)` the hypothesis strategy around it,
`random_events` makes data. Candidates that break a rule of `check_program` are drawn again, and
thresholds are set where a rough estimate of the input says that some neurons fire.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import gcd, prod

import numpy as np
from hypothesis import strategies as st

from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.ground.arith import INPUT_SHIFT, IntArray, scale_exponent
from sfx.toolchain.ground.arithmetic import LOIHI, Arithmetic
from sfx.toolchain.ir import bounds, check_program
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.connections import matrix

NEURONS = ("lif", "stateless", "graded", "relu", "product", "accumulator")
WITH_GROUPS = (*NEURONS, "groups")
"""Also accumulators over groups of steps. The fixed seeds of many tests mean the others."""
CONNECTIONS = ("dense", "sparse", "conv2d", "structured")
GRADED_LIMIT = 1 << 12
"""Graded values stay below, so that later weights still have room."""
PROBES = 64


def random_program(
    seed: int,
    *,
    populations: int = 6,
    timesteps: int = 4,
    neurons: Sequence[str] = NEURONS,
    connections: Sequence[str] = CONNECTIONS,
    max_neurons: int = 40,
    max_delay: int = 62,
    balance: bool = True,
    widths: Arithmetic = LOIHI,
) -> p.Program:
    """A legal Program of about `populations` populations between input and output.

    neurons, connections  kinds to draw from; a small `max_delay` makes relays.
    widths  that all numbers fit.
    """
    rng = np.random.default_rng(seed)
    maker = _Maker(rng, timesteps, tuple(connections), max_neurons, widths)
    maker.add_input()
    for i in range(populations):
        maker.add(str(maker.rng.choice(list(neurons))), f"p{i}")
    maker.add_output()
    program = maker.program("out")
    return BalanceDelays(max_delay).run(program) if balance else program


@st.composite
def programs(draw: st.DrawFn, **options: object) -> p.Program:
    """Random legal Programs; options as of `random_program`."""
    chosen = {
        "populations": draw(st.integers(1, 8)),
        "timesteps": draw(st.integers(1, 6)),
        "max_delay": draw(st.sampled_from([1, 2, 62])),
        "neurons": draw(st.sampled_from([NEURONS, WITH_GROUPS])),
    } | options
    return random_program(draw(st.integers(0, 2**32 - 1)), **chosen)  # type: ignore[arg-type]


def random_events(program: p.Program, samples: int, seed: int = 0, rate: float = 0.4) -> IntArray:
    """Events [K, T, *input shape]: 0/1 or counts, `rate` of them not 0."""
    rng = np.random.default_rng(seed)
    source = program.input
    shape = (samples, program.timesteps, *source.shape)
    present = (rng.random(shape) < rate).astype(np.int64)
    return present * rng.integers(1, source.high, size=shape, dtype=np.int64, endpoint=True)


def random_projection(seed: int, kind: str) -> tuple[p.Projection, p.Population, p.Population]:
    """One projection of `kind` with random sizes, weights, exponent and views, and its ends.

    pre sends 0/1 or values in -100..100.
    """
    maker = _Maker(np.random.default_rng(seed), 1, (kind,), 40)
    shape = maker.free_shape()
    graded = maker.chance(0.5)
    pre = p.Population("pre", shape, p.Graded(), -100 if graded else 0, 100 if graded else 1)
    while (made := getattr(maker, f"_{kind}")(pre.size, None, maker.chance(0.5))) is None:
        pass  # a kernel larger than the drawn image
    connection, after = made
    post = p.Population("post", after, p.Graded())
    views = maker.view(pre.size), maker.view(post.size)
    exponent = int(maker.rng.integers(-8, 8))
    j = p.Projection("j", "pre", "post", connection, "a_in", exponent, 0, 1, *views)
    return j, pre, post


# --- making one -----------------------------------------------------------------------------


@dataclass
class _Maker:
    rng: np.random.Generator
    timesteps: int
    kinds: tuple[str, ...]
    max_neurons: int
    widths: Arithmetic = LOIHI
    pops: list[p.Population] = field(default_factory=list)
    projections: list[p.Projection] = field(default_factory=list)
    probe: dict[str, IntArray] = field(default_factory=dict)
    """What a population may send [PROBES, size]: an estimate, to set thresholds by."""

    def program(self, output: str) -> p.Program:
        size = next(q.size for q in self.pops if q.name == output)
        offset = tuple(int(i) for i in self.rng.integers(-5, 5, size))
        readout = p.Readout(output, 1.0, offset)
        populations, projections = tuple(self.pops), tuple(self.projections)
        return p.Program(populations, projections, self.timesteps, readout, arithmetic=self.widths)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, *options: int) -> int:
        return int(self.rng.choice(options))

    def add_input(self) -> None:
        shape = (self.pick(1, 2, 3), self.pick(2, 3, 4), self.pick(2, 3, 4))
        bits = self.pick(0, 0, 0, 3)
        high = (1 << bits) - 1 if bits else 1
        source = p.Population("in", shape, p.Input(bits), 0, high)
        self.pops.append(source)
        self.probe["in"] = self.rng.integers(0, high + 1, (PROBES, source.size))

    def add_output(self) -> None:
        while not self._graded("out", "graded"):
            pass

    def add(self, kind: str, name: str) -> None:
        """One population of `kind`; after many illegal draws a LIF on unit weights instead."""
        makers = {
            "lif": self._lif, "stateless": self._stateless, "product": self._product,
            "accumulator": self._accumulator,
            "groups": self._groups,
            "graded": lambda n: self._graded(n, "graded"),
            "relu": lambda n: self._graded(n, "relu"),
        }  # fmt: skip
        for _ in range(30):
            if makers[kind](name):
                return
        while not self._lif(name):
            pass

    # neurons

    def _lif(self, name: str) -> bool:
        feeds, shape = self.feeds(name, ("a_in",), large=self.chance(0.7))
        drive = self.drive(feeds, "a_in", prod(shape))
        wide = self.chance(0.5)
        widths = self.widths
        full, half = widths.full_decay, widths.decay_unity // 2
        least, most = (end // scale for end, scale in zip(widths.bias_range, (10, 3), strict=True))
        least, most = (-400, 1200) if widths == LOIHI else (least, most)
        mant = self.rng.integers(least, most, shape if wide else ()) * self.pick(0, 1, 1)
        neuron = p.LIF(
            du=self.pick(full, full, int(self.rng.integers(0, full)), -1),
            dv=self.pick(0, full, int(self.rng.integers(1, full)), half),
            vth=0,
            bias_mant=np.asarray(mant, dtype=np.int64),
            bias_exp=min(self.pick(0, 0, 3, 6), widths.bias_exp[1]),
        )
        bias = scale_exponent(np.broadcast_to(neuron.bias_mant, shape).ravel(), neuron.bias_exp)
        total = drive + (bias >> INPUT_SHIFT)
        most_vth = widths.threshold_limit - 1
        vth = int(np.clip(np.quantile(total, self.rng.uniform(0.4, 0.9)), 0, most_vth))
        spikes = (total > vth).astype(np.int64)
        neuron = replace(neuron, vth=vth)
        return self.keep(p.Population(name, shape, neuron, 0, 1), feeds, spikes)

    def _stateless(self, name: str) -> bool:
        feeds, shape = self.feeds(name, ("a_in",), large=False)
        drive = self.drive(feeds, "a_in", prod(shape))
        most, full = (self.widths.decay_unity >> INPUT_SHIFT) - 1, self.widths.full_decay
        most = min(most, self.widths.threshold_limit - 1)
        vth = int(np.clip(np.quantile(drive, self.rng.uniform(0.2, 0.7)), 0, most))
        neuron = p.LIF(du=full, dv=full, vth=vth, reset=False)
        spikes = (drive > vth).astype(np.int64)
        return self.keep(p.Population(name, shape, neuron, 0, 1), feeds, spikes)

    def _graded(self, name: str, kind: str) -> bool:
        feeds, shape = self.feeds(name, ("a_in",), large=False)
        drive = self.drive(feeds, "a_in", prod(shape))
        vth = self.pick(0, 0, 1, 3)
        neuron = p.Graded(vth) if kind == "graded" else p.GradedReLU(vth)
        size = np.abs(drive) if kind == "graded" else drive
        return self.keep(
            p.Population(name, shape, neuron), feeds, np.where(size > vth, drive, 0), GRADED_LIMIT
        )

    def _product(self, name: str) -> bool:
        feeds, shape = self.feeds(name, ("a_in1", "a_in2"), large=False)
        a, b = (self.drive(feeds, port, prod(shape)) for port in ("a_in1", "a_in2"))
        neuron = p.Product(exp=self.pick(0, 0, 1, 4), vth=self.pick(0, 0, 2))
        v = (a * b) >> neuron.exp
        sent = np.where(np.abs(v) > neuron.vth, v, 0)
        return self.keep(p.Population(name, shape, neuron), feeds, sent, GRADED_LIMIT)

    def _groups(self, name: str) -> bool:
        """An accumulator that a clock clears at the end of every group of steps."""
        t = self.timesteps
        return self._accumulator(name, self.pick(*(n for n in range(1, t + 1) if t % n == 0)))

    def _accumulator(self, name: str, group: int = 0) -> bool:
        """Memory M, clear C and a clock (semantics 6.2), fed by one or more projections."""
        group %= self.timesteps  # all of them are no group
        feeds, shape = self.feeds(name, ("a_in",), large=False)
        axes = tuple((f"x{i}", n) for i, n in enumerate(shape))
        clear, clock = f"{name}.clear", f"clock.{group}" if group else "clock"
        steps = group or self.timesteps
        c_feeds = [replace(j, name=f"{j.name}!", post=clear, port="a_in1") for j in feeds]
        same, minus = p.Structured(axes, axes), p.Structured(axes, axes, -1)
        loops = [
            p.Projection(f"{name}->{name}", name, name, same, lag=1),
            p.Projection(f"{clear}->{name}", clear, name, minus, lag=1),
            p.Projection(f"{name}->{clear}", name, clear, same, "a_in1", lag=1),
            p.Projection(f"{clear}->{clear}", clear, clear, minus, "a_in1", lag=1),
            p.Projection(f"{clock}->{clear}", clock, clear, p.Structured((), axes), "a_in2"),
        ]
        memory = p.Population(name, shape, p.Graded())
        low, high = self.range_of(memory, feeds)
        low, high = low * steps, high * steps
        drive = self.drive(feeds, "a_in", memory.size)
        if (
            max(-low, high) >= min(GRADED_LIMIT, self.widths.payload_limit)
            or drive.any(axis=1).mean() < 0.2
        ):
            return False
        if not any(q.name == clock for q in self.pops):
            self.pops.append(p.Population(clock, (1,), p.Clock(group), 0, 1))
        memory = replace(memory, low=low, high=high)
        self.pops += [memory, replace(memory, name=clear, neuron=p.Product())]
        self.projections += [*feeds, *c_feeds, *loops]
        self.probe[name] = drive * self.rng.integers(1, steps + 1, (PROBES, 1))
        if self.chance(0.5):
            self._total(memory, same, drive, steps)
        return True

    def _total(self, memory: p.Population, same: p.Structured, drive: IntArray, steps: int) -> None:
        """The total at every step: the accumulator's clear, read 0 to T-1 (or g-1) steps early."""
        total, clear = replace(memory, name=f"{memory.name}.total"), f"{memory.name}.clear"
        self.pops.append(total)
        self.projections += [
            p.Projection(f"{clear}->{total.name}:{i}", clear, total.name, same, lag=-i)
            for i in range(steps)
        ]
        self.probe[total.name] = drive * steps

    def keep(
        self,
        made: p.Population,
        feeds: list[p.Projection],
        sent: IntArray,
        limit: int | None = None,
    ) -> bool:
        """Add the population if it is legal and not silent by the estimate."""
        if sent.any(axis=1).mean() < 0.2:
            return False
        if not isinstance(made.neuron, p.LIF):
            low, high = self.range_of(made, feeds)
            payload = self.widths.payload_limit
            if max(-low, high) >= (payload if limit is None else min(limit, payload)):
                return False
            made = replace(made, low=low, high=high)
        trial = p.Program(
            (*self.pops, made),
            tuple(feeds),
            self.timesteps,
            p.Readout(made.name, 1.0, ()),
            arithmetic=self.widths,
        )
        ports = bounds.port_bounds(trial, made)
        problems = [
            *check_program.ports_fit(made, ports, self.widths),
            *made.neuron.sum_faults(
                made.name, made.shape, ports, ports, self.timesteps, self.widths
            ),
        ]
        if problems:
            return False
        self.pops.append(made)
        self.projections += feeds
        self.probe[made.name] = sent
        return True

    def range_of(self, made: p.Population, feeds: list[p.Projection]) -> tuple[int, int]:
        trial = p.Program((*self.pops, made), tuple(feeds), 1, p.Readout(made.name, 1.0, ()))
        return bounds.sent_range(trial, made, bounds.port_bounds(trial, made))

    def drive(self, feeds: list[p.Projection], port: str, size: int) -> IntArray:
        """Estimated input at a port [PROBES, size]."""
        total = np.zeros((PROBES, size), dtype=np.int64)
        for j in feeds:
            if j.port == port:
                x = self.probe[j.pre]
                total += scale_exponent((matrix(j, x.shape[1], size) @ x.T).T, j.weight_exp)
        return total

    # projections

    def feeds(
        self, name: str, ports: tuple[str, ...], large: bool
    ) -> tuple[list[p.Projection], p.Shape]:
        """One to three projections onto each port, from populations of any depth."""
        out: list[p.Projection] = []
        shape: p.Shape | None = None
        sources = [q for q in self.pops if not isinstance(q.neuron, p.Clock)]
        sources = [q for q in sources if not q.name.endswith(".clear")]
        for port in ports:
            for i in range(self.pick(1, 1, 2, 3)):
                recent = self.chance(0.5)
                pre = sources[-1] if recent else sources[int(self.rng.integers(len(sources)))]
                j, shape = self.projection(f"{pre.name}->{name}:{port}{i}", pre, shape, large)
                out.append(replace(j, post=name, port=port))
        assert shape is not None
        return out, shape

    def projection(
        self, name: str, pre: p.Population, shape: p.Shape | None, large: bool
    ) -> tuple[p.Projection, p.Shape]:
        """A projection from `pre` onto neurons of `shape`, or onto a shape that suits it."""
        kind = str(self.rng.choice(self.kinds))
        made = getattr(self, f"_{kind}")(pre.size, None if shape is None else prod(shape), large)
        if made is None:  # this kind cannot make that many neurons
            kind = "dense" if "dense" in self.kinds else "sparse"
            made = getattr(self, f"_{kind}")(
                pre.size, None if shape is None else prod(shape), large
            )
        connection, natural = made
        shape = natural if shape is None else shape
        exponent = self.pick(-3, -1, 0, 0, 1) if large else self.pick(-2, -1, 0, 0, 0)
        j = p.Projection(
            name, pre.name, "", connection, weight_exp=exponent,
            pre_view=self.view(pre.size), post_view=self.view(prod(shape)),
        )  # fmt: skip
        return j, shape

    def weights(self, shape: p.Shape, large: bool) -> IntArray:
        """Legal mantissas: mixed and even, or of one sign."""
        top = self.pick(20, 90, 254) if large else self.pick(1, 2, 4)
        top = min(top, self.widths.weight_limit - 2)
        w = self.rng.integers(-top, top, shape, endpoint=True)
        style = self.pick(0, 0, 1, 1, 2)
        signed = (
            self.widths.effective_weights(w, mode="mixed")
            if style == 0
            else np.abs(w) * (3 - 2 * style)
        )
        return self.widths.effective_weights(np.asarray(signed, dtype=np.int64))

    def view(self, size: int) -> p.View | None:
        if not self.chance(0.25):
            return None
        split = self.factors(size, self.pick(2, 3))
        return p.View(split, tuple(int(i) for i in self.rng.permutation(len(split))))

    def factors(self, size: int, parts: int) -> p.Shape:
        """Random positive factors of `size`, `parts` of them."""
        out = []
        for _ in range(parts - 1):
            divisors = [d for d in range(1, size + 1) if size % d == 0]
            out.append(int(self.rng.choice(divisors)))
            size //= out[-1]
        return tuple(int(i) for i in self.rng.permutation([*out, size]))

    def free_shape(self) -> p.Shape:
        return self.factors(int(self.rng.integers(2, self.max_neurons + 1)), self.pick(1, 2, 3))

    def _dense(self, pre: int, post: int | None, large: bool) -> tuple[p.Connection, p.Shape]:
        shape = self.free_shape() if post is None else (post,)
        return p.Dense(self.weights((prod(shape), pre), large)), shape

    def _sparse(self, pre: int, post: int | None, large: bool) -> tuple[p.Connection, p.Shape]:
        shape = self.free_shape() if post is None else (post,)
        present = self.rng.random((prod(shape), pre)) < self.rng.uniform(0.1, 0.6)
        indptr = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int64)
        indices = np.nonzero(present)[1].astype(np.int64)
        return p.Sparse(indptr, indices, self.weights((len(indices),), large)), shape

    def _conv2d(
        self, pre: int, post: int | None, large: bool
    ) -> tuple[p.Connection, p.Shape] | None:
        channels, height, width = self.factors(pre, 3)
        kernel, stride, padding, dilation = (
            (self.pick(*options), self.pick(*options))
            for options in ((1, 1, 2, 3), (1, 1, 2), (0, 1, 2), (1, 1, 2))
        )
        size = [
            (n + 2 * pad - d * (k - 1) - 1) // s + 1
            for n, pad, d, k, s in zip(
                (height, width), padding, dilation, kernel, stride, strict=True
            )
        ]
        if min(size) < 1:
            return None
        most = self.max_neurons // prod(size)
        if post is not None:
            out, rest = divmod(post, prod(size))
            if rest:
                return None
        elif most:
            shared = [o for o in range(1, most + 1) if gcd(o, channels) > 1]
            out = self.pick(*(shared if shared and self.chance(0.5) else range(1, most + 1)))
        else:
            return None
        common = gcd(channels, out)
        groups = int(self.rng.choice([g for g in range(1, common + 1) if common % g == 0]))
        weight = self.weights((out, channels // groups, *kernel), large)
        in_shape, out_shape = (channels, height, width), (out, size[0], size[1])
        made = p.Conv2d(weight, in_shape, out_shape, stride, padding, dilation, groups)
        return made, out_shape

    def _structured(
        self, pre: int, post: int | None, large: bool
    ) -> tuple[p.Connection, p.Shape] | None:
        axes = [(f"a{i}", n) for i, n in enumerate(self.factors(pre, self.pick(1, 2, 3)))]
        after = [a for a in axes if self.chance(0.7)]
        if self.chance(0.4):
            after.append(("b", self.pick(1, 2, 3)))
        after = [after[i] for i in self.rng.permutation(len(after))]
        size = prod(n for _, n in after)
        if (post is not None and size != post) or size > 2 * self.max_neurons:
            if post != pre:
                return None
            after = axes
        weight = self.pick(1, 1, 1, 2, 3, -1) * (self.pick(1, 20) if large else 1)
        weight = min(weight, self.widths.weight_limit - 1)
        return p.Structured(tuple(axes), tuple(after), weight), tuple(n for _, n in after) or (1,)
