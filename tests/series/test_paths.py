"""Sample paths, and what only they may answer."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.errors import DataError
from headroom.series.paths import (
    Paths,
    chance_above,
    daily_peaks,
    daily_shape,
    demand_paths,
    empirical_quantile,
    event_factors,
    excess,
    first_passage,
    needed,
    shared_draws,
    time_above,
    to_days,
    window_peaks,
)

DRAWS = shared_draws(seed=7, n_paths=200, horizon_days=90)
SHAPE = np.array([0.5, 1.0])


def noisy_peaks(seed: int, n_days: int = 63, growth: float = 0.0, noise: float = 0.05) -> Any:
    days = np.arange(n_days)
    weekday = 1 + 0.2 * np.sin(2 * np.pi * days / 7)
    shocks = np.random.default_rng(seed).normal(0, noise, n_days)
    return 50 * weekday * np.exp(growth * days + shocks)


@pytest.mark.parametrize(
    "ask",
    [
        lambda forecast: window_peaks(forecast, 7),
        lambda forecast: chance_above(forecast, 1.0, 7),
        lambda forecast: first_passage(forecast, 1.0),
        lambda forecast: needed(forecast, 7, 0.1),
        lambda forecast: time_above(forecast, SHAPE, 1.0, 7),
        lambda forecast: excess(forecast, SHAPE, 1.0),
    ],
)
def test_a_joint_quantity_refuses_quantiles_per_step(ask: Any) -> None:
    quantiles = np.ones((90, 9))
    with pytest.raises(DataError, match="needs sample paths, not a ndarray of quantiles per step"):
        ask(quantiles)


def test_joint_quantities_of_three_hand_made_paths() -> None:
    paths = Paths(np.array([[1.0, 4.0, 2.0], [5.0, 1.0, 1.0], [1.0, 1.0, 3.0]]), n_days=30)
    assert window_peaks(paths, 2).tolist() == [4.0, 5.0, 1.0]
    assert first_passage(paths, 3.5).tolist() == [2.0, 1.0, np.inf]
    assert chance_above(paths, 3.5, 3) == pytest.approx(2 / 3)
    assert needed(paths, 3, 1 / 3) == 4.0  # one path of three may pass it
    # steps at half and at full peak: above 1.5 are 4, 2, 5, 3 at full and 4, 5 at half peak
    assert time_above(paths, SHAPE, 1.5, 3) == pytest.approx((4 + 2) / 18)
    assert excess(paths, SHAPE, 3.0).tolist() == [0.5, 1.0, 0.0]


def test_date_is_never_later_than_where_the_marginal_quantile_crosses() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        noise = rng.normal(size=(150, 60)).cumsum(axis=1) * 0.3 + rng.normal(size=(150, 60))
        paths = Paths(noise + np.linspace(0, 5, 60), n_days=60)
        limit = 4.0
        marginal = np.array([empirical_quantile(day, 0.9) for day in paths.values.T])
        crossing = np.argmax(marginal > limit) + 1 if (marginal > limit).any() else np.inf
        assert empirical_quantile(first_passage(paths, limit), 0.1) <= crossing


@given(st.lists(st.floats(0.005, 0.6), min_size=2, max_size=2))
@settings(max_examples=30, deadline=None)
def test_needed_level_falls_as_the_allowed_chance_rises(chances: list[float]) -> None:
    paths = demand_paths(noisy_peaks(1), DRAWS, "a")
    strict, loose = sorted(chances)
    assert needed(paths, 90, strict) >= needed(paths, 90, loose)
    for chance in chances:
        assert chance_above(paths, needed(paths, 90, chance), 90) <= chance + 1e-9


def test_paths_depend_on_seed_and_group_only() -> None:
    peaks = noisy_peaks(1)
    first = demand_paths(peaks, DRAWS, "a").values
    np.testing.assert_array_equal(first, demand_paths(peaks, DRAWS, "a").values)
    assert np.any(first != demand_paths(peaks, DRAWS, "b").values)
    other = shared_draws(seed=8, n_paths=200, horizon_days=90)
    assert np.mean(first != demand_paths(peaks, other, "a").values) > 0.9


def test_fewer_paths_are_the_first_of_more() -> None:
    few = shared_draws(seed=7, n_paths=50, horizon_days=90)
    np.testing.assert_array_equal(few.future_blocks, DRAWS.future_blocks[:50])
    np.testing.assert_array_equal(few.damping, DRAWS.damping[:50])


def test_one_path_is_one_joint_draw_over_groups() -> None:
    shared = np.random.default_rng(5).normal(0, 0.1, 63)
    rng = np.random.default_rng(6)
    groups = [50 * np.exp(shared + rng.normal(0, 0.02, 63)) for _ in range(2)]
    a, b = (demand_paths(groups[i], DRAWS, "ab"[i]).values for i in range(2))
    alone = demand_paths(groups[1], shared_draws(99, 200, 90), "b").values
    together = np.corrcoef(np.log(a).ravel(), np.log(b).ravel())[0, 1]
    apart = np.corrcoef(np.log(a).ravel(), np.log(alone).ravel())[0, 1]
    assert together > 0.7
    assert together > apart + 0.5


def test_growth_is_carried_on_and_dies_down() -> None:
    peaks = noisy_peaks(2, growth=0.01, noise=0.01)
    paths = demand_paths(peaks, DRAWS, "a")
    growth = np.median(paths.values[:, 76:83]) / np.median(peaks[-7:])
    assert 0.5 < np.log(growth) / (0.01 * 83) < 1.0


def test_a_step_is_not_taken_for_growth() -> None:
    peaks = noisy_peaks(4, noise=0.03)
    peaks[40:] *= 1.3
    paths = demand_paths(peaks, DRAWS, "a")
    assert [step.day for step in paths.steps] == [40]
    assert np.exp(paths.steps[0].size) == pytest.approx(1.3, rel=0.05)
    assert np.median(paths.values[:, -7:]) < 1.15 * np.median(peaks[-14:])


def test_the_paths_cover_what_comes() -> None:
    inside = []
    for seed in range(40):
        peaks = noisy_peaks(seed, n_days=91, growth=0.002)
        paths = demand_paths(peaks[:63], DRAWS, str(seed))
        low, high = np.quantile(window_peaks(paths, 28), [0.1, 0.9])
        inside.append(low <= peaks[63:].max() <= high)
    assert 0.65 <= np.mean(inside) <= 0.95


def test_without_demand_the_paths_are_zero() -> None:
    paths = demand_paths(np.zeros(63), DRAWS, "a")
    assert paths.values.shape == (200, 90)
    assert not paths.values.any()


def test_constant_demand_stays_as_it_is() -> None:
    paths = demand_paths(np.full(63, 12.0), DRAWS, "a")
    np.testing.assert_allclose(paths.values, 12.0)


def test_missing_days_are_left_out() -> None:
    peaks = noisy_peaks(3)
    peaks[[5, 6, 20, 50]] = np.nan
    paths = demand_paths(peaks, DRAWS, "a")
    assert np.isfinite(paths.values).all()
    assert paths.n_days == 59


def test_a_short_history_has_no_trend() -> None:
    with pytest.raises(DataError, match="a trend needs 14 days, got 10"):
        demand_paths(np.ones(10), DRAWS, "a")


def test_resolution_is_bounded_by_days_of_history_and_by_paths() -> None:
    assert Paths(np.ones((200, 90)), n_days=60).resolution == pytest.approx(0.05)
    assert Paths(np.ones((30, 90)), n_days=60).resolution == pytest.approx(0.1)


def test_known_events_lift_their_days_and_are_taken_out_of_the_past() -> None:
    peaks = noisy_peaks(3, noise=0.02)
    peaks[60] *= 2.0
    past, future = np.ones(63), np.ones(90)
    past[60], future[10] = 2.0, 1.5
    plain = demand_paths(peaks, DRAWS, "a", past)
    lifted = demand_paths(peaks, DRAWS, "a", past, future)
    np.testing.assert_allclose(lifted.values[:, 10], 1.5 * plain.values[:, 10])
    np.testing.assert_allclose(lifted.values[:, 11], plain.values[:, 11])
    assert plain.values.max() < 1.2 * np.delete(peaks, 60).max()


def test_days_end_with_the_last_step_and_need_most_of_their_steps() -> None:
    days = to_days(np.array([9.0, 1, 2, 3, 4, np.nan, 6, np.nan, np.nan]), 4)
    assert days.shape == (2, 4)
    assert days[0].tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(daily_peaks(days), [4.0, np.nan])


def test_an_event_raises_the_peak_only_where_it_reaches_it() -> None:
    shape = daily_shape(np.array([[5.0, 10.0], [6.0, 12.0]]))
    assert shape.tolist() == [0.5, 1.0]
    lift = np.array([[0.0, 0.0], [0.5, 0.0], [1.5, 0.0], [0.0, 0.2]])
    np.testing.assert_allclose(event_factors(shape, lift), [1.0, 1.0, 1.25, 1.2])
