"""What may be wrong with the values of one series: one small function per rule of `features.rules`.

Only what is surely wrong is taken for missing (impossible negatives, runs in another unit); what is
merely strange is flagged, as a person may need it.
"""

import numpy as np
from numpy.typing import NDArray

from headroom.config import FalseZeros, FlatLine, Outliers, PartialEnds, UnitJumps
from headroom.features.grid import Floats, Ints, Mask, median

_NORMAL_50, _NORMAL_90 = 0.6745, 1.6449  # so many deviations hold that share of normal residuals
_SMALLEST = 1e-290
_FITS = 0.1  # a value in another unit may lie so far outside of the others
_LEVEL_STEPS = 3
_END_SEASONS = 3  # before the last step, or after the first one


def find_negatives(values: Floats) -> Mask:
    """True below zero."""
    return values < 0


def find_partial_ends(values: Floats, seasons: tuple[int, ...], rule: PartialEnds) -> Mask:
    """True for a first or last value below `min_share` of the smallest at its phase of the seasons
    beside it, where the value next to it is not: what lasts longer is an outage."""
    partial = np.zeros(len(values), dtype=bool)
    if len(values) < 2:
        return partial
    turned = values[::-1]
    partial[-1] = _is_low(values, 0, seasons, rule) and not _is_low(values, 1, seasons, rule)
    partial[0] = _is_low(turned, 0, seasons, rule) and not _is_low(turned, 1, seasons, rule)
    return partial


def _is_low(values: Floats, back: int, seasons: tuple[int, ...], rule: PartialEnds) -> bool:
    """Whether the value `back` steps before the last is far below its like."""
    short = seasons[0] if seasons else 1
    steps = {k * short for k in range(1, _END_SEASONS + 1)} | set(seasons[1:])
    place = len(values) - 1 - back
    alike = np.array([values[place - step] for step in steps if step <= place])
    alike = alike[np.isfinite(alike)]
    return len(alike) >= _END_SEASONS and bool(values[place] < rule.min_share * alike.min())


def find_unit_jumps(values: Floats, rule: UnitJumps) -> Mask:
    """True in runs of values that are a thousand times too large or too small, where divided or
    multiplied by it they lie among the others, and these lie close together."""
    jumps = np.zeros(len(values), dtype=bool)
    seen = values[np.isfinite(values)]
    if len(seen) < 10 or seen.min() <= 0:
        return jumps
    middle = median(seen)
    far_away = np.sqrt(10 * rule.factor)
    far = (values > middle * far_away) | (values < middle / far_away)
    if not far.any() or far.sum() > rule.max_share * len(seen):
        return jumps
    others = values[np.isfinite(values) & ~far]
    low, high = others.min(), others.max()
    if high > rule.max_spread * low:
        return jumps
    scaled = np.where(values > middle, values / rule.factor, values * rule.factor)
    fits = far & (scaled >= low * (1 - _FITS)) & (scaled <= high * (1 + _FITS))
    for first, last in _runs(fits):
        jumps[first:last] = last - first >= rule.min_steps
    return jumps


def find_false_zeros(values: Floats, rule: FalseZeros) -> Mask:
    """True where a value is exactly zero and all others lie well above."""
    zero = values == 0
    others = values[np.isfinite(values) & ~zero]
    if not zero.any() or zero.sum() > rule.max_share * (len(others) + zero.sum()):
        return np.zeros(len(values), dtype=bool)
    above = others.min() > rule.min_level * median(others)
    return zero if above else np.zeros(len(values), dtype=bool)


def find_flat_line(values: Floats, season: int, rule: FlatLine) -> Mask:
    """True in runs of one repeated value, not zero, over `min_steps` or a season (the longer) in a
    series that otherwise moves: a sensor that hangs."""
    flat = np.zeros(len(values), dtype=bool)
    repeats = np.zeros(len(values), dtype=bool)
    repeats[1:] = (values[1:] == values[:-1]) & (values[1:] != 0)
    least = max(rule.min_steps, season)
    if repeats.sum() < least - 1:
        return flat
    runs = _runs(repeats)
    for first, last in runs[runs[:, 1] - runs[:, 0] + 1 >= least]:
        flat[first - 1 : last] = True
    elsewhere = np.isfinite(values) & ~flat
    moves = repeats[elsewhere].sum() <= rule.max_repeats * elsewhere.sum()
    return flat if moves and elsewhere.sum() >= flat.sum() else np.zeros_like(flat)


