"""`sfx.run` and then Lava, in one process: what a notebook does. ... FOLDER."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

import sfx
from tests.unit.lava.nets import events, every_kind


def main(folder: Path) -> None:
    program = every_kind()
    sums = sfx.run(program, events(program, 2)).sums  # numba's threads are running from here on
    assert sums.any()
    assert multiprocessing.get_start_method(allow_none=True) is None, "left undecided for Lava"
    assert multiprocessing.get_start_method() == "fork"  # as torch's loaders or Dask ask for it
    assert sfx.to_lava(program).neurons
    from tests.unit.lava import as_user

    as_user.main(folder)
    assert (sfx.run(program, events(program, 2)).sums == sums).all()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
