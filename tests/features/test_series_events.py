"""Calendar entries at the steps of the series that they touch, and only there."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from headroom import columns as c
from headroom.features.events import add_calendar, add_series_events
from headroom.freq import parse_freq
from headroom.schemas import EVENTS

T0 = datetime(2025, 1, 6)


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2025, 1, day, hour, minute)


def event(
    name: str, start: datetime, end: datetime, known: datetime, scope: dict[str, str]
) -> tuple[Any, ...]:
    return (name, "launch", name, start, end, known, scope, 0.5)


def touched(spark: SparkSession, freq: str, start: datetime | None, *events: Any) -> Any:
    series = spark.createDataFrame(
        [("i1", "g1", "cpu", {"region": "eu", "tier": "T1"}, start)],
        "item_id string, group_id string, metric string, dimensions map<string,string>, "
        "start timestamp",
    )
    frame = spark.createDataFrame(list(events), EVENTS.schema)
    with_calendar = add_calendar(series, frame)
    found = add_series_events(with_calendar, parse_freq(freq)).first()[c.SERIES_EVENTS]
    return [tuple(e[name] for name in ("first_step", "last_step", "known_step")) for e in found]


@pytest.mark.parametrize(
    ("scope", "is_touched"),
    [
        ({}, True),
        ({"region": "eu"}, True),
        ({"region": "eu", "tier": "T1"}, True),
        ({"region": "us"}, False),
        ({"region": "eu", "tier": "T2"}, False),
        ({"planet": "earth"}, False),
        ({"group_id": "g1"}, True),
        ({"metric": "cpu", "region": "eu"}, True),
        ({"metric": "cost"}, False),
        ({"item_id": "i1"}, True),
    ],
)
def test_scope(spark: SparkSession, scope: dict[str, str], is_touched: bool) -> None:
    found = touched(spark, "h", T0, event("e", at(6, 1), at(6, 2), T0, scope))
    assert bool(found) == is_touched


def test_scopes_of_every_form_beside_each_other(spark: SparkSession) -> None:
    scopes: list[dict[str, str]] = [
        {},
        {"region": "eu"},
        {"region": "us"},  # the region has most values, so it is looked up first
        {"region": "asia"},
        {"region": "asia", "tier": "T1"},
        {"tier": "T1", "metric": "cpu"},
        {"tier": "T1", "metric": "cost"},
        {"metric": "cpu"},
    ]
    events = [
        event(str(hour), at(6, hour), at(6, hour + 1), T0, scope)
        for hour, scope in enumerate(scopes)
    ]
    found = touched(spark, "h", T0, *events)
    assert [first for first, _, _ in found] == [0, 1, 5, 7]


def test_steps_of_an_hourly_series(spark: SparkSession) -> None:
    assert touched(
        spark,
        "h",
        T0,
        event("whole hour", at(6, 2), at(6, 3), at(6, 1), {}),
        event("into the next", at(6, 4, 30), at(6, 5, 30), at(6, 4, 1), {}),
        event("instant", at(6, 6), at(6, 6), at(6, 6), {}),
        event("before, still on", at(5, 22), at(6, 1), at(1), {}),
        event("over", at(5), T0, at(1), {}),
        event("far ahead", at(31), at(31, 2), at(7), {}),
    ) == [(-2, 0, -120), (2, 2, 1), (4, 5, 5), (6, 6, 6), (600, 601, 24)]


def test_steps_of_days_weeks_and_months(spark: SparkSession) -> None:
    launch = event("e", datetime(2025, 3, 10), datetime(2025, 3, 17), datetime(2025, 2, 1), {})
    assert touched(spark, "D", T0, launch) == [(63, 69, 26)]
    assert touched(spark, "W", T0, launch) == [(9, 9, 4)]
    assert touched(spark, "MS", datetime(2025, 1, 1), launch) == [(2, 2, 1)]
    later = event("e", datetime(2025, 5, 31), datetime(2025, 6, 2), datetime(2025, 2, 2), {})
    assert touched(spark, "MS", datetime(2025, 1, 1), later) == [(4, 5, 2)]


@pytest.mark.parametrize("midnight", [22, 23])
@pytest.mark.parametrize("start", [22, 23, 24])
def test_a_holiday_is_one_day_whichever_clock_the_steps_go_by(
    spark: SparkSession, start: int, midnight: int
) -> None:
    begin = datetime(2025, 1, 5) + timedelta(hours=start)  # the local 6 January
    day = datetime(2025, 1, 8) + timedelta(hours=midnight)  # the local 9 January
    holiday = ("e", "holiday", "e", day, day + timedelta(days=1), T0, {}, None)
    assert [entry[:2] for entry in touched(spark, "D", begin, holiday)] == [(3, 3)]
    launch = ("e", "launch", "e", day, day + timedelta(days=3), T0, {}, None)
    first, last = touched(spark, "D", begin, launch)[0][:2]
    assert (first, last) in ((3, 5), (2, 5), (3, 6))


def test_a_series_without_start_has_none(spark: SparkSession) -> None:
    assert touched(spark, "h", None, event("e", at(6), at(7), T0, {})) == []


def test_an_empty_calendar(spark: SparkSession) -> None:
    assert touched(spark, "h", T0) == []
