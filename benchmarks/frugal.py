"""What a penalty on the cost of spikes saves; the last section of docs/accuracy.md.

    sfx train examples/mnist/frugal.toml -o out        (the samples: examples/mnist/README.md)
    python benchmarks/frugal.py out/model.pt
    python benchmarks/accuracy.py --page-only

Both networks are compiled to 8 bits and run on all 10,000 test images on `fast`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import Part, float_right, mnist, wilson
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parent.parent
STORE = ROOT / "benchmarks" / "frugal.json"
PICTURE = ROOT / "docs" / "images" / "frugal.svg"
NAMES = {"model.pt": "as trained", "penalty": "with the penalty"}
COLOURS = ("#7a8ba3", "#b5482a")


def measured(part: Part) -> dict[str, Any]:
    """Accuracy in float and in integers, spikes and synops of a sample, synops by module."""
    import sfx
    from sfx.toolchain.compiler.cost.activity import total
    from sfx.toolchain.compiler.cost.synops import synops

    bundle = sfx.compile(part.model)
    done = sfx.run(bundle, part.x)
    by_module: dict[str, float] = {}
    for q in bundle.program.populations:
        mine = [j for j in bundle.program.projections if j.pre == q.name]
        caused = synops(replace(bundle.program, projections=tuple(mine)), done.counts)
        if q.module and caused:
            by_module[q.module] = by_module.get(q.module, 0.0) + caused / len(part.x)
    sent = [q.name for q in bundle.program.populations if not q.neuron.driven]
    return {
        "float": float_right(part)["right"],
        "integers": int((done.predictions == part.y).sum()),
        "samples": len(part.y),
        "spikes": sum(total(done.counts.events, n) for n in sent) / len(part.y),
        "synops": synops(bundle.program, done.counts) / len(part.y),
        "by_module": by_module,
    }


def section(found: dict[str, Any]) -> list[str]:
    """Lines of docs/accuracy.md."""
    before, after = (found[k] for k in NAMES)
    lines = [
        "## Energy that was trained: MNIST with a penalty on the cost of spikes",
        "",
        "`examples/mnist/frugal.toml` goes on from the trained Spikeformer for five epochs, with "
        "what its spikes cost (in synops of the compiled Program) in the loss. 8-bit integers, "
        "all test images, by `benchmarks/frugal.py`:",
        "",
        "| network | float | integers | spikes a sample | synops a sample |",
        "|---|---|---|---|---|",
    ]
    for key, name in NAMES.items():
        row = found[key]
        low, high = wilson(row["integers"], row["samples"])
        real, whole = (row[k] / row["samples"] for k in ("float", "integers"))
        lines.append(
            f"| {name} | {real:.2%} | {whole:.2%} ({low:.1%} to {high:.1%}) "
            f"| {row['spikes']:,.0f} | {row['synops']:,.0f} |"
        )
    share = after["synops"] / before["synops"]
    lost = 100 * (before["integers"] - after["integers"]) / before["samples"]
    return [
        *lines,
        "",
        f"{share:.0%} of the synops are left, {lost:.2f} points of accuracy are lost.",
        "",
        "![Synops of a sample, by the module whose spikes cause them](images/frugal.svg)",
        "",
    ]


def picture(found: dict[str, Any]) -> None:
    """Two bars for each module."""
    from matplotlib import rc_context

    from sfx.toolchain.report.figure import STYLE, save

    modules = list(found["model.pt"]["by_module"])
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.6 + 0.32 * len(modules)), layout="constrained")
        axes = figure.add_subplot()
        at = np.arange(len(modules))
        for k, (key, name) in enumerate(NAMES.items()):
            values = [found[key]["by_module"].get(m, 0.0) / 1e3 for m in modules]
            axes.barh(at + 0.38 * k, values, height=0.36, color=COLOURS[k], label=name)
        axes.set_yticks(at + 0.19, modules)
        axes.invert_yaxis()
        axes.set_xlabel("thousand synops a sample")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    save(figure, PICTURE)


def main() -> int:
    """Measure, keep, draw."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    (part,) = mnist(ROOT.parent / "shared" / "data")
    found = {
        "model.pt": measured(part),
        "penalty": measured(Part(Path(sys.argv[1]), part.x, part.y)),
    }
    STORE.write_text(json.dumps(found, indent=1) + "\n")
    picture(found)
    print("\n".join(section(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
