"""One series from its rows: the grid, its status, and everything that was found and done."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from headroom.config import Rules, Series
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

_MISSING = "taken for missing"
_FLAGGED = "flagged, values kept"
_EMPTY = Grid(0, np.empty(0), np.empty(0, dtype=bool), np.empty(0, dtype=bool))
_NO_SPANS = np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True)
class Rows:
    """The observations of one series. Equal lengths, sorted by time; NaN is missing.

    `weights` are the denominators of ratios that were rebuilt from their parts, NaN for others.
    """

    times: Ints
    values: Floats
    n_rows: Ints
    weights: Floats | None = None

    def keep(self, mask: Mask | Ints) -> "Rows":
        """The rows at these places, in this order."""
        weights = None if self.weights is None else self.weights[mask]
        return Rows(self.times[mask], self.values[mask], self.n_rows[mask], weights)


@dataclass(frozen=True)
class Calendar:
    """Spans (span, begin and end) in µs: of incidents, and of what was announced."""

    incidents: Ints = field(default_factory=lambda: _NO_SPANS)
    announced: Ints = field(default_factory=lambda: _NO_SPANS)


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


def build_series(
    rows: Rows, kind: str, settings: Series, rules: Rules, calendar: Calendar
) -> Built:
    """The series on the grid of `settings.freq`, or the reason why it has none."""
    freq = parse_freq(settings.freq)
    rows = rows.keep(np.argsort(rows.times, kind="stable"))
    findings: list[Finding] = []
    if rules.stray_rows.enabled:
        stray = find_strays(rows.times, freq, rules.stray_rows)
        findings += _found("stray_rows", stray, rows.times, "left out: far from all other times")
        rows = rows.keep(~stray)
    findings += _duplicates(rows) + _rebuilt(rows)
    why = _why_nothing(rows, kind)
    if kind == COUNTER:
        rows, resets = _counted(rows, rules)
        kind, findings = COUNT, findings + resets
    if not np.isfinite(rows.values).any():
        return Built(NO_OBSERVATIONS, why, _EMPTY, findings)
    fit = fit_frequency(rows.times, freq)
    if fit == "coarser" or (fit == "finer" and settings.finer == "refuse"):
        return Built(WRONG_FREQUENCY, _why_refused(rows.times, fit, settings), _EMPTY, findings)
    if fit == "finer":
        rows, steps, origin, found = _whole_steps(rows, freq, rules)
    else:
        steps, origin = index_steps(rows.times, freq, is_finer=False)
        shared = np.append(False, steps[1:] == steps[:-1])
        found = _found("shared_steps", shared, rows.times, "combined with the row before")
    if len(steps) == 0:
        why = f"no step of {settings.freq} is covered from its begin to its end"
        return Built(NO_OBSERVATIONS, why, _EMPTY, findings + found)
    grid, truncated = _to_grid(rows, steps, origin, kind, freq, settings.max_length)
    grid, cut = _without_partial_ends(grid, kind, freq, rules)
    grid, missing = _without_impossible(grid, kind, freq, rules)
    grid, flagged = _flag(grid, kind, freq, rules, calendar)
    return _judge(grid, freq, findings + found + truncated + cut + missing + flagged, settings)


def _counted(rows: Rows, rules: Rules) -> tuple[Rows, list[Finding]]:
    """What a cumulative counter counted in the step that each reading but the last begins."""
    rule = rules.counter_resets
    increments, resets = increments_of(rows.times, rows.values, rule)
    action = "counted from zero again" if rule.enabled else _MISSING
    found = _found("counter_resets", resets, rows.times, action)
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


def _rebuilt(rows: Rows) -> list[Finding]:
    if rows.weights is None:
        return []
    action = "computed from numerator and denominator"
    return _found("rebuilt_ratios", np.isfinite(rows.weights), rows.times, action)


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


def _whole_steps(rows: Rows, freq: Freq, rules: Rules) -> tuple[Rows, Ints, int, list[Finding]]:
    """Finer rows with the steps that hold them, without a first or last step that is covered in
    part only, and without the values of steps that have less than half of their usual rows."""
    steps, origin = index_steps(rows.times, freq, is_finer=True)
    typical = typical_step(rows.times) * MICROS
    begin = time_of_step(int(steps[0]), origin, freq)
    end = time_of_step(int(steps[-1]) + 1, origin, freq)
    partial = np.zeros(len(steps), dtype=bool)
    if rules.partial_steps.enabled and rows.times[0] - begin > 0.9 * typical:
        partial |= steps == steps[0]
    if rules.partial_steps.enabled and end - rows.times[-1] > 1.9 * typical:
        partial |= steps == steps[-1]
    found = _found("partial_steps", partial, rows.times, "left out: not covered to the end")
    rows, steps = rows.keep(~partial), steps[~partial]
    if len(steps) == 0:
        return rows, steps, origin, found
    relative = steps - steps[0]
    counts = np.bincount(relative[np.isfinite(rows.values)], minlength=relative[-1] + 1)
    usual = freq.seconds * MICROS / typical
    if rules.incomplete_steps.enabled:
        least = rules.incomplete_steps.min_share * usual
        sparse = (counts < least)[relative] & np.isfinite(rows.values)
        found += _found("incomplete_steps", sparse, rows.times, _MISSING)
        rows = replace(rows, values=np.where(sparse, np.nan, rows.values))
    return rows, steps, origin, found


def _to_grid(
    rows: Rows, steps: Ints, origin: int, kind: str, freq: Freq, max_length: int
) -> tuple[Grid, list[Finding]]:
    """The latest `max_length` steps up to the last row."""
    first = max(int(steps[0]), int(steps[-1]) - max_length + 1)
    old = steps < first
    found = _found("truncated", old, rows.times, f"left out: series.max_length={max_length}")
    relative = steps[~old] - first
    length = int(relative[-1]) + 1
    rows = rows.keep(~old)
    values = combine(relative, rows.values, kind, length, rows.weights)
    has_row = np.bincount(relative, minlength=length) > 0
    start = time_of_step(first, origin, freq)
    return Grid(start, values, has_row, np.zeros(length, dtype=bool)), found


def _without_partial_ends(
    grid: Grid, kind: str, freq: Freq, rules: Rules
) -> tuple[Grid, list[Finding]]:
    """The grid without a first or last step that the source exported before it was over."""
    if not rules.partial_ends.applies_to(kind):
        return grid, []
    partial = quality.find_partial_ends(grid.values, freq.seasons, rules.partial_ends)
    if not partial.any():
        return grid, []
    times = grid.times(freq)
    found = _found("partial_ends", partial, times, "left out: far below its like")
    return _part(grid, times, int(partial[0]), len(partial) - int(partial[-1])), found


def _without_impossible(
    grid: Grid, kind: str, freq: Freq, rules: Rules
) -> tuple[Grid, list[Finding]]:
    """The grid with impossible values taken for missing, and everything that is missing."""
    values = grid.values
    seen = np.isfinite(values)
    found = [
        ("gaps", ~grid.has_row, "left missing"),
        ("missing_values", grid.has_row & ~seen, "left missing"),
    ]
    if rules.silent_steps.applies_to(kind):
        values = np.where(grid.has_row, values, 0.0)
        found[0] = ("silent_steps", ~grid.has_row, "taken for zero")
    if rules.negative_values.applies_to(kind):
        found.append(("negative_values", quality.find_negatives(values), _MISSING))
        values = np.where(found[-1][1], np.nan, values)
    if rules.unit_jumps.applies_to(kind):
        jumps = quality.find_unit_jumps(values, rules.unit_jumps)
        found.append(("unit_jumps", jumps, _MISSING))
        values = np.where(jumps, np.nan, values)
    # Before the first value there is no series, and so no gap.
    return replace(grid, values=values), _found_since(int(np.argmax(seen)), found, grid, freq)


def _flag(
    grid: Grid, kind: str, freq: Freq, rules: Rules, calendar: Calendar
) -> tuple[Grid, list[Finding]]:
    """The grid with flags where values are strange or of a known incident. They stay: a person may
    need them, but no scale and no training does."""
    values = grid.values
    season = freq.seasons[0] if freq.seasons else 1
    found = []
    if rules.false_zeros.applies_to(kind):
        found.append(("false_zeros", quality.find_false_zeros(values, rules.false_zeros), _FLAGGED))
    if rules.flat_line.applies_to(kind):
        flat = quality.find_flat_line(values, season, rules.flat_line)
        found.append(("flat_line", flat, _FLAGGED))
    if rules.outliers.applies_to(kind):
        for _, mask, _ in found:  # what is known to be wrong is no outlier too
            values = np.where(mask, np.nan, values)
        outliers = quality.find_outliers(values, freq.seasons, rules.outliers)
        if outliers.any():
            outliers &= ~_covered(grid, freq, calendar.announced)
        # An event lasts: it has no value beside which all others of its own are small.
        outliers |= quality.find_summit(values, rules.outliers)
        found.append(("outliers", outliers, _FLAGGED))
    if rules.incidents.applies_to(kind):
        seen = np.isfinite(grid.values)
        found.append(("incidents", _covered(grid, freq, calendar.incidents) & seen, _FLAGGED))
    flagged = np.zeros(len(values), dtype=bool)
    for _, mask, _ in found:
        flagged |= mask
    return replace(grid, flagged=flagged), _found_since(0, found, grid, freq)


def _covered(grid: Grid, freq: Freq, spans: Ints) -> Mask:
    if not len(spans):
        return np.zeros(len(grid.values), dtype=bool)
    longer = replace(grid, values=np.append(grid.values, np.nan)).times(freq)
    return quality.find_covered(longer[:-1], longer[1:], spans)


def _found_since(
    first: int, found: Sequence[tuple[str, Mask, str]], grid: Grid, freq: Freq
) -> list[Finding]:
    """A finding for each mask that is True anywhere from step `first` on."""
    here = [(issue, mask, action) for issue, mask, action in found if mask[first:].any()]
    times = grid.times(freq) if here else np.empty(0, dtype=np.int64)
    findings = []
    for issue, mask, action in here:
        mask[:first] = False
        findings += _found(issue, mask, times, action)
    return findings


def _part(grid: Grid, times: Ints, first: int, last: int) -> Grid:
    """The steps `first` up to, and without, `last`."""
    part = slice(first, last)
    return Grid(int(times[first]), grid.values[part], grid.has_row[part], grid.flagged[part])


def _judge(grid: Grid, freq: Freq, findings: list[Finding], settings: Series) -> Built:
    """The status, on the grid from its first value on."""
    seen = np.isfinite(grid.values)
    if not seen.any():
        why = "none of its values is possible: see table quality"
        return Built(NO_OBSERVATIONS, why, _EMPTY, findings)
    first = int(np.argmax(seen))
    if first:
        grid = _part(grid, grid.times(freq), first, len(seen))
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
