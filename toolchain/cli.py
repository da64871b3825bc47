"""The `sfx` command: every command is a file in `toolchain/commands`, registered here.

Exit status: 0 done and equal; 1 unequal or does not fit; 2 bad input or usage; 3 a needed part
is missing; 130 interrupted.
"""

from __future__ import annotations

import sys

import typer

from sfx.toolchain.commands.check import check
from sfx.toolchain.commands.compile import compile
from sfx.toolchain.commands.consoles import answering
from sfx.toolchain.commands.data import app as data
from sfx.toolchain.commands.diff import diff
from sfx.toolchain.commands.doctor import doctor
from sfx.toolchain.commands.ends import status_of
from sfx.toolchain.commands.explain import explain
from sfx.toolchain.commands.export import export
from sfx.toolchain.commands.inspect import inspect
from sfx.toolchain.commands.map import map
from sfx.toolchain.commands.quantize import quantize
from sfx.toolchain.commands.replay import replay
from sfx.toolchain.commands.report import report
from sfx.toolchain.commands.run import run
from sfx.toolchain.commands.streams import guard
from sfx.toolchain.commands.targets import targets
from sfx.toolchain.commands.verify import verify
from sfx.toolchain.folder import shut_out

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Deploy spiking transformers to Loihi 2: compile, run, verify, report.",
)
for _command in (
    compile,
    check,
    quantize,
    map,
    run,
    verify,
    replay,
    diff,
    report,
    export,
    inspect,
    targets,
    doctor,
    explain,
):
    app.command()(answering(_command))
app.add_typer(data, name="data")


def main() -> None:
    """Entry point: what can go wrong prints without a traceback and sets the exit status."""
    shut_out()
    stdout = guard()
    status = status_of(app)
    sys.exit(status if stdout is None else stdout.ended(status))


if __name__ == "__main__":
    main()
