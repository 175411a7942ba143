"""Forecast methods: ordered, finite, and what their names say."""

import numpy as np
import pytest
from panels import make_panel, series

from headroom.series.methods import (
    KINDS,
    LOG_AR,
    SCRATCH,
    SEASONAL_NAIVE,
    TUNED,
    ZERO_SHOT,
    Networks,
    combined,
    forecast_methods,
    methods_with,
    seasonal_naive,
)

LEVELS = (0.1, 0.5, 0.9)


def test_seasonal_naive_repeats_and_widens() -> None:
    values = np.array([[1.0, 2.0, 3.0, 5.0]])
    quantiles = seasonal_naive(values, 2, 4, LEVELS)
    assert quantiles[0, :, 1].tolist() == [3.0, 5.0, 3.0, 5.0]
    sd = np.sqrt((2.0**2 + 3.0**2) / 2)
    np.testing.assert_allclose(quantiles[0, 0, 2] - 3.0, 1.2816 * sd, rtol=1e-4)
    np.testing.assert_allclose(quantiles[0, 2, 2] - 3.0, 1.2816 * sd * np.sqrt(2), rtol=1e-4)


def test_a_gap_in_the_last_season_is_filled_from_the_one_before() -> None:
    values = np.array([[1.0, 2.0, 3.0, np.nan]])
    assert seasonal_naive(values, 2, 2, LEVELS)[0, :, 1].tolist() == [3.0, 2.0]


def test_a_series_that_knows_no_whole_season_repeats_its_last_value() -> None:
    values = np.array([[np.nan, 4.0, 1.0, 2.0, 4.0], [np.nan, np.nan, 1.0, 3.0, 6.0]])
    quantiles = seasonal_naive(values, 3, 2, LEVELS)
    assert quantiles[:, :, 1].tolist() == [[1.0, 2.0], [6.0, 6.0]]
    sd = np.sqrt((2.0**2 + 3.0**2) / 2)
    np.testing.assert_allclose(quantiles[1, 1, 2] - 6.0, 1.2816 * sd * np.sqrt(2), rtol=1e-4)


@pytest.mark.parametrize(
    "target",
    [np.zeros(200), np.full(200, 3.0), np.arange(200.0), np.array([4.0]), np.full(30, 1e-12)],
    ids=["zeros", "constant", "line", "single", "tiny"],
)
def test_any_series_has_ordered_finite_quantiles(target: np.ndarray) -> None:
    found = forecast_methods(make_panel(target), 48, LEVELS, None)
    assert set(found) == {SEASONAL_NAIVE, LOG_AR}
    for quantiles in found.values():
        assert np.isfinite(quantiles).all()
        assert (np.diff(quantiles, axis=2) >= 0).all()
        assert (quantiles >= 0).all()


@pytest.mark.parametrize(("unit", "whole"), [("", 1.0), ("1", 1.0), ("%", 100.0), ("Percent", 100)])
def test_a_share_is_not_forecast_above_all_of_it(unit: str, whole: float) -> None:
    rng = np.random.default_rng(3)
    availability = whole * np.minimum(1, rng.normal(0.97, 0.04, 400))
    share = make_panel(availability, kind="ratio", unit=unit)
    for quantiles in forecast_methods(share, 24, LEVELS, None).values():
        assert quantiles.max() == whole
        assert (np.diff(quantiles, axis=2) >= 0).all()
    over = make_panel(np.append(availability, 1.2 * whole), kind="ratio", unit=unit)
    assert over.limits()[1].tolist() == [np.inf]
    assert over.until(1).limits()[1].tolist() == [whole]
    gauge = make_panel(availability, kind="gauge", unit=unit)
    assert forecast_methods(gauge, 24, LEVELS, None)[LOG_AR].max() > whole


def test_a_network_that_adds_nothing_is_the_floor() -> None:
    from headroom.series.quantiles import normal_scores

    def silent(examples):  # type: ignore[no-untyped-def]
        scores = np.broadcast_to(normal_scores(LEVELS), (*examples.center.shape, 3))
        return {ZERO_SHOT: scores, TUNED: scores}

    found = forecast_methods(make_panel(series(5)), 24, LEVELS, Networks(silent, LEVELS))
    assert tuple(found) == methods_with(kind for kind in (ZERO_SHOT, TUNED))
    assert tuple(found)[2:] == ("lstm", "lstm_zero_shot", "lstm_tuned")
    for name in set(found) - {SEASONAL_NAIVE}:
        np.testing.assert_allclose(found[name], found[LOG_AR])


def test_one_network_that_goes_astray_moves_all_together_half_as_far_as_their_mean() -> None:
    calm = np.array([[-1.0, 0.0, 1.0]])
    np.testing.assert_allclose(combined(dict.fromkeys(KINDS, calm), {}), calm)
    astray = {ZERO_SHOT: calm, TUNED: calm, SCRATCH: calm + 60}
    np.testing.assert_allclose(combined(astray, {}), calm + 10)


def test_who_is_trusted_more_says_more() -> None:
    said = {ZERO_SHOT: np.array([[4.0]]), TUNED: np.array([[8.0]])}
    halves = {ZERO_SHOT: 0.5, TUNED: 0.5}
    assert combined(said, halves) == combined(said, {}) == 6.0
    assert combined(said, {ZERO_SHOT: 0.25, TUNED: 0.75}) == 7.5  # mean 7, median 8
    assert combined(said, {ZERO_SHOT: 1.0, TUNED: 0.0}) == 4.0
