"""Which pre neurons drive given post neurons, and with how many synapses each.

The question of mapping and of the cost model. Answered from the structure of a connection, for
some post neurons at a time, so that a million neurons need no matrix. Equal to the columns of
`connections.matrix` restricted to those rows (nonzero weights only).
"""

from __future__ import annotations

from ..ground.arith import IntArray
from .connection_kinds.base import Fans
from .connections import permutation
from .program import Projection


class FanIn:
    """The synapses of one projection, seen from its post neurons."""

    def __init__(self, projection: Projection, pre_size: int, post_size: int) -> None:
        self._into = projection.connection.fan_in(pre_size)
        self._pre = None
        self._post = None
        if projection.pre_view is not None:
            self._pre = permutation(projection.pre_view, pre_size)
        if projection.post_view is not None:
            self._post = permutation(projection.post_view, post_size)

    def into(self, post: IntArray) -> Fans:
        """The pre neurons that drive the distinct neurons `post`, and their synapses onto them."""
        pre, synapses = self._into(post if self._post is None else self._post[post])
        return (pre if self._pre is None else self._pre[pre]), synapses
