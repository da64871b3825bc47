"""What the commands share: their options, the two consoles, progress and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...formats import table
from ...ground.files import atomic_write, writable, writable_folder
from .consoles import PlainConsole as PlainConsole
from .consoles import err as err
from .consoles import is_stdout, print_alone
from .consoles import out as out

if TYPE_CHECKING:
    from ...data import Data
    from ...formats.nir.conventions import NirOptions


def to_write(path: Path | None) -> Path | None:
    """Of an option that names a file to write: looked at before the work (SFX-E603)."""
    if path is not None:
        writable(path)
    return path


def to_draw(path: Path | None) -> Path | None:
    """As `to_write`, of a picture."""
    if path is not None:
        writable(path, PICTURES)
    return path


def to_tell(path: Path | None) -> Path | None:
    """As `to_write`, of what may go to stdout by the name '-'."""
    return path if is_stdout(path) else to_write(path)


def to_dump(path: Path | None) -> Path | None:
    """As `to_write`, of a folder for what `--dump-passes` writes (SFX-E603, SFX-E606)."""
    if path is not None:
        from ..api.dumping import earlier_dump

        earlier_dump(path)
    return path


def to_fill(path: Path) -> Path:
    """As `to_write`, of a folder for what is made."""
    writable_folder(path)
    return path


def in_bytes(megabytes: int | None) -> int | None:
    """Of `--memory`: commands receive bytes."""
    return None if megabytes is None else megabytes << 20


PICTURES = (".png", ".svg")

ModelArg = Annotated[
    Path, typer.Argument(help=f"Model file: {table.suffixes(table.MODELS)}", metavar="MODEL")
]
FloatModelArg = Annotated[
    Path, typer.Argument(help=f"Model file: {table.suffixes(table.FLOAT)}", metavar="MODEL")
]
FileArg = Annotated[Path, typer.Argument(metavar="FILE", help=f"A {table.suffixes()} file")]
BundleArg = Annotated[Path, typer.Argument(help="Compiled model (.sfx)", metavar="BUNDLE")]
TargetOpt = Annotated[
    str, typer.Option(help="Target: loihi (is loihi2), another listed one, or a .toml")
]
CalibrateOpt = Annotated[
    Path | None, typer.Option(metavar="DATA", help="Samples on which the scales are chosen (.npz)")
]
FactoryOpt = Annotated[
    str | None, typer.Option("--model", help="Your own network: pkg.module:factory")
]
InputLayoutOpt = Annotated[
    str,
    typer.Option(
        metavar="LAYOUT",
        help="With --model, the input of forward(): TB (steps first), BT (samples first), B (one "
        "image, which forward() repeats itself) or step (one step)",
    ),
]
OldLayoutOpt = Annotated[str | None, typer.Option("--takes", hidden=True)]
"""The name of --input-layout before 0.2.0; it goes with the version after."""
MemoryOpt = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="MB",
        callback=in_bytes,
        help="Memory that the command may use; it refuses to start if it needs more",
    ),
]
TrustOpt = Annotated[
    bool,
    typer.Option(
        "--trust-pickle",
        help="Let a .pt file run the code that it contains (needed for whole networks and files "
        "from before torch 1.6). Use it only for files that you trust",
    ),
]
WeightsOpt = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="Which weights of a training script's file to take, such as state_dict where "
        "state_dict_ema would be; KEY.KEY leads into a dict in a dict",
    ),
]
InputOpt = Annotated[
    Path, typer.Option("--input", metavar="DATA", help="Samples: .npz with x and y")
]
LimitOpt = Annotated[int | None, typer.Option(min=1, help="Use the first N samples only")]
StepsOpt = Annotated[
    int | None,
    typer.Option(
        "--timesteps", min=1, help="T, the time steps of a sample, if the file does not give it"
    ),
]
NetInputOpt = Annotated[
    str | None,
    typer.Option(
        "--net-input",
        metavar="KIND",
        help="What DATA contains for a lava-dl .net: raw (x, to which sfx applies the file's "
        "weight and bias) or transformed (weight x + bias already)",
    ),
]
ConventionOpt = Annotated[
    str | None,
    typer.Option(
        "--nir-convention",
        metavar="NAME",
        help="Framework by whose convention a .nir file is read: nir, norse, norse-1.1, snntorch, "
        "spikingjelly, sinabs, rockpool, spyx or lava. Options of its neuron follow a colon, as in "
        "sinabs:norm_input=false",
    ),
]
DtOpt = Annotated[
    float | None,
    typer.Option(
        "--dt",
        metavar="SECONDS",
        help="Length of a time step in a .nir file, or of a torch model's neurons",
    ),
]
ResetOpt = Annotated[
    str | None,
    typer.Option(
        "--reset",
        help="Reset of the neurons in a .nir file: value (their v_reset), zero, subtract or a "
        "number",
    ),
]
JsonOpt = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        callback=to_tell,
        help="Write the result as JSON ('-': to stdout, which then contains nothing else)",
    ),
]

ObjectiveOpt = Annotated[
    str,
    typer.Option(
        help="What the mapping minimizes: cores, latency (load spread evenly over the fewest "
        "chips) or energy; or intel, which splits by the rule of Intel's compiler"
    ),
]
SeedOpt = Annotated[int, typer.Option(min=0, help="Random seed of the placement")]

CheckOpt = Annotated[
    bool,
    typer.Option(
        "--check/--no-check",
        help="Run the torch model beside its graph and compare every neuron",
    ),
]
CheckSamplesOpt = Annotated[
    int, typer.Option(min=1, metavar="N", help="Number of samples for that comparison")
]

DumpOpt = Annotated[
    Path | None,
    typer.Option(
        "--dump-passes",
        metavar="DIR",
        callback=to_dump,
        help="Write the model as text after every pass of the compiler, into files that are "
        "numbered and named: 00-imported.txt first, the Program last",
    ),
]

JSON_SCHEMA = 1


def nir_options(convention: str | None, dt: float | None, reset: str | None) -> NirOptions | None:
    """How to read a .nir file, if an option says it. Raises InputError."""
    if convention is None and dt is None and reset is None:
        return None
    from ...formats.nir.conventions import NirOptions

    return NirOptions(convention, dt, reset)


def print_reading(model: Path, manifest: dict[str, Any]) -> None:
    """How a .nir file was read, with what it was not clear about; nothing for other models."""
    kind = table.of(model)
    if kind is None or not kind.convention:
        return
    for line in manifest.get("nir", {}).get("lines", ()):
        out.print(line, markup=False, soft_wrap=True)


def optional_data(path: Path | None) -> Data | None:
    """The samples in `path`, if one is given. Raises InputError."""
    return None if path is None else read_data(path, None)


def read_data(path: Path, limit: int | None) -> Data:
    """The samples in `path`, the first `limit` of them. Raises InputError."""
    from ...data import read

    return read(path, limit)


def write_json(path: Path | None, values: dict[str, Any]) -> None:
    """Write a result atomically ('-': to stdout); nothing without a path."""
    if path is not None:
        shape = {"schema_version": JSON_SCHEMA, **values}
        write_text(path, json.dumps(shape, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file atomically ('-': to stdout, alone)."""
    if is_stdout(path):
        print_alone(text)
    else:
        atomic_write(path, text.encode(errors="backslashreplace"))


@contextmanager
def stages(title: str) -> Iterator[Callable[[str], None]]:
    """A spinner that names the current stage; plain lines where there is no terminal."""
    if err.is_terminal:
        with err.status(title) as status:
            yield lambda name: status.update(f"{title}: {name}")
    else:
        err.print(title)
        yield lambda name: None


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal; plain lines at every tenth elsewhere."""
    if err.is_terminal:
        from rich.progress import Progress

        with Progress(console=err, transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    err.print(title)
    last = -1

    def line(done: int, total: int) -> None:
        nonlocal last
        tenth = 10 * done // max(total, 1)
        if tenth > last:
            last = tenth
            err.print(f"  {done}/{total}")

    yield line
