"""An integer Program as a float `Graph`: what other readers see of a net whose integers are fixed.

Weights are mantissa * 2^exponent in shares of the threshold, decays whole 4096ths. Sums that a
negative exponent shifts are not cut to whole numbers, and a membrane does not truncate: a float
simulation of it is close to the Program, and equal where nothing is cut.
"""

from __future__ import annotations

import numpy as np

from ...ground.arith import INPUT_SHIFT
from ...ir import graph as g
from ...ir import program as p


class NoView(Exception):
    """Something that no node of a float graph is; the text says what."""


def float_view(program: p.Program, name: str, dt: float = 1e-3) -> g.Graph:
    """The graph. Raises `NoView` for a population, a delay or a bias that it has no node for."""
    return _View(program, name, dt).graph()


def _always(q: p.Population, program: p.Program) -> bool:
    """True of a neuron that fires at every step."""
    n = q.neuron
    if not isinstance(n, p.LIF) or q.size != 1 or program.incoming[q.name] or n.reset:
        return False
    return bool((n.bias > n.vth << INPUT_SHIFT).all())


class _View:
    """A graph in the making. nodes: by name, in order."""

    def __init__(self, program: p.Program, name: str, dt: float) -> None:
        self.program, self.name, self.dt = program, name, dt
        self.nodes: dict[str, g.Node] = {}
        self.names = {q.name for q in program}  # a population's own node has its name
        self.taken = set(self.names)

    def graph(self) -> g.Graph:
        """All populations, then the read-out's scale."""
        constant = {q.name for q in self.program if _always(q, self.program)}
        for q in self.program:
            if q.name not in constant:
                self._population(q, constant)
        nodes = g.topological(tuple(self.nodes.values()))
        return g.Graph(nodes, self.program.timesteps, self.dt, self.name)

    def _add(self, wish: str, op: g.Op, inputs: tuple[tuple[str, ...], ...], shape: g.Shape) -> str:
        own = wish in self.names and wish not in self.nodes
        name = wish if own else g.unused(wish.replace("/", "."), self.taken)
        self.nodes[name] = g.Node(name, op, inputs, shape)
        return name

    # --- populations --------------------------------------------------------------------------

    def _population(self, q: p.Population, constant: set[str]) -> None:
        n = q.neuron
        if isinstance(n, p.Input):
            self._add(q.name, g.Input(high=q.high), (), q.shape)
            return
        unit = self._unit(q)
        incoming = self.program.incoming[q.name]
        bias = self._bias(q, [j for j in incoming if j.pre in constant])
        wires = [j for j in incoming if j.pre not in constant]
        ports: dict[str, list[str]] = {port: [] for port in n.ports}
        for j in wires:
            own = j is wires[0] and bool(bias.any())
            ports[j.port].append(self._wire(j, q, unit, bias if own else None))
        if bias.any() and not wires:
            raise NoView(f"{q.name} has a bias and no input")
        inputs = tuple(tuple(v) for v in ports.values())
        if q.name == self.program.readout.population:
            self._readout(q, inputs)
        else:
            self._add(q.name, self._op(q, unit), inputs, q.shape)

    def _unit(self, q: p.Population) -> float:
        """What it receives per 1.0: its threshold, or what reaches it in a step where that leaks
        (then R and w_in are 1, as some readers want it); of the read-out the model's own unit.
        """
        n, readout = q.neuron, self.program.readout
        if q.name == readout.population:
            return readout.scale / (self.program.timesteps if self._reduce() == "mean" else 1)
        if not isinstance(n, p.LIF | p.LI):
            return 1.0
        decay, syn = self._decays(n)
        share = 1.0 if isinstance(n, p.LIF) and not n.reset else (decay or 1.0) * (syn or 1.0)
        return share * (max(n.vth, 1) if isinstance(n, p.LIF) else 1 / (1 << INPUT_SHIFT))

    def _decays(self, n: p.LIF | p.LI) -> tuple[float, float]:
        """What the membrane and the current lose in a step."""
        unity = self.program.arithmetic.decay_unity
        return n.dv / unity, (n.du + 1) / unity

    def _reduce(self) -> str:
        """What becomes of the steps."""
        readout = self.program.readout
        if readout.largest or readout.weights:
            return "max" if readout.largest else "weighted"
        return "sum" if readout.scale == 1.0 else "mean"

    def _bias(self, q: p.Population, constants: list[p.Projection]) -> g.FloatArray:
        """What it adds to its input at every step [size]."""
        n, total = q.neuron, np.zeros(q.size)
        for j in constants:
            assert isinstance(j.connection, p.Dense)
            total += j.connection.weight.ravel() * 2.0**j.weight_exp
        if isinstance(n, p.LIF | p.LI):
            own = np.broadcast_to(n.bias, q.shape).ravel() / (1 << INPUT_SHIFT)
            if own.any() and n.du < self.program.arithmetic.full_decay:
                raise NoView(f"{q.name} has a bias of its membrane beside a current")
            total += own
        if q.name == self.program.readout.population:
            total += np.array(self.program.readout.offset) / self.program.timesteps
        return total

    def _op(self, q: p.Population, unit: float) -> g.Op:
        n = q.neuron
        if isinstance(n, p.Graded) and not n.vth:
            return g.Sum()
        if isinstance(n, p.Product) and not n.vth and not n.exp:
            return g.Product()
        if isinstance(n, p.LIF) and not n.reset:
            return g.Threshold(n.vth / unit)  # of sums of whole numbers
        if not isinstance(n, p.LIF | p.LI):
            raise NoView(f"{q.name} is a {type(n).__name__}")
        decay, syn = self._decays(n)
        threshold = n.vth / max(n.vth, 1) if isinstance(n, p.LIF) else 0.0
        if decay == 0 and syn == 1:
            return g.IF(threshold) if isinstance(n, p.LIF) else g.Integrator()
        if decay == 0 or syn == 0:
            raise NoView(f"{q.name} has a current or a membrane that does not decay")
        if isinstance(n, p.LI):
            return g.LI(decay, syn=syn)
        return g.LIF(decay, threshold, syn=syn)

    def _readout(self, q: p.Population, inputs: tuple[tuple[str, ...], ...]) -> None:
        """The output, on the model's scale."""
        readout = self.program.readout
        if not (isinstance(q.neuron, p.Graded) and not q.neuron.vth):
            raise NoView(f"{q.name} is read out, a {type(q.neuron).__name__}")
        if (readout.largest or readout.weights) and any(readout.offset):
            raise NoView("the read-out adds to steps that are not summed")
        op = g.Output(self._reduce(), tuple(float(w) for w in readout.weights))
        self._add(q.name, op, inputs, q.shape)

    # --- projections --------------------------------------------------------------------------

    def _wire(
        self, j: p.Projection, q: p.Population, unit: float, bias: g.FloatArray | None
    ) -> str:
        """The node that brings what `j` does, in shares of `unit`."""
        if j.lag < 0 or (j.lag > 0 and self._comes_back(j)):
            raise NoView(f"{j.name} brings another step's events")
        pre, c, factor = self.program[j.pre], j.connection, 2.0**j.weight_exp / unit
        x = j.pre
        if j.lag:
            x = self._add(f"{j.name}.lag", g.Delay(j.lag), ((x,),), pre.shape)
        x = self._viewed(x, pre.shape, j.pre_view, j.name)
        if isinstance(c, p.Structured):
            if bias is not None:
                raise NoView(f"{q.name} has a bias and no weights")
            x, shape = self._structured(x, c, j.name)
            if c.weight * factor != 1.0:
                x = self._add(f"{j.name}.weight", g.Scale(c.weight * factor), ((x,),), shape)
        else:
            scaled = None if bias is None else bias / unit
            x, shape = self._weights(x, j, factor, scaled)
        x = self._viewed(x, shape, j.post_view, j.name)
        return self._shaped(x, q.shape, j.name)

    def _comes_back(self, j: p.Projection) -> bool:
        order = [q.name for q in self.program]
        return order.index(j.pre) >= order.index(j.post)

    def _shaped(self, x: str, shape: g.Shape, wish: str) -> str:
        if self.nodes[x].shape == shape:
            return x
        return self._add(f"{wish}.shape", g.Reshape(), ((x,),), shape)

    def _viewed(self, x: str, shape: g.Shape, view: p.View | None, wish: str) -> str:
        if view is None:
            return x
        x = self._shaped(x, tuple(view.split), wish)
        turned = tuple(view.split[i] for i in view.order)
        return self._add(f"{wish}.turn", g.Permute(tuple(view.order)), ((x,),), turned)

    def _weights(
        self, x: str, j: p.Projection, factor: float, bias: g.FloatArray | None
    ) -> tuple[str, g.Shape]:
        c = j.connection
        if isinstance(c, p.Dense):
            out, size = c.weight.shape
            x = self._shaped(x, (size,), j.name)
            op: g.Op = g.Linear(c.weight * factor, np.zeros(out) if bias is None else bias)
            return self._add(j.name, op, ((x,),), (out,)), (out,)
        if not isinstance(c, p.Conv2d):
            raise NoView(f"{j.name} is a {type(c).__name__}")
        x = self._shaped(x, c.in_shape, j.name)
        channel = np.zeros(len(c.weight))
        if bias is not None:
            places = c.out_shape[1] * c.out_shape[2]
            of = np.repeat(np.arange(len(channel)), places)
            of = of if j.post_view is None else j.post_view.apply(of)
            channel[of] = bias
            if not np.array_equal(channel[of], bias):
                raise NoView(f"{j.post} has a bias that differs within a channel")
        op = g.Conv2d(c.weight * factor, channel, c.stride, c.padding, c.dilation, c.groups)
        return self._add(j.name, op, ((x,),), c.out_shape), c.out_shape

    def _structured(self, x: str, c: p.Structured, wish: str) -> tuple[str, g.Shape]:
        """Sum, turn, repeat. Returns the node and its shape."""
        pre, post = dict(c.pre), dict(c.post)
        shape = tuple(n for _, n in c.pre)
        x = self._shaped(x, shape, wish)
        summed = tuple(i for i, (label, _) in enumerate(c.pre) if label not in post)
        kept = [label for label, _ in c.pre if label in post]
        if summed:
            shape = tuple(pre[label] for label in kept)
            x = self._add(f"{wish}.sum", g.ReduceSum(summed), ((x,),), shape)
        order = tuple(kept.index(label) for label, _ in c.post if label in pre)
        if order != tuple(range(len(order))):
            shape = tuple(shape[i] for i in order)
            x = self._add(f"{wish}.turn", g.Permute(order), ((x,),), shape)
        if any(label not in pre for label in post):
            x = self._shaped(x, tuple(n if label in pre else 1 for label, n in c.post), wish)
            shape = tuple(n for _, n in c.post)
            x = self._add(f"{wish}.repeat", g.Expand(), ((x,),), shape)
        return x, shape
