"""Agreement beyond chance of two labellings: Cohen's kappa (Cohen 1960), and weighted kappa where
labels are grades (Cohen 1968)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]


def kappa(tables: Table, weights: Table | None = None) -> Table:
    """Kappa, -1..1 (0: no better than chance), of each table of counts (..., k, k): how often the
    first labelling says the row's label and the second the column's.

    `weights` (k, k): how bad each disagreement is; None: all are alike. 0 too where both labellings
    know one label only."""
    k = tables.shape[-1]
    weights = 1 - np.eye(k) if weights is None else weights
    shares = tables / tables.sum(axis=(-2, -1), keepdims=True)
    by_chance = shares.sum(axis=-1)[..., :, None] * shares.sum(axis=-2)[..., None, :]
    observed = (weights * shares).sum(axis=(-2, -1))
    expected = (weights * by_chance).sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        values = 1 - observed / expected
    return np.where(np.isclose(expected, 0.0), 0.0, values)


def quadratic_weights(k: int) -> Table:
    """Weights (k, k) of grades: the square of their distance, 1 between the ends of the scale."""
    grades = np.arange(k)
    return ((grades[:, None] - grades) / (k - 1)) ** 2
