"""Sample paths of daily demand peaks, and the joint quantities that only paths can answer.

A peak over a window, the date of the first shortfall, the chance of any violation: each depends on
how the days hang together. Quantiles per step do not say that (crossing a marginal quantile is
always late), so the functions here refuse anything but `Paths`.
"""

import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from headroom.errors import DataError
from headroom.series.trend import (
    MAX_DAMPING,
    MAX_DAYS,
    WEEK,
    Floats,
    Step,
    Trend,
    find_steps,
    fit_trend,
    without_steps,
)

TAIL_SHARE = 0.1  # residuals above this upper share follow a fitted exponential tail
MIN_DAY_COVERAGE = 0.75  # of the steps of a day, for its peak to count
SMALLEST_SHARE = 1e-3  # of the largest peak: what stands in for zero on the logarithmic scale
FIT_PARAMETERS = 2 + WEEK  # level, slope, weekday profile


@dataclass(frozen=True)
class Paths:
    """Equally likely futures of daily peaks. Path m is one joint draw over all groups of a seed."""

    values: Floats  # (path, day), units of demand
    n_days: int  # of history behind them
    trend: Trend | None = None  # of the history, steps taken out; None without demand
    slopes: Floats | None = None  # (path,), growth of the log per day
    steps: tuple[Step, ...] = ()  # lasting changes of level met in the history

    @property
    def n_effective(self) -> int:
        """Roughly independent templates: no more than the days of history they are made from."""
        return min(self.values.shape[0], self.n_days)

    @property
    def resolution(self) -> float:
        """The smallest probability that these paths can tell from zero."""
        return min(0.5, 3.0 / self.n_effective)


@dataclass(frozen=True)
class Draws:
    """The random numbers that all groups share, so that path m means the same everywhere."""

    history_blocks: Floats  # (path, block) in [0, 1): weeks of which a past is rebuilt
    future_blocks: Floats  # (path, block) in [0, 1)
    damping: Floats  # (path,) in [0, 1): how fast growth dies down
    models: Floats  # (path,) in [0, 1): whether a doubtful step is one
    prices: Floats  # (path,) in [0, 1): which of the latest days' prices holds
    seed: int
    horizon_days: int


