"""Aggregates are sums and means of what there is, with their members on record."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from headroom.errors import DataError
from headroom.features.aggregates import (
    aggregate,
    build_aggregate_items,
    build_memberships,
    check_levels,
)
from headroom.freq import parse_freq

T0 = datetime(2025, 1, 6)
SERIES = (
    "item_id string, dimensions map<string,string>, metric string, metric_kind string, "
    "unit string, start timestamp, length int, target array<double>"
)


def series(spark: SparkSession, *rows: tuple[Any, ...]) -> DataFrame:
    """Rows (item, team, metric, kind, target), hourly from T0 or from an hour beside it."""
    return spark.createDataFrame(
        [
            (item, {"team": team, "region": "eu"} if team else {}, metric, kind, "", start,
             len(target), target)
            for item, team, metric, kind, target, start in rows
        ],
        SERIES,
    )  # fmt: skip


def aggregates(frame: DataFrame, *levels: list[str]) -> dict[Any, Any]:
    memberships = build_memberships(frame, levels)
    rows = aggregate(frame, memberships, parse_freq("h")).collect()
    found: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: row.timestamp):
        found.setdefault(row.item_id, []).append(row.target)
    return found


def test_a_level_of_a_dimension_that_no_item_has_is_named() -> None:
    check_levels([["team"], []], ["region", "team"])
    with pytest.raises(DataError, match=r"names the dimension 'teem', .* they have: region, team"):
        check_levels([["region", "teem"]], ["region", "team"])


def test_sums_along_dimensions(spark: SparkSession) -> None:
    frame = series(
        spark,
        ("a", "x", "requests", "count", [1.0, 2.0], T0),
        ("b", "x", "requests", "count", [10.0, 20.0], T0),
        ("c", "y", "requests", "count", [100.0, 200.0], T0),
        ("d", None, "requests", "count", [1000.0, 2000.0], T0),
        ("empty", "x", "requests", "count", [], None),
    )
    assert aggregates(frame, ["team"], []) == {
        "aggregate:requests{team=x} count": [11.0, 22.0],
        "aggregate:requests{team=y} count": [100.0, 200.0],
        "aggregate:requests{} count": [1111.0, 2222.0],
    }
    members = build_memberships(frame, [["team"]]).collect()
    assert sorted((r.aggregate_id, r.item_id, r.how) for r in members) == [
        ("aggregate:requests{team=x} count", "a", "sum"),
        ("aggregate:requests{team=x} count", "b", "sum"),
        ("aggregate:requests{team=y} count", "c", "sum"),
    ]


@pytest.mark.parametrize(
    ("kind", "expected"), [("gauge", 2.0), ("ratio", 2.0), ("latency", 3.0), ("capacity", 4.0)]
)
def test_every_kind_has_its_way(spark: SparkSession, kind: str, expected: float) -> None:
    frame = series(spark, ("a", "x", "m", kind, [1.0], T0), ("b", "x", "m", kind, [3.0], T0))
    assert list(aggregates(frame, ["team"]).values()) == [[expected]]


def test_a_missing_member_is_stood_for_by_the_others_and_a_large_one_is_not(
    spark: SparkSession,
) -> None:
    frame = series(
        spark,
        ("large", "x", "m", "count", [90.0, 90.0, None], T0),
        ("small", "x", "m", "count", [10.0, None, 10.0], T0),
    )
    assert aggregates(frame, []) == {"aggregate:m{} count": [100.0, pytest.approx(100.0), None]}


def test_a_mean_is_not_moved_by_a_member_that_is_missing(spark: SparkSession) -> None:
    large = [(name, "x", "m", "gauge", [100.0, 100.0], T0) for name in "abcd"]
    frame = series(spark, *large, ("small", "x", "m", "gauge", [1.0, None], T0))
    usual = (4 * 100 + 1) / 5
    found = aggregates(frame, [])["aggregate:m{}"]
    assert found == [pytest.approx(usual), pytest.approx(usual, rel=2e-3)]


def test_sums_do_not_depend_on_the_order_of_the_rows(spark: SparkSession) -> None:
    values = np.random.default_rng(1).lognormal(0, 3, (9, 40))
    rows = [(f"i{k}", "x", "m", "gauge", row.tolist(), T0) for k, row in enumerate(values)]
    found = aggregates(series(spark, *rows), [])
    turned = series(spark, *rows[::-1]).repartition(5)
    assert aggregates(turned, []) == found  # to the last digit


def test_no_levels_are_no_aggregates(spark: SparkSession) -> None:
    frame = series(spark, ("a", "x", "m", "count", [1.0], T0))
    assert build_memberships(frame, []).isEmpty()


def test_a_member_counts_from_its_first_step_and_on_the_natural_grid(spark: SparkSession) -> None:
    late = T0 + timedelta(hours=1, minutes=20)
    frame = series(
        spark, ("a", "x", "m", "count", [1.0, 2.0], T0), ("b", "x", "m", "count", [5.0], late)
    )
    assert aggregates(frame, []) == {"aggregate:m{} count": [1.0, 7.0]}


def test_aggregates_are_items(spark: SparkSession) -> None:
    frame = series(spark, ("a", "x", "m", "gauge", [1.0], T0), ("b", "x", "m", "gauge", [1.0], T0))
    later = T0 + timedelta(days=1)
    items = spark.createDataFrame(
        [("a", "Europe/Paris", "FR", T0, later), ("b", "Europe/Paris", None, later, later)],
        "item_id string, time_zone string, country string, first_seen timestamp, "
        "last_seen timestamp",
    )
    found = build_aggregate_items(build_memberships(frame, [["team", "region"]]), items).collect()
    assert [row.asDict() for row in found] == [
        {
            "item_id": "aggregate:m{team=x,region=eu}",
            "group_id": "aggregate:team=x,region=eu",
            "dimensions": {"team": "x", "region": "eu"},
            "metric": "m",
            "metric_kind": "gauge",
            "unit": "",
            "time_zone": "Europe/Paris",
            "country": None,
            "first_seen": T0,
            "last_seen": later,
        }
    ]
