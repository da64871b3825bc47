"""The `sfx` command: every command is a file in `toolchain/app/commands`, registered here.

Exit status: 0 done and equal; 1 unequal or does not fit; 2 bad input or usage; 3 a needed part
is missing; 130 interrupted.
"""

from __future__ import annotations

import sys

import typer

from ..ground.folder import shut_out
from .commands.check import check
from .commands.compile import compile
from .commands.consoles import answering
from .commands.data import app as data
from .commands.diff import diff
from .commands.doctor import doctor
from .commands.exit_status import status_of
from .commands.explain import explain
from .commands.export import export
from .commands.inspect import inspect
from .commands.map import map
from .commands.quantize import quantize
from .commands.replay import replay
from .commands.report import report
from .commands.run import run
from .commands.streams import guard
from .commands.targets import targets
from .commands.train import train
from .commands.verify import verify

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
    train,
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
