"""Writes docs/images/layers.svg from the table of layers that the import test enforces.

python docs/layers.py            write the picture
python docs/layers.py --check    fail if the picture is out of date
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "layers.svg"
SAYS = {
    "toolchain.app": "Python API, command line",
    "toolchain.qat": "fine-tuning in integers",
    "toolchain.report": "what a person reads",
    "toolchain.verify": "equal, layer by layer",
    "toolchain.targets": "limits and their sources",
    "toolchain.formats": "NIR, ONNX, netx, bundle",
    "toolchain.data": "samples",
    "toolchain.ir": "Graph, Program, their checks",
    "toolchain.ground": "errors, integers, files",
    "frontends.witness": "the model beside its graph",
    "frontends.tracing": "torch to NIR",
    "frontends.checkpoints": "weights to a model",
    "frontends.zoo": "published models",
    "frontends.neurons": "neurons of each library",
    "frontends.datasets": "the field's data sets",
    "frontends.events": "event files",
}
"""What a box says below its name; a box of several layers names them, others say nothing."""
COLUMNS = {"frontends": 0, "toolchain": 1, "backends": 2}
COLOURS = {"frontends": "#dcebf7", "toolchain": "#f3efe2", "backends": "#e3f1df"}
EDGES = {"frontends": "#4f81ab", "toolchain": "#94803f", "backends": "#5c8f4d"}
MOST = (2, 3, 1)
"""Boxes side by side in a column."""
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 200, 62, 14, 50, 24

Layers = Mapping[str, frozenset[str]]


def table() -> Layers:
    """Layer -> the layers it may import, as the test has it."""
    sys.path.insert(0, str(ROOT))
    from tests.unit.project.test_imports import LAYERS, within

    return {
        layer: frozenset(n for n in LAYERS for a in allowed if n != layer and within(n, a))
        for layer, allowed in LAYERS.items()
    }


def box(layer: str, known: Layers) -> str:
    """The box of a layer: the compiler is one, so are the backends and what all of them use."""
    package, name = layer.split(".")[:2]
    if package == "backends":
        return "backends.each" if "backends.base" in known[layer] else "backends.all"
    return f"{package}.{name}"


def boxes(known: Layers) -> tuple[Layers, Mapping[str, list[str]]]:
    """Box -> the boxes it may import; box -> the layers in it."""
    found: dict[str, set[str]] = {}
    held: dict[str, list[str]] = {}
    for layer, allowed in known.items():
        found.setdefault(box(layer, known), set()).update(box(n, known) for n in allowed)
        held.setdefault(box(layer, known), []).append(layer)
    return {name: frozenset(lower - {name}) for name, lower in found.items()}, held


def rank(name: str, known: Layers) -> int:
    """The row of a box, from the bottom: one above all that it may import."""
    return 1 + max((rank(n, known) for n in known[name]), default=-1)


def below(name: str, known: Layers) -> frozenset[str]:
    """All that a layer may import, directly or by way of others."""
    return known[name].union(*(below(n, known) for n in known[name]))


def arrows(known: Layers) -> list[tuple[str, str]]:
    """Pairs (upper, lower): without those that follow from the others."""
    return sorted(
        (upper, lower)
        for upper in known
        for lower in known[upper]
        if not any(lower in below(n, known) for n in known[upper])
    )


@dataclass(frozen=True)
class Box:
    """Where a layer is drawn: left and top, in pixels."""

    x: int
    y: int


def places(known: Layers) -> dict[str, Box]:
    """Rows by rank, from the bottom; a column for each package, its boxes centred in it.

    A row that is wider than its column goes on below.
    """
    rows: dict[tuple[int, int], list[str]] = {}
    for name in sorted(known, key=lambda n: (len(below(n, known)), n)):
        rows.setdefault((rank(name, known), COLUMNS[name.split(".")[0]]), []).append(name)
    starts = [MARGIN]
    for n in MOST[:-1]:
        starts.append(starts[-1] + n * (WIDTH + GAP_X) + 2 * GAP_X)
    found = {}
    y = 2 * MARGIN
    for row in range(max(r for r, _ in rows), -1, -1):
        height = 0
        for column, most in enumerate(MOST):
            names = rows.get((row, column), [])
            lines = [names[i : i + most] for i in range(0, len(names), most)]
            for k, line in enumerate(lines):
                left = starts[column] + (most - len(line)) * (WIDTH + GAP_X) // 2
                for i, name in enumerate(line):
                    found[name] = Box(left + i * (WIDTH + GAP_X), y + k * (HEIGHT + GAP_X))
            height = max(height, len(lines) * (HEIGHT + GAP_X))
        y += height - GAP_X + GAP_Y
    return found


def arrow(upper: Box, lower: Box, share: float, colour: str) -> str:
    """A curve from the lower side of `upper`, at `share` of its width, to the top of `lower`."""
    x1, y1 = upper.x + share * WIDTH, upper.y + HEIGHT
    x2, y2 = lower.x + WIDTH / 2 + (share - 0.5) * WIDTH / 3, lower.y
    bend = min(60.0, (y2 - y1) / 2)
    return (
        f'<path d="M{x1:.0f} {y1} C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} '
        f'{x2:.0f} {y2 - 5}" fill="none" stroke="{colour}" stroke-width="1.1" '
        'marker-end="url(#to)" opacity="0.75"/>'
    )


def words(name: str, held: list[str]) -> tuple[str, str]:
    """The two lines of a box."""
    own = name.split(".")[1]
    parts = sorted({layer.removeprefix("toolchain.compiler.").split(".")[0] for layer in held})
    if own == "compiler":
        return own, ", ".join(p for p in parts if p != "toolchain")
    if name in ("backends.each", "backends.all"):
        first = ", ".join(layer.split(".")[1] for layer in sorted(held))
        return first, "none imports another" if own == "each" else "used by all of them"
    return own, SAYS.get(name, "")


def drawn(name: str, at: Box, held: list[str]) -> str:
    """The box of a layer with its name and what it does, in at most two lines."""
    package = name.split(".")[0]
    middle = at.x + WIDTH // 2
    first, second = words(name, held)
    lines = textwrap.wrap(second, 30)
    top = at.y + (22 if len(lines) > 1 else 28)
    return "\n".join(
        [
            f'<rect x="{at.x}" y="{at.y}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
            f'fill="{COLOURS[package]}" stroke="{EDGES[package]}"/>',
            f'<text x="{middle}" y="{top}" font-weight="bold" font-size="13">{first}</text>',
            *(
                f'<text x="{middle}" y="{top + 17 + 14 * i}" fill="#444" font-size="12">{x}</text>'
                for i, x in enumerate(lines)
            ),
        ]
    )


def picture() -> str:
    """The whole picture."""
    known, held = boxes(table())
    at = places(known)
    pairs = arrows(known)
    lines = []
    for upper in known:
        targets = sorted((lower for u, lower in pairs if u == upper), key=lambda n: at[n].x)
        for i, lower in enumerate(targets):
            share = (i + 1) / (len(targets) + 1)
            lines.append(arrow(at[upper], at[lower], share, EDGES[upper.split(".")[0]]))
    width = max(b.x for b in at.values()) + WIDTH + MARGIN
    height = max(b.y for b in at.values()) + HEIGHT + MARGIN
    heads = []
    for package in COLUMNS:
        lefts = [b.x for n, b in at.items() if n.startswith(f"{package}.")]
        middle = (min(lefts) + max(lefts) + WIDTH) // 2
        heads.append(
            f'<text x="{middle}" y="28" font-size="19" font-weight="bold">{package}/</text>'
        )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="Helvetica, Arial, sans-serif" '
            'font-size="14" text-anchor="middle">',
            "<title>Layers of sfx, and which may import which</title>",
            '<defs><marker id="to" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="6" '
            'markerHeight="6" orient="auto"><path d="M0 0L8 4L0 8z" fill="#777"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="white"/>',
            *heads,
            *lines,
            *(drawn(name, at[name], held[name]) for name in sorted(at)),
            "</svg>\n",
        ]
    )


def main() -> int:
    """Write or check the picture."""
    text = picture()
    if "--check" in sys.argv:
        if not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != text:
            print("docs/images/layers.svg is out of date: run python docs/layers.py")
            return 1
        return 0
    PICTURE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
