"""Rounding whose errors cancel on the data: each is spread over the weights still to be rounded.

For one wire with rows x of calibration input, mantissas q minimise sum |x (q - w)|^2 instead of
|q - w|^2 (Frantar et al. 2022, arXiv:2210.17323, without its blocks). Rows are filtered with the
membrane's decay first: what is minimised is the membrane's error, not the current's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ....ground.arith import IntArray
from ....ir.graph import FloatArray
from .mantissa import Grid

DAMPING = 0.01
"""Share of the mean column power added to every column, so that silent inputs keep their weights.
"""


def filtered(x: FloatArray, keep: float) -> FloatArray:
    """x [..., T] summed over the steps as a membrane without resets sums it."""
    out = x.astype(np.float64)
    for t in range(1, out.shape[-1]):
        out[..., t] += keep * out[..., t - 1]
    return out


@dataclass(frozen=True, eq=False)
class Rounded:
    """Whole mantissas q [O, F] of one group of channels; loss [O] and clipped [O] of each."""

    q: FloatArray
    loss: FloatArray
    clipped: IntArray


@dataclass(frozen=True, eq=False)
class Rounder:
    """The weights [O, F] of one group of channels, ready to be rounded on any grid.

    order  [F] columns by falling power;  upper [F, F] Cholesky factor of the inverse of x^T x
    """

    weight: FloatArray
    order: IntArray
    upper: FloatArray

    @staticmethod
    def of(weight: FloatArray, x: FloatArray) -> Rounder:
        """x [N, F]: rows of what the weights multiply."""
        hessian = x.T @ x / max(len(x), 1)
        hessian += np.eye(len(hessian)) * (DAMPING * np.trace(hessian) / len(hessian) + 1e-9)
        order = np.argsort(-np.diag(hessian), kind="stable")
        inverse = np.linalg.inv(hessian[np.ix_(order, order)])
        return Rounder(weight, order, np.linalg.cholesky((inverse + inverse.T) / 2).T)

    def round(self, unit: FloatArray, grid: Grid) -> Rounded:
        """Mantissas per 1.0 of weight `unit` [O], column by column.

        A weight of 0 is no synapse and stays none.
        """
        left = self.weight[:, self.order] * unit[:, None]
        present = self.weight[:, self.order] != 0
        q = np.empty_like(left)
        loss, clipped = np.zeros(len(q)), np.zeros(len(q), np.int64)
        for j in range(q.shape[1]):
            rounded = np.where(present[:, j], grid.round(left[:, j]), 0.0)
            error = (left[:, j] - rounded) / self.upper[j, j]
            clipped += present[:, j] & (np.abs(left[:, j] - rounded) > grid.step)
            loss += (error / unit) ** 2
            left[:, j + 1 :] -= np.outer(error, self.upper[j, j + 1 :])
            q[:, self.order[j]] = rounded
        return Rounded(q, loss, clipped)

    def with_headrooms(
        self, gain: float, headrooms: Sequence[int], limit: int, grid: Grid
    ) -> tuple[Rounded, IntArray]:
        """The headroom of each channel [O], at most `limit` different ones, and its mantissas."""
        ones = np.ones(len(self.weight))
        tried = [self.round(gain * 2.0**headroom * ones, grid) for headroom in headrooms]
        losses = np.stack([t.loss for t in tried])
        sets = combinations(range(len(headrooms)), min(limit, len(headrooms)))
        chosen = list(min(sets, key=lambda c: float(losses[list(c)].min(0).sum())))
        pick, at = np.array(chosen)[losses[chosen].argmin(0)], np.arange(len(self.weight))
        q = np.stack([t.q for t in tried])[pick, at]
        clipped = np.stack([t.clipped for t in tried])[pick, at]
        return Rounded(q, losses[pick, at], clipped), np.asarray(headrooms)[pick]
