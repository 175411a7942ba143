"""Local times when clocks change, and columns whose times are written in several forms."""

from datetime import datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from headroom import columns as c
from headroom.config import Source, build_config
from headroom.errors import ConfigError
from headroom.features.findings import to_quality
from headroom.ingest.findings import build_findings
from headroom.ingest.mapping import to_mapped
from headroom.ingest.reading import Reading, read_rows
from headroom.ingest.rows import DOUBT, to_rows

HOUR = 3_600
SCHEMA = "item_id string, timestamp string, target string, tz string"


def source(**settings: Any) -> Source:
    values = {"format": "csv", "path": "x", **settings}
    return build_config({"warehouse": "x", "source": values}).source


def frame(spark: SparkSession, *times: str | None, zone: str | None = None) -> DataFrame:
    return spark.createDataFrame([("a", time, "1", zone) for time in times], SCHEMA)


def read(rows: DataFrame, **local_time: Any) -> list[tuple[Any, ...]]:
    chosen = source(local_time=local_time or None)
    found = to_rows(to_mapped(rows, chosen), chosen)
    return [tuple(r) for r in found.select(c.TIMESTAMP, DOUBT, c.REASON).collect()]


BERLIN = {
    "2025-01-06T05:00:00": ("2025-01-06 04:00:00", None),
    "2025-01-06 05:00:00,250": ("2025-01-06 04:00:00.250", None),
    "2025-01-06T05:00:00,5Z": ("2025-01-06 05:00:00.5", None),
    "2025-07-06 05:00": ("2025-07-06 03:00:00", None),
    "2025-07-06": ("2025-07-05 22:00:00", None),
    "2025-07-06T05:00:00Z": ("2025-07-06 05:00:00", None),  # says for itself
    "1751781600": ("2025-07-06 06:00:00", None),
    "2025-03-30T01:59:59": ("2025-03-30 00:59:59", None),
    "2025-03-30T02:30:00": ("2025-03-30 01:30:00", "missing_hour"),
    "2025-03-30T03:00:00": ("2025-03-30 01:00:00", None),
    "2025-10-26T01:59:59": ("2025-10-25 23:59:59", None),
    "2025-10-26T02:00:00": ("2025-10-26 00:00:00", "repeated_hour"),
    "2025-10-26T02:59:59": ("2025-10-26 00:59:59", "repeated_hour"),
    "2025-10-26T03:00:00": ("2025-10-26 02:00:00", None),
}


def test_local_times_of_one_zone(spark: SparkSession) -> None:
    found = read(frame(spark, *BERLIN), zone="Europe/Berlin")
    assert found == [(datetime.fromisoformat(time), clock, None) for time, clock in BERLIN.values()]


def test_the_other_policies(spark: SparkSession) -> None:
    rows = frame(spark, "2025-10-26T02:30:00", "2025-03-30T02:30:00", "2025-10-26T03:00:00")
    second = read(rows, zone="Europe/Berlin", repeated_hour="second")
    assert second[0] == (datetime(2025, 10, 26, 1, 30), "repeated_hour", None)
    assert second[2] == (datetime(2025, 10, 26, 2), None, None)
    refused = read(rows, zone="Europe/Berlin", repeated_hour="refuse", missing_hour="refuse")
    assert [reason for _, _, reason in refused] == ["repeated_hour", "missing_hour", None]


def test_a_clock_that_moves_by_half_an_hour(spark: SparkSession) -> None:
    rows = frame(spark, "2025-04-06T01:45:00", "2025-04-06T01:15:00", "2025-10-05T02:15:00")
    found = read(rows, zone="Australia/Lord_Howe", repeated_hour="second")
    assert found == [
        (datetime(2025, 4, 5, 15, 15), "repeated_hour", None),
        (datetime(2025, 4, 5, 14, 15), None, None),
        (datetime(2025, 10, 4, 15, 45), "missing_hour", None),
    ]


def test_each_row_has_its_zone(spark: SparkSession) -> None:
    noon = "2025-01-06T12:00:00"
    rows = frame(spark, noon, zone="America/New_York")
    for zone in ("Asia/Kolkata", None, " ", "Mars/Olympus"):
        rows = rows.unionByName(frame(spark, noon, zone=zone))
    assert read(rows, zone="Europe/Berlin", column="tz") == [
        (datetime(2025, 1, 6, 17), None, None),
        (datetime(2025, 1, 6, 6, 30), None, None),
        (datetime(2025, 1, 6, 11), None, None),
        (datetime(2025, 1, 6, 11), None, None),
        (None, None, "bad_local_zone"),
    ]
    assert [reason for _, _, reason in read(rows, column="tz")][2:] == ["bad_local_zone"] * 3


