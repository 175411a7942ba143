"""Trend, weekday profile and residuals of a daily quantity on a logarithmic scale.

Robust throughout: medians only, so that an incident or a missing day moves nothing far.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headroom.errors import DataError

Floats = NDArray[np.float64]

WEEK = 7
MIN_DAYS = 2 * WEEK
MAX_DAYS = 26 * WEEK  # older days say little about today's growth
LEVEL_DAYS = 4 * WEEK  # the level is that of the latest days, whatever the growth before
MAX_SLOPE = np.log(2) / 28  # no growth faster than a doubling in four weeks is carried forward
SHORTEST_HALF_LIFE_DAYS = 60.0  # growth dies down, some time between this and never
MAX_DAMPING = np.log(2) / SHORTEST_HALF_LIFE_DAYS  # share of growth lost per day
MAX_STEPS = 2
MIN_STEP = 0.1  # log change of level that is worth telling from growth
STEP_PARAMETERS = 2  # its day and its size; as many for growth that sets in
MIN_WEIGHT = 0.1
TINY = 1e-12
OUTLIER = 4.0  # robust standard deviations


@dataclass(frozen=True)
class Trend:
    """log value(day t) = level + slope (t - last day) + weekday[t mod 7] + residual.

    `level`, `slope` and `weekday` may carry a leading axis: one fit per row.
    """

    level: Floats  # (...,)
    slope: Floats  # (...,) per day
    weekday: Floats  # (..., 7)
    residuals: Floats  # (..., day), NaN where the day is missing
    n_days: int

    def at(self, days_ahead: NDArray[np.int_], damping: Floats | float = 0.0) -> Floats:
        """The trend `days_ahead` days after the last one, (..., day).

        `damping` (...,) is the share of its growth that it loses with each day ahead.
        """
        weekday = self.weekday[..., (self.n_days - 1 + days_ahead) % WEEK]
        days = growth_days(days_ahead, np.asarray(damping)[..., None])
        return self.level[..., None] + self.slope[..., None] * days + weekday


def growth_days(days_ahead: NDArray[np.int_], damping: Floats) -> Floats:
    """Days of full growth that damped growth amounts to; days before the last count in full.

    Source: damped trend, Gardner and McKenzie (1985), in continuous time.
    """
    rate = np.maximum(damping, 1e-9)
    ahead = np.maximum(days_ahead, 0)
    return np.where(days_ahead > 0, -np.expm1(-rate * ahead) / rate, days_ahead).astype(float)


def fit_trend(log_values: Floats) -> Trend:
    """The trend of each row of (..., day); NaN days are left out.

    The slope is the median of slopes between days a whole number of weeks apart, which no weekday
    rhythm can bias (seasonal Kendall slope: Hirsch, Slack and Smith 1982). The level is the median
    of the latest four weeks around it. Raises DataError below two weeks of days.
    """
    n_days = log_values.shape[-1]
    if n_days < MIN_DAYS:
        raise DataError(f"a trend needs {MIN_DAYS} days, got {n_days}")
    slope = np.clip(_seasonal_slope(log_values), -MAX_SLOPE, MAX_SLOPE)
    rest = log_values - slope[..., None] * (np.arange(n_days) - (n_days - 1))
    weekday = _weekday_profile(rest)
    rest = rest - weekday[..., np.arange(n_days) % WEEK]
    level = _median(rest[..., -LEVEL_DAYS:])
    level = np.where(np.isnan(level), _median(rest), level)
    return Trend(level, slope, weekday, rest - level[..., None], n_days)


@dataclass(frozen=True)
class Step:
    """A lasting change of level."""

    day: int  # the first at the new level
    size: float  # log change
    weight: float  # how likely it is a step rather than growth, between 0 and 1


def find_steps(log_values: Floats) -> list[Step]:
    """Lasting changes of level in (day,) that could be mistaken for growth, clearest first.

    Three explanations of the days are weighed against each other by the Bayesian information
    criterion (Raftery 1995), with days counted by their autocorrelation: steady growth, growth
    that sets in on some day, and steady growth with a step. At most MAX_STEPS.
    """
    values, found = log_values.copy(), list[Step]()
    while len(found) < MAX_STEPS:
        step = _clearest_step(values)
        if step is None or step.weight < MIN_WEIGHT or abs(step.size) < MIN_STEP:
            break
        found.append(step)
        values[: step.day] += step.size
    return found


def without_steps(log_values: Floats, steps: Sequence[Step]) -> Floats:
    """The days before each step brought to the level after it."""
    values = log_values.copy()
    for step in steps:
        values[: step.day] += step.size
    return values


def _clearest_step(log_values: Floats) -> Step | None:
    seen = np.flatnonzero(np.isfinite(log_values))
    if len(seen) < 4 * WEEK:
        return None
    values = without_outliers(log_values)[seen]
    design = np.column_stack([seen, *(seen % WEEK == day for day in range(WEEK))]).astype(float)
    basis = np.linalg.qr(design)[0]
    rest = values - basis @ (basis.T @ values)
    energy = float(rest @ rest)
    days = np.arange(WEEK, len(log_values) - WEEK + 1)
    steps = _beside(basis, (seen[:, None] >= days).astype(float))
    kinks = _beside(basis, np.maximum(seen[:, None] - days, 0.0))
    by_step, by_kink = _explained(rest, steps), _explained(rest, kinks)
    best = int(np.argmax(by_step))
    if not by_step[best] > TINY * float(values @ values):
        return None
    size = float(rest @ steps[:, best] / np.sum(steps[:, best] ** 2))
    n_days = _independent_days(rest - size * steps[:, best])
    left = np.array([energy, energy - by_kink.max(), energy - by_step[best]])
    evidence = -0.5 * n_days * np.log(np.maximum(left, TINY * energy))
    evidence[1:] -= 0.5 * STEP_PARAMETERS * np.log(n_days)
    weight = float(1.0 / np.sum(np.exp(np.minimum(evidence - evidence[2], 500.0))))
    return Step(int(days[best]), size, weight)


def _explained(rest: Floats, columns: Floats) -> Floats:
    """Squared deviation that each column explains, (column,)."""
    return np.asarray((rest @ columns) ** 2 / np.maximum(np.sum(columns**2, axis=0), TINY))


def without_outliers(log_values: Floats) -> Floats:
    """The days (day,) with none further from the trend than OUTLIER robust standard deviations."""
    trend = fit_trend(log_values)
    spread = 1.4826 * float(_median(np.abs(trend.residuals)))
    moved = np.clip(trend.residuals, -OUTLIER * spread, OUTLIER * spread) - trend.residuals
    return log_values + moved


def _beside(basis: Floats, columns: Floats) -> Floats:
    """What of the columns the basis does not explain."""
    return columns - basis @ (basis.T @ columns)


def _independent_days(residuals: Floats) -> float:
    """Number of days divided by how many of them tell the same, from the first autocorrelation."""
    energy = float(residuals @ residuals)
    echo = float(residuals[1:] @ residuals[:-1]) / energy if energy > 0 else 0.0
    echo = min(max(echo, 0.0), 0.9)
    return len(residuals) * (1 - echo) / (1 + echo)


def _seasonal_slope(values: Floats) -> Floats:
    n_days = values.shape[-1]
    pairs = [(values[..., lag:] - values[..., :-lag]) / lag for lag in range(WEEK, n_days, WEEK)]
    slope = _median(np.concatenate(pairs, axis=-1))
    return np.where(np.isnan(slope), 0.0, slope)


def _weekday_profile(values: Floats) -> Floats:
    profile = np.stack([_median(values[..., day::WEEK]) for day in range(WEEK)], axis=-1)
    profile = profile - _median(values)[..., None]
    return np.where(np.isnan(profile), 0.0, profile)


def _median(values: Floats) -> Floats:
    """Median over the last axis of what is not NaN; NaN where nothing is left, without a word."""
    if not np.isnan(values).any():
        return np.asarray(np.median(values, axis=-1))
    empty = np.isnan(values).all(axis=-1, keepdims=True)
    medians = np.nanmedian(np.where(empty, 0.0, values), axis=-1)
    return np.where(empty[..., 0], np.nan, medians)
