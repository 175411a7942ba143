"""What may be wrong with the values of one series: one small function per kind of fault.

Only what is surely wrong is taken for missing (impossible negatives, runs in another unit); what is
merely strange is flagged, as a forecast may need it.
"""

import numpy as np
from numpy.typing import NDArray

from headroom.features.grid import Floats, Mask

_NEVER_NEGATIVE = ("count", "cost", "ratio", "latency", "capacity")
_MAY_FLATTEN = ("gauge", "latency", "rate", "ratio")
_HAS_NO_UNIT = ("ratio",)

_UNIT_FACTOR = 1000.0
_UNIT_RUN = 3  # fewer values of another unit are not told from a spike
_UNIT_SHARE = 0.2  # of the values at most: more is another level, not another unit
_UNIT_SPREAD = 30.0  # largest to smallest value of the others, at most

_FLAT_STEPS = 24
_FLAT_OTHERWISE = 0.2  # share of repeated values elsewhere, at most

_OUTLIER_Z = 10.0
_OUTLIER_SHARE = 0.05  # more of them are how the series is
_OUTLIER_VALUES = 24  # fewer residuals have no scale
_MAD_TO_DEVIATION = 1.4826  # of normal residuals


def find_negatives(values: Floats, kind: str) -> Mask:
    """True where a kind that cannot be negative is."""
    if kind not in _NEVER_NEGATIVE:
        return np.zeros(len(values), dtype=bool)
    return np.nan_to_num(values) < 0


def find_unit_jumps(values: Floats, kind: str) -> Mask:
    """True in runs of at least three values that are 1000 times too large or too small, where
    divided or multiplied by 1000 they lie among the others, and these lie close together."""
    jumps = np.zeros(len(values), dtype=bool)
    seen = np.isfinite(values)
    if kind in _HAS_NO_UNIT or seen.sum() < 10 or np.any(values[seen] <= 0):
        return jumps
    middle = float(np.median(values[seen]))
    far = seen & ((values > middle * 100) | (values < middle / 100))
    if not far.any() or far.sum() > _UNIT_SHARE * seen.sum():
        return jumps
    low, high = np.min(values[seen & ~far]), np.max(values[seen & ~far])
    if high > _UNIT_SPREAD * low:
        return jumps
    scaled = np.where(values > middle, values / _UNIT_FACTOR, values * _UNIT_FACTOR)
    fits = far & (scaled >= low * 0.9) & (scaled <= high * 1.1)
    for first, last in _runs(fits):
        jumps[first:last] = last - first >= _UNIT_RUN
    return jumps


def find_flat_line(values: Floats, kind: str, season: int) -> Mask:
    """True in runs of one repeated value, not zero, over a day or a season (the longer) in a series
    that otherwise moves: a sensor that hangs."""
    flat = np.zeros(len(values), dtype=bool)
    if kind not in _MAY_FLATTEN or len(values) < 2:
        return flat
    repeats = np.concatenate([[False], values[1:] == values[:-1]]) & (values != 0)
    least = max(_FLAT_STEPS, season)
    for first, last in _runs(repeats):
        if last - first + 1 >= least:
            flat[first - 1 : last] = True
    elsewhere = np.isfinite(values) & ~flat
    moves = repeats[elsewhere].sum() <= _FLAT_OTHERWISE * elsewhere.sum()
    return flat if moves and elsewhere.sum() >= flat.sum() else np.zeros_like(flat)


def find_outliers(values: Floats, season: int) -> Mask:
    """True where a value is far from the median of the same phase in the two seasons before and
    after: more than ten robust standard deviations of these differences, and that rarely."""
    neighbours = [_shifted(values, k * season) for k in (-2, -1, 1, 2)]
    stacked = np.vstack(neighbours) if len(values) else np.empty((4, 0))
    enough = np.isfinite(stacked).sum(axis=0) >= 2
    residuals = np.full(len(values), np.nan)
    if enough.any():
        residuals[enough] = values[enough] - np.nanmedian(stacked[:, enough], axis=0)
    seen = residuals[np.isfinite(residuals)]
    if len(seen) < _OUTLIER_VALUES:
        return np.zeros(len(values), dtype=bool)
    middle = np.median(seen)
    deviation = _MAD_TO_DEVIATION * np.median(np.abs(seen - middle))
    far = np.nan_to_num(np.abs(residuals - middle)) > _OUTLIER_Z * deviation
    is_rare = deviation > 0 and far.sum() <= _OUTLIER_SHARE * len(seen)
    return far if is_rare else np.zeros(len(values), dtype=bool)


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
