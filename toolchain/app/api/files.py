"""A file of any kind: its row in the table of formats, and the functions that the row names."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...formats import table
from ...formats.table import Format, Holds
from ...ground.errors import InputError, SfxError
from .models import Integers, ReadOptions, Source, sha256_of

if TYPE_CHECKING:
    from ...formats.nir.conventions import NirOptions

UNREADABLE = ("SFX-E110", "SFX-E155", "SFX-E160", "SFX-E171", "SFX-E201", "SFX-E363", "SFX-E601")
"""What readers say of content that is not of their format."""


SHOWN = 8
"""Names of an HDF5 file that an error lists."""


def function(name: str) -> Any:
    """The function that a row of the table names, "module:function" below the package `sfx`."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(f"sfx.{module}"), attribute)


def read(
    path: Path, options: ReadOptions, holds: Collection[Holds] = table.MODELS
) -> Source | Integers:
    """The model in a file, if it is of a format that holds one of these.

    Raises InputError: SFX-E600 no such file, SFX-E154 a trusted pickle that is none, SFX-E620 or
    E364 another kind of file; what the reader raises.
    """
    digest = sha256_of(path)
    if options.trust_pickle:
        _is_pickle(path)
    found = _wanted(path, holds)
    try:
        model: Source | Integers = function(found.reader)(path, options)
        return replace(model, sha256=digest)
    except SfxError as error:
        raise beside_content(error, path, found) from error


def inspect(path: str | Path, nir_options: NirOptions | None = None) -> str:
    """What a file holds, as text: a Program (.sfx, .net), a NIR graph, a checkpoint's tensors.

    A file of unknown suffix is looked at as a checkpoint of torch.save: they have many.
    """
    path = Path(path)
    found = table.of(path)
    if found is None and table.only_hdf5(path):
        raise _other_hdf5(path)
    found = found or table.named("torch")
    try:
        text: str = function(found.inspector)(path, nir_options)
    except SfxError as error:
        raise beside_content(error, path, found) from error
    return text


def beside_content(error: SfxError, path: Path, expected: Format) -> SfxError:
    """`error` of a reader; its hint says so if the file begins as one of another format does."""
    others = [f for f in table.begins_as(path) if f.begins != expected.begins]
    if error.code not in UNREADABLE or not others:
        return error
    first, *rest = error.problems
    hint = f"it begins as a {table.suffixes_of(others)} does: give it the suffix of what it is"
    if hint in first.hint:  # said already by what was called
        return error
    joined = f"{first.hint}; {hint}" if first.hint else hint
    return type(error).of([replace(first, hint=joined), *rest])


def _is_pickle(path: Path) -> None:
    """Raise InputError (SFX-E154) for a file that Python's unpickler is not for."""
    pickles = [f for f in table.FORMATS if f.pickle]
    if not any(f.fits(path) for f in pickles):
        from ...formats.torch_file import trusted_pickle

        trusted_pickle.load(path)  # which says why not


def _wanted(path: Path, holds: Collection[Holds]) -> Format:
    """The format of a file, if it holds one of these. Raises InputError (SFX-E620, E364)."""
    found = table.of(path)
    if found is not None and found.holds in holds:
        return found
    if found is not None and found.holds is Holds.TRAINED:
        raise integers_are_fixed(str(path))
    if found is None and table.only_hdf5(path):
        raise _other_hdf5(path)
    raise InputError(
        "SFX-E620",
        f"unknown kind of model file '{path.suffix}'"
        if found is None
        else f"holds {found.holds.value}, which is not a model that this command can start from",
        where=str(path),
        hint=f"sfx reads here: {table.described(holds)}",
    )


def integers_are_fixed(where: str) -> InputError:
    """What to say of a model that was fine-tuned where a float one is wanted."""
    return InputError(
        "SFX-E364",
        "holds a fine-tuned model, whose integers are fixed",
        where=where,
        hint="compile it with `sfx compile`, train it on with sfx.qat.load",
    )


def _other_hdf5(path: Path) -> InputError:
    """What to say of an HDF5 name whose file is of no format of ours: what was found in it."""
    groups = table.groups_of(path)
    held = ", ".join(f"{name!a}" for name in groups[:SHOWN])
    kinds = [f for f in table.FORMATS if f.group]
    wanted = " and ".join(f"a {f.what} has {f.group!r}" for f in kinds)
    return InputError(
        "SFX-E623",
        f"holds at its top {held}, which is no model that is read here"
        if groups
        else "is no readable HDF5 file, or an empty one",
        where=str(path),
        hint=f"{wanted}; weights of PyTorch are read from "
        f"{table.suffixes_of([table.named('torch'), table.named('safetensors')])}",
    )
