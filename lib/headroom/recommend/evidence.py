"""What recomputes a recommendation: window, inputs, seed, and the quantiles that were used."""

from typing import Any

import numpy as np

from headroom.config import Recommend
from headroom.freq import DAY
from headroom.recommend.group import Group
from headroom.recommend.outlook import Outlook
from headroom.series.paths import TAIL_SHARE, empirical_quantile, window_peaks

FAN_LEVELS = (0.1, 0.5, 0.9)
PEAK_LEVELS = (0.1, 0.5, 0.9, 0.95, 0.99)
LARGEST = 5
CHART_DAYS = 63


def common_evidence(group: Group, outlook: Outlook, settings: Recommend) -> dict[str, Any]:
    """What every decision on capacity rests on, whatever its outcome."""
    return {**_inputs(group, outlook, settings), **_method(group, outlook)}


def _inputs(group: Group, outlook: Outlook, settings: Recommend) -> dict[str, Any]:
    observed = outlook.peaks[np.isfinite(outlook.peaks)]
    return {
        "window_start": str(_day_start(group, len(outlook.peaks))),
        "window_end": str(group.end),
        "n_days": outlook.n_days,
        "n_points": int(np.isfinite(group.demand).sum()),
        "coverage": outlook.coverage,
        "horizon_days": settings.horizon_days,
        "tier": group.tier,
        "safe_utilisation": group.policy.safe_utilisation,
        "violation_probability": group.policy.violation_probability,
        "shortage_cost": group.policy.shortage_cost,
        "unit": group.unit,
        "capacity": group.capacity_now,
        "host_size": group.host_size,
        "limit": group.policy.safe_utilisation * group.capacity_now,
        "unit_price": group.unit_price,
        "price_source": group.price_source,
        "observed_peak_q50": float(np.median(observed)),
        "observed_peak_q95": float(np.quantile(observed, 0.95)),
        "observed_peak_max": float(observed.max()),
    }


def _method(group: Group, outlook: Outlook) -> dict[str, Any]:
    paths, n_days = outlook.paths, len(outlook.peaks)
    largest = window_peaks(paths, paths.values.shape[1])
    return {
        "path_method": "log trend, weekday profile, 7-day block bootstrap",
        "tail_model": f"exponential excesses above the upper {TAIL_SHARE:.0%} of residuals",
        "seed": outlook.draws.seed,
        "n_paths": len(paths.values),
        "n_effective": paths.n_effective,
        "resolution": paths.resolution,
        "weekly_growth": list(outlook.growth),
        "steps": [
            {
                "date": str(_day_start(group, n_days - step.day).astype("datetime64[D]")),
                "factor": float(np.exp(step.size)),
                "weight": step.weight,
            }
            for step in paths.steps
        ],
        "anchor": outlook.anchor,
        "event_responses": dict(group.responses),
        "level_shift": outlook.level_shift,
        "largest_peak_levels": list(PEAK_LEVELS),
        "largest_peak_quantiles": [empirical_quantile(largest, level) for level in PEAK_LEVELS],
    }


def observed_peaks(group: Group, outlook: Outlook, limit: float) -> list[dict[str, Any]]:
    """The largest daily peaks of the history, and whether `limit` would have covered them."""
    order = np.argsort(np.nan_to_num(outlook.peaks, nan=-np.inf), kind="stable")[::-1]
    n_days = len(outlook.peaks)
    return [
        {
            "date": str(_day_start(group, n_days - int(day)).astype("datetime64[D]")),
            "value": float(outlook.peaks[day]),
            "covered": bool(outlook.peaks[day] <= limit),
        }
        for day in order[:LARGEST]
        if np.isfinite(outlook.peaks[day])
    ]


def chart(group: Group, outlook: Outlook) -> dict[str, Any]:
    """Observed daily peaks and the fan of their future, one value per day, for a drawing."""
    past = outlook.peaks[-CHART_DAYS:]
    fan = np.quantile(outlook.paths.values, FAN_LEVELS, axis=0)
    return {
        "past_from": str(_day_start(group, len(past)).astype("datetime64[D]")),
        "past_peaks": [_rounded(value) for value in past],
        "future_from": str(group.date(1).astype("datetime64[D]")),
        "levels": list(FAN_LEVELS),
        "future_peaks": [[_rounded(value) for value in row] for row in fan],
    }


def _day_start(group: Group, days_back: int) -> np.datetime64:
    """Start of the day that began `days_back` whole days before the end of the last step."""
    return group.date(1) - np.timedelta64(days_back * DAY, "s")


def _rounded(value: float) -> float | None:
    return float(f"{value:.5g}") if np.isfinite(value) else None
