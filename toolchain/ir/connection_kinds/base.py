"""What every kind of connection declares about itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...ground.arith import IntArray

Fans = tuple[IntArray, IntArray]
"""Distinct pre neurons (in no fixed order) and the number of synapses of each, >= 1."""
Axes = tuple[tuple[str, int], ...]
"""Labelled axes in C order: (label, length)."""
Storage = Literal["dense", "sparse", "kernel", "pattern"]
"""How a core stores the synapses (`targets/memory.py`).

dense    a row of weights per pre neuron
sparse   weights with the index of their post neuron
kernel   weights that all positions share
pattern  one weight for all
"""


@dataclass(frozen=True, eq=False)
class AxisLink:
    """An axis of pre and one of post that must meet.

    relation  bool [pre length, post length]; None: the two indices are equal
    """

    pre: int
    post: int
    relation: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Wiring:
    """How pre and post are wired, axis by axis; axes that no link names are free.

    pre, post  shapes that the connection sees
    channels   the axis of post that makes up a convolution's out channels, or None
    whole      there are no axes: a view that permutes neurons leaves nothing to say
    """

    pre: tuple[int, ...]
    post: tuple[int, ...]
    links: tuple[AxisLink, ...] = ()
    channels: int | None = None
    whole: bool = False


@dataclass(frozen=True)
class Kernel:
    """Weights that positions share.

    channels   each with weights of its own;  weights  of each channel
    positions  of each channel: post neurons that share its weights
    met        weights of all channels together that one pre neuron meets, at most
    groups     of the channels: one pre neuron meets channels of one group
    """

    channels: int
    weights: int
    positions: int
    met: int
    groups: int = 1


# eq=False: those with arrays inherit it, and an inherited comparison of no fields is always true
@dataclass(frozen=True, eq=False)
class Connection:
    """How the values of pre become input of post: an integer matrix, in structured form.

    A subclass is a frozen dataclass. Its fields are whole numbers, tuples of them and int64
    arrays, which bundles hold by the names of class and fields; its docstring is the rule. What
    it does not define follows from `matrix`; what it does must be equal to that, and cheaper.

    storage  how a core stores it
    even     every pre neuron drives equally many post neurons, and `synapses` is exact
    """

    storage: ClassVar[Storage] = "sparse"
    even: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """What messages call it."""
        return type(self).__name__

    @property
    def weights(self) -> IntArray:
        """All weight mantissas, in any order and shape."""
        raise NotImplementedError(f"{type(self).__name__}.weights")

    @property
    def arrays(self) -> tuple[IntArray, ...]:
        """All arrays."""
        return tuple(v for v in vars(self).values() if isinstance(v, np.ndarray))

    @property
    def synapses(self) -> int:
        """Synapses, as if a convolution had no border."""
        return int(self.matrix().nnz)

    def faults(self, pre: int, post: int) -> Iterator[str]:
        """What does not fit `pre` neurons before and `post` neurons after the connection."""
        raise NotImplementedError(f"{type(self).__name__}.faults")

    def matrix(self) -> sparse.csr_matrix:
        """It alone as an int64 csr matrix [post, pre], without views and exponent.

        Its last columns may be missing where they are empty.
        """
        raise NotImplementedError(f"{type(self).__name__}.matrix")

    def value_bounds(self, low: int, high: int) -> tuple[IntArray, IntArray]:
        """Least and greatest sum of each post neuron, if pre sends low..high, low <= 0 <= high.

        [post], or [1] where all have the same. The exponent is not applied.
        """
        m = self.matrix()
        up = np.asarray(m.maximum(0).sum(axis=1), dtype=np.int64).ravel()
        down = np.asarray(m.minimum(0).sum(axis=1), dtype=np.int64).ravel()
        return up * low + down * high, up * high + down * low

    def rows(self, wanted: IntArray, pre: int) -> sparse.csr_matrix:
        """The synapses onto the post neurons `wanted`, [wanted, pre]."""
        m = self.matrix()
        m.resize(m.shape[0], pre)
        return m[wanted]

    def fan_in(self, pre: int) -> Callable[[IntArray], Fans]:
        """Of any distinct post neurons, the pre neurons that drive them."""
        m = self.matrix()
        m.resize(m.shape[0], pre)
        m.eliminate_zeros()
        return lambda post: nonzero(np.bincount(m[post].indices, minlength=pre))

    def mean_fan_in(self, post: int) -> float:
        """Mean synapses onto one of `post` neurons (borders of convolutions ignored)."""
        return self.synapses / max(post, 1)

    def kernel(self) -> Kernel:
        """What its positions share, where `storage` is "kernel"."""
        raise NotImplementedError(f"{type(self).__name__}.kernel")

    def wiring(self) -> Wiring | None:
        """Axis by axis; None where it is irregular."""
        return None


def nonzero(counts: NDArray[np.generic]) -> Fans:
    """The indices that are not zero, and what they hold."""
    pre = np.flatnonzero(counts)
    return pre, counts[pre].astype(np.int64)