@lru_cache(maxsize=8)
def shared_draws(seed: int, n_paths: int, horizon_days: int) -> Draws:
    """The draws of a seed; those of fewer paths are the first of those of more."""

    def draw(stream: int, *columns: int) -> Floats:
        return np.random.default_rng([seed, stream]).random((n_paths, *columns))

    return Draws(
        history_blocks=draw(1, MAX_DAYS // WEEK),
        future_blocks=draw(2, -(-horizon_days // WEEK)),
        damping=draw(4),
        models=draw(5),
        prices=draw(6),
        seed=seed,
        horizon_days=horizon_days,
    )


def to_days(values: Floats, steps_per_day: int) -> Floats:
    """(day, step) of the latest whole days; a day ends with the last step, whatever the clock."""
    n_days = len(values) // steps_per_day
    return values[len(values) - n_days * steps_per_day :].reshape(n_days, steps_per_day)


def daily_peaks(days: Floats) -> Floats:
    """Largest value of each day of (day, step); NaN where too few steps were observed."""
    seen = np.isfinite(days)
    peaks = np.where(seen, days, -np.inf).max(axis=1)
    return np.where(seen.mean(axis=1) >= MIN_DAY_COVERAGE, peaks, np.nan)


def daily_shape(days: Floats) -> Floats:
    """Typical demand of each step of the day as a share of the day's peak, (step,); largest 1."""
    peaks = daily_peaks(days)
    shares = days[peaks > 0] / peaks[peaks > 0, None]
    if len(shares) == 0:
        return np.ones(days.shape[1])
    typical = np.nan_to_num(np.nanmedian(shares, axis=0), nan=0.0)
    return typical / typical.max()


def event_factors(shape: Floats, lift: Floats) -> Floats:
    """By how much known events raise the peak of each day, (day,), from lift (day, step)."""
    return (shape * (1.0 + lift)).max(axis=1) / shape.max()


def log_peaks(peaks: Floats, factors: Floats) -> Floats:
    """log of peaks (day,) without the lift of events; zero counts as a thousandth of the largest.

    All zeros where there is no demand at all.
    """
    largest = np.nanmax(peaks, initial=0.0)
    if not largest > 0:
        return np.zeros(len(peaks))
    return np.asarray(np.log(np.maximum(peaks, SMALLEST_SHARE * largest) / factors))


def demand_paths(
    peaks: Floats,
    draws: Draws,
    group_id: str,
    past_factors: Floats | None = None,
    future_factors: Floats | None = None,
    shift: Floats | None = None,
) -> Paths:
    """Sample paths of daily peaks after `peaks` (day,), which may hold NaN.

    A change of level that may be a step counts as one in as many paths as is likely. Each path
    carries its own growth, fitted to a past rebuilt from weeks of residuals, its own damping of
    that growth, and its own future weeks of residuals (moving blocks of 7 days: Künsch 1989), of
    which the upper tenth follows an exponential tail fitted to the excesses. `factors` (day,) are
    the lifts of known events, past and future; `shift` (horizon day,) is added on the log scale.
    Deterministic by (seed, group_id). Raises DataError where the history is too short.
    """
    history = peaks[-MAX_DAYS:]
    n_seen = int(np.isfinite(history).sum())
    factors = np.ones(len(history)) if past_factors is None else past_factors[-MAX_DAYS:]
    if not np.nanmax(history, initial=0.0) > 0:
        return Paths(np.zeros((len(draws.models), draws.horizon_days)), n_seen)
    logs = log_peaks(history, factors)
    steps = find_steps(logs)
    trend = fit_trend(without_steps(logs, steps))
    ahead, slopes = _futures(trend, draws, group_id)
    if steps:  # as many paths take it for a step as its weight says, the others for growth
        is_step = draws.models < steps[0].weight
        growing, growing_slopes = _futures(fit_trend(logs), draws, group_id)
        ahead = np.where(is_step[:, None], ahead, growing)
        slopes = np.where(is_step, slopes, growing_slopes)
    if shift is not None:
        ahead = ahead + shift
    lifted = np.exp(ahead) * (1.0 if future_factors is None else future_factors)
    return Paths(lifted, n_seen, trend, slopes, tuple(steps))


def _futures(trend: Trend, draws: Draws, group_id: str) -> tuple[Floats, Floats]:
    """Log daily peaks (path, day) and the growth (path,) that each path was made with."""
    residuals = spread_residuals(trend)
    past = np.arange(1 - trend.n_days, 1)
    fitted = fit_trend(trend.at(past) + _blocks(residuals, draws.history_blocks, trend.n_days))
    noise = _blocks(residuals, draws.future_blocks, draws.horizon_days)
    noise = _with_tail(noise, residuals, _own_generator(draws.seed, group_id))
    days = np.arange(1, draws.horizon_days + 1)
    return fitted.at(days, MAX_DAMPING * draws.damping) + noise, fitted.slope


def spread_residuals(trend: Trend) -> Floats:
    """Residuals (day,) widened for the parameters fitted; a missing day counts as an usual one."""
    n_seen = int(np.isfinite(trend.residuals).sum())
    widened = trend.residuals * np.sqrt(n_seen / max(n_seen - FIT_PARAMETERS, 1))
    return np.nan_to_num(widened, nan=0.0)


def _blocks(residuals: Floats, blocks: Floats, n_days: int) -> Floats:
    """(path, n_days) of weeks of residuals that start where `blocks` in [0, 1) says."""
    starts = (blocks * (len(residuals) - WEEK + 1)).astype(int)
    days = (starts[:, :, None] + np.arange(WEEK)).reshape(len(blocks), -1)
    return residuals[days[:, :n_days]]


def _with_tail(noise: Floats, residuals: Floats, generator: np.random.Generator) -> Floats:
    threshold = np.quantile(residuals, 1 - TAIL_SHARE)
    above = residuals[residuals > threshold]
    scale = float(np.mean(above - threshold)) if len(above) else 0.0
    tail = threshold + scale * generator.exponential(size=noise.shape)
    return np.where(noise > threshold, tail, noise)


def _own_generator(seed: int, group_id: str) -> np.random.Generator:
    return np.random.default_rng([seed, 3, zlib.crc32(group_id.encode())])


# -- joint quantities ------------------------------------------------------------------------------


def window_peaks(paths: Paths, n_days: int) -> Floats:
    """Largest daily peak of the first `n_days` days, (path,)."""
    return _joint(paths, "the peak of a window")[:, :n_days].max(axis=1)


def chance_above(paths: Paths, limit: float, n_days: int) -> float:
    """Share of paths that pass `limit` on any of the first `n_days` days, between 0 and 1."""
    return float(np.mean(window_peaks(paths, n_days) > limit))


def first_passage(paths: Paths, limit: float) -> Floats:
    """Day, counted from 1, on which each path first passes `limit`; infinite if it never does."""
    above = _joint(paths, "the date of first passage") > limit
    return np.where(above.any(axis=1), above.argmax(axis=1) + 1.0, np.inf)


def needed(paths: Paths, n_days: int, violation_probability: float) -> float:
    """The smallest level that at most `violation_probability` of the paths pass in `n_days`."""
    return empirical_quantile(window_peaks(paths, n_days), 1 - violation_probability)


def time_above(paths: Paths, shape: Floats, limit: float, n_days: int) -> float:
    """Expected share of steps above `limit` in the first `n_days`, the day shaped by `shape`."""
    values = _joint(paths, "time above a limit")[:, :n_days]
    return float(np.mean([np.mean(values * share > limit) for share in shape]))


def excess(paths: Paths, shape: Floats, limit: float) -> Floats:
    """Demand above `limit`, summed over days and averaged over the steps of a day, (path,).

    Times 24 it is unit-hours, whatever the length of a step.
    """
    values = _joint(paths, "unserved demand")
    total = np.zeros(len(values))
    for share in shape:
        total += np.maximum(values * share - limit, 0.0).sum(axis=1)
    return total / len(shape)


def empirical_quantile(values: Floats, level: float) -> float:
    """Smallest value that at least `level` of the sample does not exceed; may be infinite."""
    ordered = np.sort(values)
    rank = int(np.ceil(round(level * len(ordered), 9)))
    return float(ordered[max(rank, 1) - 1])


def _joint(paths: Paths, quantity: str) -> Floats:
    if not isinstance(paths, Paths):
        raise DataError(
            f"{quantity} is a joint quantity over days: it needs sample paths, "
            f"not a {type(paths).__name__} of quantiles per step"
        )
    return paths.values
