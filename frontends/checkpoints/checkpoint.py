"""Checkpoints: weights on disk together with the name and configuration of their architecture.

    {"sfx": 1, "model": "spikeformer", "config": {...}, "state_dict": {...},
     "calibration": uint8 tensor [K, T, C, H, W]}          (calibration is optional)

as a `.pt` of torch.save, or as `.safetensors` with the same keys, without the tensors, as JSON in
the file's metadata under `sfx` (a tensor named `calibration` is the calibration). Nothing in a file
is imported or called: see `sfx.toolchain.formats.torch_file.safe_pickle`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...toolchain.formats.torch_file.read import read
from ...toolchain.ground.errors import InputError, Problem

FORMAT = 1
"""Version of the format, the value of the key `sfx`."""
FORM = '{"sfx": 1, "model": NAME, "config": {...}, "state_dict": {...}}'


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A validated checkpoint.

    model        name of the architecture, one of `sfx.frontends.zoo.NAMES`
    config       its fields, plain data
    state_dict   parameter and buffer names -> tensors (all finite)
    calibration  uint8 [K, T, C, H, W] training samples, or None
    """

    model: str
    config: dict[str, Any]
    state_dict: dict[str, Tensor]
    calibration: Tensor | None = None


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read and validate a checkpoint that names its architecture.

    Raises InputError: what `read` raises; SFX-E115 keys that are missing or of the wrong type,
    SFX-E116 weights that are NaN or infinite (all of them, by key), SFX-E117 an unknown model.
    """
    return validated(read(path), str(path))


def validated(content: Any, where: str) -> Checkpoint:
    """`content` of a file as a checkpoint. Raises InputError (SFX-E115 to E117)."""
    if not isinstance(content, dict) or "sfx" not in content:
        raise InputError(
            "SFX-E115",
            "does not name its architecture",
            where=where,
            hint=f"save {FORM}; or give the architecture with --model pkg.module:factory",
        )
    problems = list(_form_problems(content, where))
    if not problems:
        problems = list(_model_problems(content["model"], where))
        problems += _value_problems(content["state_dict"], where)
    if problems:
        raise InputError.of(problems)
    return Checkpoint(
        model=content["model"],
        config=dict(content["config"]),
        state_dict=dict(content["state_dict"]),
        calibration=content.get("calibration"),
    )


def _form_problems(content: Mapping[Any, Any], where: str) -> Iterator[Problem]:
    """Missing keys and wrong types, all of them."""
    if content["sfx"] != FORMAT or isinstance(content["sfx"], bool):
        yield Problem(
            "SFX-E115",
            where,
            f"is of format {content['sfx']!a}, this version of sfx reads format {FORMAT}",
            "use a newer version of sfx-loihi"
            if isinstance(content["sfx"], int)
            else f"the form is {FORM}",
        )
    for key, kind in (("model", str), ("config", dict), ("state_dict", dict)):
        if key not in content:
            yield Problem("SFX-E115", where, f"has no key {key!r}", f"the form is {FORM}")
        elif not isinstance(content[key], kind):
            found = type(content[key]).__name__
            yield Problem("SFX-E115", where, f"{key!r} is a {found}, expected a {kind.__name__}")
    config = content.get("config")
    if isinstance(config, dict):
        for key, value in config.items():
            if not isinstance(key, str) or isinstance(value, Tensor):
                yield Problem("SFX-E115", where, f"config {key!a} must be a name with plain data")
    state = content.get("state_dict")
    if isinstance(state, dict):
        for key, value in state.items():
            if not isinstance(key, str) or not isinstance(value, Tensor):
                found = type(value).__name__
                yield Problem("SFX-E115", where, f"state_dict {key!a} is a {found}, not a tensor")
    samples = content.get("calibration")
    if samples is not None:
        good = isinstance(samples, Tensor) and samples.dtype == torch.uint8 and samples.dim() == 5
        if not good or 0 in samples.shape:
            found = (
                f"{samples.dtype} {tuple(samples.shape)}"
                if isinstance(samples, Tensor)
                else type(samples).__name__
            )
            yield Problem(
                "SFX-E115", where, f"calibration is {found}, expected torch.uint8 [K, T, C, H, W]"
            )


def _model_problems(model: str, where: str) -> Iterator[Problem]:
    from .. import zoo  # the names only; no model is imported

    if model not in zoo.NAMES:
        yield Problem(
            "SFX-E117",
            where,
            f"names the unknown model {model!a}",
            f"known models: {', '.join(zoo.NAMES)}; or give your own with "
            "--model pkg.module:factory",
        )


def _value_problems(state: Mapping[str, Tensor], where: str) -> list[Problem]:
    problems = []
    for key, value in state.items():
        if value.is_floating_point():
            bad = int(value.numel() - torch.isfinite(value).sum())
            if bad:
                what = f"weights {key!a} hold {bad} value(s) that are NaN or infinite"
                problems.append(Problem("SFX-E116", where, what, "check the training run"))
    return problems
