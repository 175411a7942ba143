"""Forecasts are held to what their own model promised."""

from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from headroom.monitor import build_monitoring
from headroom.schemas import BACKTESTS, FORECASTS, MONITORING, SERIES, Table

T0 = datetime(2025, 1, 6)


def frame(spark: SparkSession, table: Table, *rows: dict[str, Any]) -> DataFrame:
    empty = dict.fromkeys(table.schema.names)
    return spark.createDataFrame([empty | row for row in rows], table.schema)


def monitored(spark: SparkSession, judged: str, loss: float, known: DataFrame) -> DataFrame:
    """Ten forecasts of 9 to 11 where 10 came, made by model `a`; the backtest is of `judged`."""
    forecasts = [
        {"item_id": "i", "forecast_start": T0, "timestamp": T0 + timedelta(hours=k), "step": k + 1,
         "mean": 10.0, "quantile_levels": [0.1, 0.5, 0.9], "quantiles": [9.0, 10.0, 11.0],
         "model_version": "a", "method": "lstm", "status": "ok"}
        for k in range(10)
    ]  # fmt: skip
    series = {"item_id": "i", "group_id": "g", "freq": "h", "start": T0, "length": 10,
              "target": [10.0] * 10, "status": "ok"}  # fmt: skip
    backtest = {"item_id": "i", "window": 0, "model": "lstm", "model_version": judged,
                "is_selected": True, "quantile_loss": loss, "abs_target": 1.0,
                "coverage_80": 0.8}  # fmt: skip
    return build_monitoring(
        frame(spark, FORECASTS, *forecasts),
        frame(spark, SERIES, series),
        frame(spark, BACKTESTS, backtest),
        known,
    )


def losses(found: DataFrame) -> list[Any]:
    rows = found.where("measure = 'weighted_quantile_loss'").collect()
    return [(round(row.value, 9), row.expected, row.status) for row in rows]


def test_a_promise_stays_when_another_model_is_judged(spark: SparkSession) -> None:
    nothing = spark.createDataFrame([], MONITORING.schema)
    # Twice the pinball loss, 0.1 at two of three levels, over 10.
    value = round(2 * (0.1 + 0.0 + 0.1) / 3 / 10, 9)
    own = monitored(spark, "a", 0.5, nothing)
    assert losses(own) == [(value, 0.5, "ok")]
    assert losses(monitored(spark, "b", 0.001, own)) == [(value, 0.5, "ok")]
    assert losses(monitored(spark, "a", 0.001, own)) == [(value, 0.001, "drift")]
    assert losses(monitored(spark, "b", 0.001, nothing)) == [(value, 0.001, "drift")]
