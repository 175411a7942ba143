"""Quantile functions given at a few levels."""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def normal_scores(levels: Sequence[float]) -> Floats:
    """Standard normal quantiles of the levels."""
    return np.array([NormalDist().inv_cdf(level) for level in levels])


def at_levels(quantiles: Floats, known: Sequence[float], wanted: Sequence[float]) -> Floats:
    """Quantiles (…, known) read off at the wanted levels: linear in the normal score of the level,
    and beyond the outermost known levels with the slope of the last piece (…, wanted)."""
    if tuple(known) == tuple(wanted):
        return quantiles
    x, at = normal_scores(known), normal_scores(wanted)
    right = np.clip(np.searchsorted(x, at), 1, len(x) - 1)
    share = (at - x[right - 1]) / (x[right] - x[right - 1])
    return quantiles[..., right - 1] * (1 - share) + quantiles[..., right] * share


def mean_of(quantiles: Floats, levels: Sequence[float]) -> Floats:
    """Mean of the distribution between its outermost levels: the trapezoid rule over the level,
    the tails flat. Finite where the tails of a log-like scale have no mean worth the name."""
    levels_ = np.asarray(levels)
    edges = np.concatenate([[0.0], (levels_[1:] + levels_[:-1]) / 2, [1.0]])
    return quantiles @ np.diff(edges)


def widen(quantiles: Floats, levels: Sequence[float], factor: Floats | float) -> Floats:
    """Quantiles (…, level) with every distance from the median multiplied by `factor` (…,)."""
    median = at_levels(quantiles, levels, (0.5,))
    return median + (quantiles - median) * np.asarray(factor)[..., None]
