"""`sfx targets`."""

from __future__ import annotations

from typing import Annotated

import typer

from sfx.toolchain.commands.common import out


def targets(
    name: Annotated[str | None, typer.Argument(help="One target in detail")] = None,
) -> None:
    """List the targets, or show one with its limits and the source of each."""
    from sfx.toolchain.report.targets import target_details, target_list

    out.print(target_list() if name is None else target_details(name))
