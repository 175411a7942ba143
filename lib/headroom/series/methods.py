"""Forecast methods of one panel: names, from simple to complex, and their quantiles."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headroom.series.examples import Examples, build_examples
from headroom.series.fitted import Fitted, fit
from headroom.series.floor import MARGIN
from headroom.series.metrics import nan_mean
from headroom.series.panel import Panel
from headroom.series.quantiles import at_levels, normal_scores

Floats = NDArray[np.float64]

SEASONAL_NAIVE = "seasonal_naive"
LOG_AR = "log_ar"
LSTM = "lstm"  # the networks of all kinds together

# How a network came to its weights: on synthetic series alone, on the fleet alone, or both.
ZERO_SHOT, SCRATCH, TUNED = "zero_shot", "scratch", "tuned"
KINDS = (ZERO_SHOT, SCRATCH, TUNED)


@dataclass(frozen=True)
class Networks:
    """The networks of a model: what they forecast, and what they are trusted with."""

    quantiles: Callable[[Examples], Mapping[str, Floats]]  # by kind, in the floor's sd around it
    levels: Sequence[float]
    shares: Mapping[str, float] = field(default_factory=dict)  # by kind; empty: all the same


def method_of(kind: str) -> str:
    """The name under which the networks of one kind forecast alone."""
    return f"{LSTM}_{kind}"


FLOORS = (SEASONAL_NAIVE, LOG_AR)


def methods_with(kinds: Iterable[str]) -> tuple[str, ...]:
    """The methods there are with networks of these kinds, in the order in which ties are decided:
    the simple ones first, and all networks together before each kind. One kind alone is it."""
    given = set(kinds)
    present = [kind for kind in KINDS if kind in given]
    alone = [method_of(kind) for kind in present] if len(present) > 1 else []
    return (*FLOORS, *([LSTM] if present else []), *alone)


METHODS = methods_with(KINDS)


def forecast_methods(
    panel: Panel,
    horizon: int,
    levels: Sequence[float],
    networks: Networks | None,
) -> dict[str, Floats]:
    """Quantiles (series, step, level) of the `horizon` steps after the panel's end, by method.

    They rise with the level, are finite, and within `Panel.limits`.
    """
    fitted = fit(panel, horizon)
    rows = np.arange(len(panel.item_ids))
    examples = build_examples(fitted, rows, np.full(len(rows), panel.n_steps))
    results = {
        SEASONAL_NAIVE: seasonal_naive(panel.values, fitted.period, horizon, levels),
        LOG_AR: _in_units(fitted, examples, _normal(examples, levels)),
    }
    if networks is not None:
        raw = networks.quantiles(examples)
        by_method = {method_of(kind): raw[kind] for kind in KINDS if kind in raw}
        by_method[LSTM] = combined(raw, networks.shares)
        for name in methods_with(raw)[len(FLOORS) :]:
            quantiles = _in_units(fitted, examples, by_method[name])
            results[name] = at_levels(quantiles, networks.levels, levels)
    low, high = (limit[:, None, None] for limit in panel.limits())
    return {name: np.clip(quantiles, low, high) for name, quantiles in results.items()}


def combined(by_kind: Mapping[str, Floats], shares: Mapping[str, float]) -> Floats:
    """Midway between the weighted mean and the weighted median of several forecasts: as good as the
    mean where they agree, and half as wrong where one of three goes astray."""
    values = np.stack(list(by_kind.values()))
    share = np.array([shares.get(kind, 1.0) for kind in by_kind])
    share /= share.sum()
    order = np.argsort(values, axis=0)
    rising = np.take_along_axis(values, order, axis=0)
    below = np.cumsum(share[order], axis=0)
    # Where a share ends at one half, the median is midway between its value and the next one.
    ends = [(below > half).argmax(axis=0)[None] for half in (0.5 - 1e-9, 0.5 + 1e-9)]
    low, high = (np.take_along_axis(rising, end, axis=0)[0] for end in ends)
    mean: Floats = np.tensordot(share, values, axes=1)
    return (mean + (low + high) / 2) / 2


def seasonal_naive(values: Floats, season: int, horizon: int, levels: Sequence[float]) -> Floats:
    """The last season repeated, with normal intervals from the seasonal differences, wider by the
    root of the number of seasons ahead (Hyndman & Athanasopoulos, FPP3, §5.5). Missing values of
    the last season are those of the season before. A series without two values a season apart
    has its last value repeated."""
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
    quantiles = point[..., None] + width[..., None] * normal_scores(levels)
    is_short = ~exists.any(axis=1)
    if season > 1 and is_short.any():
        quantiles[is_short] = seasonal_naive(values[is_short], 1, horizon, levels)
    return quantiles


def _normal(examples: Examples, levels: Sequence[float]) -> Floats:
    return np.broadcast_to(normal_scores(levels), (*examples.center.shape, len(levels)))


def _in_units(fitted: Fitted, examples: Examples, quantiles: Floats) -> Floats:
    """Quantiles around the floor, in its standard deviations → in units of the series. The scale is
    exponential, so quantiles may pass the floor's own limits by one standard deviation only."""
    z = examples.center[..., None] + examples.sd[..., None] * quantiles
    low, high = (limit[:, None, None] for limit in (fitted.floor.low, fitted.floor.high))
    return fitted.floor.scale.inverse(np.clip(z, low - MARGIN, high + MARGIN))
