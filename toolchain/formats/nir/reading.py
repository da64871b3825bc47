"""How a NIR file is read and where each setting came from; exporters that its numbers look like."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from . import ext
from .conventions import NirOptions
from .flat import extra_axes, inline

NEURONS = (nir.LIF, nir.IF, nir.CubaLIF)
MEMBRANES = (nir.LI, nir.CubaLI)
"""Neurons that never fire."""
CLOSE = 1e-5
"""Relative difference up to which two numbers of a float32 file are the same."""


@dataclass(frozen=True)
class Said:
    """One fact of a reading. origin: `option`, `file`, `convention` (its default) or `default`."""

    what: str
    value: str
    origin: str


@dataclass(frozen=True)
class Reading:
    """What a NIR file was read with.

    dt        seconds of a step
    facts     convention, options of the framework's neuron, dt and reset, with their origins
    notes     what of the file was left out
    warnings  where the numbers of the file are those of another framework's exporter
    """

    dt: float
    facts: tuple[Said, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """As text: one line of facts, and one per note and warning."""
        facts = ", ".join(f"{f.what} {f.value} ({f.origin})" for f in self.facts)
        said = [f"read with {facts}", *(f"note: {n}" for n in self.notes)]
        return said + [f"warning: {w}" for w in self.warnings]


def reading(source: nir.NIRGraph, options: NirOptions | None = None) -> Reading:
    """How `to_graph` reads a NIR graph. Raises ValueError if its metadata hold what they cannot."""
    options = options or NirOptions()
    known = ext.facts(source)
    neurons = list(_neurons(source))
    given = "default" if options.convention is None else "option"
    facts = [Said("convention", options.name, given)]
    named = (options.convention or "").partition(":")[2]
    for key, value in options.chosen.items():
        facts.append(Said(key, value, "option" if f"{key}=" in named else "convention"))
    dt, origin = _dt(options, known, neurons)
    facts += [Said("dt", f"{dt:g} s", origin), _reset(options, neurons)]
    fits = "sfx" not in known and _fitting(neurons)
    warnings = [_warning(fits, options.name)] if fits and options.name not in fits[0] else []
    notes = [
        f"{name}: the axes {extra} of batch and time are left out"
        for name, extra in extra_axes(*inline(source)).items()
    ]
    return Reading(dt, tuple(facts), tuple(notes), tuple(warnings))


def _dt(
    options: NirOptions, known: dict[str, Any], neurons: list[nir.NIRNode]
) -> tuple[float, str]:
    """Seconds of a step, and who says so."""
    if options.dt is not None:
        return options.dt, "option"
    if "dt" in known:
        return float(known["dt"]), "file"
    if options.rules.tau == "exponential":
        found = [d for n in neurons for d in [_rockpool_dt(n)] if d is not None]
        if found and max(found) - min(found) <= CLOSE * max(found):
            return _short(found[0]), "file: from r"
    return options.rules.dt, "convention" if options.convention else "default"


def _reset(options: NirOptions, neurons: list[nir.NIRNode]) -> Said:
    if options.reset is not None:
        return Said("reset", options.reset, "option")
    if any(_mode(n) == "subtract" for n in neurons):
        return Said("reset", "subtract", "file")
    kind = options.rules.reset
    if kind != "value":
        return Said("reset", kind, "convention")
    values = {float(v) for n in neurons for v in np.ravel(getattr(n, "v_reset", 0.0))}
    return Said("reset", "to " + (f"{values.pop():g}" if len(values) == 1 else "v_reset"), "file")


def _mode(node: nir.NIRNode) -> object:
    try:
        return ext.facts(node).get("reset_mode")
    except ValueError:  # the conversion of the node says so
        return None


def _neurons(graph: nir.NIRGraph) -> Iterator[nir.NIRNode]:
    for node in graph.nodes.values():
        if isinstance(node, nir.NIRGraph):
            yield from _neurons(node)
        elif isinstance(node, NEURONS):
            yield node


def _number(node: nir.NIRNode, name: str) -> float | None:
    """The one value of a parameter; None where neurons differ or it is not there."""
    values = np.unique(np.asarray(getattr(node, name, np.nan), dtype=np.float64))
    return float(values[0]) if len(values) == 1 and np.isfinite(values[0]) else None


# --- whose numbers these are ----------------------------------------------------------------


def _fitting(neurons: list[nir.NIRNode]) -> tuple[tuple[str, ...], str] | None:
    """(conventions that write such numbers, the numbers), if every neuron of the file has them."""
    found = {f for n in neurons for f in [_writer(n)]}
    return found.pop() if len(found) == 1 else None


def _writer(node: nir.NIRNode) -> tuple[tuple[str, ...], str] | None:
    r, tau = _number(node, "r"), _number(node, "tau_mem" if hasattr(node, "tau_mem") else "tau")
    if r is None or r <= 0:
        return None
    if tau is None:
        if _same(r, 1.0) and isinstance(node, nir.IF):
            return ("norse", "norse-1.1", "sinabs", "spyx"), "IF with r = 1"
        return (("spikingjelly",), "IF with r = 1e4") if _same(r, 1e4) else None
    if tau <= 0:
        return None
    if _same(r, 1.0):
        if tau < 1e-4:
            return ("norse-1.1",), "r = 1 and a tau below 0.1 ms"
        return (("sinabs",), "r = 1 and a tau of 1 or more") if tau >= 1.0 else None
    if _same(r, tau / 1e-4):
        return ("snntorch", "spikingjelly"), "r = tau / 1e-4 s"
    if r < 1.0 and _same(r, 1.0 - 1.0 / tau):
        return ("spyx",), "r = 1 - 1 / tau"
    dt = _rockpool_dt(node)
    round_dt = dt is not None and _same(dt, float(f"{dt:.0e}"))
    return (("rockpool",), "r = tau exp(-dt / tau) / dt") if round_dt else None


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=CLOSE)


def _rockpool_dt(node: nir.NIRNode) -> float | None:
    """dt of r = tau exp(-dt / tau) / dt: with a = dt / tau, a exp(a) = 1 / r."""
    r, tau = _number(node, "r"), _number(node, "tau_mem" if hasattr(node, "tau_mem") else "tau")
    if r is None or tau is None or r <= 0 or tau <= 0:
        return None
    a = math.log1p(1 / r)
    for _ in range(60):  # Newton's method on a convex function
        a -= (a * math.exp(a) - 1 / r) / (math.exp(a) * (1 + a))
    return a * tau


def _short(value: float) -> float:
    """A number of three digits that is the same up to float32, else the number."""
    short = float(f"{value:.2e}")
    return short if _same(short, value) else value


def _warning(fits: tuple[tuple[str, ...], str], name: str) -> str:
    names, numbers = fits
    options = " or ".join(f"--nir-convention {n}" for n in names)
    return (
        f"its neurons have {numbers}, as files of {', '.join(names)} do, but the convention {name} "
        f"makes other neurons of them; if one of those wrote the file: {options}"
    )
