"""The constants of a spiking neuron, as the Graph's LIF has them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LifSpec:
    """A neuron's constants per model step, as the Graph's LIF has them.

        i <- i + syn * (w_in * x - i)                          from i = 0
        v <- v + decay * ((leak - v) + gain * i)               from v = start, with the new i
        spike when v > threshold, or v >= threshold if `reached`
        then v <- reset, or v - drop if `subtract`

    Without decay (0) it integrates: v <- v + gain * x, and has no current (syn = w_in = 1).
    The constants are those that the library computes with, so float32 numbers where it rounds them.
    drop 0 stands for the threshold. A current i <- a i + x with v <- b v + i (snnTorch's Synaptic)
    has syn = 1 - a, w_in = 1 / syn, decay = 1 - b, gain = 1 / decay.

    fires "round": an integer neuron, which sends n = round(clamp(v / threshold, 0, most)), the even
    one of two, and from which a subtracting reset takes n * threshold. fires "signed": a ternary
    neuron, which also sends -1 where v < -threshold (or <=); either spike resets it. With decay =
    gain = 1 these keep nothing: a function of their input, not a neuron with a state (`stateless`).

    fires "never": a membrane that is read out. What it sends is v, and nothing resets it.

    A recurrent module (snnTorch's RLeaky) is such a neuron and a linear node R, with NIR edges
    neuron -> R -> neuron: R reads the spikes of the step before, its bias counts at every step.
    """

    decay: float
    threshold: float
    gain: float = 1.0
    leak: float = 0.0
    reset: float = 0.0
    subtract: bool = False
    syn: float = 1.0
    w_in: float = 1.0
    start: float = 0.0
    drop: float = 0.0
    reached: bool = False
    fires: str = "once"
    most: int = 0

    @property
    def stateless(self) -> bool:
        """Whether what it sends follows from this step's input alone, whatever axes that has."""
        return self.counts and self.decay == self.gain == self.syn == self.w_in == 1.0

    @property
    def counts(self) -> bool:
        """Whether it is an integer neuron: it sends whole numbers, not spikes alone."""
        return self.fires in ("round", "signed")


@dataclass(frozen=True)
class MapSpec(LifSpec):
    """Parallel spiking neurons (PSN): no membrane, but a map of the steps; fires at h[t] >= 0.

        h[t] = sum over s of weight[t][s] * x[s] + bias[t]

    A sliding one, for any T, has taps and one bias instead: the last tap weighs step t, the one
    before it step t - 1; nothing came before the first step. The constants of `LifSpec` say only
    with what h is compared.
    """

    weight: tuple[tuple[float, ...], ...] = ()
    bias: tuple[float, ...] = ()
    taps: tuple[float, ...] = ()

    def map(self, steps: int) -> tuple[list[list[float]], list[float]]:
        """weight [T][T] and bias [T] of so many steps; empty if they are not those of the map."""
        if not self.taps:
            right = steps == len(self.bias)
            return ([list(row) for row in self.weight], list(self.bias)) if right else ([], [])
        late = self.taps[::-1]
        rows = [
            [late[t - s] if 0 <= t - s < len(late) else 0.0 for s in range(steps)]
            for t in range(steps)
        ]
        return rows, list(self.bias) * steps
