"""The choice per series."""

import numpy as np
import pytest

from headroom.series.methods import KINDS, methods_with
from headroom.series.selection import (
    BEST_BET,
    BOUND,
    FACTORS,
    SHARPNESS,
    WHOLE,
    Record,
    choose,
    record_without_windows,
    relative_losses,
    selection_coverage,
    selection_losses,
    shares_of,
    with_best_bet,
)

METHODS = ("naive", "floor", "network")
METHODS_WITH_NETWORKS = methods_with(KINDS)
LEVELS = (0.1, 0.5, 0.9)


def record(*by_method: float, enough_at: float = 1.0) -> Record:
    """Log losses that are smallest at factor 1, and intervals that hold from a factor on."""
    bowl = np.abs(np.log(FACTORS))
    covered = 0.85 + 0.1 * (np.array(FACTORS) - enough_at)
    return Record(
        np.log(np.array(by_method))[:, None] + bowl[None, :], np.tile(covered, (len(by_method), 1))
    )


def test_the_best_method_serves_as_it_is_where_its_intervals_hold() -> None:
    chosen = choose(METHODS, record(3, 2, 1), record(3, 2, 1), 4)
    assert (chosen.method, chosen.factor) == ("network", 1.0)


def test_it_is_widened_until_they_hold() -> None:
    for enough_at in (1.35, 1.42):  # one of FACTORS, and one between
        narrow = record(3, 2, 1, enough_at=enough_at)
        assert choose(METHODS, narrow, narrow, 4).factor == pytest.approx(enough_at)
    never = record(3, 2, 1, enough_at=99)
    assert choose(METHODS, never, never, 4).factor == max(FACTORS)


def test_a_tie_goes_to_the_simpler_method() -> None:
    assert choose(METHODS, None, record(2, 1, 0.98), 0).method == "floor"
    assert choose(METHODS, None, record(2, 1, 0.95), 0).method == "network"


def test_a_series_without_windows_follows_the_fleet() -> None:
    nothing = np.full((3, len(FACTORS)), np.nan)
    assert choose(METHODS, Record(nothing, nothing), record(1, 2, 3), 0).method == "naive"


def test_a_fleet_without_windows_is_served_by_the_networks_as_they_are() -> None:
    for methods in (METHODS_WITH_NETWORKS, ("seasonal_naive", "log_ar", "lstm")):
        chosen = choose(methods, None, record_without_windows(methods), 0)
        assert (chosen.method, chosen.factor) == ("lstm", 1.0)


def test_the_networks_together_are_left_only_for_what_enough_windows_say() -> None:
    """The floor is better by 3 %: one window is not enough to say so, eight are."""
    methods = ("seasonal_naive", "log_ar", "lstm")
    for n_windows, method in ((0.0, "lstm"), (1.0, "lstm"), (8.0, "log_ar")):
        fleet = with_best_bet(record(3, 0.97, 1), methods, n_windows)
        assert choose(methods, None, fleet, 0).method == method, n_windows
    weight = 8 / (8 + BEST_BET)
    np.testing.assert_allclose(fleet.losses[:2], weight * record(3, 0.97, 1).losses[:2])


def test_a_few_windows_move_the_choice_only_as_far_as_they_weigh() -> None:
    fleet, own = record(2, 1, 0.8), record(2, 1, 1.1)
    assert choose(METHODS, own, fleet, 1).method == "network"
    assert choose(METHODS, own, fleet, int(50 * WHOLE)).method == "floor"


def test_losses_are_told_beside_the_method_in_the_middle_and_no_series_outvotes_the_others() -> (
    None
):
    by_factor = np.ones(len(FACTORS))
    by_factor[1] = 1.2
    found = relative_losses(np.array([2.0, 1.0, 1e-9])[:, None] * by_factor, 0.0)
    assert found[:, 0].tolist() == [BOUND, 0, -BOUND]
    assert found[1, 1] == pytest.approx(np.log(1.2))
    np.testing.assert_allclose(relative_losses(7 * np.exp(found), 0.0), found, atol=1e-9)
    perfect = relative_losses(np.array([[1e-9], [2e-9], [3e-9]]), 1e6)
    np.testing.assert_allclose(perfect, 0.0, atol=1e-8)


def test_losses_prefer_the_spread_that_the_errors_have() -> None:
    target = np.random.default_rng(1).normal(0, 2.0, (50, 20))
    quantiles = np.broadcast_to([-1.2816, 0.0, 1.2816], (50, 20, 3))
    best = FACTORS[int(selection_losses(target, quantiles, LEVELS).argmin())]
    assert best == 2.0
    assert np.isnan(selection_losses(np.full((1, 3), np.nan), quantiles[:1, :3], LEVELS)).all()


def test_coverage_is_that_of_the_widened_intervals() -> None:
    target = np.random.default_rng(1).normal(0, 2.0, (50, 20))
    quantiles = np.broadcast_to([-1.2816, 0.0, 1.2816], (50, 20, 3))
    covered = selection_coverage(target, quantiles, LEVELS)
    assert (np.diff(covered) >= 0).all()
    assert abs(covered[FACTORS.index(2.0)] - 0.85) < 0.03
    assert np.isnan(selection_coverage(np.full((1, 3), np.nan), quantiles[:1, :3], LEVELS)).all()


def test_kinds_of_networks_have_a_say_by_their_losses_as_far_as_windows_are_many() -> None:
    losses = np.log([1.0, 1.0, 1.1])
    np.testing.assert_allclose(shares_of(losses, 0), 1 / 3)
    few, many = shares_of(losses, 1), shares_of(losses, 10_000)
    assert 1 / 3 > few[2] > many[2]
    np.testing.assert_allclose(many[2] / many[0], 1.1**-SHARPNESS, rtol=1e-2)
    np.testing.assert_allclose([few.sum(), many.sum()], 1.0)
