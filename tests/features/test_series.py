"""One series from its rows: status, reason, grid, and what was found."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.config import Rules, Series, build
from headroom.features.grid import MICROS
from headroom.features.series import Built, Calendar, Finding, Rows, build_series

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


def series_of(
    rows: Rows, kind: str, settings: Series, calendar: Calendar | None = None, **rules: Any
) -> Built:
    chosen = build(Rules, rules)
    return build_series(rows, kind, settings, chosen, calendar or Calendar())


def finding(built: Built, issue: str) -> Finding:
    return next(f for f in built.findings if f.issue == issue)


def issues(built: Built) -> list[str]:
    return [f.issue for f in built.findings]


def test_gaps_are_missing_steps() -> None:
    built = series_of(rows([0, 1, 4, 2], [1, 2, 5, 3]), "gauge", HOURLY)
    assert (built.status, built.reason) == ("ok", "")
    np.testing.assert_array_equal(built.grid.values, [1, 2, 3, np.nan, 5])
    assert built.grid.start == START
    gap = finding(built, "gaps")
    assert (gap.n_affected, gap.share, gap.action) == (1, 0.2, "left missing")
    assert gap.first_at == gap.last_at == START + 3 * HOUR


def test_a_single_row_is_a_short_history() -> None:
    built = series_of(rows([0], [5]), "gauge", HOURLY)
    assert (built.status, built.grid.values.tolist()) == ("short_history", [5])
    assert built.reason == "1 of 1 steps observed, series.min_observed=3"


@pytest.mark.parametrize("value", [0.0, 7.5])
@pytest.mark.parametrize("kind", ["count", "gauge", "cost", "latency", "ratio", "capacity"])
def test_a_constant_stays_as_it_is(kind: str, value: float) -> None:
    built = series_of(rows(list(range(200)), [value] * 200), kind, HOURLY)
    assert (built.status, built.findings) == ("ok", [])
    assert built.grid.values.tolist() == [value] * 200


@pytest.mark.parametrize("size", [1e38, 1e299, 1e-40, 1e-300])
def test_the_largest_and_the_smallest_values_stay(size: float) -> None:
    values = [size * (10 + hour % 24 % 7) for hour in range(24 * 14)]
    built = series_of(rows(list(range(24 * 14)), values), "count", HOURLY)
    assert (built.status, built.findings) == ("ok", [])
    assert built.grid.values.tolist() == values


def test_the_series_begins_with_its_first_value_and_ends_with_its_last_row() -> None:
    nan = float("nan")
    built = series_of(rows([0, 1, 2, 3, 4], [nan, 1, nan, 3, nan]), "gauge", Series(min_observed=2))
    assert built.grid.start == START + HOUR
    np.testing.assert_array_equal(built.grid.values, [1, nan, 3, nan])
    assert finding(built, "missing_values").n_affected == 2


def test_no_rows() -> None:
    built = series_of(rows([], []), "gauge", HOURLY)
    assert (built.status, built.reason) == ("no_observations", "it has no observations")
    assert len(built.grid.values) == 0


def test_only_missing_values() -> None:
    built = series_of(rows([0, 1], [np.nan, np.nan]), "gauge", HOURLY)
    assert built.status == "no_observations"
    assert built.reason == "all of its 2 observations are missing values"


def test_short_history_keeps_its_steps() -> None:
    built = series_of(rows([0, 2], [1, 2]), "gauge", HOURLY)
    assert built.status == "short_history"
    assert built.reason == "2 of 3 steps observed, series.min_observed=3"
    np.testing.assert_array_equal(built.grid.values, [1, np.nan, 2])


def test_minutes_are_refused_by_name() -> None:
    built = series_of(minutes(600), "gauge", HOURLY)
    assert built.status == "wrong_frequency"
    assert built.reason == (
        "its typical step is 1min, finer than series.freq=h; "
        "set series.finer=aggregate or series.freq=1min"
    )


def test_days_are_refused_by_name() -> None:
    built = series_of(rows([24 * d for d in range(30)], [1] * 30), "gauge", HOURLY)
    assert built.status == "wrong_frequency"
    assert built.reason == (
        "its typical step is 1D, coarser than series.freq=h; set series.freq=1D"
    )


def test_few_rows_over_a_long_time_are_irregular() -> None:
    random = np.random.default_rng(0)
    hours = sorted(random.choice(40_000, 300, replace=False).tolist())
    built = series_of(rows(hours, [1.0] * 300), "gauge", Series(max_length=50_000))
    assert built.status == "irregular"
    assert built.reason.startswith("only 300 of its ")


@pytest.mark.parametrize(("kind", "second"), [("count", 5370.0), ("gauge", 89.5), ("latency", 119)])
def test_minutes_are_aggregated_by_kind_without_the_partial_ends(kind: str, second: float) -> None:
    settings = Series(finer="aggregate", min_observed=2)
    built = series_of(minutes(240 - 40, first=20), kind, settings)
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
    built = series_of(kept, "count", Series(finer="aggregate", min_observed=2))
    np.testing.assert_array_equal(np.isfinite(built.grid.values), [True, False, True, True])
    assert finding(built, "incomplete_steps").n_affected == 10


def test_nothing_whole_to_aggregate() -> None:
    built = series_of(minutes(30, first=10), "count", Series(finer="aggregate"))
    assert built.status == "no_observations"
    assert built.reason == "no step of h is covered from its begin to its end"


def test_only_the_latest_steps_are_kept() -> None:
    n = 150
    built = series_of(rows(list(range(n)), list(range(n))), "gauge", Series(max_length=100))
    np.testing.assert_array_equal(built.grid.values, np.arange(50.0, 150.0))
    assert built.grid.start == START + 50 * HOUR
    assert finding(built, "truncated").n_affected == 50


def test_a_stray_row_does_not_stretch_the_series() -> None:
    built = series_of(rows([*range(200), 500_000], [1.0] * 201), "gauge", HOURLY)
    assert len(built.grid.values) == 200
    stray = finding(built, "stray_rows")
    assert (stray.n_affected, stray.first_at) == (1, START + 500_000 * HOUR)


def test_impossible_values_are_missing() -> None:
    built = series_of(rows([0, 1, 2, 3], [1, -2, 3, 4]), "count", HOURLY)
    np.testing.assert_array_equal(built.grid.values, [1, np.nan, 3, 4])
    assert finding(built, "negative_values").n_affected == 1


def test_only_impossible_values() -> None:
    built = series_of(rows([0, 1, 2], [-1, -2, -3]), "count", HOURLY)
    assert (built.status, len(built.grid.values)) == ("no_observations", 0)
    assert built.reason == "none of its values is possible: see table quality"


def test_duplicates_are_counted_in_rows() -> None:
    built = series_of(rows([0, 1, 2], [1, 2, 3], n_rows=[1, 3, 1]), "gauge", HOURLY)
    duplicates = finding(built, "duplicates")
    assert (duplicates.n_affected, duplicates.share) == (2, 0.4)
    assert duplicates.first_at == duplicates.last_at == START + HOUR


def test_rows_that_share_a_step_are_told() -> None:
    built = series_of(rows([0, 1, 1.8, 2.1, 3], [1, 2, 3, 4, 5]), "count", HOURLY)
    assert built.grid.values.tolist() == [1, 2, 7, 5]
    shared = finding(built, "shared_steps")
    assert (shared.n_affected, shared.first_at) == (1, START + int(2.1 * HOUR))


def test_the_readings_of_a_counter_become_counts() -> None:
    built = series_of(rows([0, 1, 2, 3, 4], [10, 13, 2, 2, 9]), "counter", HOURLY)
    np.testing.assert_array_equal(built.grid.values, [3, 2, 0, 7])  # the last step is not over
    reset = finding(built, "counter_resets")
    assert (reset.n_affected, reset.first_at) == (1, START + 2 * HOUR)
    assert issues(built) == ["counter_resets"]


@pytest.mark.parametrize(("hours", "values"), [([0], [5.0]), ([0, 1, 2], [5.0, np.nan, 6.0])])
def test_a_counter_without_two_readings_in_a_row(hours: list[float], values: list[float]) -> None:
    built = series_of(rows(hours, values), "counter", HOURLY)
    assert built.status == "no_observations"
    assert built.reason == (
        f"no two of its {len(hours)} readings follow each other, so nothing was counted"
    )


def wave(n: int = 240) -> np.ndarray:
    return 10 + np.sin(np.arange(n) / 24 * 2 * np.pi) + np.random.default_rng(0).normal(0, 0.1, n)


def wave_of(values: np.ndarray) -> Rows:
    return rows(list(range(len(values))), values.tolist())


def hours(*spans: tuple[int, int]) -> np.ndarray:
    return START + np.array(spans, dtype=np.int64) * HOUR


def test_strange_values_are_flagged_and_kept() -> None:
    values = wave()
    values[100] = 99
    built = series_of(wave_of(values), "gauge", HOURLY)
    assert built.grid.values[100] == 99
    assert np.flatnonzero(built.grid.flagged).tolist() == [100]
    assert finding(built, "outliers").n_affected == 1


def test_what_an_announced_event_explains_is_no_outlier() -> None:
    values = wave()
    values[[100, 150]] = 99
    calendar = Calendar(announced=hours((100, 101)))
    built = series_of(wave_of(values), "gauge", HOURLY, calendar)
    assert np.flatnonzero(built.grid.flagged).tolist() == [150]
    assert finding(built, "outliers").first_at == START + 150 * HOUR


def test_incidents_are_flagged_and_kept() -> None:
    calendar = Calendar(incidents=hours((50, 53)))
    built = series_of(wave_of(wave()), "gauge", HOURLY, calendar)
    assert np.flatnonzero(built.grid.flagged).tolist() == [50, 51, 52]
    assert np.isfinite(built.grid.values).all()
    found = finding(built, "incidents")
    assert (found.n_affected, found.action) == (3, "flagged, values kept")


def test_zeros_of_a_gauge_that_is_never_near_zero_are_flagged() -> None:
    values = wave()
    values[30:33] = 0
    built = series_of(wave_of(values), "gauge", HOURLY)
    assert np.flatnonzero(built.grid.flagged).tolist() == [30, 31, 32]
    assert finding(built, "false_zeros").n_affected == 3
    count = series_of(wave_of(np.abs(values)), "count", HOURLY)
    assert "false_zeros" not in issues(count)  # nothing may have happened


def test_a_partial_last_hour_of_a_count_is_left_out() -> None:
    values = 100 * wave()
    values[-1] *= 0.3
    built = series_of(wave_of(values), "count", HOURLY)
    assert len(built.grid.values) == 239
    assert finding(built, "partial_ends").first_at == START + 239 * HOUR
    assert len(series_of(wave_of(values), "gauge", HOURLY).grid.values) == 240


def test_a_gap_is_a_zero_where_the_source_is_silent_about_nothing() -> None:
    counts = rows([0, 1, 3], [1, 2, 3])
    silent = {"enabled": True}
    built = series_of(counts, "count", HOURLY, silent_steps=silent)
    np.testing.assert_array_equal(built.grid.values, [1, 2, 0, 3])
    assert issues(built) == ["silent_steps"]
    gauge = series_of(counts, "gauge", HOURLY, silent_steps=silent)
    np.testing.assert_array_equal(gauge.grid.values, [1, 2, np.nan, 3])


def test_ratios_with_their_denominators_are_no_mean_of_quotients() -> None:
    times = START + np.arange(4) * 30 * 60 * MICROS
    quotients, requests = np.array([0.5, 0.0, 0.1, 0.3]), np.array([10.0, 990.0, 50.0, 50.0])
    rebuilt = Rows(times, quotients, np.ones(4, dtype=np.int64), requests)
    settings = Series(finer="aggregate", min_observed=2)
    built = series_of(rebuilt, "ratio", settings)
    np.testing.assert_allclose(built.grid.values, [0.005, 0.2])
    assert finding(built, "rebuilt_ratios").n_affected == 4


@pytest.mark.parametrize(
    ("rule", "kind", "change"),
    [
        ("negative_values", "count", {5: -3.0}),
        ("unit_jumps", "latency", dict.fromkeys(range(60, 70), 10_000.0)),
        ("false_zeros", "latency", {5: 0.0}),
        ("flat_line", "gauge", dict.fromkeys(range(60, 90), 10.0)),
        ("outliers", "gauge", {100: 99.0}),
        ("partial_ends", "cost", {239: 1.0}),
    ],
)
def test_every_rule_can_be_switched_off(rule: str, kind: str, change: dict[int, float]) -> None:
    values = wave()
    for step, value in change.items():
        values[step] = value
    assert rule in issues(series_of(wave_of(values), kind, HOURLY))
    built = series_of(wave_of(values), kind, HOURLY, **{rule: {"enabled": False}})
    assert rule not in issues(built)


def test_rules_of_rows_can_be_switched_off() -> None:
    stray = rows([*range(200), 1_000], [1.0] * 201)
    kept = series_of(stray, "gauge", HOURLY, stray_rows={"enabled": False})
    assert len(kept.grid.values) == 1_001
    settings = Series(finer="aggregate", min_observed=2)
    off = {"partial_steps": {"enabled": False}, "incomplete_steps": {"enabled": False}}
    assert issues(series_of(minutes(200, first=20), "count", settings, **off)) == []
    counter = rows([0, 1, 2, 3], [10, 13, 2, 4])
    built = series_of(counter, "counter", HOURLY, counter_resets={"enabled": False})
    np.testing.assert_array_equal(built.grid.values, [3, np.nan, 2])
    assert finding(built, "counter_resets").action == "taken for missing"


def test_rules_can_be_tuned() -> None:
    values = wave()
    values[100] = 14
    assert "outliers" in issues(series_of(wave_of(values), "gauge", HOURLY))
    tuned = {"deviations": 100}
    assert "outliers" not in issues(series_of(wave_of(values), "gauge", HOURLY, outliers=tuned))


@pytest.mark.parametrize("kind", ["gauge", "rate"])
def test_negative_values_stay_where_they_are_possible(kind: str) -> None:
    assert "negative_values" not in issues(series_of(rows([0, 1, 2], [1, -1, 2]), kind, HOURLY))


def test_a_ratio_has_no_unit() -> None:
    values = wave() / 20
    values[50:60] *= 1000
    assert "unit_jumps" not in issues(series_of(wave_of(values), "ratio", HOURLY))


def test_capacity_may_stand_still() -> None:
    assert issues(series_of(rows(list(range(100)), [8.0] * 100), "capacity", HOURLY)) == []


def test_a_clean_series_has_no_findings() -> None:
    assert issues(series_of(rows(list(range(100)), list(range(100))), "gauge", HOURLY)) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.floats(-1e6, 1e6) | st.just(float("nan"))), max_size=60
    ),
    st.sampled_from(["count", "gauge", "latency", "ratio"]),
    st.randoms(use_true_random=False),
)
def test_order_changes_nothing_and_every_series_has_a_status(entries, kind, shuffler) -> None:
    unique = list(dict(entries).items())
    built = series_of(rows([h for h, _ in unique], [v for _, v in unique]), kind, HOURLY)
    shuffler.shuffle(unique)
    again = series_of(rows([h for h, _ in unique], [v for _, v in unique]), kind, HOURLY)
    np.testing.assert_array_equal(built.grid.values, again.grid.values)
    assert (built.status, built.reason, built.findings) == (
        again.status,
        again.reason,
        again.findings,
    )
    assert (built.reason == "") == (built.status == "ok")
    if built.status in ("ok", "short_history"):
        assert np.isfinite(built.grid.values[0])
