"""One series from its rows: status, reason, grid, and what was found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.config import Series
from headroom.features.grid import MICROS
from headroom.features.series import Built, Finding, Rows, build_series

HOUR = 3_600 * MICROS
START = int(np.datetime64("2025-01-06", "us").astype(np.int64))
HOURLY = Series(freq="h", min_observed=3)


def rows(hours: list[float], values: list[float], n_rows: list[int] | None = None) -> Rows:
    times = START + (np.array(hours) * HOUR).astype(np.int64)
    counts = np.array(n_rows or [1] * len(hours), dtype=np.int64)
    return Rows(times, np.array(values, dtype=float), counts)


def minutes(n: int, first: int = 0) -> Rows:
    steps = np.arange(first, first + n)
    return Rows(START + steps * 60 * MICROS, steps.astype(float), np.ones(n, dtype=np.int64))


def finding(built: Built, issue: str) -> Finding:
    return next(f for f in built.findings if f.issue == issue)


def issues(built: Built) -> list[str]:
    return [f.issue for f in built.findings]


def test_gaps_are_missing_steps() -> None:
    built = build_series(rows([0, 1, 4, 2], [1, 2, 5, 3]), "gauge", HOURLY)
    assert (built.status, built.reason) == ("ok", "")
    np.testing.assert_array_equal(built.grid.values, [1, 2, 3, np.nan, 5])
    assert built.grid.start == START
    gap = finding(built, "gaps")
    assert (gap.n_affected, gap.share, gap.action) == (1, 0.2, "left missing")
    assert gap.first_at == gap.last_at == START + 3 * HOUR


def test_the_series_begins_with_its_first_value_and_ends_with_its_last_row() -> None:
    nan = float("nan")
    built = build_series(
        rows([0, 1, 2, 3, 4], [nan, 1, nan, 3, nan]), "gauge", Series(min_observed=2)
    )
    assert built.grid.start == START + HOUR
    np.testing.assert_array_equal(built.grid.values, [1, nan, 3, nan])
    assert finding(built, "missing_values").n_affected == 2


def test_no_rows() -> None:
    built = build_series(rows([], []), "gauge", HOURLY)
    assert (built.status, built.reason) == ("no_observations", "it has no observations")
    assert len(built.grid.values) == 0


def test_only_missing_values() -> None:
    built = build_series(rows([0, 1], [np.nan, np.nan]), "gauge", HOURLY)
    assert built.status == "no_observations"
    assert built.reason == "all of its 2 observations are missing values"


def test_short_history_keeps_its_steps() -> None:
    built = build_series(rows([0, 2], [1, 2]), "gauge", HOURLY)
    assert built.status == "short_history"
    assert built.reason == "2 of 3 steps observed, series.min_observed=3"
    np.testing.assert_array_equal(built.grid.values, [1, np.nan, 2])


def test_minutes_are_refused_by_name() -> None:
    built = build_series(minutes(600), "gauge", HOURLY)
    assert built.status == "wrong_frequency"
    assert built.reason == (
        "its typical step is 1min, finer than series.freq=h; "
        "set series.finer=aggregate or series.freq=1min"
    )


def test_days_are_refused_by_name() -> None:
    built = build_series(rows([24 * d for d in range(30)], [1] * 30), "gauge", HOURLY)
    assert built.status == "wrong_frequency"
    assert built.reason == (
        "its typical step is 1D, coarser than series.freq=h; set series.freq=1D"
    )


def test_few_rows_over_a_long_time_are_irregular() -> None:
    random = np.random.default_rng(0)
    hours = sorted(random.choice(40_000, 300, replace=False).tolist())
    built = build_series(rows(hours, [1.0] * 300), "gauge", Series(max_length=50_000))
    assert built.status == "irregular"
    assert built.reason.startswith("only 300 of its ")


@pytest.mark.parametrize(("kind", "second"), [("count", 5370.0), ("gauge", 89.5), ("latency", 119)])
def test_minutes_are_aggregated_by_kind_without_the_partial_ends(kind: str, second: float) -> None:
    settings = Series(finer="aggregate", min_observed=2)
    built = build_series(minutes(240 - 40, first=20), kind, settings)
    assert built.status == "ok"
    assert built.grid.start == START + HOUR
    assert len(built.grid.values) == 2  # 00:20 to 01:00 and 03:00 to 03:40 are partial
    assert built.grid.values[0] == second
    partial = finding(built, "partial_steps")
    assert (partial.n_affected, partial.first_at) == (80, START + 20 * 60 * MICROS)


def test_an_hour_with_few_of_its_minutes_has_no_value() -> None:
    every = minutes(240)
    kept = every.keep(
        (every.times < START + HOUR + 10 * 60 * MICROS) | (every.times >= START + 2 * HOUR)
    )
    built = build_series(kept, "count", Series(finer="aggregate", min_observed=2))
    np.testing.assert_array_equal(np.isfinite(built.grid.values), [True, False, True, True])
    assert finding(built, "incomplete_steps").n_affected == 10


def test_nothing_whole_to_aggregate() -> None:
    built = build_series(minutes(30, first=10), "count", Series(finer="aggregate"))
    assert built.status == "no_observations"
    assert built.reason == "no step of h is covered from its begin to its end"


def test_only_the_latest_steps_are_kept() -> None:
    n = 150
    built = build_series(rows(list(range(n)), list(range(n))), "gauge", Series(max_length=100))
    np.testing.assert_array_equal(built.grid.values, np.arange(50.0, 150.0))
    assert built.grid.start == START + 50 * HOUR
    assert finding(built, "truncated").n_affected == 50


def test_a_stray_row_does_not_stretch_the_series() -> None:
    built = build_series(rows([*range(200), 500_000], [1.0] * 201), "gauge", HOURLY)
    assert len(built.grid.values) == 200
    stray = finding(built, "stray_rows")
    assert (stray.n_affected, stray.first_at) == (1, START + 500_000 * HOUR)


def test_impossible_values_are_missing() -> None:
    built = build_series(rows([0, 1, 2, 3], [1, -2, 3, 4]), "count", HOURLY)
    np.testing.assert_array_equal(built.grid.values, [1, np.nan, 3, 4])
    assert finding(built, "negative_values").n_affected == 1


def test_only_impossible_values() -> None:
    built = build_series(rows([0, 1, 2], [-1, -2, -3]), "count", HOURLY)
    assert (built.status, len(built.grid.values)) == ("no_observations", 0)
    assert built.reason == "none of its values is possible: see table quality"


def test_duplicates_are_counted_in_rows() -> None:
    built = build_series(rows([0, 1, 2], [1, 2, 3], n_rows=[1, 3, 1]), "gauge", HOURLY)
    duplicates = finding(built, "duplicates")
    assert (duplicates.n_affected, duplicates.share) == (2, 0.4)
    assert duplicates.first_at == duplicates.last_at == START + HOUR


def test_the_readings_of_a_counter_become_counts() -> None:
    built = build_series(rows([0, 1, 2, 3, 4], [10, 13, 2, 2, 9]), "counter", HOURLY)
    np.testing.assert_array_equal(built.grid.values, [3, 2, 0, 7])  # the last step is not over
    reset = finding(built, "counter_resets")
    assert (reset.n_affected, reset.first_at) == (1, START + 2 * HOUR)
    assert issues(built) == ["counter_resets"]


@pytest.mark.parametrize(("hours", "values"), [([0], [5.0]), ([0, 1, 2], [5.0, np.nan, 6.0])])
def test_a_counter_without_two_readings_in_a_row(hours: list[float], values: list[float]) -> None:
    built = build_series(rows(hours, values), "counter", HOURLY)
    assert built.status == "no_observations"
    assert built.reason == (
        f"no two of its {len(hours)} readings follow each other, so nothing was counted"
    )


def test_strange_values_are_flagged_and_kept() -> None:
    values = (
        10 + np.sin(np.arange(240) / 24 * 2 * np.pi) + np.random.default_rng(0).normal(0, 0.1, 240)
    )
    values[100] = 99
    built = build_series(rows(list(range(240)), values.tolist()), "gauge", HOURLY)
    assert built.grid.values[100] == 99
    assert finding(built, "outliers").n_affected == 1


def test_a_clean_series_has_no_findings() -> None:
    assert issues(build_series(rows(list(range(100)), list(range(100))), "gauge", HOURLY)) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.floats(-1e6, 1e6) | st.just(float("nan"))), max_size=60
    ),
    st.sampled_from(["count", "gauge", "latency", "ratio"]),
    st.randoms(use_true_random=False),
)
def test_order_changes_nothing_and_every_series_has_a_status(entries, kind, shuffler) -> None:
    unique = list(dict(entries).items())
    built = build_series(rows([h for h, _ in unique], [v for _, v in unique]), kind, HOURLY)
    shuffler.shuffle(unique)
    again = build_series(rows([h for h, _ in unique], [v for _, v in unique]), kind, HOURLY)
    np.testing.assert_array_equal(built.grid.values, again.grid.values)
    assert (built.status, built.reason, built.findings) == (
        again.status,
        again.reason,
        again.findings,
    )
    assert (built.reason == "") == (built.status == "ok")
    if built.status in ("ok", "short_history"):
        assert np.isfinite(built.grid.values[0])
