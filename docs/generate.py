"""Writes docs/supported_ops.md from the tables the compiler itself uses.

python docs/generate.py            write the page
python docs/generate.py --check    fail if the page is out of date
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "supported_ops.md"


def first_sentence(function: Callable[..., Any] | type) -> str:
    """The first paragraph of a docstring as one line, made safe for a table."""
    text = " ".join((function.__doc__ or "").strip().split("\n\n")[0].split())
    return text.replace("|", "\\|")


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def traced_ops() -> str:
    """ATen ops by the rule that maps them."""
    import sfx.frontends.tracing.export  # noqa: F401  (registers every rule)
    from sfx.frontends.tracing.rules import RULES

    names: dict[Callable[..., Any], list[str]] = defaultdict(list)
    for name, rule in RULES.items():
        names[rule].append(f"`{name.removeprefix('aten::')}`")
    rows = sorted((", ".join(sorted(ops)), first_sentence(rule)) for rule, ops in names.items())
    return table(("ATen ops", "what becomes of them"), rows)


def refused_ops() -> str:
    """Words in op names that are refused, with what to use instead."""
    from sfx.frontends.tracing.rules import HINTS

    return table(("op", "instead"), sorted((f"`{k}`", v) for k, v in HINTS.items()))


def neurons() -> str:
    """Neuron modules by library."""
    from sfx.frontends.neurons import norse, snntorch, spikingjelly

    rows = [
        ("Norse", ", ".join(f"`{name}`" for name in norse.KINDS)),
        ("SpikingJelly", ", ".join(f"`{n}`" for n in spikingjelly.NEURONS)),
        ("snnTorch", ", ".join(f"`{name}`" for name in snntorch.STATES)),
        (
            "sfx",
            "`GreaterEqualLIF`, `IntegerLIF`, `TernaryLIF`, `MultiSpike`, `MultiStep` around a "
            "cell of these or of Norse's",
        ),
        (
            "authors' own code",
            "integer neurons, whatever they are called: modules without parameters that compute "
            "round(clamp(v, 0, D)) / norm (`MultiSpike`, `mem_update`), or spikes of both signs "
            "(`LIFAct` of the ternary spike); parallel spiking neurons: modules that compute "
            "W x + b >= 0 over the steps (PSN's authors' `IFNode5`, `MaskedSlidingPSN`)",
        ),
    ]
    return table(("library", "neurons"), rows)


def nir_nodes() -> str:
    """NIR nodes that the bridge reads, and those it refuses for now."""
    from sfx.toolchain.formats.nir.converters import CONVERTERS

    rows = []
    for node in sorted(CONVERTERS, key=lambda c: c.__name__):
        ours = "sfx" in node.__module__
        if node.__name__ != "Junction":
            rows.append((f"`{node.__name__}`", "extension" if ours else "standard"))
    return table(("NIR node", ""), rows)


def onnx_operators() -> str:
    """ONNX operators that are read, standard ones and ours with their equations."""
    from sfx.toolchain.formats.onnx.names import DOMAIN, EQUATIONS
    from sfx.toolchain.formats.onnx.read import READERS

    names = [k for k in sorted(READERS) if not k.startswith(DOMAIN)]
    rows = [("standard", ", ".join(f"`{n}`" for n in names))]
    rows += [(f"`{DOMAIN}` `{name}`", equation) for name, equation in sorted(EQUATIONS.items())]
    return table(("ONNX operator", ""), rows)


def passes() -> str:
    """What the passes do, in their order."""
    from sfx.toolchain.compiler.compile import TO_NEURON_FORM

    rows = []
    for step in TO_NEURON_FORM:
        text = (type(step).__doc__ or "").strip().split("\n\n")
        lines = " ".join(" ".join(part.split()) for part in text[:2])
        facts = ("; ".join(f.name for f in said) or "-" for said in (step.requires, step.ensures))
        rows.append((f"`{step.name}`", lines.replace("|", "\\|"), *facts))
    return table(("pass", "before and after", "requires", "ensures"), rows)


def recordings() -> str:
    """Formats of a single recording by suffix."""
    from sfx.frontends.events.formats import FORMATS

    return table(("file", "what is read"), ((f"`{k}`", f.about) for k, f in FORMATS.items()))


def data_sets() -> str:
    """Data sets by name, with their files."""
    from sfx.frontends.datasets.find import READERS

    rows = ((f"`{name}`", first_sentence(read)) for name, read in READERS.items())
    return table(("`--from`", "files"), rows)


def hardware_rules() -> str:
    """Every rule of the target, with Loihi 2's numbers in place."""
    from sfx.toolchain.targets import load, rules

    limits = load("loihi2").limits
    found = (
        *rules.POPULATION_RULES,
        *rules.PROJECTION_RULES,
        *rules.CORE_RULES,
        rules.neuron_groups,
    )
    rows = [(f"`{r.__name__}`", rules.text_of(r, limits)) for r in found]
    return table(("rule", "loihi2"), rows)


def page() -> str:
    """The whole page."""
    parts = {
        "PyTorch: ops": traced_ops(),
        "PyTorch: neurons": neurons(),
        "PyTorch: refused, with what to use instead": refused_ops(),
        "NIR": nir_nodes(),
        "ONNX": onnx_operators(),
        "Data sets (`sfx data convert`, `sfx.data.EventDataset`)": data_sets(),
        "Recordings (`--from recordings`)": recordings(),
        "Passes": passes(),
        "Hardware rules": hardware_rules(),
    }
    head = (
        "# Supported operations\n\n"
        "Written by `python docs/generate.py` from the tables the compiler uses; a test fails if\n"
        "this page and they differ. Anything that is not here is refused by name.\n"
    )
    return head + "".join(f"\n## {title}\n\n{body}\n" for title, body in parts.items())


def main() -> int:
    """Write or check the page."""
    text = page()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("docs/supported_ops.md is out of date: run python docs/generate.py")
            return 1
        return 0
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