def find_outliers(values: Floats, seasons: tuple[int, ...], rule: Outliers) -> Mask:
    """True where a value is far from its like: on a scale that is logarithmic but for small values,
    outside of the middle values at its phase of the two seasons before and after, and of the same
    phase of the longer seasons beside it, by more than `deviations` robust standard deviations from
    these middles, and rarely."""
    if len(values) < rule.min_values:  # a fleet may have a million series of five values
        return np.zeros(len(values), dtype=bool)
    z = _to_log(values)
    short = seasons[0] if seasons else 1
    low, high = _middle_of_four(*[_shifted(z, k * short) for k in (-2, -1, 1, 2)])
    residuals = z - (low + high) / 2
    seen = residuals[np.isfinite(residuals)]
    if len(seen) < rule.min_values:
        return np.zeros(len(values), dtype=bool)
    deviation = _robust_deviation(seen)
    for season in seasons[1:]:
        for beside in (_shifted(z, -season), _shifted(z, season)):
            low, high = np.fmin(low, beside), np.fmax(high, beside)
    # Of two neighbours one may be the outlier: far is what is far from both.
    far = np.isfinite(residuals) & (np.maximum(low - z, z - high) > rule.deviations * deviation)
    least, n = rule.deviations * deviation, len(z)
    for first, last in _runs(far):
        is_level = _lasts(z, first, last, short, least) or _lasts(
            z[::-1], n - last, n - first, short, least
        )
        far[first:last] &= not is_level
    is_rare = deviation > 0 and far.sum() <= rule.max_share * len(seen)
    return far if is_rare else np.zeros(len(values), dtype=bool)


def _lasts(z: Floats, first: int, last: int, season: int, least: float) -> bool:
    """Whether the far values from `first` up to, and without, `last` go on so to the end.

    For two seasons a new level has the old one among its neighbours, so that only its first values
    are far. Those after them are compared with what lies a season or more before `last`.
    """
    after = np.arange(last, len(z))
    if len(after) == 0:
        return last - first >= _LEVEL_STEPS
    back = season * ((after - last) // season + 2)
    if len(after) > 2 * season:
        return False
    moved = np.abs(z[after] - z[np.maximum(after - back, 0)])[after >= back]
    moved = moved[np.isfinite(moved)]
    return len(moved) > 0 and bool(median(moved) > least)


def find_summit(values: Floats, rule: Outliers) -> Mask:
    """True for the one value that is more than `summit` times as large as any other, if there is
    one: also where a series varies so much that nothing is far from its like."""
    summit = np.zeros(len(values), dtype=bool)
    if len(values) < rule.min_values:
        return summit
    seen = np.isfinite(values)
    sizes = np.abs(np.where(seen, values, 0))
    if seen.sum() >= rule.min_values:
        second, largest = np.partition(sizes, -2)[-2:]
        summit[np.argmax(sizes)] = 0 < rule.summit * second < largest
    return summit


def _to_log(values: Floats) -> Floats:
    """asinh in units of a tenth of the usual size: differences are ratios, also around zero."""
    sizes = np.abs(values[np.isfinite(values)])
    if len(sizes) == 0 or sizes.max() < _SMALLEST:
        return values
    unit = max(0.1 * (median(sizes) or np.mean(sizes)), 1e-9 * sizes.max())  # no overflow
    scaled: Floats = np.arcsinh(values / unit)
    return scaled


def _robust_deviation(residuals: Floats) -> float:
    """The standard deviation that normal residuals with the same median and the same 90 % have, the
    larger of the two: of a series that mostly stands still, the median alone says nothing."""
    sizes = np.abs(residuals - median(residuals))
    middle, far = len(sizes) // 2, int(0.9 * len(sizes))
    half, most = np.partition(sizes, (middle, far))[[middle, far]]
    return float(max(half / _NORMAL_50, most / _NORMAL_90))


def find_covered(begins: Ints, ends: Ints, spans: Ints) -> Mask:
    """True for the steps (begin and end of each, rising) that any of the spans (span, begin and
    end) touches. A span that ends as a step begins does not touch it, an instant does."""
    first = np.searchsorted(ends, spans[:, 0], side="right")
    last = np.searchsorted(begins, spans[:, 1], side="left")
    is_instant = spans[:, 0] == spans[:, 1]
    last[is_instant] = np.searchsorted(begins, spans[is_instant, 1], side="right")
    edges = np.zeros(len(begins) + 1, dtype=np.int64)
    np.add.at(edges, first, 1)
    np.add.at(edges, np.maximum(first, last), -1)
    return np.cumsum(edges[:-1]) > 0


def _middle_of_four(*rows: Floats) -> tuple[Floats, Floats]:
    """The two middle finite values at each position of four rows, which are one where their number
    is odd; NaN where there are fewer than two."""
    a, b, c, d = (np.where(np.isfinite(row), row, np.inf) for row in rows)
    # A sorting network takes a third of the time of np.sort.
    a, b, c, d = np.minimum(a, b), np.maximum(a, b), np.minimum(c, d), np.maximum(c, d)
    a, c, b, d = np.minimum(a, c), np.maximum(a, c), np.minimum(b, d), np.maximum(b, d)
    b, c = np.minimum(b, c), np.maximum(b, c)
    low, high = np.where(np.isfinite(c), b, a), np.where(np.isfinite(d), c, b)
    return np.where(np.isfinite(b), low, np.nan), np.where(np.isfinite(b), high, np.nan)


def _shifted(values: Floats, steps: int) -> Floats:
    """The value `steps` earlier (later where negative) at each position."""
    shifted = np.full(len(values), np.nan)
    if abs(steps) < len(values):
        if steps > 0:
            shifted[steps:] = values[:-steps]
        else:
            shifted[:steps] = values[-steps:]
    return shifted


def _runs(mask: Mask) -> NDArray[np.int64]:
    """First and one-past-last position of each run of True. Shape (run, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)
