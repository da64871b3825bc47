"""Rows of a projection are those of its matrix."""

from __future__ import annotations

import numpy as np
import pytest

from sfx.toolchain.ir.connections import matrix
from sfx.toolchain.verify.rows import rows
from tests.strategies import CONNECTIONS, random_projection


@pytest.mark.parametrize("kind", CONNECTIONS)
@pytest.mark.parametrize("seed", range(25))
def test_rows_are_the_matrix_rows(kind: str, seed: int) -> None:
    j, pre, post = random_projection(seed, kind)
    whole = matrix(j, pre.size, post.size)
    rng = np.random.default_rng(seed)
    wanted = np.sort(rng.choice(post.size, max(1, post.size // 2), replace=False))
    some = rows(j, wanted, pre.size, post.size)
    assert some.shape == (len(wanted), pre.size)
    assert np.array_equal(some.toarray(), whole[wanted].toarray())
    assert j.connection.synapses >= whole.nnz
