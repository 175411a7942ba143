"""Measures of a forecast, one line each; NaN where they are undefined.

Arrays are (…, step) for values and (…, step, level) for quantiles; steps that were not observed are
NaN in the target and do not count.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def quantile_losses(target: Floats, quantiles: Floats, levels: Sequence[float]) -> Floats:
    """Twice the pinball loss, mean over levels, per step (…, step); NaN where not observed."""
    error = target[..., None] - quantiles
    level = np.asarray(levels)
    return 2 * np.maximum(level * error, (level - 1) * error).mean(axis=-1)


def quantile_loss(target: Floats, quantiles: Floats, levels: Sequence[float]) -> Floats:
    """Sum over steps of `quantile_losses`. Summed over series and divided by the sum of
    `abs_target` it is the mean weighted quantile loss (wQL)."""
    return np.nansum(quantile_losses(target, quantiles, levels), axis=-1)


def abs_target(target: Floats) -> Floats:
    """Sum over steps of |target|."""
    return np.nansum(np.abs(target), axis=-1)


def seasonal_error(history: Floats, season: int) -> Floats:
    """Mean |y_t - y_{t-season}| of the history: the denominator of MASE and MSIS."""
    if history.shape[-1] <= season:
        return np.full(history.shape[:-1], np.nan)
    return nan_mean(np.abs(history[..., season:] - history[..., :-season]))


def mase(target: Floats, point: Floats, scale: Floats) -> Floats:
    """Mean absolute scaled error (Hyndman & Koehler 2006)."""
    return nan_mean(np.abs(target - point)) / positive(scale)


def smape(target: Floats, point: Floats) -> Floats:
    """Symmetric mean absolute percentage error in percent, as in M4: 200|y-f|/(|y|+|f|)."""
    return nan_mean(200 * np.abs(target - point) / positive(np.abs(target) + np.abs(point)))


def owa(smape_: Floats, mase_: Floats, naive2_smape: float, naive2_mase: float) -> Floats:
    """Overall weighted average of M4: mean of both measures relative to Naive2."""
    return (smape_ / naive2_smape + mase_ / naive2_mase) / 2


def msis(target: Floats, lower: Floats, upper: Floats, scale: Floats, alpha: float) -> Floats:
    """Mean scaled interval score of the 1 - alpha interval (M4, Gneiting & Raftery 2007)."""
    below, above = np.maximum(lower - target, 0), np.maximum(target - upper, 0)
    score = upper - lower + 2 / alpha * (below + above)
    return nan_mean(np.where(np.isnan(target), np.nan, score)) / positive(scale)


def coverage(target: Floats, lower: Floats, upper: Floats) -> Floats:
    """Share of observed steps inside the interval."""
    inside = ((target >= lower) & (target <= upper)).astype(np.float64)
    return nan_mean(np.where(np.isnan(target), np.nan, inside))


def crps(target: Floats, quantiles: Floats, levels: Sequence[float]) -> Floats:
    """Continuous ranked probability score, mean over steps: the pinball loss integrated over the
    level by the trapezoid rule (Gneiting & Ranjan 2011)."""
    error = target[..., None] - quantiles
    level = np.asarray(levels)
    pinball = np.maximum(level * error, (level - 1) * error)
    pieces = (pinball[..., 1:] + pinball[..., :-1]) / 2 * np.diff(level)
    return nan_mean(2 * pieces.sum(axis=-1))


def nan_mean(values: Floats) -> Floats:
    """Mean over the last axis of what is not NaN; NaN where nothing is, without a warning."""
    exists = ~np.isnan(values)
    total = np.where(exists, values, 0.0).sum(axis=-1)
    count = exists.sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def positive(values: Floats) -> Floats:
    """The values, NaN where they are not above zero: x/0 is undefined, not zero."""
    return np.where(values > 0, values, np.nan)
