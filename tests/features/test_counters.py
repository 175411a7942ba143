"""Counters become counts."""

import numpy as np

from headroom.config import CounterResets
from headroom.features.counters import increments_of

HOUR = 3_600_000_000
RULE = CounterResets()


def test_increments_stand_at_the_begin_of_their_step() -> None:
    times = np.array([0, 1, 2, 3]) * HOUR
    found, resets = increments_of(times, np.array([10.0, 13.0, 13.0, 20.0]), RULE)
    np.testing.assert_array_equal(found, [3.0, 0.0, 7.0, np.nan])
    assert not resets.any()


def test_after_a_reset_what_was_counted_since_is_kept() -> None:
    times = np.array([0, 1, 2]) * HOUR
    found, resets = increments_of(times, np.array([90.0, 4.0, 9.0]), RULE)
    np.testing.assert_array_equal(found, [4.0, 5.0, np.nan])
    assert resets.tolist() == [False, True, False]


def test_a_gap_or_a_missing_reading_gives_no_increment() -> None:
    times = np.array([0, 1, 2, 5, 6]) * HOUR
    found, resets = increments_of(times, np.array([1.0, 2.0, 3.0, 9.0, np.nan]), RULE)
    np.testing.assert_array_equal(found, [1.0, 1.0, np.nan, np.nan, np.nan])
    assert not resets.any()


def test_a_single_reading_counts_nothing() -> None:
    found, resets = increments_of(np.array([0]), np.array([5.0]), RULE)
    assert np.isnan(found).all()
    assert not resets.any()
