"""The rows of one series on a regular grid. Times are int64 µs since 1970, UTC; missing is NaN."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from headroom.config import StrayRows
from headroom.freq import DAY, WEEK, Freq

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

MICROS = 1_000_000

# 1970-01-05, the first Monday: where weeks begin.
_MONDAY = 4 * 86_400 * MICROS

_EASTERNMOST = 14 * 3_600 * MICROS  # clocks are never further ahead of UTC

_SUMMED = ("count", "cost")
_LARGEST = ("latency",)

_FINER = 0.75  # of a step
_COARSER = 1.25
_REGULAR_SHARE = 0.9  # of the distances are multiples of the typical one

_COMMON_SHARE = 0.5  # of the times lie at one phase
_LOCAL_SHARE = 0.9  # the same of days: local midnights have two, of which either may be the more
_CLOSE = 0.5  # length of the mean of the phases on a circle; of evenly spread ones it is 0


@dataclass(frozen=True)
class Grid:
    """Values at `start`, one step later, … ; `has_row` is False where the source had no row,
    `flagged` True where no scale and no training may learn from the value."""

    start: int
    values: Floats
    has_row: Mask
    flagged: Mask

    def times(self, freq: Freq) -> Ints:
        """The start of each step."""
        start = np.datetime64(self.start // MICROS, "s")
        return freq.timestamps(start, len(self.values)).astype("datetime64[us]").astype(np.int64)


def find_strays(times: Ints, freq: Freq, rule: StrayRows) -> Mask:
    """True for the few first or last of the sorted times that lie farther from the others than
    these reach altogether: clocks that were wrong, units that were misread."""
    stray = np.zeros(len(times), dtype=bool)
    if len(times) < rule.min_rows:
        return stray
    few = max(1, int(rule.max_share * len(times)))
    gaps = np.diff(times)
    least = rule.min_steps * freq.seconds * MICROS
    last = len(gaps) - few + int(np.argmax(gaps[-few:]))
    if gaps[last] > max(times[last] - times[0], least):
        stray[last + 1 :] = True
    first = int(np.argmax(gaps[:few]))
    end = times[~stray][-1]
    if gaps[first] > max(end - times[first + 1], least):
        stray[: first + 1] = True
    return stray


def typical_step(times: Ints) -> float:
    """The median distance of the sorted times in seconds; NaN for fewer than three."""
    return median(np.diff(times)) / MICROS if len(times) > 2 else float("nan")


def median(values: Floats | Ints) -> float:
    """As NumPy's, which takes four times as long, of values that are neither none nor NaN."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    ordered = np.partition(values, (low, high))
    return float(ordered[low] + ordered[high]) / 2


def fit_frequency(times: Ints, freq: Freq) -> Literal["fits", "finer", "coarser"]:
    """How the sorted times lie to the step: `finer` where the typical distance is below it,
    `coarser` where the distances are multiples of a longer step. Gaps alone change nothing."""
    step = typical_step(times)
    if not np.isfinite(step):
        return "fits"
    if step < _FINER * freq.seconds:
        return "finer"
    if step > _COARSER * freq.seconds:
        multiples = np.diff(times) / (step * MICROS)
        near = np.abs(multiples - np.round(multiples)) < 0.1
        if np.mean(near & (multiples > 0.5)) >= _REGULAR_SHARE:
            return "coarser"
    return "fits"