def test_typed_local_times(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [("a", datetime(2025, 7, 6, 5), "1")],
        "item_id string, timestamp timestamp_ntz, target string",
    )
    assert read(rows, zone="Europe/Berlin")[0][0] == datetime(2025, 7, 6, 3)
    assert read(rows)[0][0] == datetime(2025, 7, 6, 5)


@pytest.mark.parametrize(
    ("local_time", "message"),
    [
        ({"zone": "Berlin"}, "'Berlin' is no IANA time zone"),
        ({}, "name the zone, or the column that holds the zone of each row"),
        ({"zone": "UTC", "repeated_hour": "both"}, "source.local_time.repeated_hour"),
    ],
)
def test_local_time_is_checked(local_time: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        source(local_time=local_time)


def reading(rows: DataFrame, **settings: Any) -> Reading:
    return read_rows(rows, source(**settings), HOUR)


def test_doubtful_times_are_told_in_quality(spark: SparkSession) -> None:
    times = [f"2025-10-26T0{hour}:00:00" for hour in (0, 1, 2, 2, 3)] + ["2025-03-30T02:00:00"]
    chosen = source(local_time={"zone": "Europe/Berlin"})
    survey = read_rows(frame(spark, *times), chosen, HOUR).survey
    once = build_findings(survey, chosen, "i1")
    twice = once.unionByName(build_findings(survey, chosen, "i2"))
    found = {row[c.ISSUE]: row.asDict() for row in to_quality(twice).collect()}
    assert found == {
        "repeated_hour": {
            c.ITEM_ID: "a",
            c.ISSUE: "repeated_hour",
            c.N_AFFECTED: 4,
            c.SHARE: 4 / 12,
            c.FIRST_AT: datetime(2025, 10, 26),
            c.LAST_AT: datetime(2025, 10, 26),
            c.ACTION: "read as the first of the two instants",
        },
        "missing_hour": {
            c.ITEM_ID: "a",
            c.ISSUE: "missing_hour",
            c.N_AFFECTED: 2,
            c.SHARE: 2 / 12,
            c.FIRST_AT: datetime(2025, 3, 30, 1),
            c.LAST_AT: datetime(2025, 3, 30, 1),
            c.ACTION: "moved on by what the clocks skipped",
        },
    }


ISO = [f"2025-01-06T{hour:02d}:00:00Z" for hour in range(12)]


@pytest.mark.parametrize(
    ("other", "form"),
    [
        ("2025-01-07T00:00:00", "ISO 8601 without a zone"),
        ("1736208000", "seconds since 1970"),
        ("1736208000000", "milliseconds since 1970"),
        ("1736208000000000", "microseconds since 1970"),
        ("1736208000000000000", "nanoseconds since 1970"),
    ],
)
def test_times_in_another_form_than_most_are_refused(
    spark: SparkSession, other: str, form: str
) -> None:
    found = reading(frame(spark, *ISO, other, "soon"))
    assert (found.totals.rows_in, found.totals.refused) == (14, 2)
    refused = found.refused.where("reason is not null").select(c.REASON, c.DETAIL).collect()
    assert {tuple(row) for row in refused} == {
        ("bad_timestamp", "timestamp 'soon' is no time"),
        (
            "mixed_timestamps",
            f"timestamp '{other}' is {form}, but most of the column is ISO 8601 with a zone, "
            "such as '2025-01-06T00:00:00Z'",
        ),
    }


def test_one_form_may_vary(spark: SparkSession) -> None:
    zoned = ["2025-01-06T01:00+01:00", "2025-01-06 05:00:00 UTC", "2025-01-06T05:00:00.250-0330"]
    assert reading(frame(spark, *ISO, *zoned)).totals.refused == 0
    local = ["2025-01-06", "2025-01-06 05:00", "2025-01-06T05:00:00.5"]
    assert reading(frame(spark, *local)).totals.refused == 0
    assert reading(frame(spark, "1736208000", "1736208000.5")).totals.refused == 0


def test_numbers_in_two_units_are_refused(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [("a", 1_736_208_000_000 + i, 1.0) for i in range(3)] + [("a", 1_736_208_000, 1.0)],
        "item_id string, timestamp long, target double",
    )
    found = reading(rows).refused.where("reason is not null").select(c.DETAIL).collect()
    assert [row[0] for row in found] == [
        "timestamp '1736208000' is seconds since 1970, but most of the column is milliseconds "
        "since 1970, such as '1736208000000'"
    ]
