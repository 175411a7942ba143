"""A digest changes with everything that a series is made from, and with nothing else."""

from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.features.digests import CONTENT, content_of_row, digest_item, digest_series
from headroom.features.events import CALENDAR
from headroom.features.status import RETIREMENT
from headroom.schemas import OBSERVATIONS

T0, T1 = datetime(2025, 1, 6), datetime(2025, 1, 6, 1)
ITEM = {
    c.GROUP_ID: "g",
    c.METRIC: "cpu",
    c.METRIC_KIND: "gauge",
    c.UNIT: "",
    c.TIME_ZONE: "UTC",
    c.DIMENSIONS: {"region": "eu", "tier": "T1"},
    c.STATIC_CODES: [1, 2],
    CALENDAR: [("incident", T0, T1, T1, None)],
    CONTENT: 17,
    RETIREMENT: None,
}
SCHEMA = (
    "group_id string, metric string, metric_kind string, unit string, time_zone string, "
    "dimensions map<string,string>, static_codes array<int>, "
    "calendar array<struct<kind:string,starts_at:timestamp,ends_at:timestamp,"
    "known_at:timestamp,expected_lift:double>>, content bigint, retirement string"
)


def digests(frame: DataFrame, made_by: str = "code") -> list[int]:
    with_item = frame.withColumn(c.INPUT_DIGEST, digest_item(made_by))
    return [row[0] for row in with_item.select(digest_series()).collect()]


def test_every_part_of_an_item_counts(spark: SparkSession) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {c.GROUP_ID: "h"},
        {c.METRIC: "memory"},
        {c.METRIC_KIND: "counter"},
        {c.UNIT: None},
        {c.UNIT: "percent"},
        {c.TIME_ZONE: "Europe/Paris"},
        {c.DIMENSIONS: {"region": "eu"}},
        {c.STATIC_CODES: [1, 3]},
        {CALENDAR: []},
        {CALENDAR: [("incident", T0, T1, T1, 0.5)]},
        {CONTENT: None},
        {RETIREMENT: "it is in series.retired"},
        {CONTENT: 18},
    ]
    rows = [tuple((ITEM | change).values()) for change in changes]
    frame = spark.createDataFrame(rows, SCHEMA).coalesce(1)
    found = [*digests(frame), *digests(frame.limit(1), "other code")]
    assert len(set(found)) == len(changes) + 1
    assert digests(frame.limit(1)) == found[:1]


def test_content_is_that_of_the_rows_in_any_order(spark: SparkSession) -> None:
    rows = [
        ("a", T0, 1.0, 1, "i", None),
        ("a", T1, None, 1, "i", None),
        ("b", T0, 1.0, 1, "other", None),
    ]

    def contents(*rows: Any) -> dict[str, int]:
        frame = spark.createDataFrame(rows, OBSERVATIONS.schema)
        row = content_of_row(frame.columns)
        found = frame.groupBy(c.ITEM_ID).agg(F.bit_xor(row).alias(CONTENT))
        return {row[0]: row[1] for row in found.collect()}

    first = contents(*rows)
    assert contents(*rows[::-1]) == first
    assert contents(rows[0])["a"] == first["b"]  # who ingested a row is not in it
    changed = [
        ("a", T0, 2.0, 1, "i", None),
        ("a", T0, 1.0, 2, "i", None),
        ("a", T1, 1.0, 1, "i", None),
    ]
    assert len({contents(row)["a"] for row in [*rows[:2], *changed]}) == 5
