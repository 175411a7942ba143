"""A first forecast for a series with little or no history: the mixture of what its siblings do."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TRUST = 3.0  # own steps after which half of the level is the series' own


def mixture(own: Floats, beside: Floats, quantiles: Floats, levels: Sequence[float]) -> Floats:
    """Quantiles (step, level) of a series, from those of its siblings (sibling, step, level).

    `own` are the values (observed,) it has, `beside` those of the siblings at the same times
    (sibling, observed), NaN where missing. Each sibling is scaled by the ratio of the two, less so
    the fewer values there are; then every step's quantiles are those of all siblings' together,
    each counted by the probability it stands for. So the forecast is as wide as siblings differ.
    """
    scaled = quantiles * _ratios(own, beside)[:, None, None]
    n_siblings, n_steps, n_levels = scaled.shape
    at = np.asarray(levels)
    edges = np.concatenate([[0.0], (at[1:] + at[:-1]) / 2, [1.0]])
    mass = np.tile(np.diff(edges), n_siblings) / n_siblings
    pooled = np.moveaxis(scaled, 1, 0).reshape(n_steps, n_siblings * n_levels)
    order = np.argsort(pooled, axis=1)
    values = np.take_along_axis(pooled, order, axis=1)
    weights = mass[order]
    reached = weights.cumsum(axis=1) - weights / 2  # middle of what each value stands for
    return np.stack([np.interp(at, reached[step], values[step]) for step in range(n_steps)])


def _ratios(own: Floats, beside: Floats) -> Floats:
    """Factor of each sibling (sibling,), 1 where the two cannot be compared."""
    usable = ~np.isnan(beside) & ~np.isnan(own)[None, :]
    n_usable = usable.sum(axis=1)
    ours = np.where(usable, np.abs(own)[None, :], 0.0).sum(axis=1)
    theirs = np.where(usable, np.abs(beside), 0.0).sum(axis=1)
    comparable = (ours > 0) & (theirs > 0)
    ratio = np.where(comparable, ours, 1.0) / np.where(comparable, theirs, 1.0)
    return np.exp(np.log(ratio) * n_usable / (n_usable + TRUST))
