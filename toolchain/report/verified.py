"""What `sfx verify` prints: the verdict, what was compared, and the first difference."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..verify.agreement import Agreement
from ..verify.compare import Verdict
from ..verify.replay import Replay, Row
from .ranges import left_lines
from .units import share

SILICON = {
    "lava": "Lava's models, not silicon (docs/verification.md)",
}
"""What a witness is, where its name promises more than it is."""
SHOWN_STEPS = 12
"""Steps of a replayed neuron that are printed: the last ones, which end in the difference."""


def verify_summary(verdict: Verdict) -> RenderableType:
    """The verdict as something Rich prints."""
    what = "spikes, u and v" if verdict.states else "spikes"
    spikes = sum(p.spikes for p in verdict.populations)
    word, style = ("EQUAL", "bold green") if verdict.equal else ("NOT EQUAL", "bold red")
    lines = [
        Text(f"{word}: reference and {verdict.against}", style=style),
        Text(
            f"  compared    {verdict.compared:,} values ({what})\n"
            f"              {len(verdict.populations)} populations x {verdict.steps} hardware "
            f"steps, {verdict.samples} samples back to back\n"
            f"  spikes      {spikes:,}\n"
            f"  mismatches  {verdict.mismatches:,}"
        ),
    ]
    if verdict.mode == "layerwise":
        covered = share(verdict.covered / max(verdict.neurons, 1), 2)
        lines.append(
            Text(
                f"  covered     {verdict.covered:,} of {verdict.neurons:,} neurons ({covered}), "
                "each population replayed alone"
            )
        )
    if verdict.equal and verdict.against in SILICON:
        lines.append(Text(f"  witness     {SILICON[verdict.against]}"))
    if verdict.first_mismatch is not None:
        lines.append(Text(f"  first       {verdict.first_mismatch}"))
        lines += [Text(f"              {line}") for line in verdict.cause]
    lines += _ranges(verdict)
    if verdict.silent:
        names = ", ".join(verdict.silent)
        lines.append(Text(f"  warning     never fired, so nothing was shown there: {names}"))
    if verdict.equal:
        return Group(*lines)
    table = Table("population", "compared", "mismatches", "spikes", box=None, pad_edge=False)
    for p in verdict.populations:
        if p.mismatches:
            table.add_row(p.population, f"{p.compared:,}", f"{p.mismatches:,}", f"{p.spikes:,}")
    return Group(*lines, Text(), table)


def _ranges(verdict: Verdict) -> list[Text]:
    """What left its measured range: counted in both, and said loudly."""
    found = left_lines(verdict.left)
    if not any(verdict.left.values()):
        return [Text(f"  ranges      {line}") for line in found]
    both = ", ".join(f"{n} {count:,}" for n, count in verdict.left_witness.items() if count)
    lines = [*found, f"counted by {verdict.against}: {both or 'none'}"]
    return [Text(f"  ranges      {line}", style="bold red") for line in lines]


def agreement_summary(found: Agreement) -> RenderableType:
    """The Program beside its torch model as something Rich prints."""
    word, style = ("EQUAL", "bold green") if found.equal else ("NOT EQUAL", "bold red")
    if not found.equal and found.passed:
        word, style = "AGREEMENT", "bold"
    what = "nothing was rounded" if found.lossless else "rounded to integers"
    head = Text(f"{word}: torch and the integer Program ({what})\n", style=style)
    spikes = sum(p.torch for p in found.populations)
    head.append(
        f"  compared    {found.compared:,} values, {found.samples} samples\n"
        f"  spikes      {spikes:,} in torch\n"
        f"  mismatches  {found.mismatches:,}",
        style="default",
    )
    if found.answers is not None:
        head.append(f"\n  answers     {found.answers} of {found.samples} the same")
    if found.silent:
        head.append(f"\n  warning     never fired in torch: {', '.join(found.silent)}")
    if found.missing:
        head.append(f"\n  warning     not compared: {', '.join(found.missing)}")
    table = Table(
        "population", "compared", "differ", "spikes", "precision", "recall", box=None,
        pad_edge=False,
    )  # fmt: skip
    for p in found.populations:
        shares = (share(s, 2) for s in (p.precision, p.recall))
        table.add_row(p.population, f"{p.compared:,}", f"{p.differ:,}", f"{p.torch:,}", *shares)
    return Group(head, Text(), table)


def replay_summary(replay: Replay, rows: list[Row], against: str) -> RenderableType:
    """The last steps of one replayed neuron, reference beside witness."""
    first = replay.mismatch
    wrong = sum(not r.equal for r in rows)
    head = Text(f"{first.population}, neuron {first.neuron}: the reference and {against}\n")
    head.append(
        f"{wrong} of {len(rows)} steps differ" if wrong else f"equal at all {len(rows)} steps",
        style="bold red" if wrong else "bold green",
    )
    table = Table("step", "spikes", "", "u", "", "v", "", "", box=None, pad_edge=False)
    for row in rows[-SHOWN_STEPS:]:
        values = [row.spikes, row.u or ("", ""), row.v or ("", "")]
        cells = [str(v) for pair in values for v in pair]
        table.add_row(str(row.step), *cells, "" if row.equal else "<- differs")
    return Group(head, Text(), table)
