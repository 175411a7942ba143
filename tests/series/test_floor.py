"""The floor: exact on what it can know, calm about what it cannot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.series import floor as flr

HOURS = (24, 168)


def daily(n_days: int, level: float = 100.0) -> np.ndarray:
    hours = np.arange(24 * n_days)
    return level + 0.4 * level * np.sin(2 * np.pi * hours / 24)


def test_lags_surround_the_seasons() -> None:
    assert flr.lags_for(HOURS).tolist() == [1, 2, 3, 23, 24, 25, 47, 48, 49, 167, 168, 169]
    assert flr.lags_for(()).tolist() == [1, 2, 3]
    assert flr.distant_lags_for(HOURS).tolist() == [71, 72, 73, 95, 96, 97]
    assert flr.distant_lags_for(()).tolist() == []


def test_only_long_series_look_back_to_the_third_and_fourth_season() -> None:
    rng = np.random.default_rng(5)
    n_steps = 24 * flr.LONG_MEMORY
    x = 100 + 10 * rng.normal(size=(2, n_steps))
    for step in range(96, n_steps):
        x[:, step] += 0.5 * (x[:, step - 96] - 100)
    x[0, :-1000] = np.nan
    floor, _ = flr.fit_floor(x, HOURS)
    at = np.searchsorted(floor.lags, 96)
    assert floor.weights[0, at] == 0
    assert 0.4 < floor.weights[1, at] < 0.6
    alone, _ = flr.fit_floor(x[:1], HOURS)
    assert 96 not in alone.lags


@pytest.mark.parametrize(
    ("span", "longest"), [(20, 3), (40, 24), (60, 25), (230, 25), (245, 49), (330, 49), (340, 169)]
)
def test_the_longer_a_lag_the_longer_is_the_series_that_uses_it(span: int, longest: int) -> None:
    x = daily(15)[:span] * np.random.default_rng(5).lognormal(0, 0.1, span)
    floor, _ = flr.fit_floor(x[None, :], HOURS)
    assert floor.reaches.tolist() == [longest]


def test_a_season_that_was_met_once_comes_back_as_far_as_the_next_one_agrees() -> None:
    rng = np.random.default_rng(6)
    x = np.stack([daily(2)[:40], 100 + 20 * rng.normal(size=40)]) + rng.normal(size=(2, 40))
    floor, cleaned = flr.fit_floor(x, HOURS)
    ahead = flr.forecast(floor, cleaned, np.arange(2), np.full(2, 40), 24)
    found = floor.scale.inverse(ahead)
    np.testing.assert_allclose(found[0], daily(3)[40:64], rtol=0.1)
    assert np.abs(found[1] - x[1].mean()).max() < 0.5 * np.abs(x[1] - x[1].mean()).max()


def test_a_pure_season_is_continued() -> None:
    x = daily(30)[None, :]
    floor, cleaned = flr.fit_floor(x[:, :-24], HOURS)
    z = flr.forecast(floor, cleaned, np.array([0]), np.array([x.shape[1] - 24]), 24)
    np.testing.assert_allclose(floor.scale.inverse(z)[0], x[0, -24:], rtol=0.01)


def test_a_forecast_is_the_recursion_of_its_lags() -> None:
    hours = np.arange(400)
    x = (10 + np.sin(2 * np.pi * hours / 24) + np.random.default_rng(1).normal(0, 0.1, 400))[None]
    floor, cleaned = flr.fit_floor(x, (24, 168))
    for origin in (400, 100, 20):  # with all lags in the past, with some, with hardly any
        path = np.concatenate([np.zeros(400), np.nan_to_num(cleaned[0, :origin])])
        for _ in range(60):  # longer than two seasons' lags
            value = path[-floor.lags] @ floor.weights[0, :-1] + floor.weights[0, -1]
            path = np.append(path, np.clip(value, floor.low[0], floor.high[0]))
        found = flr.forecast(floor, cleaned, np.array([0]), np.array([origin]), 60)
        np.testing.assert_allclose(found[0], path[-60:], rtol=1e-9, atol=1e-12)


def test_one_zero_among_hundreds_does_not_move_the_forecast() -> None:
    rng = np.random.default_rng(3)
    x = daily(30) * rng.lognormal(0, 0.02, 720)
    spoilt = x.copy()
    spoilt[-24] = 0.0
    forecasts = []
    for values in (x, spoilt):
        floor, cleaned = flr.fit_floor(values[None, :], HOURS)
        z = flr.forecast(floor, cleaned, np.array([0]), np.array([720]), 24)
        forecasts.append(floor.scale.inverse(z)[0])
    np.testing.assert_allclose(forecasts[1], forecasts[0], rtol=0.1)


def test_cleaning_is_causal() -> None:
    rng = np.random.default_rng(4)
    x = daily(20)[None, :] * rng.lognormal(0, 0.1, 480)
    floor, cleaned = flr.fit_floor(x, HOURS)
    later = x.copy()
    later[:, 400:] *= 50
    again = flr.clean(floor, floor.scale.forward(later))
    np.testing.assert_array_equal(again[:, :400], cleaned[:, :400])


def test_missing_values_are_filled_and_leading_ones_stay() -> None:
    x = np.full((2, 200), np.nan)
    x[0, 50:] = daily(9)[:150]
    x[1] = daily(9)[:200]
    x[1, 120:130] = np.nan
    _, cleaned = flr.fit_floor(x, HOURS)
    assert np.isnan(cleaned[0, :50]).all()
    assert not np.isnan(cleaned[0, 50:]).any()
    assert not np.isnan(cleaned[1]).any()


def test_spread_of_a_random_walk_grows_with_the_root_of_the_horizon() -> None:
    scale = flr.Scale(np.ones(1), np.zeros(1), np.ones(1))
    walk = flr.Floor(
        scale,
        np.array([1]),
        np.array([[1.0, 0.0]]),
        np.array([0.1]),
        np.array([-9.0]),
        np.array([9.0]),
    )
    np.testing.assert_allclose(flr.spread(walk, 4)[0], 0.1 * np.sqrt([1, 2, 3, 4]))


@pytest.mark.parametrize(
    "x",
    [np.zeros(100), np.full(100, 7.5), np.array([5.0]), np.full(50, np.nan), np.full(60, 1e30)],
    ids=["zeros", "constant", "single", "unobserved", "huge"],
)
def test_degenerate_series_have_finite_forecasts(x: np.ndarray) -> None:
    floor, cleaned = flr.fit_floor(x[None, :], HOURS)
    z = flr.forecast(floor, cleaned, np.array([0]), np.array([len(x)]), 48)
    sd = flr.spread(floor, 48)
    values = floor.scale.inverse(z + 2 * sd)
    assert np.isfinite(values).all()
    assert (sd > 0).all()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.floats(-1e12, 1e12, allow_nan=False)), min_size=1, max_size=120
    )
)
def test_any_series_has_finite_forecasts_near_its_range(values: list[float | None]) -> None:
    x = np.array([np.nan if value is None else value for value in values], dtype=float)[None, :]
    floor, cleaned = flr.fit_floor(x, (7,))
    z = flr.forecast(floor, cleaned, np.array([0]), np.array([x.shape[1]]), 14)
    assert np.isfinite(floor.scale.inverse(z)).all()
    assert (z >= floor.low[0] - 1e-9).all()
    assert (z <= floor.high[0] + 1e-9).all()


@settings(max_examples=40, deadline=None)
@given(st.floats(-1e9, 1e9, allow_nan=False), st.floats(1e-6, 1e6))
def test_the_scale_inverts(value: float, unit: float) -> None:
    scale = flr.Scale(np.array([unit]), np.array([0.3]), np.array([1.7]))
    there = scale.forward(np.array([[value]]))
    np.testing.assert_allclose(scale.inverse(there)[0, 0], value, rtol=1e-9, atol=1e-9 * unit)


def test_a_single_step_ahead_is_the_first_of_many() -> None:
    floor, cleaned = flr.fit_floor(np.stack([daily(10), daily(10, 5.0)]), HOURS)
    rows, origins = np.array([0, 1, 0]), np.array([240, 200, 1])  # the last one with hardly a past
    one, many = (flr.forecast(floor, cleaned, rows, origins, horizon) for horizon in (1, 48))
    np.testing.assert_allclose(one[:, 0], many[:, 0])
