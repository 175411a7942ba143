"""Ratios are their parts where the group has both."""

from datetime import datetime
from typing import Any

from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from headroom.config import Ratio
from headroom.features.ratios import rebuild_ratios
from headroom.schemas import OBSERVATIONS

T0, T1, T2 = (datetime(2025, 1, 6, hour) for hour in range(3))
RATIOS = {"error_rate": Ratio(numerator="errors", denominator="requests")}


def items(spark: SparkSession, *rows: tuple[str, str, str, str]) -> DataFrame:
    return spark.createDataFrame(
        [(name, group, {"region": "eu"}, metric, kind) for name, group, metric, kind in rows],
        "item_id string, group_id string, dimensions map<string,string>, metric string, "
        "metric_kind string",
    )


def observations(spark: SparkSession, *rows: tuple[str, datetime, float | None]) -> DataFrame:
    return spark.createDataFrame([(*row, 1, "i", None) for row in rows], OBSERVATIONS.schema)


WHOLE = (
    ("rate", "g", "error_rate", "ratio"),
    ("errors", "g", "errors", "count"),
    ("requests", "g", "requests", "count"),
)


def test_a_ratio_is_its_parts_where_both_exist(spark: SparkSession) -> None:
    rows = (
        ("errors", T0, 5.0),
        ("requests", T0, 100.0),
        ("rate", T0, 0.9),
        ("errors", T1, 0.0),
        ("requests", T1, 0.0),
        ("rate", T1, 0.0),
        ("other", T0, 7.0),
    )
    frame = items(spark, *WHOLE, ("other", "h", "error_rate", "ratio"))
    found = rebuild_ratios(observations(spark, *rows), frame, RATIOS)
    expected = {
        ("errors", T0): (5.0, None),
        ("requests", T0): (100.0, None),
        ("rate", T0): (0.05, 100.0),
        ("errors", T1): (0.0, None),
        ("requests", T1): (0.0, None),
        ("rate", T1): (0.0, None),  # nothing happened: what the source says
        ("other", T0): (7.0, None),  # its group has no parts
    }
    assert by_row(found) == expected


def test_where_the_source_tells_per_cent_quotients_are_per_cent_too(spark: SparkSession) -> None:
    parts = [("errors", T0, 5.0), ("requests", T0, 100.0), ("errors", T1, 1.0),
             ("requests", T1, 100.0)]  # fmt: skip
    rows = observations(spark, *parts, ("rate", T0, 4.8), ("rate", T2, 7.0))
    found = by_row(rebuild_ratios(rows, items(spark, *WHOLE), RATIOS))
    assert [found["rate", at] for at in (T0, T1, T2)] == [(5.0, 100.0), (1.0, 100.0), (7.0, None)]


def test_counters_and_groups_with_two_of_one_part_are_left_alone(spark: SparkSession) -> None:
    rows = observations(spark, ("errors", T0, 5.0), ("requests", T0, 10.0), ("rate", T0, 0.9))
    two = items(spark, *WHOLE, ("more", "g", "requests", "count"))
    counter = items(spark, *WHOLE[:2], ("requests", "g", "requests", "counter"))
    for frame in (two, counter):
        assert by_row(rebuild_ratios(rows, frame, RATIOS))["rate", T0] == (0.9, None)


def test_without_ratios_nothing_changes(spark: SparkSession) -> None:
    rows = observations(spark, ("rate", T0, 0.9))
    assert_df_equality(rebuild_ratios(rows, items(spark, *WHOLE), {}), rows)


def by_row(frame: DataFrame) -> dict[Any, Any]:
    return {(r.item_id, r.timestamp): (r.target, r.weight) for r in frame.collect()}
