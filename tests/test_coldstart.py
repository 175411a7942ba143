"""Who the siblings of a young series are, and when there are too few."""

from datetime import datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headroom import coldstart
from headroom.coldstart import build_cold_starts, siblings
from headroom.schemas import FORECASTS, SERIES

T0, T1 = datetime(2024, 1, 1), datetime(2024, 1, 1, 3)


def series_row(item: str, metric: str, status: str = "ok", **dimensions: str) -> dict[str, Any]:
    row = dict.fromkeys(SERIES.schema.names)
    target = [1.0, 2.0, 3.0] if status == "ok" else [20.0]
    return row | {
        "item_id": item, "metric": metric, "dimensions": dimensions, "freq": "h", "status": status,
        "start": T0, "length": len(target), "target": target,
        "reason": None if status == "ok" else "1 step",
    }  # fmt: skip


def empty_row(item: str, metric: str) -> dict[str, Any]:
    return series_row(item, metric, "no_observations") | {"start": None, "length": 0, "target": []}


def forecast_row(item: str, step: int) -> dict[str, Any]:
    return dict.fromkeys(FORECASTS.schema.names) | {
        "item_id": item, "forecast_start": T1, "timestamp": datetime(2024, 1, 1, 2 + step),
        "step": step, "mean": 2.0, "quantile_levels": [0.1, 0.5, 0.9], "quantiles": [1.0, 2.0, 3.0],
        "model_version": "v", "method": "lstm", "status": "ok",
    }  # fmt: skip


def frames(spark: SparkSession, *rows: dict[str, Any]) -> tuple[DataFrame, DataFrame]:
    old = [row["item_id"] for row in rows if row["status"] == "ok"]
    forecasts = [forecast_row(item, step) for item in old for step in (1, 2)]
    return (
        spark.createDataFrame(list(rows), SERIES.schema),
        spark.createDataFrame(forecasts, FORECASTS.schema),
    )


def test_those_that_share_most_dimensions_come_first(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coldstart, "MOST", 2)
    series, _ = frames(
        spark,
        series_row("young", "cost", "short_history", service="a", region="eu"),
        series_row("far", "cost", service="b", region="us"),
        series_row("near", "cost", service="a", region="us"),
        series_row("same place, other metric", "latency", service="a", region="eu"),
        series_row("other service", "cost", service="b", region="eu"),
    )
    found = {row["sibling"] for row in siblings(series).collect()}
    assert found == {"near", "other service"}


def test_a_young_series_is_forecast_at_its_own_level(spark: SparkSession) -> None:
    others = [series_row(name, "cost") for name in "abc"]
    others.append(empty_row("none", "other metric"))
    young = series_row("young", "cost", "short_history")
    made = build_cold_starts(*frames(spark, *others, young)).orderBy("step").collect()
    assert [row["step"] for row in made] == [1, 2]
    assert {row["item_id"] for row in made} == {"young"}
    assert made[0]["forecast_start"] == T1
    assert made[1]["timestamp"] == datetime(2024, 1, 1, 4)
    assert 2.0 < made[0]["quantiles"][1] < 40.0  # between theirs and twenty times theirs
    assert made[0]["reason"] == "1 step; forecast from 3 series of the same metric"


def test_a_series_without_a_step_is_forecast_as_its_siblings_are(spark: SparkSession) -> None:
    others = [series_row(name, "cost") for name in "abc"]
    made = build_cold_starts(*frames(spark, *others, empty_row("none", "cost"))).collect()
    assert {(row["item_id"], row["step"]) for row in made} == {("none", 1), ("none", 2)}
    assert all(row["quantiles"] == [1.0, 2.0, 3.0] for row in made)


def test_two_siblings_are_too_few(spark: SparkSession) -> None:
    others = [series_row(name, "cost") for name in "ab"]
    young = series_row("young", "cost", "no_observations")
    assert build_cold_starts(*frames(spark, *others, young)).count() == 0


@pytest.mark.parametrize(("kind", "high"), [("ratio", 100.0), ("gauge", 80 * 95**0.25)])
def test_a_share_is_not_forecast_above_all_of_it(
    spark: SparkSession, kind: str, high: float
) -> None:
    others = [series_row(name, "cpu") for name in "abc"]
    young = series_row("young", "cpu", "short_history") | {"target": [95.0]}
    rows = [row | {"metric_kind": kind, "unit": "%"} for row in (*others, young)]
    series, forecasts = frames(spark, *rows)
    busy = forecasts.withColumn("quantiles", F.expr("array(60D, 70D, 80D)"))
    made = build_cold_starts(series, busy).collect()
    # One step at 95 times theirs counts a quarter, as three would count half.
    assert made[0]["quantiles"][2] == pytest.approx(high, rel=0.05)
