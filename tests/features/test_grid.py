"""The grid of one series: where its steps lie, what fits them, what is combined."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.config import Rules
from headroom.features.grid import (
    MICROS,
    combine,
    describe_step,
    find_strays,
    fit_frequency,
    index_steps,
    median,
    time_of_step,
    typical_step,
)
from headroom.freq import parse_freq

HOUR = 3_600 * MICROS
DAY = 24 * HOUR
HOURLY = parse_freq("h")
STRAYS = Rules().stray_rows


def times(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[us]").astype(np.int64)


def regular(n: int, step: int = HOUR, start: str = "2025-01-06") -> np.ndarray:
    return times(start)[0] + step * np.arange(n)


class TestFitFrequency:
    def test_hours_fit_hours(self) -> None:
        assert fit_frequency(regular(50), HOURLY) == "fits"

    def test_minutes_are_finer(self) -> None:
        assert fit_frequency(regular(600, 60 * MICROS), HOURLY) == "finer"

    def test_days_are_coarser_even_with_gaps(self) -> None:
        days = np.delete(regular(60, DAY), [3, 4, 20, 41])
        assert fit_frequency(days, HOURLY) == "coarser"

    def test_many_missing_hours_are_gaps_and_no_coarser_step(self) -> None:
        random = np.random.default_rng(1)
        kept = regular(2_000)[random.random(2_000) < 0.4]
        assert typical_step(kept) > 1.25 * 3_600
        assert fit_frequency(kept, HOURLY) == "fits"

    def test_months_of_unequal_length_fit_months(self) -> None:
        months = np.arange("2020-01", "2023-01", dtype="datetime64[M]")
        stamps = months.astype("datetime64[us]").astype(np.int64)
        assert fit_frequency(stamps, parse_freq("MS")) == "fits"
        assert fit_frequency(stamps, parse_freq("3MS")) == "finer"
        assert fit_frequency(stamps, parse_freq("D")) == "coarser"

    def test_too_few_times_have_no_step(self) -> None:
        assert np.isnan(typical_step(regular(2)))
        assert fit_frequency(regular(2, DAY), HOURLY) == "fits"


class TestIndexSteps:
    @given(
        st.sampled_from(["5min", "h", "6h", "D", "7D", "W"]),
        st.integers(0, 86_399),
        st.integers(3, 300),
    )
    def test_a_regular_series_keeps_its_own_times(self, text: str, phase: int, n: int) -> None:
        freq = parse_freq(text)
        stamps = regular(n, freq.seconds * MICROS) + phase * MICROS
        steps, origin = index_steps(stamps, freq, is_finer=False)
        assert list(np.diff(steps)) == [1] * (n - 1)
        assert time_of_step(int(steps[0]), origin, freq) == stamps[0]

    def test_jitter_goes_to_the_nearest_hour(self) -> None:
        stamps = times(
            "2025-01-06T00:00:03", "2025-01-06T00:59:58", "2025-01-06T02:00:01", "2025-01-06T03:00"
        )
        steps, origin = index_steps(stamps, HOURLY, is_finer=False)
        assert list(steps - steps[0]) == [0, 1, 2, 3]
        assert time_of_step(int(steps[0]), origin, HOURLY) == times("2025-01-06T00:00")[0]

    @pytest.mark.parametrize(
        ("text", "about", "origin_at"),
        [("h", 1800, 1800), ("h", 600, 0), ("D", 43_200, 43_200), ("D", 46_000, 43_200)],
    )
    def test_jitter_at_any_phase_is_one_row_per_step(
        self, text: str, about: int, origin_at: int
    ) -> None:
        """A job that runs at about half past is no reason to put two runs into one hour."""
        freq = parse_freq(text)
        seconds = np.random.default_rng(4).normal(0, 40, 200).round().astype(np.int64)
        stamps = regular(200, freq.seconds * MICROS) + (about + seconds) * MICROS
        steps, origin = index_steps(stamps, freq, is_finer=False)
        assert list(np.diff(steps)) == [1] * 199
        assert origin == origin_at * MICROS

    def test_times_all_over_the_hour_lie_on_full_hours(self) -> None:
        stamps = np.sort(np.random.default_rng(4).integers(0, 10**6, 300)) * MICROS
        assert index_steps(stamps, HOURLY, is_finer=False)[1] == 0

    @pytest.mark.parametrize("n", [120, 200, 300, 700])
    @pytest.mark.parametrize(
        ("zone", "first"), [("Europe/Berlin", "2024-10-02"), ("America/New_York", "2024-10-01")]
    )
    def test_local_midnights_lie_on_one_grid_whichever_clock_is_the_more(
        self, zone: str, first: str, n: int
    ) -> None:
        begin = datetime.fromisoformat(first)
        local = [(begin + timedelta(days=day)).replace(tzinfo=ZoneInfo(zone)) for day in range(n)]
        stamps = np.array([int(day.timestamp()) * MICROS for day in local])
        steps, origin = index_steps(stamps, parse_freq("D"), is_finer=False)
        assert list(np.diff(steps)) == [1] * (n - 1)
        assert time_of_step(int(steps[0]), origin, parse_freq("D")) == times(first)[0]

    def test_weeks_that_begin_on_a_local_sunday_stay_on_sundays(self) -> None:
        begin, zone = datetime(2024, 10, 6), ZoneInfo("America/New_York")
        local = [(begin + timedelta(weeks=week)).replace(tzinfo=zone) for week in range(40)]
        stamps = np.array([int(day.timestamp()) * MICROS for day in local])
        steps, origin = index_steps(stamps, parse_freq("W"), is_finer=False)
        assert list(np.diff(steps)) == [1] * 39
        assert time_of_step(int(steps[0]), origin, parse_freq("W")) == times("2024-10-06")[0]

    def test_days_that_begin_at_local_midnight_stay_one_step_apart_over_a_clock_change(
        self,
    ) -> None:
        stamps = times("2025-03-07T05:00", "2025-03-08T05:00", "2025-03-09T05:00") // 1
        stamps = np.concatenate([stamps, times("2025-03-10T04:00", "2025-03-11T04:00")])
        steps, _ = index_steps(stamps, parse_freq("D"), is_finer=False)
        assert list(np.diff(steps)) == [1, 1, 1, 1]

    def test_finer_rows_go_to_the_hour_that_holds_them(self) -> None:
        stamps = times("2025-01-06T00:00", "2025-01-06T00:59:59", "2025-01-06T01:00")
        steps, origin = index_steps(stamps, HOURLY, is_finer=True)
        assert list(steps - steps[0]) == [0, 0, 1]
        assert time_of_step(int(steps[0]), origin, HOURLY) == stamps[0]

    def test_weeks_of_finer_rows_begin_on_monday(self) -> None:
        weekly = parse_freq("W")
        stamps = times("2025-01-05T23:00", "2025-01-06T00:00", "2025-01-12T23:00")
        steps, origin = index_steps(stamps, weekly, is_finer=True)
        assert list(steps - steps[0]) == [0, 1, 1]
        assert time_of_step(int(steps[1]), origin, weekly) == times("2025-01-06")[0]

    def test_months_and_quarters_follow_the_calendar(self) -> None:
        stamps = times("2024-12-31T23:00", "2025-01-01", "2025-02-28")
        steps, origin = index_steps(stamps, parse_freq("MS"), is_finer=False)
        assert list(steps - steps[0]) == [0, 1, 2]
        assert time_of_step(int(steps[2]), origin, parse_freq("MS")) == times("2025-02-01")[0]
        quarters = times("2024-02-01", "2024-05-01", "2024-08-01")
        steps, origin = index_steps(quarters, parse_freq("3MS"), is_finer=False)
        assert list(steps - steps[0]) == [0, 1, 2]
        assert time_of_step(int(steps[0]), origin, parse_freq("3MS")) == quarters[0]

    @pytest.mark.parametrize("clock", ["T23:00", "T22:00", "T10:00"])  # Berlin, Kiritimati
    def test_midnights_of_the_east_begin_their_own_month(self, clock: str) -> None:
        stamps = times(f"2024-12-31{clock}", f"2025-01-31{clock}", f"2025-02-28{clock}")
        steps, origin = index_steps(stamps, parse_freq("MS"), is_finer=False)
        begins = [time_of_step(int(step), origin, parse_freq("MS")) for step in steps]
        assert begins == list(times("2025-01-01", "2025-02-01", "2025-03-01"))

    @pytest.mark.parametrize("clock", ["", "T23:59:59", "T05:00"])  # New York
    def test_the_last_day_of_a_month_is_its_own(self, clock: str) -> None:
        stamps = times(f"2024-12-31{clock}", f"2025-01-31{clock}", f"2025-02-28{clock}")
        steps, origin = index_steps(stamps, parse_freq("MS"), is_finer=False)
        begins = [time_of_step(int(step), origin, parse_freq("MS")) for step in steps]
        assert begins == list(times("2024-12-01", "2025-01-01", "2025-02-01"))

    def test_times_before_1970(self) -> None:
        stamps = times("1955-01-01", "1955-01-02", "1955-01-03")
        steps, origin = index_steps(stamps, parse_freq("D"), is_finer=False)
        assert time_of_step(int(steps[0]), origin, parse_freq("D")) == stamps[0]


class TestFindStrays:
    def test_a_row_in_2035_after_a_month_of_2025(self) -> None:
        stamps = np.append(regular(700), times("2035-01-01"))
        assert list(np.flatnonzero(find_strays(stamps, HOURLY, STRAYS))) == [700]

    def test_a_row_in_1970_before(self) -> None:
        stamps = np.concatenate([times("1970-01-01"), regular(700)])
        assert list(np.flatnonzero(find_strays(stamps, HOURLY, STRAYS))) == [0]

    def test_both_at_once(self) -> None:
        stamps = np.concatenate([times("1990-01-01"), regular(700), times("2061-01-01")])
        assert list(np.flatnonzero(find_strays(stamps, HOURLY, STRAYS))) == [0, 701]

    def test_a_long_gap_with_much_after_it_is_a_gap(self) -> None:
        stamps = np.concatenate([regular(700), regular(100, start="2027-01-01")])
        assert not find_strays(stamps, HOURLY, STRAYS).any()

    def test_short_series_have_none(self) -> None:
        assert not find_strays(times("2025-01-01", "2035-01-01"), HOURLY, STRAYS).any()


class TestCombine:
    STEPS = np.array([0, 0, 2, 2])
    VALUES = np.array([1.0, 3.0, 4.0, np.nan])

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("count", [4.0, np.nan, 4.0]),
            ("cost", [4.0, np.nan, 4.0]),
            ("latency", [3.0, np.nan, 4.0]),
            ("gauge", [2.0, np.nan, 4.0]),
            ("ratio", [2.0, np.nan, 4.0]),
            ("capacity", [2.0, np.nan, 4.0]),
        ],
    )
    def test_by_kind(self, kind: str, expected: list[float]) -> None:
        np.testing.assert_array_equal(combine(self.STEPS, self.VALUES, kind, 3), expected)

    def test_negative_values_keep_their_maximum(self) -> None:
        combined = combine(np.array([0, 0]), np.array([-3.0, -2.0]), "latency", 2)
        np.testing.assert_array_equal(combined, [-2.0, np.nan])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1s"), (90, "1.5min"), (300, "5min"), (3_600, "1h"), (86_400, "1D"), (604_800, "7D")],
)
def test_describe_step(seconds: float, text: str) -> None:
    assert describe_step(seconds) == text


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30))
def test_the_median_is_that_of_numpy(values: list[float]) -> None:
    assert median(np.array(values)) == np.median(values)
