"""Cumulative counters: what was counted between two readings."""

import numpy as np

from headroom.config import CounterResets
from headroom.features.grid import Floats, Ints, Mask, typical_step


def increments_of(times: Ints, values: Floats, rule: CounterResets) -> tuple[Floats, Mask]:
    """What a counter counted from each reading to the next, and at which readings it had started
    again from zero (reading,).

    NaN for the last reading, whose step is not over, where the next one is missing or late, and,
    unless the rule is enabled, where the next one is smaller.
    Times in µs, rising.
    """
    increments = np.full(len(values), np.nan)
    resets = np.zeros(len(values), dtype=bool)
    if len(values) < 2:
        return increments, resets
    difference = np.diff(values)
    fell = difference < 0
    step = typical_step(times) * 1_000_000
    late = np.diff(times) > rule.longest_gap * step
    increments[:-1] = np.where(fell, values[1:] if rule.enabled else np.nan, difference)
    increments[:-1][late] = np.nan
    resets[1:] = fell
    return increments, resets
