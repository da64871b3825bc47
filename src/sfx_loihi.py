"""Where the `sfx` command starts: is the package `sfx` that Python finds this project's?

A package registry has another project's library under our import name. Where that one lies in
front of us, or over us, nothing of ours can be imported: this module has a name of its own.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

OURS = "from a trained spiking transformer to Loihi 2"
"""What the first file of our package says, and no other's."""


def main() -> None:
    """Run the command; Ctrl-C while it is being imported shows no traceback either."""
    try:
        _main()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was written\n")
        sys.exit(130)


def _main() -> None:
    """Run the command, or say which foreign `sfx` is in its place and end with status 3."""
    place = foreign()
    if place is not None:
        sys.stderr.write(
            f"error\nSFX-E660 {place}: the package `sfx` found here is another project's\n"
            "  -> pip uninstall sfx, then install this project again (its distribution is"
            " sfx-loihi)\n"
        )
        sys.exit(3)
    try:
        from sfx.toolchain.ground.folder import shut_out
    except ImportError as error:
        if "SFX-E662" not in str(error):
            raise
        sys.stderr.write(f"error\n{error}\n")
        sys.exit(3)

    shut_out()  # before the libraries that the commands are made with
    from sfx.toolchain.app.cli import main as run

    run()


def foreign() -> str | None:
    """The place of the `sfx` that would be imported, if it is not ours. It is not imported."""
    spec = find_spec("sfx")
    if spec is None or spec.origin is None:
        return "nowhere" if spec is None else str(spec.submodule_search_locations)
    return None if is_ours(Path(spec.origin)) else spec.origin


def is_ours(file: Path) -> bool:
    """True for the `__init__.py` of this project's package `sfx`."""
    try:
        return OURS in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
