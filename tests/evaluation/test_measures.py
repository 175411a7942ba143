"""What a backtest comes to, in numbers and in one line."""

from typing import Any

import pytest
from pyspark.sql import SparkSession

from headroom.evaluation.measures import fleet_measures, sentence
from headroom.schemas import BACKTESTS


def row(item: str, model: str, loss: float, volume: float, is_selected: bool) -> dict[str, Any]:
    empty = dict.fromkeys(BACKTESTS.schema.names)
    return empty | {"item_id": item, "window": 0, "model": model, "is_selected": is_selected,
                    "quantile_loss": loss, "abs_target": volume, "coverage_80": 0.8}  # fmt: skip


def measures(spark: SparkSession, *rows: dict[str, Any]) -> dict[str, float]:
    metric_of = [("a", "requests"), ("b", "cost"), ("c", "capacity")]
    return fleet_measures(
        spark.createDataFrame(list(rows), BACKTESTS.schema),
        spark.createDataFrame(metric_of, "item_id string, metric string"),
    )


def test_losses_are_averaged_over_metrics_as_the_report_does(spark: SparkSession) -> None:
    found = measures(
        spark,
        row("a", "lstm", 2e5, 1e6, True),
        row("a", "seasonal_naive", 4e5, 1e6, False),
        row("b", "lstm", 0.2, 4.0, False),
        row("b", "seasonal_naive", 0.4, 8.0, True),
        row("c", "lstm", 0.1, 1.0, True),  # the naive forecasts it exactly
        row("c", "seasonal_naive", 0.0, 1.0, False),
    )
    assert found == pytest.approx(
        {
            "lstm": (0.2 * 0.05) ** 0.5,
            "seasonal_naive": (0.4 * 0.05) ** 0.5,
            "served": (0.2 * 0.05) ** 0.5,
            "coverage_80": 0.8,
        }
    )


def test_a_fleet_that_stands_still_has_no_loss(spark: SparkSession) -> None:
    found = measures(spark, row("a", "seasonal_naive", 0.0, 5.0, True))
    assert found["served"] == 0.0


def test_a_backtest_without_windows_says_so() -> None:
    assert sentence({}).startswith("no window could be judged, for none has a past: lower")


def test_the_line_names_what_was_served_and_every_method() -> None:
    line = sentence({"served": 0.05, "log_ar": 0.06, "coverage_80": 0.8})
    assert line == (
        "weighted quantile loss: served 0.0500 (log_ar 0.0600); "
        "80% of actuals inside the 80 % interval"
    )
