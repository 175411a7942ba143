"""What the future demand of a group looks like: sample paths, and what they were made from."""

from dataclasses import dataclass

import numpy as np

from headroom.config import Recommend
from headroom.recommend.group import Group
from headroom.series.paths import (
    Draws,
    Paths,
    daily_peaks,
    daily_shape,
    demand_paths,
    event_factors,
    shared_draws,
    to_days,
)
from headroom.series.trend import MAX_DAYS, MIN_DAYS, WEEK, Floats, Trend, fit_trend

ANCHOR_HALF_LIFE_DAYS = 7.0  # how fast the short forecast's word on the level is forgotten
ANCHOR_COVERAGE = 0.9  # of a day's steps, for its mean to count
MAX_ANCHOR = np.log(2)  # a short forecast moves the level by no more than a factor of two
PATHS_PER_VIOLATION = 10  # so many paths are expected to pass a level at its allowed probability
LEAST_SPREAD = 0.02  # of weekly levels, log: a shift of a few per cent changes no decision
GROWTH_LEVELS = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Outlook:
    """The paths of a group and what a policy asks about its past."""

    paths: Paths
    draws: Draws
    shape: Floats  # (step of day,), share of the day's peak
    peaks: Floats  # (day,), observed daily peaks, NaN where missing
    past_factors: Floats  # (day,), lift of known events
    future_factors: Floats  # (day,)
    growth: tuple[float, float, float]  # per week, P10 P50 P90
    anchor: float | None  # log shift of the level by the short forecast
    coverage: float  # share of the latest 28 days' steps observed
    level_shift: float  # the last week's residual in standard deviations of a week's

    @property
    def n_days(self) -> int:
        """Days of history with a peak."""
        return int(np.isfinite(self.peaks).sum())

    @property
    def confidence(self) -> float:
        """Between 0 and 1: the weakest of history, stability and coverage."""
        history = min(1.0, self.n_days / self.draws.horizon_days)
        return float(min(history, self.stability, self.coverage))

    @property
    def stability(self) -> float:
        """1 while the last week is within 2 standard deviations, 0 from 5 on."""
        return float(np.clip((5.0 - abs(self.level_shift)) / 3.0, 0.0, 1.0))


def n_history_days(group: Group) -> int:
    """Days with enough observed steps for a peak."""
    return int(np.isfinite(daily_peaks(to_days(group.demand, group.steps_per_day))).sum())


def build_outlook(group: Group, settings: Recommend, seed: int) -> Outlook:
    """The outlook of a group with at least two weeks of history; deterministic by its arguments.

    A stricter tier gets more paths, so that its violation probability can be told from zero.
    """
    by_tier = int(np.ceil(PATHS_PER_VIOLATION / group.policy.violation_probability))
    draws = shared_draws(seed, max(settings.paths, by_tier), settings.horizon_days)
    per_day = group.steps_per_day
    days = to_days(group.demand, per_day)[-MAX_DAYS:]
    shape = daily_shape(days)
    horizon_steps = settings.horizon_days * per_day
    past = event_factors(shape, to_days(group.lift[:-horizon_steps], per_day)[-MAX_DAYS:])
    future = event_factors(shape, to_days(group.lift[-horizon_steps:], per_day))
    peaks = daily_peaks(days)
    anchor = _anchor(group, days)
    paths = demand_paths(peaks, draws, group.group_id, past, future, _decaying(anchor, draws))
    return Outlook(
        paths=paths,
        draws=draws,
        shape=shape,
        peaks=peaks,
        past_factors=past,
        future_factors=future,
        growth=_weekly_growth(paths),
        anchor=anchor,
        coverage=float(np.isfinite(days[-4 * WEEK :]).mean()),
        level_shift=_level_shift(paths.trend),
    )


def _anchor(group: Group, days: Floats) -> float | None:
    """Log ratio of the short forecast to the trend, both of daily means without events.

    (The forecast's quantiles per step say nothing of a daily peak; its means do add up.)
    """
    per_day = group.steps_per_day
    n_days = 0 if group.forecast is None else len(group.forecast) // per_day
    if group.forecast is None or n_days == 0 or len(days) < MIN_DAYS:
        return None
    n_seen = len(group.demand)
    usual = 1.0 + group.lift
    ahead = to_days(
        group.forecast[: n_days * per_day] / usual[n_seen:][: n_days * per_day], per_day
    )
    past = days / to_days(usual[:n_seen], per_day)[-len(days) :]
    seen = np.isfinite(past).mean(axis=1) >= ANCHOR_COVERAGE
    means = np.full(len(past), np.nan)
    means[seen] = np.nanmean(past[seen], axis=1)
    if not (np.nanmin(means, initial=np.inf) > 0 and ahead.mean(axis=1).min() > 0):
        return None
    expected = fit_trend(np.log(means)).at(np.arange(1, n_days + 1))
    ratio = float(np.mean(np.log(ahead.mean(axis=1)) - expected))
    return float(np.clip(ratio, -MAX_ANCHOR, MAX_ANCHOR)) if np.isfinite(ratio) else None


def _decaying(anchor: float | None, draws: Draws) -> Floats | None:
    days = np.arange(draws.horizon_days)
    return None if anchor is None else anchor * 0.5 ** (days / ANCHOR_HALF_LIFE_DAYS)


def _weekly_growth(paths: Paths) -> tuple[float, float, float]:
    slopes = np.zeros(1) if paths.slopes is None else paths.slopes
    low, middle, high = np.expm1(WEEK * np.quantile(slopes, GROWTH_LEVELS))
    return float(low), float(middle), float(high)


def _level_shift(trend: Trend | None) -> float:
    """The median residual of the last week in standard deviations of the weeks before it."""
    if trend is None:
        return 0.0
    residuals = np.nan_to_num(trend.residuals, nan=0.0)
    weeks = np.median(to_days(residuals, WEEK), axis=1)
    earlier, last = weeks[:-1], weeks[-1]
    spread = float(np.std(earlier, ddof=1)) if len(earlier) > 1 else 0.0
    spread = max(spread * np.sqrt(1 + 1 / max(len(earlier), 1)), LEAST_SPREAD)
    return float((last - np.mean(earlier)) / spread)
