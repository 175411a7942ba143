"""From tables to facts: hand-written rows, hand-written expectations, and bounds."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from headroom import columns as c
from headroom import schemas as s
from headroom.config import Config, build_config
from headroom.report.accuracy import gather_accuracy
from headroom.report.advice import gather_recommendations, read_evidence
from headroom.report.facts import Accuracy, Facts
from headroom.report.fleet import TOP, gather_fleet, gather_issues, gather_rejected
from headroom.report.gather import gather_facts
from headroom.report.making import EPOCHS, gather_model, gather_runs
from headroom.report.page import render_page
from headroom.report.pictures import gather_pictures, history_length

NOW = datetime(2025, 11, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
LEVELS = [0.1, 0.5, 0.9]


@pytest.fixture
def settings() -> Config:
    return build_config(
        {
            "warehouse": "/nowhere",
            "forecast": {"prediction_length": 4, "quantile_levels": LEVELS},
            "report": {"series": 4},
        }
    )


def frame(spark: SparkSession, table: s.Table, *rows: dict[str, Any]) -> DataFrame:
    """Rows of a table; what is not said is null."""
    names = table.schema.names
    return spark.createDataFrame(
        [tuple(row.get(name) for name in names) for row in rows], table.schema
    )


def series_row(item_id: str, metric: str = "cpu", **changes: Any) -> dict[str, Any]:
    values = [float(k) for k in range(60)]
    row = {
        c.ITEM_ID: item_id,
        c.GROUP_ID: item_id.split("/", maxsplit=1)[0],
        c.DIMENSIONS: {"service": item_id.split("/", maxsplit=1)[0], "region": "eu"},
        c.METRIC: metric,
        c.METRIC_KIND: "gauge",
        c.UNIT: "percent",
        c.FREQ: "h",
        c.START: NOW - 60 * HOUR,
        c.LENGTH: 60,
        c.TARGET: values,
        c.OBSERVED: [True] * 60,
        c.FLAGGED: [False] * 60,
        c.STATUS: "ok",
    }
    return row | changes


def backtest_row(
    item_id: str, model: str, loss: float, target: float, **changes: Any
) -> dict[str, Any]:
    row = {
        c.ITEM_ID: item_id,
        c.WINDOW: 0,
        c.FORECAST_START: NOW - 4 * HOUR,
        c.MODEL: model,
        c.IS_SELECTED: False,
        c.MEAN_WQL_LOSS: loss,
        c.ABS_TARGET: target,
        c.MASE: 1.0,
        c.COVERAGE_50: 0.5,
        c.COVERAGE_80: 0.75,
        c.COVERAGE_90: 1.0,
        c.COVERAGE_95: 1.0,
    }
    return row | changes


def forecast_rows(item_id: str, start: datetime = NOW, **changes: Any) -> list[dict[str, Any]]:
    return [
        {
            c.ITEM_ID: item_id,
            c.FORECAST_START: start,
            c.TIMESTAMP: start + k * HOUR,
            c.STEP: k + 1,
            c.MEAN: 5.0,
            c.QUANTILE_LEVELS: LEVELS,
            c.QUANTILES: [4.0 + k, 5.0 + k, 6.0 + k],
            c.METHOD: "lstm",
            c.STATUS: "ok",
        }
        | changes
        for k in range(4)
    ]


def advice_row(key: str, value: float | None, **changes: Any) -> dict[str, Any]:
    row = {
        c.RECOMMENDATION_ID: key,
        c.AS_OF: NOW,
        c.REC_TYPE: "capacity_shortfall",
        c.OUTCOME: "recommended",
        c.GROUP_ID: "a",
        c.SUMMARY: f"{key} runs out",
        c.VALUE: value,
        c.ACT_BY: NOW + timedelta(days=3),
    }
    return row | changes


# -- fleet -----------------------------------------------------------------------------------------


def test_the_fleet_counts_series_forecasts_and_stale_items(
    spark: SparkSession, settings: Config
) -> None:
    refused = {
        c.ITEM_ID: "c/cpu", c.FORECAST_START: NOW, c.TIMESTAMP: NOW, c.STEP: 0,
        c.STATUS: "short_history", c.REASON: "3 steps",
    }  # fmt: skip
    frames = {
        "series": frame(
            spark, s.SERIES, series_row("a/cpu"),
            series_row("b/cpu", observed=[True] * 33 + [False] * 27),
            series_row("d/cpu", observed=[True] * 35 + [False] * 25),
            series_row("c/cpu", metric="cost", status="short_history", reason="3 steps"),
        ),
        "forecasts": frame(
            spark, s.FORECASTS, *forecast_rows("a/cpu"), *forecast_rows("b/cpu"), refused,
            *forecast_rows("a/cpu", NOW - 24 * HOUR, method="log_ar"),
        ),
    }  # fmt: skip
    fleet = gather_fleet(frames, settings)
    assert fleet is not None
    assert (fleet.n_series, fleet.n_forecast, fleet.n_stale) == (4, 2, 1)
    assert (fleet.first_at, fleet.last_at) == (NOW - 60 * HOUR, NOW - HOUR)
    assert [(tally.label, tally.n) for tally in fleet.statuses] == [("ok", 3), ("short_history", 1)]
    assert [(tally.label, tally.n) for tally in fleet.methods] == [("lstm", 2)]
    for rows in (fleet.unfit, fleet.unserved):
        assert [(t.label, t.n, t.example, t.detail) for t in rows] == [
            ("short_history", 1, "c/cpu", "3 steps")
        ]


def test_months_end_where_they_were_last_observed(spark: SparkSession) -> None:
    monthly = build_config({"warehouse": "w", "series": {"freq": "MS"}})
    start = datetime(2025, 1, 1, tzinfo=UTC)
    row = series_row("a/cost", freq="MS", start=start, length=3, observed=[True, True, False])
    fleet = gather_fleet({"series": frame(spark, s.SERIES, row)}, monthly)
    assert fleet is not None
    assert (fleet.first_at, fleet.last_at) == (start, datetime(2025, 2, 1, tzinfo=UTC))


def test_rejected_rows_are_summed_by_reason(spark: SparkSession) -> None:
    rows = [
        {c.INGEST_ID: "i", c.RAW: raw, c.REASON: reason, c.DETAIL: "why", c.N_ROWS: n}
        for raw, reason, n in (("b", "bad_target", 3), ("a", "bad_target", 2), ("c", "no_item", 1))
    ]
    rejected = gather_rejected({"rejected_rows": frame(spark, s.REJECTED_ROWS, *rows)})
    assert rejected is not None
    assert [(t.label, t.n, t.example) for t in rejected] == [
        ("bad_target", 5, "a"), ("no_item", 1, "c"),
    ]  # fmt: skip


def test_however_many_reasons_there_are_the_most_frequent_are_told(spark: SparkSession) -> None:
    rows = [
        {c.INGEST_ID: "i", c.RAW: "x", c.REASON: f"reason_{k:02}", c.N_ROWS: k + 1}
        for k in range(40)
    ]
    rejected = gather_rejected({"rejected_rows": frame(spark, s.REJECTED_ROWS, *rows)})
    assert rejected is not None
    assert [tally.n for tally in rejected] == list(range(40, 40 - TOP, -1))


def test_issues_name_the_worst_items(spark: SparkSession) -> None:
    rows = [
        {c.ITEM_ID: f"i{k}", c.ISSUE: "gap", c.N_AFFECTED: k, c.SHARE: k / 100, c.ACTION: "masked"}
        for k in range(1, 6)
    ]
    (issue,) = gather_issues({"quality": frame(spark, s.QUALITY, *rows)}) or ()
    assert (issue.kind, issue.n_series, issue.n_affected) == ("gap", 5, 15)
    assert [item.item_id for item in issue.worst] == ["i5", "i4", "i3"]
    assert gather_issues({}) is None


# -- accuracy --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def accuracy(spark: SparkSession) -> Accuracy:
    rows = [
        # cpu: 4 of 10 lost where the naive loses 10 of 10; sums, not means of items
        backtest_row("a/cpu", "seasonal_naive", 8.0, 80.0),
        backtest_row("a/cpu", "lstm", 2.0, 80.0, is_selected=True, mase=0.5),
        backtest_row("b/cpu", "seasonal_naive", 2.0, 20.0, is_selected=True),
        backtest_row("b/cpu", "lstm", 9.0, 20.0, mase=9.0),
        # cost: another unit
        backtest_row("a/cost", "seasonal_naive", 1e6, 1e7),
        backtest_row("a/cost", "lstm", 9e5, 1e7, is_selected=True, mase=0.9),
    ]
    steps = [
        row | {c.WINDOW: 0, c.MODEL: model, c.IS_SELECTED: model == "lstm", c.TARGET: target}
        for model in ("lstm", "log_ar")
        for row, target in zip(forecast_rows("a/cpu"), (3.0, 5.5, 8.5, None), strict=True)
    ]
    frames = {
        "series": frame(
            spark, s.SERIES, series_row("a/cpu"), series_row("b/cpu"), series_row("a/cost", "cost")
        ),
        "backtests": frame(spark, s.BACKTESTS, *rows),
        "backtest_forecasts": frame(spark, s.BACKTEST_FORECASTS, *steps),
    }  # fmt: skip
    found = gather_accuracy(frames)
    assert found is not None
    return found


def test_losses_are_summed_within_a_metric_and_averaged_over_metrics(accuracy: Accuracy) -> None:
    assert (accuracy.n_windows, accuracy.first_window) == (1, NOW - 4 * HOUR)
    assert [score.model for score in accuracy.scores] == ["served", "seasonal_naive", "lstm"]
    served, naive, lstm = accuracy.scores
    # cpu: (2 + 2) / 100 over two series; cost: 9e5 / 1e7 over one
    assert served.loss == pytest.approx(math.exp((2 * math.log(0.04) + math.log(0.09)) / 3))
    assert served.ratio == pytest.approx(math.exp((2 * math.log(0.4) + math.log(0.9)) / 3))
    assert naive.loss == pytest.approx((served.loss or 0) / (served.ratio or 1))
    assert naive.ratio == pytest.approx(1.0)
    assert lstm.ratio == pytest.approx(math.exp((2 * math.log(1.1) + math.log(0.9)) / 3))
    assert (served.n_series, served.mase, served.coverage_80) == (3, pytest.approx(0.8), 0.75)


def test_within_one_metric_it_is_the_plain_weighted_loss(accuracy: Accuracy) -> None:
    metric = accuracy.dimensions[0]
    assert (metric.dimension, metric.slices[0].value) == ("metric", "cpu")
    cpu = metric.slices[0].served
    assert cpu.n_series == 2
    assert cpu.loss == pytest.approx((2 + 2) / (80 + 20))
    assert cpu.ratio == pytest.approx((2 + 2) / (8 + 2))


def test_dimensions_show_what_was_served_beside_the_naive(accuracy: Accuracy) -> None:
    groups = {group.dimension: group for group in accuracy.dimensions}
    assert list(groups) == ["metric", "region", "service"]
    assert [part.value for part in groups["service"].slices] == ["a", "b"]
    service_b = groups["service"].slices[1]
    assert service_b.served.ratio == pytest.approx(1.0)
    assert service_b.naive is not None


def test_calibration_counts_what_was_served(accuracy: Accuracy) -> None:
    # quantiles (4, 5, 6), (5, 6, 7), (6, 7, 8) beside 3, 5.5 and 8.5
    expected = ((0.1, 1 / 3), (0.5, 2 / 3), (0.9, 2 / 3))
    assert accuracy.calibration == tuple((q, pytest.approx(share)) for q, share in expected)


def test_a_naive_without_error_has_no_ratio(spark: SparkSession) -> None:
    rows = [
        backtest_row("a/cpu", "seasonal_naive", 0.0, 0.0),
        backtest_row("a/cpu", "lstm", 0.0, 0.0, is_selected=True, mase=float("nan")),
    ]
    frames = {
        "series": frame(spark, s.SERIES, series_row("a/cpu")),
        "backtests": frame(spark, s.BACKTESTS, *rows),
    }
    accuracy = gather_accuracy(frames)
    served = accuracy.score("served") if accuracy else None
    assert served is not None
    assert (served.loss, served.ratio, served.mase) == (None, None, None)


def test_many_values_of_a_dimension_are_cut_to_the_largest(spark: SparkSession) -> None:
    items = [f"s{k:02}/cpu" for k in range(30)]
    rows = [backtest_row(i, "seasonal_naive", 1.0, 2.0, is_selected=True) for i in items]
    frames = {
        "series": frame(spark, s.SERIES, *[series_row(item) for item in items]),
        "backtests": frame(spark, s.BACKTESTS, *rows),
    }
    accuracy = gather_accuracy(frames)
    assert accuracy is not None
    service = next(group for group in accuracy.dimensions if group.dimension == "service")
    assert service.n_values == 30
    assert [part.value for part in service.slices] == [f"s{k:02}" for k in range(8)]


# -- recommendations -------------------------------------------------------------------------------


def test_the_latest_recommendations_by_value(spark: SparkSession) -> None:
    rows = [
        advice_row("low", 10.0, act_by=NOW),
        advice_row("high", 99.0, evidence='{"chart": {}, "x": NaN}'),
        advice_row("none", None, rec_type="data_gap"),
        advice_row("old", 1e9, as_of=NOW - timedelta(days=1)),
        advice_row("left", 5.0, outcome="too_small_change", summary="4 % only"),
    ]
    made = gather_recommendations({"recommendations": frame(spark, s.RECOMMENDATIONS, *rows)}, 2)
    assert made is not None
    assert (made.as_of, made.n) == (NOW, 3)
    assert [(entry.rank, entry.summary) for entry in made.top] == [
        (1, "high runs out"), (2, "low runs out"),
    ]  # fmt: skip
    assert made.top[0].evidence == {"chart": {}, "x": None}
    assert made.top[1].act_by == NOW
    assert [(total.rec_type, total.n, total.value) for total in made.totals] == [
        ("capacity_shortfall", 2, 109.0), ("data_gap", 1, 0.0),
    ]  # fmt: skip
    assert [(tally.label, tally.detail) for tally in made.left] == [
        ("capacity_shortfall: too_small_change", "4 % only")
    ]


def test_evidence_that_is_no_json_object_is_empty() -> None:
    assert read_evidence("[1, 2]") == {}
    assert read_evidence("{half") == {}
    assert read_evidence(None) == {}
    assert read_evidence("[" * 100_000) == {}
    assert read_evidence(json.dumps({"a": 1})) == {"a": 1}


# -- pictures --------------------------------------------------------------------------------------


def test_pictures_start_with_what_recommendations_rest_on(
    spark: SparkSession, settings: Config
) -> None:
    items = [f"s{k}/cpu" for k in range(8)]
    losses = {item: 10.0 - k for k, item in enumerate(items)}
    backtests = [
        backtest_row(item, model, loss, 100.0 + k, is_selected=model == "lstm")
        for k, item in enumerate(items)
        for model, loss in (("seasonal_naive", 10.0), ("lstm", losses[item]))
    ]
    windows = [
        row | {c.WINDOW: w, c.MODEL: "lstm", c.IS_SELECTED: True, c.TARGET: 5.0}
        for w in range(5)
        for row in forecast_rows("s3/cpu", NOW - (20 - 4 * w) * HOUR)
    ]
    frames = {
        "series": frame(spark, s.SERIES, *[series_row(item) for item in items]),
        "backtests": frame(spark, s.BACKTESTS, *backtests),
        "backtest_forecasts": frame(spark, s.BACKTEST_FORECASTS, *windows),
        "forecasts": frame(spark, s.FORECASTS, *[r for i in items for r in forecast_rows(i)]),
    }
    rows = [advice_row("x", 9.0, group_id="s3"), advice_row("y", 8.0, group_id="gone")]
    made = gather_recommendations({"recommendations": frame(spark, s.RECOMMENDATIONS, *rows)}, 9)
    assert made is not None
    pictures = gather_pictures(frames, made.top, settings)
    assert [(picture.item_id, picture.why) for picture in pictures] == [
        ("s3/cpu", "behind recommendation 1"),
        ("s7/cpu", "among the largest by cpu"),
        ("s6/cpu", "among the largest by cpu"),
        ("s0/cpu", "least gain over the seasonal naive"),
    ]
    first = pictures[0]
    assert history_length(settings) == 168
    assert first.history.times[0] == NOW - 60 * HOUR
    assert first.history.times[-1] == NOW - HOUR
    assert first.history.values[-1] == 59.0
    assert first.forecast is not None
    assert first.forecast.times == tuple(NOW + k * HOUR for k in range(4))
    assert first.forecast.values[0] == (4.0, 5.0, 6.0)
    assert [fan.times[0] for fan in first.backtests] == [NOW - k * HOUR for k in (12, 8, 4)]
    assert first.ratio == pytest.approx(0.7)
    assert first.method == "lstm"


def test_a_named_item_goes_before_the_demand_of_its_group(
    spark: SparkSession, settings: Config
) -> None:
    evidence = json.dumps({"faults": [{"item_id": "a/mem"}, "junk", {"item_id": 5}]})
    made = gather_recommendations(
        {
            "recommendations": frame(
                spark, s.RECOMMENDATIONS, advice_row("x", 1.0, evidence=evidence)
            )
        },
        5,
    )
    frames = {"series": frame(spark, s.SERIES, series_row("a/cpu"), series_row("a/mem", "mem"))}
    assert made is not None
    pictures = gather_pictures(frames, made.top, settings)
    assert [picture.item_id for picture in pictures] == ["a/mem", "a/cpu"]
    assert [picture.why for picture in pictures] == ["behind recommendation 1", "in order of name"]
    assert pictures[0].forecast is None


# -- making ----------------------------------------------------------------------------------------


def test_the_champion_and_its_training(spark: SparkSession) -> None:
    models = [
        {c.MODEL_VERSION: "v2", c.STAGE: "candidate"},
        {c.MODEL_VERSION: "v1", c.STAGE: "champion", c.SHA256: "ab", c.METRICS: {"served": 0.1}},
    ]
    log = [
        {
            c.MODEL_VERSION: "v1", "member": member, c.EPOCH: epoch, c.RANK: rank,
            c.LOSS: float(epoch + rank), c.SECONDS: 1.0, c.WINDOWS_PER_SECOND: 50.0,
        }
        for member in range(2) for epoch in range(1, 231) for rank in range(2)
    ]  # fmt: skip
    frames = {
        "models": frame(spark, s.MODELS, *models),
        "training_log": frame(spark, s.TRAINING_LOG, *log),
    }
    model = gather_model(frames)
    assert model is not None
    assert (model.version, model.n_ranks, model.seconds) == ("v1", 2, 460.0)
    assert model.windows_per_second == 100.0
    assert [curve.member for curve in model.curves] == [0, 1]
    assert len(model.curves[0].epochs) == 115 <= EPOCHS
    assert (model.curves[0].epochs[-1], model.curves[0].losses[-1]) == (230, 230.5)


def test_the_latest_run_of_each_job(spark: SparkSession) -> None:
    runs = [
        {
            c.RUN_ID: f"r{k}", c.JOB: job, c.STATUS: "done", c.STARTED_AT: NOW + k * HOUR,
            c.FINISHED_AT: NOW + k * HOUR + timedelta(seconds=2.5), c.COUNTS: {"rows": k},
        }
        for k, job in enumerate(("ingest", "features", "ingest"))
    ]  # fmt: skip
    found = gather_runs({"runs": frame(spark, s.RUNS, *runs)})
    assert [(run.job, run.counts["rows"], run.seconds) for run in found] == [
        ("features", 1, 2.5), ("ingest", 2, 2.5),
    ]  # fmt: skip


# -- together --------------------------------------------------------------------------------------


def test_no_tables_give_a_page_that_says_so(settings: Config) -> None:
    facts = gather_facts({}, settings, "v")
    assert facts == Facts("/nowhere", settings.digest(), "v", None, None, None)
    assert "No backtest has run yet" in render_page(facts)


def test_empty_tables_give_a_page(spark: SparkSession, settings: Config) -> None:
    tables = (
        s.ITEMS, s.SERIES, s.QUALITY, s.REJECTED_ROWS, s.BACKTESTS, s.BACKTEST_FORECASTS,
        s.FORECASTS, s.RECOMMENDATIONS, s.MODELS, s.TRAINING_LOG, s.RUNS,
    )  # fmt: skip
    frames = {table.name: spark.createDataFrame([], table.schema) for table in tables}
    facts = gather_facts(frames, settings, "v")
    assert facts.accuracy is None
    assert facts.recommendations is not None
    assert facts.recommendations.n == 0
    render_page(facts)
