"""`sfx doctor`."""

from __future__ import annotations

import typer

from .common import out


def doctor() -> None:
    """Show which parts are installed here and what each is needed for."""
    from ..doctor import clashes, findings

    missing = False
    for part in findings():
        missing |= part.needed and not part.found
        out.print(f"{'ok     ' if part.found else 'missing'}  {part.name:<12} {part.detail}")
    for clash in clashes():
        out.print(f"clash    {clash}", markup=False, soft_wrap=True)
    raise typer.Exit(3 if missing else 0)
