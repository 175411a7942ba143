"""What is surely wrong is found, and what is merely lively is left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.config import Rules
from headroom.features import quality

RULES = Rules()
N = 24 * 28


def daily(seed: int = 0, n: int = N) -> np.ndarray:
    """A positive hourly series with a daily rhythm and some noise."""
    random = np.random.default_rng(seed)
    rhythm = 1 + 0.4 * np.sin(2 * np.pi * np.arange(n) / 24)
    return 100 * rhythm * random.lognormal(0, 0.05, n)


def test_negatives() -> None:
    found = quality.find_negatives(np.array([1.0, -1.0, np.nan, 0.0]))
    assert list(found) == [False, True, False, False]


class TestPartialEnds:
    def found(self, values: np.ndarray) -> list[int]:
        return list(
            np.flatnonzero(quality.find_partial_ends(values, (24, 168), RULES.partial_ends))
        )

    def test_a_last_hour_that_was_not_over(self) -> None:
        values = daily()
        values[-1] *= 0.2
        assert self.found(values) == [N - 1]

    def test_a_first_hour_that_began_late(self) -> None:
        values = daily()
        values[0] *= 0.2
        assert self.found(values) == [0]

    def test_an_outage_lasts_longer_than_a_step(self) -> None:
        values = daily()
        values[-3:] = 0
        assert self.found(values) == []

    def test_a_quiet_phase_is_its_own_like(self) -> None:
        values = daily()
        values[23::24] = 1.0
        assert self.found(values) == []

    @pytest.mark.parametrize("n", [0, 1, 2, 48])
    def test_a_series_shorter_than_the_seasons_has_none(self, n: int) -> None:
        values = daily()[:n]
        values[-1:] = 0
        assert self.found(values) == []

    def test_steps_without_a_season_have_their_neighbours(self) -> None:
        values = np.array([10.0, 11, 12, 11, 10, 11, 3])
        found = quality.find_partial_ends(values, (), RULES.partial_ends)
        assert list(np.flatnonzero(found)) == [6]


class TestFalseZeros:
    def test_a_sensor_that_writes_zero_for_nothing(self) -> None:
        values = daily()
        values[40:45] = 0
        found = quality.find_false_zeros(values, RULES.false_zeros)
        assert list(np.flatnonzero(found)) == list(range(40, 45))

    def test_zeros_among_small_values_are_true(self) -> None:
        values = daily() - daily().min() + 0.1
        values[40:45] = 0
        assert not quality.find_false_zeros(values, RULES.false_zeros).any()

    def test_many_zeros_are_how_the_series_is(self) -> None:
        values = daily()
        values[::3] = 0
        assert not quality.find_false_zeros(values, RULES.false_zeros).any()

    @pytest.mark.parametrize("values", [[], [0.0], [np.nan], [0.0, 0.0]])
    def test_nothing_to_compare_with(self, values: list[float]) -> None:
        assert not quality.find_false_zeros(np.array(values), RULES.false_zeros).any()


class TestCovered:
    def test_steps_touched_by_spans(self) -> None:
        edges = np.arange(0, 110, 10)
        spans = np.array([[10, 20], [35, 55], [70, 70], [95, 500], [-50, 5], [200, 300]])
        found = quality.find_covered(edges[:-1], edges[1:], spans)
        assert list(np.flatnonzero(found)) == [0, 1, 3, 4, 5, 7, 9]


class TestUnitJumps:
    def test_a_day_in_milliseconds(self) -> None:
        values = daily()
        values[100:124] *= 1000
        assert list(np.flatnonzero(quality.find_unit_jumps(values, RULES.unit_jumps))) == list(
            range(100, 124)
        )

    def test_three_hours_in_kilobytes(self) -> None:
        values = daily()
        values[50:53] /= 1000
        assert list(np.flatnonzero(quality.find_unit_jumps(values, RULES.unit_jumps))) == [
            50,
            51,
            52,
        ]

    def test_a_short_spike_is_no_unit(self) -> None:
        values = daily()
        values[100:102] *= 1000
        assert not quality.find_unit_jumps(values, RULES.unit_jumps).any()

    def test_a_surge_of_two_hundred_times_is_no_unit(self) -> None:
        values = daily()
        values[100:124] *= 200
        assert not quality.find_unit_jumps(values, RULES.unit_jumps).any()

    def test_an_outage_to_zero_is_no_unit(self) -> None:
        values = daily()
        values[100:124] = 0
        assert not quality.find_unit_jumps(values, RULES.unit_jumps).any()

    def test_a_series_over_decades_has_none(self) -> None:
        values = np.random.default_rng(0).lognormal(0, 4, N)
        assert not quality.find_unit_jumps(values, RULES.unit_jumps).any()


class TestFlatLine:
    def test_a_hung_sensor(self) -> None:
        values = daily()
        values[200:230] = values[200]
        found = np.flatnonzero(quality.find_flat_line(values, 24, RULES.flat_line))
        assert list(found) == list(range(200, 230))

    def test_shorter_than_a_day_is_no_line(self) -> None:
        values = daily()
        values[200:220] = values[200]
        assert not quality.find_flat_line(values, 24, RULES.flat_line).any()

    def test_zeros_are_silence(self) -> None:
        values = daily()
        values[200:240] = 0.0
        assert not quality.find_flat_line(values, 24, RULES.flat_line).any()

    def test_a_series_of_plateaus(self) -> None:
        values = np.repeat(np.arange(20.0) + 1, 30)
        assert not quality.find_flat_line(values, 24, RULES.flat_line).any()


class TestOutliers:
    def found(self, values: np.ndarray) -> np.ndarray:
        return quality.find_outliers(values, (24, 168), RULES.outliers)

    def test_a_spike_and_not_its_neighbours(self) -> None:
        values = daily()
        values[300] += 500
        assert list(np.flatnonzero(quality.find_outliers(values, (24, 168), RULES.outliers))) == [
            300
        ]

    @pytest.mark.parametrize("seed", range(5))
    def test_noise_has_none(self, seed: int) -> None:
        assert not quality.find_outliers(daily(seed), (24, 168), RULES.outliers).any()

    def test_a_surge_in_a_quiet_night_is_one(self) -> None:
        values = daily() ** 3
        night = 18 + 24 * 10
        values[night] *= 10
        assert values[night] < values.max()
        assert list(np.flatnonzero(self.found(values))) == [night]

    def test_what_comes_every_week_is_none(self) -> None:
        values = daily()
        values[100::168] *= 10
        assert not self.found(values).any()

    def test_steps_of_what_mostly_stands_still_are_none(self) -> None:
        values = np.full(N, 8.0)
        values[np.random.default_rng(2).random(N) < 0.15] = 10.0
        assert not self.found(values).any()

    def test_a_series_of_spikes_has_none(self) -> None:
        values = daily()
        values[np.random.default_rng(1).random(N) < 0.2] *= 50
        assert not quality.find_outliers(values, (24, 168), RULES.outliers).any()

    def test_missing_values_are_none(self) -> None:
        values = daily()
        values[::7] = np.nan
        assert not quality.find_outliers(values, (24, 168), RULES.outliers).any()

    @pytest.mark.parametrize("n", [0, 1, 2, 10])
    def test_short_series_have_none(self, n: int) -> None:
        assert quality.find_outliers(daily(n=N)[:n], (24, 168), RULES.outliers).shape == (n,)

    def test_a_constant_has_none(self) -> None:
        assert not quality.find_outliers(np.full(200, 3.0), (24, 168), RULES.outliers).any()

    @pytest.mark.parametrize("length", [3, 10, 24, 30, 36, 48, 60, 70, 100])
    def test_what_lasts_to_an_end_may_be_a_new_level(self, length: int) -> None:
        values = daily()
        values[-length:] *= 10
        assert not self.found(values).any()
        assert not self.found(values[::-1]).any()

    @pytest.mark.parametrize("after", [1, 10, 30, 50])
    def test_what_ends_before_the_end_is_none(self, after: int) -> None:
        values = daily()
        values[N - after - 12 : N - after] *= 10
        assert list(np.flatnonzero(self.found(values))) == list(range(N - after - 12, N - after))

    def test_one_value_far_above_all_others(self) -> None:
        values = np.random.default_rng(3).lognormal(3, 1.5, N)
        values[300] = 4 * values.max()
        assert not self.found(values).any()
        summit = quality.find_summit(values, RULES.outliers)
        assert list(np.flatnonzero(summit)) == [300]
        values[301] = values[300] / 2
        assert not quality.find_summit(values, RULES.outliers).any()

    @pytest.mark.parametrize("values", [[], [5.0], [np.nan] * 50, [0.0] * 50, [0.0] * 49 + [9.0]])
    def test_what_has_nothing_to_rise_above(self, values: list[float]) -> None:
        assert not quality.find_summit(np.array(values), RULES.outliers).any()


@given(st.lists(st.floats(-9, 9) | st.just(np.nan), min_size=4, max_size=4))
def test_the_middle_of_four_is_that_of_what_is_finite(column: list[float]) -> None:
    low, high = quality._middle_of_four(*[np.array([value]) for value in column])
    finite = sorted(value for value in column if np.isfinite(value))
    n = len(finite)
    expected = (finite[(n - 1) // 2], finite[n // 2]) if n >= 2 else (np.nan, np.nan)
    np.testing.assert_array_equal((low[0], high[0]), expected)
