"""Quantile functions given at a few levels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headroom.series.quantiles import at_levels, mean_of, normal_scores, widen

LEVELS = (0.05, 0.1, 0.5, 0.9, 0.95)


def test_a_normal_distribution_is_read_off_exactly_even_in_the_tails() -> None:
    known = 3 + 2 * normal_scores(LEVELS)
    wanted = (0.01, 0.3, 0.5, 0.99)
    np.testing.assert_allclose(at_levels(known, LEVELS, wanted), 3 + 2 * normal_scores(wanted))


def test_widening_keeps_the_median() -> None:
    wide = widen(np.array([1.0, 2.0, 5.0, 6.0, 9.0]), LEVELS, 2.0)
    assert wide.tolist() == [-3.0, -1.0, 5.0, 7.0, 13.0]


def test_mean_of_a_symmetric_distribution_is_its_median() -> None:
    np.testing.assert_allclose(mean_of(7 + normal_scores(LEVELS), LEVELS), 7.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5), st.floats(0.1, 3))
def test_order_survives(values: list[float], factor: float) -> None:
    quantiles = np.sort(np.array(values))
    wide = widen(quantiles, LEVELS, factor)
    assert (np.diff(wide) >= -1e-6).all()
    assert quantiles[0] - 1e-6 <= mean_of(quantiles, LEVELS) <= quantiles[-1] + 1e-6
