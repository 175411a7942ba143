"""The floor: a robust autoregression on a log-like scale, with analytic intervals.

For many series at once, as matrices (series, step), right-aligned and padded with NaN on the
left. The scale is asinh(x / unit): the logarithm for values well above `unit`, linear around zero,
defined for any real number. On it each series is standardised and regressed on a few lags around
its seasons by least squares. Before a value may serve as a lag it is cleaned causally: what is
missing, or lies further than `CLEAN_AT` standard deviations from the one-step prediction, is
replaced by the prediction or by that bound, so that one bad point cannot blow a forecast up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CLEAN_AT = 5.0  # one-step standard deviations
SPAN = 2  # a lag is used by series that are so many times as long
SPAN_SECOND = 5  # the same of the second repetition of the first season
LONG_MEMORY = 200  # first seasons
PAIRS = 4  # of values a season apart, at least, for a season that is met once
PRIOR_PAIRS = 2.0  # that say that a season met once comes back as it was
RIDGE = 1e-6  # on standardised values: only against singular systems
MARGIN = 1.0  # forecasts stay within the observed range ± this many standard deviations


@dataclass(frozen=True)
class Scale:
    """x ↔ standardised asinh scale, per series."""

    unit: Floats  # (series,)
    center: Floats  # (series,)
    width: Floats  # (series,)

    def forward(self, x: Floats, rows: Ints | slice = slice(None)) -> Floats:
        """Standardised values of x (rows, …)."""
        unit, center, width = self._shaped(rows, x.ndim)
        return (np.arcsinh(x / unit) - center) / width

    def inverse(self, z: Floats, rows: Ints | slice = slice(None)) -> Floats:
        """x of standardised values (rows, …)."""
        unit, center, width = self._shaped(rows, z.ndim)
        return unit * np.sinh(np.clip(z * width + center, -60.0, 60.0))

    def _shaped(self, rows: Ints | slice, n_axes: int) -> tuple[Floats, Floats, Floats]:
        shape = (-1,) + (1,) * (n_axes - 1)
        return (
            self.unit[rows].reshape(shape),
            self.center[rows].reshape(shape),
            self.width[rows].reshape(shape),
        )


@dataclass(frozen=True)
class Floor:
    """A fitted floor of several series."""

    scale: Scale
    lags: Ints  # (lag,), rising
    weights: Floats  # (series, lag + 1), the intercept last, 0 for lags that a series cannot use
    sigma: Floats  # (series,) one-step standard deviation
    low: Floats  # (series,)
    high: Floats  # (series,)

    def reaching(self, z: Floats) -> "Floor":
        """The same with limits that leave room for all of these values (series, step) too."""
        return replace(
            self,
            low=np.minimum(self.low, np.nan_to_num(_nan_quantile(z, 0.0)) - MARGIN),
            high=np.maximum(self.high, np.nan_to_num(_nan_quantile(z, 1.0)) + MARGIN),
        )

    @property
    def reach(self) -> int:
        """The longest lag of any series."""
        return int(self.lags[-1])

    @property
    def reaches(self) -> Ints:
        """The longest lag that each series uses (series,)."""
        used = np.where(self.weights[:, :-1] != 0, self.lags[None, :], 0)
        return used.max(axis=1, initial=0)


def lags_for(seasons: Sequence[int]) -> Ints:
    """1-3, and each season with its neighbours; the first season twice."""
    centers = (2, *seasons, *(2 * season for season in seasons[:1]))
    return _with_neighbours(centers)


def distant_lags_for(seasons: Sequence[int]) -> Ints:
    """The third and fourth repetition of the first season with their neighbours: what series that
    span LONG_MEMORY such seasons gain by, and shorter ones pay for with noise."""
    distant = _with_neighbours([repeat * season for season in seasons[:1] for repeat in (3, 4)])
    return np.setdiff1d(distant, lags_for(seasons))


def _with_neighbours(centers: Iterable[int]) -> Ints:
    lags = {center + shift for center in centers for shift in (-1, 0, 1)}
    return np.array(sorted(lag for lag in lags if lag > 0), dtype=np.int64)


def fit_scale(x: Floats) -> Scale:
    """The scale of each series (series, step); NaN where not observed."""
    magnitude = np.where(np.abs(x) > 0, np.abs(x), np.nan)
    with np.errstate(all="ignore"):
        unit = 0.1 * _nan_quantile(magnitude, 0.1)
    largest = np.nan_to_num(_nan_quantile(magnitude, 1.0))
    unit = np.maximum(unit, 1e-9 * largest)  # no ratio may overflow
    unit = np.where(np.isfinite(unit) & (unit > 1e-300), unit, 1.0)
    z = np.arcsinh(x / unit[:, None])
    center = _nan_mean(z)
    width = np.sqrt(_nan_mean((z - center[:, None]) ** 2))
    return Scale(unit, center, np.where(width > 1e-9, width, 1.0))


def fit_floor(x: Floats, seasons: Sequence[int]) -> tuple[Floor, Floats]:
    """The floor of series (series, step), and their cleaned standardised values.

    A series uses the lags that its observed span is long enough for. One that has met its season
    once and not twice repeats it, as far as what it has of the next one agrees; with fewer points
    it keeps its mean.
    """
    scale = fit_scale(x)
    z = scale.forward(x)
    first = _first_observed(z)
    lags, usable = _usable_lags(seasons, z.shape[1] - first)
    season = seasons[0] if seasons else 0
    filled = _fill(z, season or 1)
    weights, sigma = _fit(filled, ~np.isnan(z), lags, usable, first, season)
    floor = _with_limits(scale, lags, weights, sigma, z)
    cleaned = clean(floor, z)
    weights, sigma = _fit(cleaned, ~np.isnan(z), lags, usable, first, season)
    floor = _with_limits(scale, lags, weights, sigma, z)
    return floor, clean(floor, z)


def clean(floor: Floor, z: Floats) -> Floats:
    """Standardised values (series, step) in which each value used only what came before it.

    Leading NaN stay; inside a series nothing is missing.
    """
    n_series, n_steps = z.shape
    reach = floor.reach
    first = _first_observed(z)
    cleaned = np.zeros((n_series, n_steps + reach))
    bound = CLEAN_AT * floor.sigma
    weights, intercept = floor.weights[:, :-1], floor.weights[:, -1]
    start = int(first.min()) if n_series else 0
    # Before a series has filled its longest lag the regression has nothing to stand on.
    settled = first + floor.reaches
    for step in range(start, n_steps):
        predicted = (cleaned[:, step + reach - floor.lags] * weights).sum(axis=1) + intercept
        predicted = np.clip(predicted, floor.low, floor.high)
        value = z[:, step]
        previous = cleaned[:, step + reach - 1]
        fallback = np.where(step >= settled, predicted, previous)
        bounded = np.clip(value, predicted - bound, predicted + bound)
        kept = np.where(step >= settled, bounded, value)
        cleaned[:, step + reach] = np.where(np.isnan(value), fallback, kept)
    cleaned = cleaned[:, reach:]
    cleaned[np.arange(n_steps)[None, :] < first[:, None]] = np.nan
    return cleaned


def forecast(floor: Floor, cleaned: Floats, rows: Ints, origins: Ints, horizon: int) -> Floats:
    """Means (window, step) of the `horizon` steps from `origins` on, of the series `rows`."""
    weights = floor.weights[rows, :-1].T  # (lag, window)
    known = np.repeat(floor.weights[rows, -1:], horizon, axis=1)
    is_near = floor.lags < horizon  # the others lead to the past whatever the step
    for lag, weight in zip(floor.lags[~is_near], weights[~is_near], strict=True):
        known += weight[:, None] * _past(cleaned, rows, origins - lag, horizon)
    near, weights = floor.lags[is_near], weights[is_near]
    reach = int(near.max(initial=0))
    path = np.empty((reach + horizon, len(rows)))  # a step's values lie side by side in memory
    path[:reach] = _past(cleaned, rows, origins - reach, reach).T
    path[reach:] = known.T
    low, high = floor.low[rows], floor.high[rows]
    for step in range(reach, reach + horizon):
        value = path[step] + np.einsum("lw,lw->w", path[step - near], weights)
        np.minimum(np.maximum(value, low), high, out=path[step])
    return np.ascontiguousarray(path[reach:].T)


def _past(cleaned: Floats, rows: Ints, begins: Ints, length: int) -> Floats:
    """The `length` steps (window, step) from `begins` on; 0, the mean, where there is nothing."""
    values = np.zeros((len(rows), length))
    inside = begins >= 0
    if length and inside.any():
        # Slices of rows: many times faster than one element after the other.
        slices = sliding_window_view(cleaned, length, axis=1)
        values[inside] = slices[rows[inside], begins[inside]]
    for window in np.flatnonzero(~inside & (begins + length > 0)):
        values[window, -begins[window] :] = cleaned[rows[window], : begins[window] + length]
    return np.where(np.isnan(values), 0.0, values)


def spread(floor: Floor, horizon: int) -> Floats:
    """Standard deviations (series, step) of the forecast errors: sigma times the root of the
    cumulated squared ψ weights (Box & Jenkins, Time Series Analysis, §5.1)."""
    reach = floor.reach
    psi = np.zeros((len(floor.sigma), reach + horizon))
    psi[:, reach] = 1.0
    for step in range(reach + 1, reach + horizon):
        psi[:, step] = (psi[:, step - floor.lags] * floor.weights[:, :-1]).sum(axis=1)
    growth = np.sqrt(np.cumsum(np.clip(psi[:, reach:], -10, 10) ** 2, axis=1))
    return floor.sigma[:, None] * np.minimum(growth, 1.5 / np.maximum(floor.sigma, 1e-9)[:, None])


def _usable_lags(seasons: Sequence[int], spans: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """The lags that some series can use, and which of them each can (series, lag)."""
    near, distant = lags_for(seasons), distant_lags_for(seasons)
    lags = np.union1d(near, distant)
    first = max(seasons[:1], default=0)
    is_second = (lags > first + 1) & (lags <= 2 * first + 1)
    needed = np.where(is_second, SPAN_SECOND, SPAN) * lags
    needed[~np.isin(lags, near)] = LONG_MEMORY * first
    usable = needed[None, :] <= spans[:, None]
    kept = np.isin(lags, near) | usable.any(axis=0)
    return lags[kept], usable[:, kept]


def _fit(
    values: Floats,
    observed: NDArray[np.bool_],
    lags: Ints,
    usable: NDArray[np.bool_],
    first: Ints,
    season: int,
) -> tuple[Floats, Floats]:
    """Weights (series, lag + 1) and residual standard deviations (series,)."""
    weights, sigma = _least_squares(values, observed, lags, usable, first)
    if not season:
        return weights, sigma
    at = int(np.searchsorted(lags, season))
    once = (values.shape[1] - first >= season + PAIRS) & ~usable[:, at]
    before = _lagged(values[once], season)
    pairs = observed[once] & (np.arange(values.shape[1]) >= (first[once] + season)[:, None])
    before, after = np.where(pairs, before, 0.0), np.where(pairs, values[once], 0.0)
    agree = (before * after).sum(axis=1) + PRIOR_PAIRS
    share = np.clip(agree / ((before**2).sum(axis=1) + PRIOR_PAIRS), 0.0, 1.0)
    residual = after - share[:, None] * before
    weights[once] = 0.0
    weights[once, at] = share
    sigma[once] = np.sqrt((residual**2).sum(axis=1) / np.maximum(pairs.sum(axis=1) - 1, 1))
    return weights, np.maximum(sigma, 1e-3)


def _least_squares(
    values: Floats, observed: NDArray[np.bool_], lags: Ints, usable: NDArray[np.bool_], first: Ints
) -> tuple[Floats, Floats]:
    """Weights (series, lag + 1) and residual standard deviations (series,)."""
    n_series, n_steps = values.shape
    n_lags = len(lags)
    reach = np.where(usable, lags[None, :], 0).max(axis=1, initial=0)
    counts = observed & (np.arange(n_steps)[None, :] >= (first + reach)[:, None])
    target = np.where(counts, values, 0.0)
    columns = [_lagged(values, int(lag)) * counts for lag in lags] + [counts.astype(np.float64)]
    gram = np.zeros((n_series, n_lags + 1, n_lags + 1))
    moment = np.zeros((n_series, n_lags + 1))
    for i, column in enumerate(columns):
        moment[:, i] = np.einsum("st,st->s", column, target)
        for j in range(i + 1):
            gram[:, i, j] = gram[:, j, i] = np.einsum("st,st->s", column, columns[j])
    use = np.concatenate([usable, np.ones((n_series, 1), dtype=bool)], axis=1)
    n_rows = counts.sum(axis=1)
    use[:, :-1] &= (n_rows > 2 * use.sum(axis=1))[:, None]
    gram *= use[:, :, None] & use[:, None, :]
    diagonal = np.arange(n_lags + 1)
    gram[:, diagonal, diagonal] += np.where(use, RIDGE * np.maximum(n_rows, 1)[:, None], 1.0)
    weights = np.linalg.solve(gram, (moment * use)[..., None])[..., 0]
    fitted = sum(weights[:, i, None] * column for i, column in enumerate(columns))
    residual = np.where(counts, target - fitted, 0.0)
    freedom = np.maximum(n_rows - use.sum(axis=1), 1)
    sigma = np.sqrt((residual**2).sum(axis=1) / freedom)
    return weights, np.maximum(sigma, 1e-3)


def _with_limits(scale: Scale, lags: Ints, weights: Floats, sigma: Floats, z: Floats) -> Floor:
    with np.errstate(all="ignore"):
        low = np.nan_to_num(_nan_quantile(z, 0.0)) - MARGIN
        high = np.nan_to_num(_nan_quantile(z, 1.0)) + MARGIN
    return Floor(scale, lags, weights, sigma, low, high)


def _fill(z: Floats, season: int) -> Floats:
    """Missing values replaced by the value a season before, else the previous one, else 0."""
    filled = z.copy()
    for step in range(z.shape[1]):
        missing = np.isnan(filled[:, step])
        if missing.any():
            before = filled[:, step - season] if step >= season else np.full(len(z), np.nan)
            previous = filled[:, step - 1] if step else np.full(len(z), np.nan)
            guess = np.where(np.isnan(before), previous, before)
            filled[missing, step] = guess[missing]
    return np.nan_to_num(filled)


def _lagged(values: Floats, lag: int) -> Floats:
    shifted = np.zeros_like(values)
    shifted[:, lag:] = np.nan_to_num(values[:, :-lag])
    return shifted


def _first_observed(z: Floats) -> Ints:
    seen = ~np.isnan(z)
    return np.where(seen.any(axis=1), seen.argmax(axis=1), z.shape[1]).astype(np.int64)


def _nan_mean(values: Floats) -> Floats:
    counts = np.maximum((~np.isnan(values)).sum(axis=1), 1)
    return np.nansum(values, axis=1) / counts


def _nan_quantile(values: Floats, level: float) -> Floats:
    ordered = np.sort(values, axis=1)  # NaN last
    counts = (~np.isnan(values)).sum(axis=1)
    at = np.clip(np.round(level * (counts - 1)), 0, max(values.shape[1] - 1, 0)).astype(np.int64)
    return ordered[np.arange(len(values)), at]
