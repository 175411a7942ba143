"""One series from its rows: the grid, its status, and everything that was found and done."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headroom.config import Series
from headroom.features import quality
from headroom.features.counters import increments_of
from headroom.features.grid import (
    MICROS,
    Floats,
    Grid,
    Ints,
    Mask,
    combine,
    describe_step,
    find_strays,
    fit_frequency,
    index_steps,
    time_of_step,
    typical_step,
)
from headroom.freq import Freq, parse_freq

OK = "ok"
NO_OBSERVATIONS = "no_observations"
SHORT_HISTORY = "short_history"
WRONG_FREQUENCY = "wrong_frequency"
IRREGULAR = "irregular"

COUNTER, COUNT = "counter", "count"  # the readings of a counter become counts per step

_LEAST_OBSERVED = 0.05  # share of the steps; below, the grid is no description of the series
_LEAST_OF_STEP = 0.5  # share of the usual rows that a coarser step needs to have a value

_MISSING = "taken for missing"
_FLAGGED = "flagged, values kept"
_EMPTY = Grid(0, np.empty(0), np.empty(0, dtype=bool))


@dataclass(frozen=True)
class Rows:
    """The observations of one series. Equal lengths, sorted by time; NaN is missing."""

    times: Ints
    values: Floats
    n_rows: Ints

    def keep(self, mask: Mask) -> "Rows":
        return Rows(self.times[mask], self.values[mask], self.n_rows[mask])


@dataclass(frozen=True)
class Finding:
    """One row of `quality`. Times in µs."""

    issue: str
    n_affected: int
    share: float
    first_at: int
    last_at: int
    action: str


@dataclass(frozen=True)
class Built:
    """What the `series` table says about one series."""

    status: str
    reason: str
    grid: Grid
    findings: Sequence[Finding]


def build_series(rows: Rows, kind: str, settings: Series) -> Built:
    """The series on the grid of `settings.freq`, or the reason why it has none."""
    freq = parse_freq(settings.freq)
    order = np.argsort(rows.times, kind="stable")
    rows = Rows(rows.times[order], rows.values[order], rows.n_rows[order])
    stray = find_strays(rows.times, freq)
    findings = _found("stray_rows", stray, rows.times, "left out: far from all other times")
    rows = rows.keep(~stray)
    findings += _duplicates(rows)
    why = _why_nothing(rows, kind)
    if kind == COUNTER:
        rows, resets = _counted(rows)
        kind, findings = COUNT, findings + resets
    if not np.isfinite(rows.values).any():
        return Built(NO_OBSERVATIONS, why, _EMPTY, findings)
    fit = fit_frequency(rows.times, freq)
    if fit == "coarser" or (fit == "finer" and settings.finer == "refuse"):
        return Built(WRONG_FREQUENCY, _why_refused(rows.times, fit, settings), _EMPTY, findings)
    if fit == "finer":
        rows, steps, origin, found = _whole_steps(rows, freq)
    else:
        (steps, origin), found = index_steps(rows.times, freq, is_finer=False), []
    if len(steps) == 0:
        why = f"no step of {settings.freq} is covered from its begin to its end"
        return Built(NO_OBSERVATIONS, why, _EMPTY, findings + found)
    grid, truncated = _to_grid(rows, steps, origin, kind, freq, settings.max_length)
    cleansed, faults = _cleanse(grid, kind, freq)
    return _judge(cleansed, freq, findings + found + truncated + faults, settings)


def _counted(rows: Rows) -> tuple[Rows, list[Finding]]:
    """What a cumulative counter counted in the step that each reading but the last begins."""
    increments, resets = increments_of(rows.times, rows.values)
    found = _found("counter_resets", resets, rows.times, "counted from zero again")
    return Rows(rows.times[:-1], increments[:-1], rows.n_rows[:-1]), found


def _found(issue: str, mask: Mask, times: Ints, action: str) -> list[Finding]:
    """One finding, or none where the mask is nowhere True."""
    if not mask.any():
        return []
    where = np.flatnonzero(mask)
    first, last = int(times[where[0]]), int(times[where[-1]])
    return [Finding(issue, len(where), len(where) / len(mask), first, last, action)]


def _duplicates(rows: Rows) -> list[Finding]:
    extra = rows.n_rows - 1
    if not np.any(extra > 0):
        return []
    times = rows.times[extra > 0]
    share = float(extra.sum() / rows.n_rows.sum())
    action = "merged when they were ingested"
    first, last = int(times[0]), int(times[-1])
    return [Finding("duplicates", int(extra.sum()), share, first, last, action)]


def _why_nothing(rows: Rows, kind: str) -> str:
    """The reason, where the rows turn out to hold no value."""
    n = len(rows.times)
    if n and kind == COUNTER and np.isfinite(rows.values).any():
        return f"no two of its {n} readings follow each other, so nothing was counted"
    return f"all of its {n} observations are missing values" if n else "it has no observations"


def _why_refused(times: Ints, fit: str, settings: Series) -> str:
    step = describe_step(typical_step(times))
    remedy = "set series.finer=aggregate or" if fit == "finer" else "set"
    return (
        f"its typical step is {step}, {fit} than series.freq={settings.freq}; "
        f"{remedy} series.freq={step}"
    )


def _whole_steps(rows: Rows, freq: Freq) -> tuple[Rows, Ints, int, list[Finding]]:
    """Finer rows with the steps that hold them, without a first or last step that is covered in
    part only, and without the values of steps that have less than half of their usual rows."""
    steps, origin = index_steps(rows.times, freq, is_finer=True)
    typical = typical_step(rows.times) * MICROS
    begin = time_of_step(int(steps[0]), origin, freq)
    end = time_of_step(int(steps[-1]) + 1, origin, freq)
    partial = np.zeros(len(steps), dtype=bool)
    if rows.times[0] - begin > 0.9 * typical:
        partial |= steps == steps[0]
    if end - rows.times[-1] > 1.9 * typical:
        partial |= steps == steps[-1]
    found = _found("partial_steps", partial, rows.times, "left out: not covered to the end")
    rows, steps = rows.keep(~partial), steps[~partial]
    if len(steps) == 0:
        return rows, steps, origin, found
    relative = steps - steps[0]
    counts = np.bincount(relative[np.isfinite(rows.values)], minlength=relative[-1] + 1)
    usual = freq.seconds * MICROS / typical
    sparse = (counts < _LEAST_OF_STEP * usual)[relative] & np.isfinite(rows.values)
    found += _found("incomplete_steps", sparse, rows.times, _MISSING)
    values = np.where(sparse, np.nan, rows.values)
    return Rows(rows.times, values, rows.n_rows), steps, origin, found


def _to_grid(
    rows: Rows, steps: Ints, origin: int, kind: str, freq: Freq, max_length: int
) -> tuple[Grid, list[Finding]]:
    """The latest `max_length` steps up to the last row."""
    first = max(int(steps[0]), int(steps[-1]) - max_length + 1)
    old = steps < first
    found = _found("truncated", old, rows.times, f"left out: series.max_length={max_length}")
    relative = steps[~old] - first
    length = int(relative[-1]) + 1
    values = combine(relative, rows.values[~old], kind, length)
    has_row = np.bincount(relative, minlength=length) > 0
    return Grid(time_of_step(first, origin, freq), values, has_row), found


def _cleanse(grid: Grid, kind: str, freq: Freq) -> tuple[Grid, list[Finding]]:
    """The grid with impossible values taken for missing, and what was found on it."""
    times, values = grid.times(freq), grid.values
    season = freq.seasons[0] if freq.seasons else 1
    seen = np.isfinite(values)
    faults = [
        ("gaps", ~grid.has_row, "left missing"),
        ("missing_values", grid.has_row & ~seen, "left missing"),
        ("negative_values", quality.find_negatives(values, kind), _MISSING),
    ]
    values = np.where(faults[-1][1], np.nan, values)
    faults.append(("unit_jumps", quality.find_unit_jumps(values, kind), _MISSING))
    values = np.where(faults[-1][1], np.nan, values)
    faults += [
        ("flat_line", quality.find_flat_line(values, kind, season), _FLAGGED),
        ("outliers", quality.find_outliers(values, season), _FLAGGED),
    ]
    # Before the first value there is no series, and so no gap.
    begun = np.maximum.accumulate(seen) if len(seen) else seen
    found = [
        f for issue, mask, action in faults for f in _found(issue, mask & begun, times, action)
    ]
    return Grid(grid.start, values, grid.has_row), found


def _judge(grid: Grid, freq: Freq, findings: list[Finding], settings: Series) -> Built:
    """The status, on the grid from its first value on."""
    seen = np.isfinite(grid.values)
    if not seen.any():
        why = "none of its values is possible: see table quality"
        return Built(NO_OBSERVATIONS, why, _EMPTY, findings)
    first = int(np.argmax(seen))
    start = int(grid.times(freq)[first])
    grid = Grid(start, grid.values[first:], grid.has_row[first:])
    n_observed, length = int(seen.sum()), len(grid.values)
    if n_observed < settings.min_observed:
        why = (
            f"{n_observed} of {length} steps observed, series.min_observed={settings.min_observed}"
        )
        return Built(SHORT_HISTORY, why, grid, findings)
    if n_observed < _LEAST_OBSERVED * length:
        why = f"only {n_observed} of its {length} steps of {settings.freq} have a value"
        return Built(IRREGULAR, why, _EMPTY, findings)
    return Built(OK, "", grid, findings)
