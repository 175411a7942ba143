"""Forecast methods of one panel: names, from simple to complex, and their quantiles."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from headroom.series.examples import Examples, Fitted, build_examples, fit
from headroom.series.metrics import nan_mean
from headroom.series.panel import Panel
from headroom.series.quantiles import at_levels, normal_scores

Floats = NDArray[np.float64]

SEASONAL_NAIVE = "seasonal_naive"
LOG_AR = "log_ar"
LSTM = "lstm"
METHODS = (SEASONAL_NAIVE, LOG_AR, LSTM)  # ties go to the earlier, simpler one

# Quantiles of the network in units of the floor's standard deviation, and the levels they are at.
Network = Callable[[Examples], Floats]


def forecast_methods(
    panel: Panel,
    horizon: int,
    levels: Sequence[float],
    network: Network | None,
    network_levels: Sequence[float],
) -> Mapping[str, Floats]:
    """Quantiles (series, step, level) of the `horizon` steps after the panel's end, by method.

    They rise with the level and are finite; where a series was never negative, neither are they.
    """
    fitted = fit(panel, horizon)
    rows = np.arange(len(panel.item_ids))
    examples = build_examples(fitted, rows, np.full(len(rows), panel.n_steps))
    results = {
        SEASONAL_NAIVE: seasonal_naive(panel.values, fitted.period, horizon, levels),
        LOG_AR: _in_units(fitted, examples, _normal(examples, levels)),
    }
    if network is not None:
        results[LSTM] = at_levels(
            _in_units(fitted, examples, network(examples)), network_levels, levels
        )
    floor_at = lower_bounds(panel.values)[:, None, None]
    return {name: np.maximum(quantiles, floor_at) for name, quantiles in results.items()}


def lower_bounds(values: Floats) -> Floats:
    """0 for series that were never negative, else minus infinity (series,)."""
    smallest = np.where(np.isnan(values), np.inf, values).min(axis=1, initial=np.inf)
    return np.where(smallest >= 0, 0.0, -np.inf)


def seasonal_naive(values: Floats, season: int, horizon: int, levels: Sequence[float]) -> Floats:
    """The last season repeated, with normal intervals from the seasonal differences, wider by the
    root of the number of seasons ahead (Hyndman & Athanasopoulos, FPP3, §5.5). Missing values of
    the last season are those of the season before."""
    n_series, n_steps = values.shape
    season = max(1, min(season, n_steps))
    last = np.full((n_series, season), np.nan)
    for back in range(1, n_steps // season + 1):
        block = values[:, n_steps - back * season : n_steps - (back - 1) * season]
        last = np.where(np.isnan(last), block, last)
        if not np.isnan(last).any():
            break
    last = np.where(np.isnan(last), np.nan_to_num(nan_mean(last))[:, None], last)
    point = last[:, np.arange(horizon) % season]
    difference = values[:, season:] - values[:, :-season]
    exists = ~np.isnan(difference)
    squares = np.where(exists, difference, 0.0) ** 2
    sd = np.sqrt(squares.sum(axis=1) / np.maximum(exists.sum(axis=1), 1))
    seasons_ahead = np.arange(horizon) // season + 1
    width = sd[:, None] * np.sqrt(seasons_ahead)[None, :]
    return point[..., None] + width[..., None] * normal_scores(levels)


def _normal(examples: Examples, levels: Sequence[float]) -> Floats:
    return np.broadcast_to(normal_scores(levels), (*examples.center.shape, len(levels)))


def _in_units(fitted: Fitted, examples: Examples, quantiles: Floats) -> Floats:
    """Quantiles around the floor, in its standard deviations → in units of the series."""
    z = examples.center[..., None] + examples.sd[..., None] * quantiles
    reach = (fitted.floor.high - fitted.floor.low)[:, None, None]
    bounded = np.clip(
        z, fitted.floor.low[:, None, None] - reach, fitted.floor.high[:, None, None] + reach
    )
    return fitted.floor.scale.inverse(bounded)
