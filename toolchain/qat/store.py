"""`sfx.qat.save` and `load`: a fine-tuned model and its file (`formats/fine_tuned.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ..formats import fine_tuned
from ..formats.fine_tuned import Stored, damaged
from ..ground.errors import UnsupportedError
from ..ir.check_program import check_program
from ..ir.codec import encode
from ..ir.program import Program

if TYPE_CHECKING:
    from .model import QatModel


def save(model: QatModel, path: str | Path) -> None:
    """Write `model` atomically.

    Raises InputError: SFX-E365 a parameter that is NaN or infinite, SFX-E603 if it cannot be
    written; SfxError if its Program is not legal, so that what is written can be read.
    """
    t = model.template
    program = model.program()
    check_program(program, balanced=False)
    state = {k: v.detach().cpu().numpy() for k, v in model.state_dict().items()}
    bits = dict(t.bits)
    stored = Stored(program, t.program, bits, t.target, t.reduce, state, t.origins, t.train)
    fine_tuned.write(stored, path)


def load(path: str | Path) -> QatModel:
    """The model that `save` wrote, to be trained on or compiled. Raises InputError (SFX-E363)."""
    import torch

    from .model import FINGERPRINT, QatModel, Template

    s = fine_tuned.read(path)
    try:
        model = QatModel(Template(s.template, s.bits, s.target, s.reduce, s.origins, s.train))
    except UnsupportedError as error:
        if error.code != "SFX-E371":
            raise
        raise damaged(path, "what it trains is not there") from error
    try:
        # what is read is checked against its own integers instead of a fingerprint
        s.state[FINGERPRINT] = model.get_extra_state().numpy()
        model.load_state_dict({k: torch.from_numpy(v) for k, v in s.state.items()})
    except RuntimeError as error:
        raise damaged(path, f"its state does not fit: {' '.join(str(error).split())}") from error
    if _numbers(model.program()) != _numbers(s.program):
        raise damaged(path, "its parameters do not give its integers")
    return model


def _numbers(program: Program) -> tuple[str, list[bytes]]:
    arrays: list[NDArray[Any]] = []
    text = json.dumps(encode(program, arrays), sort_keys=True)
    return text, [a.tobytes() for a in arrays]
