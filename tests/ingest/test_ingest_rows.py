"""Every way to write a time or a number, and every reason to refuse a row."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from headroom import columns as c
from headroom.config import Source, build_config
from headroom.ingest.mapping import to_mapped
from headroom.ingest.rows import DOUBT, build_observations, build_rejected_rows, tell, to_rows
from headroom.ingest.survey import build_survey
from headroom.schemas import OBSERVATIONS, conform

GOOD = "2025-01-06T00:00:00Z"


def source(**settings: Any) -> Source:
    values = {"format": "csv", "path": "x", **settings}
    return build_config({"warehouse": "x", "source": values}).source


def read(frame: DataFrame, **settings: Any) -> DataFrame:
    return to_rows(to_mapped(frame, source(**settings)), source(**settings))


TIMES = {
    "2025-01-06T05:00:00Z": "2025-01-06 05:00:00",
    "2025-01-06 05:00:00": "2025-01-06 05:00:00",
    " 2025-01-06T05:00 ": "2025-01-06 05:00:00",
    "2025-01-06T05:00Z": "2025-01-06 05:00:00",
    "2025-01-06T05:00:00.250Z": "2025-01-06 05:00:00.25",
    "2025-01-06T05:00:00+02:00": "2025-01-06 03:00:00",
    "2025-01-06T05:00-0330": "2025-01-06 08:30:00",
    "2025-01-06T05:00:00+02": "2025-01-06 03:00:00",
    "2025-01-06 05:00:00 UTC": "2025-01-06 05:00:00",
    "2025-01-06": "2025-01-06 00:00:00",
    "1736139600": "2025-01-06 05:00:00",
    "1736139600.0": "2025-01-06 05:00:00",
    "1736139600000": "2025-01-06 05:00:00",
    "1736139600000000": "2025-01-06 05:00:00",
    "1736139600000000000": "2025-01-06 05:00:00",
    "1901-01-01T00:00:00Z": "1901-01-01 00:00:00",
    "2261-12-31T23:00:00Z": "2261-12-31 23:00:00",
}
NO_TIMES = {
    None: "bad_timestamp",
    "": "bad_timestamp",
    "yesterday": "bad_timestamp",
    "12:30": "bad_timestamp",  # Spark would read today
    "2025": "bad_timestamp",
    "20250106": "bad_timestamp",
    "0": "bad_timestamp",
    "2025-02-30": "bad_timestamp",
    "2025-01-06T25:00:00Z": "bad_timestamp",
    "2025-01-06T05:0:0.0": "bad_timestamp",  # as long as the usual form
    "2025-1-06T005:00:0Z": "bad_timestamp",
    "06/01/2025 05:00": "bad_timestamp",
    "2025-01-06T05:00:00 Mars/Olympus": "bad_timestamp",
    "99999999999999999999": "bad_timestamp",
    "1899-12-31T23:59:59Z": "out_of_range",
    "2262-01-01T00:00:00Z": "out_of_range",
    "9999-12-31": "out_of_range",
}
NUMBERS = {
    "1": 1.0,
    " -2.5 ": -2.5,
    "+.5": 0.5,
    "1e3": 1000.0,
    "1E-40": 1e-40,
    "5\r": 5.0,
    "123456789012345678901234567890": 1.2345678901234568e29,
    None: None,
    "": None,
    "NaN": None,
    "null": None,
    "NA": None,
    "n/a": None,
}
NO_NUMBERS = {
    "abc": "bad_target",
    "12,5": "bad_target",
    "1_000": "bad_target",
    "12f": "bad_target",
    "1e3D": "bad_target",
    "0x1F": "bad_target",
    "0X1p3": "bad_target",
    "true": "bad_target",
    "Infinity": "infinite_target",
    "-inf": "infinite_target",
    "1e999": "infinite_target",
    "1e301": "infinite_target",
}


@pytest.fixture(scope="module")
def outcomes(spark: SparkSession) -> dict[tuple[str, str | None], Any]:
    """What became of each text, by ('time' or 'number', text)."""
    times = [("time", t, t, "1") for t in [*TIMES, *NO_TIMES]]
    numbers = [("number", n, GOOD, n) for n in [*NUMBERS, *NO_NUMBERS]]
    ids = [("id", i, GOOD, "1") for i in (None, "", "  ", " x ", "null", "007", "é'\n☃")]
    frame = spark.createDataFrame(
        [(*row, row[1] if row[0] == "id" else "item") for row in times + numbers + ids],
        "what string, text string, timestamp string, target string, item_id string",
    )
    rows = read(frame, dimensions=["what", "text"])
    return {tuple(row.dimension_values): row for row in rows.collect()}


@pytest.mark.parametrize(("text", "expected"), TIMES.items())
def test_times_are_read_as_utc(outcomes: Any, text: str, expected: str) -> None:
    row = outcomes["time", text]
    assert row.reason is None
    assert row.timestamp == datetime.fromisoformat(expected)


@pytest.mark.parametrize(("text", "reason"), NO_TIMES.items())
def test_what_is_no_time_is_refused(outcomes: Any, text: str | None, reason: str) -> None:
    row = outcomes["time", text]
    assert row.reason == reason
    assert row.evidence[2] == text


@pytest.mark.parametrize(("text", "expected"), NUMBERS.items())
def test_numbers_and_missing_values(outcomes: Any, text: str | None, expected: float) -> None:
    row = outcomes["number", text]
    assert (row.reason, row.target) == (None, expected)


@pytest.mark.parametrize(("text", "reason"), NO_NUMBERS.items())
def test_what_is_no_number_is_refused(outcomes: Any, text: str, reason: str) -> None:
    assert outcomes["number", text].reason == reason


@pytest.mark.parametrize("text", [None, "", "  "])
def test_rows_without_item_are_refused(outcomes: Any, text: str | None) -> None:
    assert outcomes["id", text].reason == "no_item_id"


@pytest.mark.parametrize("text", [" x ", "null", "007", "é'\n☃"])
def test_item_ids_stay_as_they_are(outcomes: Any, text: str) -> None:
    assert (outcomes["id", text].reason, outcomes["id", text].item_id) == (None, text)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("timestamp", datetime(2025, 1, 6, 5)),
        ("timestamp_ntz", datetime(2025, 1, 6, 5)),
        ("date", date(2025, 1, 6)),
        ("bigint", 1_736_139_600_000_000_000),
        ("int", 1_736_139_600),
        ("double", 1_736_139_600.0),
        ("decimal(20,0)", Decimal(1_736_139_600_000)),
    ],
)
def test_types_of_time(spark: SparkSession, kind: str, value: Any) -> None:
    frame = spark.createDataFrame(
        [("a", value, 1.0)], f"item_id string, timestamp {kind}, target double"
    )
    expected = datetime(2025, 1, 6) if kind == "date" else datetime(2025, 1, 6, 5)
    assert read(frame).select(c.REASON, c.TIMESTAMP).first() == (None, expected)


def test_types_of_target(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [("a", GOOD, Decimal("1.25"), True, 7, float("nan"), float("inf"))],
        "item_id string, timestamp string, exact decimal(38,18), switch boolean, whole long, "
        "nothing double, endless double",
    )
    found = {
        name: tuple(read(frame, columns={"target": name}).select(c.TARGET, c.REASON).first())
        for name in ("exact", "switch", "whole", "nothing", "endless")
    }
    assert found == {
        "exact": (1.25, None),
        "switch": (1.0, None),
        "whole": (7.0, None),
        "nothing": (None, None),
        "endless": (float("inf"), "infinite_target"),
    }


def test_whole_numbers_that_a_double_rounds_are_told(spark: SparkSession) -> None:
    exact, rounded = 2**53 - 1, 2**53 + 1
    frame = spark.createDataFrame(
        [("a", GOOD, n, Decimal(n), str(n), float(n)) for n in (exact, rounded, -rounded)],
        "item_id string, timestamp string, whole long, `exact` decimal(38,2), text string, "
        "`double` double",
    )
    for name in ("whole", "exact", "text"):
        rows = read(frame, columns={"target": name}).select(c.TARGET, DOUBT).collect()
        assert [tuple(row) for row in rows] == [
            (float(exact), None),
            (2.0**53, "rounded_values"),
            (-(2.0**53), "rounded_values"),
        ]
    assert read(frame, columns={"target": "double"}).where(f"{DOUBT} is not null").isEmpty()


def test_attributes_are_checked_and_default(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [
            ("a", GOOD, "1", " Count ", "Europe/Berlin"),
            ("b", GOOD, "1", None, ""),
            ("c", GOOD, "1", "speed", None),
            ("d", GOOD, "1", None, "Berlin"),
        ],
        "item_id string, timestamp string, target string, kind string, zone string",
    )
    rows = read(frame, columns={"metric_kind": "kind", "time_zone": "zone"})
    found = rows.select(c.ITEM_ID, c.METRIC_KIND, c.TIME_ZONE, c.REASON).collect()
    assert [tuple(row) for row in found] == [
        ("a", "count", "Europe/Berlin", None),
        ("b", "gauge", "UTC", None),
        ("c", "speed", "UTC", "bad_metric_kind"),
        ("d", "gauge", "Berlin", "bad_time_zone"),
    ]


def test_a_country_is_a_column_or_a_default_or_none(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [("a", GOOD, "1", "fr"), ("b", GOOD, "1", "")],
        "item_id string, timestamp string, target string, land string",
    )
    columns = {"country": "land"}
    assert [row[c.COUNTRY] for row in read(frame, columns=columns).collect()] == ["FR", None]
    rows = read(frame, columns=columns, defaults={"country": "DE-BY"})
    assert [row[c.COUNTRY] for row in rows.collect()] == ["FR", "DE-BY"]


def test_rows_after_the_stated_end_are_refused(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [("a", "2025-01-05T23:00:00Z", "1"), ("a", GOOD, "1")],
        "item_id string, timestamp string, target string",
    )
    until = "2025-01-06T01:00:00+01:00"
    survey = build_survey(read(frame, until=until))
    told = tell(survey, source(until=until)).select(c.REASON, c.DETAIL).collect()
    assert [tuple(row) for row in told] == [
        ("future_dated", f"timestamp '{GOOD}' is not before source.until 2025-01-06 00:00:00"),
    ]


def test_duplicates_become_one_by_kind(spark: SparkSession) -> None:
    values = {"count": ("2", "3"), "latency": ("5", "4"), "gauge": ("1", "2"), "ratio": ("7", None)}
    frame = spark.createDataFrame(
        [(kind, GOOD, value, kind) for kind, pair in values.items() for value in pair]
        + [("gauge", "2025-01-06T01:00:00Z", "9", "gauge")],
        "item_id string, timestamp string, target string, kind string",
    )
    columns = {"metric_kind": "kind"}
    found = build_observations(read(frame, columns=columns), source(columns=columns), "i1", 2)
    midnight, one = datetime(2025, 1, 6), datetime(2025, 1, 6, 1)
    expected = spark.createDataFrame(
        [
            ("count", midnight, 3.0, 2, "i1", None),
            ("gauge", midnight, 1.5, 2, "i1", None),
            ("gauge", one, 9.0, 1, "i1", None),
            ("latency", midnight, 5.0, 2, "i1", None),
            ("ratio", midnight, 7.0, 2, "i1", None),
        ],
        OBSERVATIONS.schema,
    )
    assert_df_equality(
        conform(found, OBSERVATIONS), expected, ignore_row_order=True, ignore_nullable=True
    )


def test_refused_rows_are_kept_as_they_came(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [("a", GOOD, "x", None), ("a", GOOD, "x", None), ("a", GOOD, "1", "fine")],
        "item_id string, timestamp string, target string, `a.b ``c` string",
    )
    found = build_rejected_rows(tell(build_survey(read(frame)), source()), "i1").collect()
    assert len(found) == 1
    assert found[0].asDict() == {
        c.RAW: f'{{"item_id":"a","timestamp":"{GOOD}","target":"x","a.b `c":null}}',
        c.REASON: "bad_target",
        c.DETAIL: "target 'x' is no number",
        c.SOURCE_FILE: "",
        c.N_ROWS: 2,
        c.INGEST_ID: "i1",
    }
