"""What is surely wrong is found, and what is merely lively is left alone."""

import numpy as np
import pytest

from headroom.features import quality

N = 24 * 28


def daily(seed: int = 0, n: int = N) -> np.ndarray:
    """A positive hourly series with a daily rhythm and some noise."""
    random = np.random.default_rng(seed)
    rhythm = 1 + 0.4 * np.sin(2 * np.pi * np.arange(n) / 24)
    return 100 * rhythm * random.lognormal(0, 0.05, n)


class TestNegatives:
    @pytest.mark.parametrize("kind", ["count", "cost", "ratio", "latency", "capacity"])
    def test_found_where_impossible(self, kind: str) -> None:
        found = quality.find_negatives(np.array([1.0, -1.0, np.nan, 0.0]), kind)
        assert list(found) == [False, True, False, False]

    @pytest.mark.parametrize("kind", ["gauge", "rate"])
    def test_left_where_possible(self, kind: str) -> None:
        assert not quality.find_negatives(np.array([1.0, -1.0]), kind).any()


class TestUnitJumps:
    def test_a_day_in_milliseconds(self) -> None:
        values = daily()
        values[100:124] *= 1000
        assert list(np.flatnonzero(quality.find_unit_jumps(values, "latency"))) == list(
            range(100, 124)
        )

    def test_three_hours_in_kilobytes(self) -> None:
        values = daily()
        values[50:53] /= 1000
        assert list(np.flatnonzero(quality.find_unit_jumps(values, "latency"))) == [50, 51, 52]

    def test_a_ratio_has_no_unit(self) -> None:
        values = daily()
        values[50:60] *= 1000
        assert not quality.find_unit_jumps(values, "ratio").any()

    def test_a_short_spike_is_no_unit(self) -> None:
        values = daily()
        values[100:102] *= 1000
        assert not quality.find_unit_jumps(values, "latency").any()

    def test_a_surge_of_two_hundred_times_is_no_unit(self) -> None:
        values = daily()
        values[100:124] *= 200
        assert not quality.find_unit_jumps(values, "latency").any()

    def test_an_outage_to_zero_is_no_unit(self) -> None:
        values = daily()
        values[100:124] = 0
        assert not quality.find_unit_jumps(values, "latency").any()

    def test_a_series_over_decades_has_none(self) -> None:
        values = np.random.default_rng(0).lognormal(0, 4, N)
        assert not quality.find_unit_jumps(values, "latency").any()


class TestFlatLine:
    def test_a_hung_sensor(self) -> None:
        values = daily()
        values[200:230] = values[200]
        found = np.flatnonzero(quality.find_flat_line(values, "gauge", 24))
        assert list(found) == list(range(200, 230))

    def test_shorter_than_a_day_is_no_line(self) -> None:
        values = daily()
        values[200:220] = values[200]
        assert not quality.find_flat_line(values, "gauge", 24).any()

    def test_zeros_are_silence(self) -> None:
        values = daily()
        values[200:240] = 0.0
        assert not quality.find_flat_line(values, "rate", 24).any()

    def test_a_series_of_plateaus(self) -> None:
        values = np.repeat(np.arange(20.0) + 1, 30)
        assert not quality.find_flat_line(values, "gauge", 24).any()

    def test_capacity_may_stand_still(self) -> None:
        assert not quality.find_flat_line(np.full(100, 8.0), "capacity", 24).any()


class TestOutliers:
    def test_a_spike_and_not_its_neighbours(self) -> None:
        values = daily()
        values[300] += 500
        assert list(np.flatnonzero(quality.find_outliers(values, 24))) == [300]

    @pytest.mark.parametrize("seed", range(5))
    def test_noise_has_none(self, seed: int) -> None:
        assert not quality.find_outliers(daily(seed), 24).any()

    def test_a_series_of_spikes_has_none(self) -> None:
        values = daily()
        values[np.random.default_rng(1).random(N) < 0.2] *= 50
        assert not quality.find_outliers(values, 24).any()

    def test_missing_values_are_none(self) -> None:
        values = daily()
        values[::7] = np.nan
        assert not quality.find_outliers(values, 24).any()

    @pytest.mark.parametrize("n", [0, 1, 2, 10])
    def test_short_series_have_none(self, n: int) -> None:
        assert quality.find_outliers(daily(n=N)[:n], 24).shape == (n,)

    def test_a_constant_has_none(self) -> None:
        assert not quality.find_outliers(np.full(200, 3.0), 24).any()
