"""The backtest on panels, without Spark: what each window knows, and what becomes of it."""

from itertools import pairwise
from typing import Any

import numpy as np
from pyspark.sql.pandas.types import to_arrow_schema

from headroom import columns as c
from headroom.arrow import batch_of, columns_of
from headroom.evaluation import verdict
from headroom.evaluation.backtest import EVALUATIONS, LOSSES, Design, evaluate_panel
from headroom.schemas import BACKTEST_FORECASTS, BACKTESTS
from headroom.series.methods import FLOORS
from headroom.series.panel import Panel, panel_of
from headroom.series.selection import FACTORS, Record

DESIGN = Design(horizon=24, windows=2, selection_windows=2, levels=(0.1, 0.5, 0.9), methods=FLOORS)
FLEET = Record(np.zeros((2, len(FACTORS))), np.ones((2, len(FACTORS))))


def series(seed: int, length: int) -> np.ndarray:
    hours = np.arange(length)
    noise = np.random.default_rng(seed).lognormal(0, 0.05, length)
    return (100 + 40 * np.sin(2 * np.pi * hours / 24)) * noise


def make_panel(*targets: np.ndarray) -> Panel:
    n = len(targets)
    return panel_of(
        {
            "item_id": [f"item {i}" for i in range(n)],
            "freq": ["h"] * n,
            "start": [np.datetime64("2024-01-01")] * n,
            "target": list(targets),
            "time_zone": ["UTC"] * n,
            "static_codes": [None] * n,
            "series_events": [None] * n,
        }
    )


def evaluated(panel: Panel) -> list[dict[str, Any]]:
    batch = batch_of(evaluate_panel(panel, None, DESIGN), to_arrow_schema(EVALUATIONS))
    return list(verdict._rows(columns_of(batch)))


def steps(row: dict[str, Any]) -> dict[str, Any]:
    made = verdict._step_columns(row, FLEET, DESIGN)
    return columns_of(batch_of(made, to_arrow_schema(BACKTEST_FORECASTS.schema)))


def test_a_panel_shorter_than_what_is_held_back_has_no_steps() -> None:
    assert make_panel(series(1, 11)).until(12).values.shape == (1, 0)


def test_a_row_for_every_window_step_and_method() -> None:
    found = steps(evaluated(make_panel(series(1, 400)))[0])
    assert len(found[c.STEP]) == 2 * 24 * len(FLOORS)
    assert set(found[c.MODEL]) == set(FLOORS)
    assert sum(found[c.IS_SELECTED]) == 2 * 24
    starts = np.array(found[c.FORECAST_START])
    assert starts.min() == np.datetime64("2024-01-01") + np.timedelta64(400 - 48, "h")
    assert found[c.TIMESTAMP][23] == np.datetime64("2024-01-01") + np.timedelta64(400 - 25, "h")


def test_windows_with_less_than_half_of_the_past_have_no_say_in_the_choice() -> None:
    pasts = {24: 0, 48: 1, 95: 1, 96: 2, 400: 2}  # hours, and windows that tell
    for past, n_windows in pasts.items():
        (row,) = evaluated(make_panel(series(1, past + 48)))
        assert row[c.N_WINDOWS] == n_windows, past


def test_targets_are_those_of_the_series() -> None:
    target = series(1, 400)
    found = steps(evaluated(make_panel(target))[0])
    np.testing.assert_array_equal(found[c.TARGET][:48], target[-48:])


def test_no_window_knows_what_comes_after_its_start() -> None:
    target, changed = series(1, 400), series(1, 400)
    changed[-24:] *= 30
    before, after = (evaluated(make_panel(values))[0] for values in (target, changed))
    shape = (2, 2, 24, 3)
    first, second = (np.reshape(row[c.QUANTILES], shape) for row in (before, after))
    np.testing.assert_array_equal(first[:, 0], second[:, 0])
    np.testing.assert_array_equal(first[:, 1], second[:, 1])
    np.testing.assert_array_equal(before[LOSSES], after[LOSSES])


def test_a_series_younger_than_the_windows_is_judged_where_it_lived() -> None:
    old, young = evaluated(make_panel(series(1, 400), series(2, 40)))
    assert old[c.N_WINDOWS] == 2
    assert young[c.N_WINDOWS] == 0
    assert set(steps(young)[c.WINDOW]) == {1}
    assert len(verdict._measure_columns(young, FLEET, "v", DESIGN)[c.WINDOW]) == len(FLOORS)


def test_each_window_keeps_to_the_limits_that_its_past_shows() -> None:
    target = series(1, 400) - 30
    target[-30] = -1.0  # within the first of the two windows
    low = evaluated(make_panel(target))[0]["low"]
    assert list(low) == [0.0, -np.inf]


def test_company_changes_no_forecast() -> None:
    alone = evaluated(make_panel(series(1, 400)))[0]
    together = evaluated(make_panel(series(2, 700), series(1, 400)))[1]
    np.testing.assert_allclose(alone[c.QUANTILES], together[c.QUANTILES], rtol=1e-6)


def test_measures_of_a_window() -> None:
    row = evaluated(make_panel(series(1, 400)))[0]
    made = verdict._measure_columns(row, FLEET, "v1", DESIGN)
    found = columns_of(batch_of(made, to_arrow_schema(BACKTESTS.schema)))
    np.testing.assert_allclose(
        found[c.ABS_TARGET][:2], np.abs(series(1, 400)[-48:].reshape(2, 24)).sum(1)
    )
    assert all(
        0 < loss < 0.2 * total
        for loss, total in zip(found[c.MEAN_WQL_LOSS], found[c.ABS_TARGET], strict=True)
    )
    bands = (c.COVERAGE_50, c.COVERAGE_80, c.COVERAGE_90, c.COVERAGE_95)
    for narrow, wide in pairwise(bands):
        assert all(0 <= n <= w <= 1 for n, w in zip(found[narrow], found[wide], strict=True))
    # The mean over the levels given stands for the integral over all of them.
    per_step = np.asarray(found[c.MEAN_WQL_LOSS]) / 24
    np.testing.assert_allclose(found[c.CRPS], per_step, rtol=0.3)
    assert set(found[c.MODEL_VERSION]) == {"v1"}
