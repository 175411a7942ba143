"""Data gap: items that have gone silent, or whose data is too poor to be believed.

It comes first: what it finds in a group blocks every other recommendation there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headroom.config import Recommend
from headroom.freq import DAY, WEEK, Freq
from headroom.recommend.decision import DATA_GAP, RECOMMENDED, Decision
from headroom.recommend.group import Item
from headroom.series.paths import to_days
from headroom.series.trend import Floats

SILENT = "silent"
LOW_COVERAGE = "low_coverage"
FLATLINE = "flatline"
UNIT_JUMP = "unit_jump"
MIN_SILENT_STEPS = 3
FLAT_DAYS = 3
LIVELY_SHARE = 0.9  # of the earlier days had to vary, for three flat ones to be a finding
UNIT_FACTORS = (1000.0, 1024.0, 100.0, 60.0, 3600.0, 8.0)  # k, Ki, percent, minutes, hours, bits
UNIT_TOLERANCE = 0.05
JUMP_DAYS = 7


@dataclass(frozen=True)
class Fault:
    """What is wrong with one item, and since when."""

    item_id: str
    metric: str
    code: str
    since: np.datetime64 | None  # None: never a value
    value: float  # hours of silence, share observed, days without change, factor
    threshold: float

    def as_evidence(self) -> dict[str, Any]:
        return {
            "item_id": self.item_id,
            "metric": self.metric,
            "code": self.code,
            "since": None if self.since is None else str(self.since),
            "value": self.value,
            "threshold": self.threshold,
        }


def data_gap(
    items: Sequence[Item], fleet_end: np.datetime64, freq: Freq, settings: Recommend
) -> Decision:
    """The faults of a group's items, worst first; outcome `data_complete` where there is none."""
    faults = [
        fault
        for item in sorted(items, key=lambda item: item.item_id)
        for fault in [item_fault(item, fleet_end, freq, settings)]
        if fault is not None
    ]
    evidence = {
        "n_items": len(items),
        "fleet_end": str(fleet_end),
        "items_not_ok": {
            item.item_id: item.reason or item.status for item in items if item.status != "ok"
        },
        "quality_issues": {item.item_id: dict(item.issues) for item in items if item.issues},
        "faults": [fault.as_evidence() for fault in faults],
    }
    outcome = RECOMMENDED if faults else "data_complete"
    trusted = 1.0 - len({fault.item_id for fault in faults}) / max(len(items), 1)
    return Decision(
        DATA_GAP,
        outcome,
        detail=(
            f"all {len(items)} series are up to date and complete enough"
            if len(items) > 1
            else "its series is up to date and complete enough"
        ),
        unit="share of series trusted",
        current=trusted,
        proposed=1.0 if faults else None,
        confidence=1.0,
        evidence=evidence,
    )


def item_fault(
    item: Item, fleet_end: np.datetime64, freq: Freq, settings: Recommend
) -> Fault | None:
    """The gravest fault of one item, or None."""
    return (
        _silence(item, fleet_end, freq, settings.silent_hours)
        or _poor_coverage(item, freq, settings.min_coverage)
        or _flatline(item, freq)
        or _unit_jump(item, freq)
    )


def _silence(item: Item, fleet_end: np.datetime64, freq: Freq, silent_hours: float) -> Fault | None:
    threshold = max(silent_hours, MIN_SILENT_STEPS * freq.seconds / 3600)
    if item.n_seen == 0:
        return Fault(item.item_id, item.metric, SILENT, None, float("inf"), threshold)
    last = freq.timestamps(item.start, item.n_seen)[-1]
    hours = float((fleet_end - last) / np.timedelta64(1, "s")) / 3600
    if hours <= threshold:
        return None
    return Fault(item.item_id, item.metric, SILENT, last, hours, threshold)


def _poor_coverage(item: Item, freq: Freq, min_coverage: float) -> Fault | None:
    n_steps = min(max(WEEK // freq.seconds, 8), item.n_seen)
    latest = item.values[item.n_seen - n_steps : item.n_seen]
    seen = np.isfinite(latest)
    share = float(seen.mean())
    if share >= min_coverage:
        return None
    first_gap = item.n_seen - n_steps + int(np.argmin(seen))
    since = freq.timestamps(item.start, item.n_seen)[first_gap]
    return Fault(item.item_id, item.metric, LOW_COVERAGE, since, share, min_coverage)


def _flatline(item: Item, freq: Freq) -> Fault | None:
    """No change at all for three days in a series that changed on nearly every day before."""
    days = _days(item, freq)
    if len(days) < 4 * FLAT_DAYS:
        return None
    highest, lowest = _extreme(days, np.fmax), _extreme(days, np.fmin)
    n_flat = 1
    while n_flat < len(days) and _same(highest[-n_flat - 1 :], lowest[-n_flat - 1 :]):
        n_flat += 1
    earlier = (highest > lowest)[: len(days) - n_flat]
    lively = len(earlier) > 0 and float(np.mean(earlier)) >= LIVELY_SHARE
    if n_flat < FLAT_DAYS or not lively or not _same(highest[-n_flat:], lowest[-n_flat:]):
        return None
    since = freq.timestamps(item.start, item.n_seen)[-n_flat * days.shape[1]]
    return Fault(item.item_id, item.metric, FLATLINE, since, float(n_flat), float(FLAT_DAYS))


def _unit_jump(item: Item, freq: Freq) -> Fault | None:
    """A lasting step by the ratio of two units: a thousand, 1024, a hundred, sixty, eight."""
    days = _days(item, freq)
    with np.errstate(invalid="ignore"):
        seen = np.isfinite(days) & (days > 0)
    if len(days) < 2 * JUMP_DAYS or not seen.any(axis=1).all():
        return None
    logs = np.nanmedian(np.where(seen, np.log(np.where(seen, days, 1.0)), np.nan), axis=1)
    splits = range(JUMP_DAYS, len(days) - JUMP_DAYS + 1)
    steps = [
        float(np.median(logs[at : at + JUMP_DAYS]) - np.median(logs[at - JUMP_DAYS : at]))
        for at in splits
    ]
    at = int(np.argmax(np.abs(steps)))
    ratio = float(np.exp(abs(steps[at])))
    if not any(abs(ratio / factor - 1) <= UNIT_TOLERANCE for factor in UNIT_FACTORS):
        return None
    since = freq.timestamps(item.start, item.n_seen)[-(len(days) - splits[at]) * days.shape[1]]
    factor = float(np.exp(steps[at]))
    return Fault(item.item_id, item.metric, UNIT_JUMP, since, factor, UNIT_FACTORS[0])


def _days(item: Item, freq: Freq) -> Floats:
    """Whole days of values up to the last observed step, (day, step); none for long steps."""
    if freq.is_monthly or freq.seconds >= DAY or DAY % freq.seconds:
        return np.empty((0, 1))
    return to_days(item.values[: item.n_seen], DAY // freq.seconds)


def _extreme(days: Floats, which: np.ufunc) -> Floats:
    """`np.fmax` or `np.fmin` of each day, NaN where nothing was observed."""
    return np.asarray(which.reduce(days, axis=1))


def _same(highest: Floats, lowest: Floats) -> bool:
    """True where all days hold one and the same value, days without any left out."""
    return bool(np.fmax.reduce(highest) == np.fmin.reduce(lowest))
