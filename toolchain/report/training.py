"""The picture of a training: loss, accuracy and rate, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .figure import INK, PALE, STYLE, save

TRAIN, HELD = "#7a8ba3", "#b5482a"


def learning(rows: Sequence[Any], path: Path | None = None) -> Figure:
    """Three panels over the epochs; the cost of the spikes beside the loss where it is trained.

    rows  number, loss, train, validation, activity and rate of each epoch

    Raises InputError (SFX-E603) if `path` cannot be written.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 2.4), layout="constrained")
        loss, share, rate = figure.subplots(1, 3)
        at = [r.number for r in rows]
        loss.plot(at, [r.loss for r in rows], color=INK, label="loss")
        if rows and rows[0].activity is not None:
            loss.plot(at, [r.activity for r in rows], color=HELD, label="cost of spikes")
        share.plot(at, [100 * r.train for r in rows], color=TRAIN, label="as learned")
        if rows and rows[0].validation is not None:
            share.plot(at, [100 * r.validation for r in rows], color=HELD, label="held out")
        rate.plot(at, [r.rate for r in rows], color=INK)
        for axes, title in ((loss, "loss"), (share, "accuracy, %"), (rate, "rate")):
            axes.set_title(title, loc="left", fontsize=9)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(color=PALE, linewidth=0.4)
            if len(axes.lines) > 1:
                axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, -0.45), ncols=2)
        loss.set_ylim(bottom=0)
    if path is not None:
        save(figure, path)
    return figure
