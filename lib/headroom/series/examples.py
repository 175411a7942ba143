"""What the network sees: windows of fitted series, as arrays of fixed width.

Everything about the target is expressed relative to the floor's forecast and in units of the
floor's standard deviation at that step, so that an hourly count in millions and a daily ratio look
alike, and a network that answers "nothing to add" is the floor.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headroom.series import floor as flr
from headroom.series.answers import coming_lifts, effect
from headroom.series.event_inputs import N_EVENT, event_inputs
from headroom.series.fitted import Fitted

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 24  # values that describe one period, whatever its length in steps
PERIODS = 14  # periods of context
LIMIT = 8.0  # inputs are clipped to ± this
TARGET_LIMIT = 12.0
DAY, WEEK, YEAR = 86_400, 7 * 86_400, 365.2425 * 86_400

N_PATCH = 2 * BINS + 2
N_STEP = 38 + N_EVENT


@dataclass(frozen=True)
class Examples:
    """Windows (window, …): what goes into the network, and what it is judged by."""

    patches: NDArray[np.float32]  # (window, PERIODS, N_PATCH), oldest first
    steps: NDArray[np.float32]  # (window, step, N_STEP)
    codes: Ints  # (window, static column)
    center: Floats  # (window, step) the floor's mean, standardised
    sd: Floats  # (window, step) the floor's standard deviation
    target: NDArray[np.float32]  # (window, step) in units of sd around center, 0 where masked
    mask: NDArray[np.float32]  # (window, step) 1 where observed


def build_examples(fitted: Fitted, rows: Ints, origins: Ints) -> Examples:
    """The windows of the series `rows` whose first forecast step is column `origins`."""
    horizon = fitted.horizon
    floor = fitted.floor
    center = flr.forecast(floor, fitted.cleaned, rows, origins, horizon)
    sd = fitted.spreads[rows, :horizon]
    errors = _past_errors(fitted, rows, origins)
    # The network sees the floor as it is without events: what these add is no error to be undone.
    steps = np.concatenate(
        [
            _seasonal(fitted, rows, origins, center, sd),
            _level(fitted, rows, origins, center, sd),
            _position(center, sd, floor.sigma[rows], fitted.period),
            _error_profile(errors, horizon),
            _window_statistics(fitted, rows, origins, horizon),
            _calendar(fitted.local, rows, origins, horizon),
            event_inputs(fitted, rows, origins, sd),
        ],
        axis=2,
    )
    lifts, told = (
        coming_lifts(events, rows, origins, horizon, fitted.period) / floor.scale.width[rows, None]
        for events in (fitted.events, fitted.panel.events)
    )
    added, doubt = effect(fitted.answers, rows, lifts, told)
    center, sd = center + added, np.sqrt(sd**2 + doubt)
    target, mask = _targets(fitted.z, rows, origins, center, sd)
    return Examples(
        _patches(fitted, rows, origins, errors).astype(np.float32),
        _bounded(steps),
        fitted.panel.codes[rows],
        center,
        sd,
        target,
        mask,
    )


def _targets(
    z: Floats, rows: Ints, origins: Ints, center: Floats, sd: Floats
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    at = origins[:, None] + np.arange(center.shape[1])[None, :]
    inside = at < z.shape[1]
    value = np.where(inside, z[rows[:, None], np.minimum(at, z.shape[1] - 1)], np.nan)
    relative = np.clip((value - center) / sd, -TARGET_LIMIT, TARGET_LIMIT)
    mask = ~np.isnan(relative)
    return np.nan_to_num(relative).astype(np.float32), mask.astype(np.float32)


def _at(values: Floats, rows: Ints, columns: Ints) -> Floats:
    """values[row, column] with NaN for columns before the first; rows broadcast."""
    shape = (len(rows),) + (1,) * (columns.ndim - 1)
    taken = values[rows.reshape(shape), np.maximum(columns, 0)]
    return np.where(columns < 0, np.nan, taken)


def _seasonal(fitted: Fitted, rows: Ints, origins: Ints, center: Floats, sd: Floats) -> Floats:
    """The same phase some seasons ago: three and the mean of seven short ones, two and the mean of
    four long ones, each with the share that exists."""
    parts = []
    for place, (single, average) in enumerate(((3, 7), (2, 4))):
        if place >= len(fitted.seasons):
            parts.append(np.zeros((*center.shape, single + 2)))
            continue
        season = fitted.seasons[place]
        ahead = np.arange(1, center.shape[1] + 1)
        nearest = -(-ahead // season) * season
        lag = nearest[None, :, None] + season * np.arange(average)[None, None, :]
        columns = origins[:, None, None] + ahead[None, :, None] - 1 - lag
        relative = (_at(fitted.cleaned, rows, columns) - center[..., None]) / sd[..., None]
        exists = ~np.isnan(relative)
        known = np.nan_to_num(np.clip(relative, -LIMIT, LIMIT))
        mean = known.sum(axis=2) / np.maximum(exists.sum(axis=2), 1)
        parts.append(np.concatenate([known[..., :single], mean[..., None]], axis=2))
        parts.append(exists.mean(axis=2)[..., None])
    return np.concatenate(parts, axis=2)


def _level(fitted: Fitted, rows: Ints, origins: Ints, center: Floats, sd: Floats) -> Floats:
    """Last value and the means of one, three and seven periods."""
    last = _at(fitted.cleaned, rows, origins[:, None] - 1)
    means = [last[:, 0]]
    for periods in (1, 3, 7):
        back = np.arange(1, periods * fitted.period + 1)
        values = _at(fitted.cleaned, rows, origins[:, None] - back[None, :])
        means.append(_nan_mean(values))
    levels = np.stack(means, axis=1)[:, None, :]
    return (levels - center[..., None]) / sd[..., None]


def _position(center: Floats, sd: Floats, sigma: Floats, period: int) -> Floats:
    n_windows, horizon = center.shape
    ahead = np.arange(1, horizon + 1)
    slope = np.diff(center, axis=1, prepend=center[:, :1]) / sigma[:, None]
    constant = np.ones((n_windows, horizon))
    return np.stack(
        [
            np.log(sd),
            np.log(sigma)[:, None] * constant,
            slope,
            center,
            (ahead / horizon)[None, :] * constant,
            np.log(ahead)[None, :] * constant / 4,
            np.log1p(ahead / period)[None, :] * constant / 2,
        ],
        axis=2,
    )


def _past_errors(fitted: Fitted, rows: Ints, origins: Ints) -> Floats:
    """What the floor got wrong one period ahead, at the last PERIODS origins: (window, period back,
    step), in units of its standard deviation; NaN where there was nothing."""
    period = fitted.period
    back = np.arange(1, PERIODS + 1) * period
    starts = (origins[:, None] - back[None, :]).ravel()
    repeated = np.repeat(rows, PERIODS)
    predicted = flr.forecast(fitted.floor, fitted.cleaned, repeated, starts, period)
    actual = _at(fitted.usual, repeated, starts[:, None] + np.arange(period)[None, :])
    errors = (actual - predicted) / fitted.spreads[repeated, :period]
    first = fitted.panel.n_steps - fitted.panel.lengths
    too_early = starts < (first + np.maximum(fitted.floor.reaches, 1))[repeated]
    errors = np.where(too_early[:, None], np.nan, errors)
    return np.clip(errors, -LIMIT, LIMIT).reshape(len(rows), PERIODS, period)


def _error_profile(errors: Floats, horizon: int) -> Floats:
    """Per phase of the period: latest error, means of three and all, their root mean square; and
    over the whole window the bias and root mean square."""
    phase = np.arange(horizon) % errors.shape[2]
    latest = np.nan_to_num(errors[:, 0])
    recent = _nan_mean(errors[:, :3], axis=1)
    overall = _nan_mean(errors, axis=1)
    size = np.sqrt(_nan_mean(errors**2, axis=1))
    by_phase = np.stack([latest, recent, overall, size], axis=2)[:, phase]
    flat = errors.reshape(len(errors), -1)
    whole = np.stack(
        [_nan_mean(flat), np.sqrt(_nan_mean(flat**2)), np.sqrt(_nan_mean(errors[:, 0] ** 2))],
        axis=1,
    )
    return np.concatenate([by_phase, _along(whole, horizon)], axis=2)


def _window_statistics(fitted: Fitted, rows: Ints, origins: Ints, horizon: int) -> Floats:
    back = np.arange(1, 7 * fitted.period + 1)
    columns = origins[:, None] - back[None, :]
    raw = _at(fitted.z, rows, columns)
    cleaned = _at(fitted.cleaned, rows, columns)
    zero = (fitted.floor.scale.forward(np.zeros((len(fitted.z), 1)))[rows] - raw) == 0
    recent, past = cleaned[:, : fitted.period], cleaned
    width = np.sqrt(_nan_mean(np.square(past - _nan_mean(past)[:, None])))
    width_recent = np.sqrt(_nan_mean(np.square(recent - _nan_mean(recent)[:, None])))
    first = fitted.panel.n_steps - fitted.panel.lengths[rows]
    statistics = np.stack(
        [
            width,
            width_recent - width,
            np.isnan(raw).mean(axis=1),
            zero.mean(axis=1),
            np.log1p(np.maximum(origins - first, 0) / fitted.period) / 4,
        ],
        axis=1,
    )
    return _along(statistics, horizon)


def _calendar(local: Ints, rows: Ints, origins: Ints, horizon: int) -> Floats:
    """Phase of day, week and year on the local clock, and the weekend."""
    seconds = local[rows[:, None], origins[:, None] + np.arange(horizon)[None, :]]
    angles = [2 * np.pi * (seconds % DAY) / DAY, 2 * np.pi * ((seconds - 4 * DAY) % WEEK) / WEEK]
    year = 2 * np.pi * (seconds / YEAR % 1.0)
    weekend = ((seconds // DAY + 3) % 7) >= 5
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.stack([*waves, np.sin(year), weekend.astype(np.float64)], axis=2)


def _patches(fitted: Fitted, rows: Ints, origins: Ints, errors: Floats) -> Floats:
    """The last PERIODS periods, oldest first: values around their level and the floor's errors,
    each resampled to BINS, with the share observed and the period's mean."""
    period = fitted.period
    back = PERIODS * period
    columns = origins[:, None] - back + np.arange(back)[None, :]
    values = _at(fitted.cleaned, rows, columns).reshape(len(rows), PERIODS, period)
    unit = fitted.spreads[rows, period - 1][:, None, None]
    level = _nan_mean(values[:, -7:].reshape(len(rows), -1))[:, None, None]
    relative = np.nan_to_num(np.clip((values - level) / unit, -LIMIT, LIMIT))
    exists = (~np.isnan(values)).mean(axis=2)[..., None]
    resample = _resampling(period)
    wrong = np.nan_to_num(errors[:, ::-1])
    return np.concatenate(
        [relative @ resample, wrong @ resample, exists, relative.mean(axis=2)[..., None]], axis=2
    )


def _resampling(period: int) -> Floats:
    """(period, BINS): area-weighted means, so that any period is described by BINS values."""
    edges = np.linspace(0, period, BINS + 1)
    step = np.arange(period)[:, None]
    overlap = np.clip(
        np.minimum(edges[None, 1:], step + 1) - np.maximum(edges[None, :-1], step), 0, None
    )
    return overlap / overlap.sum(axis=0, keepdims=True)


def _along(features: Floats, horizon: int) -> Floats:
    return np.repeat(features[:, None, :], horizon, axis=1)


def _nan_mean(values: Floats, axis: int = 1) -> Floats:
    exists = ~np.isnan(values)
    total = np.where(exists, values, 0.0).sum(axis=axis)
    return total / np.maximum(exists.sum(axis=axis), 1)


def _bounded(features: Floats) -> NDArray[np.float32]:
    return np.nan_to_num(np.clip(features, -LIMIT, LIMIT)).astype(np.float32)
