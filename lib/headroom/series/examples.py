"""What the network sees: windows of fitted series, as arrays of fixed width.

Everything about the target is expressed relative to the floor's forecast and in units of the
floor's standard deviation at that step, so that an hourly count in millions and a daily ratio look
alike, and a network that answers "nothing to add" is the floor.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headroom.series import floor as flr
from headroom.series.answers import (
    Answers,
    coming_lifts,
    effect,
    fit_answers,
    is_answered,
    past_lifts,
    with_usual_lifts,
)
from headroom.series.panel import EVENT_KINDS, Events, Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 24  # values that describe one period, whatever its length in steps
PERIODS = 14  # periods of context
LIMIT = 8.0  # inputs are clipped to ± this
TARGET_LIMIT = 12.0
DAY, WEEK, YEAR = 86_400, 7 * 86_400, 365.2425 * 86_400

N_PATCH = 2 * BINS + 2
N_STEP = 47


@dataclass(frozen=True)
class Fitted:
    """A panel with the floor fitted on its steps before `fitted_until`, and cleaned to its end."""

    panel: Panel
    floor: flr.Floor
    z: Floats  # (series, step) standardised, NaN where not observed
    usual: Floats  # (series, step) the same without what live events added
    cleaned: Floats  # (series, step)
    events: Events  # with the usual lift where none is told
    answers: Answers  # to live events
    spreads: Floats  # (series, step ahead) the floor's standard deviation
    local: Ints  # (series, step + horizon) seconds on the local clock
    horizon: int
    period: int  # steps of a patch
    seasons: tuple[int, ...]


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


def fit(panel: Panel, horizon: int, fitted_until: int | None = None) -> Fitted:
    """The floor of every series, fitted on the steps before `fitted_until` (default: all), and its
    answer to live events, whose steps the floor does not see."""
    seasons = panel.freq.seasons
    period = seasons[0] if seasons else max(1, min(horizon, 12))
    until = panel.n_steps if fitted_until is None else fitted_until
    events = with_usual_lifts(panel.events, until, period)
    lifts = past_lifts(events, panel.n_steps, period)
    ordinary = np.where(lifts != 0, np.nan, panel.values)
    floor, cleaned = flr.fit_floor(ordinary[:, :until], seasons)
    z = floor.scale.forward(panel.values)
    if until < panel.n_steps:
        cleaned = flr.clean(floor, floor.scale.forward(ordinary))
    floor = floor.reaching(z[:, :until])
    spreads = flr.spread(floor, max(horizon, period))
    told = past_lifts(panel.events, until, period) / floor.scale.width[:, None]
    # Before all lags of a series lie in its history the floor is no measure.
    measured = np.arange(until) >= (panel.n_steps - panel.lengths + floor.reaches)[:, None]
    beyond = np.where((told != 0) & measured, (z - cleaned)[:, :until], np.nan)
    answers = fit_answers(beyond, told, spreads[:, min(2, spreads.shape[1] - 1)] ** 2)
    usual = z - answers.share[:, None] * lifts / floor.scale.width[:, None]
    local = panel.local_seconds(horizon)
    return Fitted(
        panel, floor, z, usual, cleaned, events, answers, spreads, local, horizon, period, seasons
    )


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
            _event_features(fitted, rows, origins, sd),
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


def _event_features(fitted: Fitted, rows: Ints, origins: Ints, sd: Floats) -> Floats:
    """Of events known before the origin, but for those that the floor answers: one flag per kind
    and the largest expected lift; and whether there was one, and how large, at the same phase one
    season of each kind before, because what was unusual then is in what the floor repeats now. A
    lift is what it adds to the logarithm, in pairs of the floor's standard deviation."""
    events = fitted.panel.events
    horizon = sd.shape[1]
    ahead = np.arange(1, horizon + 1)
    features = np.zeros((len(rows), horizon, len(EVENT_KINDS) + 5))
    if not events.kind.size:
        return features
    unit = 2 * fitted.floor.scale.width[rows, None] * sd
    visible = (events.known[rows] < origins[:, None]) & (events.kind[rows] >= 0)
    answered = is_answered(fitted.events, fitted.period) & fitted.answers.is_known[:, None]
    visible &= ~answered[rows]

    def during(steps: Ints) -> NDArray[np.bool_]:
        """(window, event, step)"""
        at = (origins[:, None] - 1 + steps[None, :])[:, None, :]
        first, last = events.first[rows][..., None], events.last[rows][..., None]
        return visible[..., None] & (at >= first) & (at <= last)

    lift = np.log1p(np.maximum(events.lift[rows], -0.99))[..., None]
    inside = during(ahead)
    for place in range(len(EVENT_KINDS)):
        features[..., place] = (inside & (events.kind[rows] == place)[..., None]).any(axis=1)
    features[..., len(EVENT_KINDS)] = _strongest(inside * lift) / unit
    for place, season in enumerate(fitted.seasons[:2]):
        before = during(ahead - -(-ahead // season) * season)
        at = len(EVENT_KINDS) + 1 + 2 * place
        features[..., at] = before.any(axis=1)
        features[..., at + 1] = _strongest(before * lift) / unit
    return features


def _strongest(values: Floats) -> Floats:
    """Of (window, event, step) the value furthest from zero over the events."""
    largest, smallest = values.max(axis=1, initial=0.0), values.min(axis=1, initial=0.0)
    return np.where(largest >= -smallest, largest, smallest)


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