def index_steps(times: Ints, freq: Freq, is_finer: bool) -> tuple[Ints, int]:
    """The step number of each time, and the time of step 0.

    Steps lie where most times lie, so that a regular series keeps its own; times beside them go to
    the nearest. Where no phase is common, as those of a job that runs at about noon or of midnights
    on both sides of a change of clocks, steps begin at a whole or a half one (weeks at a midnight),
    whichever border is far from the times. Times finer than the grid go to the step that holds
    them, counted from midnight, Monday or the first of the month, UTC.
    """
    if freq.is_monthly:
        return _index_months(times, freq)
    step = freq.seconds * MICROS
    natural = natural_origin(freq)
    if is_finer:
        return (times - natural) // step, natural
    anchor = _common_phase(times, step, natural)
    return (times - anchor + step // 2) // step, anchor


def natural_origin(freq: Freq) -> int:
    """Where steps of a fixed length are counted from: midnight, or Monday for whole weeks."""
    return _MONDAY if freq.seconds % WEEK == 0 else 0


def _index_months(times: Ints, freq: Freq) -> tuple[Ints, int]:
    months = _months(times + _EASTERNMOST if _begin_east_of_utc(times) else times)
    phases, counts = np.unique(months % freq.count, return_counts=True)
    phase = int(phases[np.argmax(counts)])
    origin = np.datetime64(phase, "M").astype("datetime64[us]").astype(np.int64)
    return (months - phase) // freq.count, int(origin)


def _months(times: Ints) -> Ints:
    return times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def _begin_east_of_utc(times: Ints) -> bool:
    """Whether nearly all times are full quarters of an hour of the last half day before a month, as
    midnights of its first day are in the east. The last second of a month is none of them."""
    is_quarter = times % (15 * 60 * MICROS) == 0
    is_before = _months(times + _EASTERNMOST) > _months(times)
    return bool(np.mean(is_quarter & is_before) >= _REGULAR_SHARE)


def _common_phase(times: Ints, step: int, natural: int) -> int:
    phases = (times - natural) % step // MICROS
    if (phases == phases[0]).all():  # which is usual, and to count them takes long
        return natural + int(phases[0]) * MICROS
    least = _LOCAL_SHARE if step >= DAY * MICROS else _COMMON_SHARE
    kinds, counts = np.unique(phases, return_counts=True)
    most = int(np.argmax(counts))
    if counts[most] >= least * len(times):
        return natural + int(kinds[most]) * MICROS
    # As points on a circle: where they lie together, the border of the steps must not be there.
    middle = np.exp(2j * np.pi * phases / (step // MICROS)).mean()
    if abs(middle) < _CLOSE:
        return natural
    unit = DAY * MICROS if step > DAY * MICROS else step // 2
    return natural + round(np.angle(middle) / (2 * np.pi) * step / unit) * unit % step


def time_of_step(index: int, origin: int, freq: Freq) -> int:
    """The time at which a step begins."""
    if freq.is_monthly:
        month = np.datetime64(origin, "us").astype("datetime64[M]") + index * freq.count
        return int(month.astype("datetime64[us]").astype(np.int64))
    return origin + index * freq.seconds * MICROS


def combine(
    steps: Ints, values: Floats, kind: str, n_steps: int, weights: Floats | None = None
) -> Floats:
    """One value per step 0 … n_steps − 1: the sum of a count or cost, the largest latency, the mean
    of any other kind; NaN where no value is finite. Values with a weight above zero, such as
    quotients with their denominator, come before those without in the mean of their step."""
    seen = np.isfinite(values)
    steps, values = steps[seen], values[seen]
    if weights is not None:
        weights = np.nan_to_num(weights[seen])
        total = np.bincount(steps, weights=weights, minlength=n_steps)
        weighted = np.bincount(steps, weights=weights * values, minlength=n_steps)
        plain = combine(steps, values, kind, n_steps)
        return np.where(total > 0, weighted / np.where(total > 0, total, 1), plain)
    counts = np.bincount(steps, minlength=n_steps)
    if kind in _LARGEST:
        combined = np.full(n_steps, -np.inf)
        np.maximum.at(combined, steps, values)
    else:
        combined = np.bincount(steps, weights=values, minlength=n_steps)
        if kind not in _SUMMED:
            combined = combined / np.maximum(counts, 1)
    return np.where(counts > 0, combined, np.nan)


def describe_step(seconds: float) -> str:
    """A length of time as a frequency reads: 90s, 5min, 2h, 1D."""
    for unit, length in (("D", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{round(seconds / length, 2):g}{unit}"
    return f"{round(seconds, 3):g}s"
