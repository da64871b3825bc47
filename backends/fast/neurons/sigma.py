"""Sigma: sends the sum of everything it received."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....toolchain.ground.arith import IntArray, wrap32
from ....toolchain.ground.errors import UnsupportedError
from ..layout import Values
from ..rules import Sending, Stateless

if TYPE_CHECKING:
    from torch import Tensor


Whole = Callable[[Any, IntArray, Values | None], tuple[IntArray, NDArray[np.bool_]]]
"""(program, a_in [B, S, n], bias [n]) -> what is sent, and where a state or a bias is there to
update.
"""


def of_whole_samples(send: Whole) -> Stateless:
    """A rule for neurons whose state starts at 0 with the sample: all its steps come at once."""

    def steps(n: Any, ports: Mapping[str, Values], to: Sending) -> None:
        a = ports["a_in"].astype(np.int64)
        s, busy = send(n, a, to.bias)
        to.out[...] = s
        to.events[...] += np.count_nonzero(s, axis=0).astype(np.uint8)
        to.active[...] += np.count_nonzero(busy | (a != 0), axis=0).astype(np.uint8)
        to.ends[0] = s.min(initial=0), s.max(initial=0)

    def on_device(n: Any, ports: Mapping[str, Tensor]) -> Tensor:
        raise UnsupportedError(
            "SFX-E547",
            f"{n.label} neurons do not run on a GPU",
            hint="leave --device out: a CPU runs them",
        )

    return Stateless(steps, on_device)


def sums(a_in: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
    """All input added up [B, S, n], and where something was there before the step."""
    sigma = wrap32(np.cumsum(a_in, axis=1))
    before = np.zeros(sigma.shape, np.bool_)
    before[:, 1:] = sigma[:, :-1] != 0
    return sigma, before


RULE = of_whole_samples(lambda n, a_in, bias: sums(a_in))
