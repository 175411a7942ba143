"""Which of two models serves."""

from typing import Any

import pytest
from pyspark.sql import SparkSession

from headroom.evaluation.gate import decide
from headroom.evaluation.measures import loss_ratio, of_method, of_served
from headroom.schemas import BACKTESTS


@pytest.mark.parametrize(
    ("champion", "naive", "other", "serves", "said"),
    [
        (None, 1.3, None, "new", "model new serves"),
        ("old", 0.8, None, "new", "model new serves in place of old"),
        (
            "old",
            0.8,
            0.95,
            "new",
            "model new serves in place of old: its loss is 0.950 times the other's on the same "
            "windows",
        ),
        (
            "old",
            0.8,
            1.02,
            "new",
            "model new serves in place of old: its loss is 1.020 times the other's on the same "
            "windows",
        ),
        (
            "old",
            0.8,
            1.03,
            "old",
            "model old goes on serving: the loss of new is 1.030 times its own on the same windows "
            "(limits.max_loss_of_new_model=0.02)",
        ),
        (
            "old",
            1.1,
            0.5,
            "old",
            "model old goes on serving: the loss of new is 1.100 times that of the seasonal naive",
        ),
    ],
)
def test_who_serves_and_why(
    champion: str | None, naive: float, other: float | None, serves: str, said: str
) -> None:
    measures = {"vs_seasonal_naive": naive} | ({} if other is None else {"vs_champion": other})
    verdict = decide("new", champion, measures, 0.02)
    assert (verdict.serves, verdict.sentence) == (serves, said)


def row(item: str, window: int, loss: float | None, volume: float = 1.0) -> dict[str, Any]:
    empty = dict.fromkeys(BACKTESTS.schema.names)
    return empty | {"item_id": item, "window": window, "model": "lstm", "is_selected": True,
                    "quantile_loss": loss, "abs_target": volume}  # fmt: skip


def ratio(spark: SparkSession, ours: list[Any], theirs: list[Any]) -> float | None:
    metric_of = spark.createDataFrame(
        [("a", "requests"), ("b", "requests"), ("c", "cost")], "item_id string, metric string"
    )
    frames = [spark.createDataFrame(rows, BACKTESTS.schema) for rows in (ours, theirs)]
    return loss_ratio(frames[0], frames[1], metric_of)


def test_losses_of_different_units_are_not_added(spark: SparkSession) -> None:
    ours = [row("a", 0, 2e6), row("b", 0, 2e6), row("c", 0, 0.1)]
    theirs = [row("a", 0, 1e6), row("b", 0, 1e6), row("c", 0, 0.8)]
    # Twice the loss in two series, an eighth in one: 2^(2/3) * (1/8)^(1/3).
    expected = 2 ** (2 / 3) * ((0.1 + 1e-4) / (0.8 + 1e-4)) ** (1 / 3)
    assert ratio(spark, ours, theirs) == pytest.approx(expected, rel=1e-6)


def test_only_windows_that_both_have_count(spark: SparkSession) -> None:
    ours = [row("c", 0, 1.0), row("c", 1, 9.0), row("c", 2, None)]
    theirs = [row("c", 0, 1.0), row("c", 2, 5.0), row("c", 3, 5.0)]
    assert ratio(spark, ours, theirs) == 1.0
    assert ratio(spark, ours[1:2], theirs) is None


def test_what_is_next_to_nothing_does_not_decide(spark: SparkSession) -> None:
    assert ratio(spark, [row("c", 0, 1e-7)], [row("c", 0, 0.0)]) == pytest.approx(1.0, abs=2e-3)


def test_served_and_methods_are_told_apart(spark: SparkSession) -> None:
    rows = [row("a", 0, 1.0), row("a", 0, 2.0) | {"model": "seasonal_naive", "is_selected": False}]
    frame = spark.createDataFrame(rows, BACKTESTS.schema)
    assert [r.quantile_loss for r in of_served(frame).collect()] == [1.0]
    assert [r.quantile_loss for r in of_method(frame, "seasonal_naive").collect()] == [2.0]
