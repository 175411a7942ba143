"""Holidays are a country's own, on the item's own clock, and known beforehand."""

from datetime import date, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession

from headroom.errors import DataError
from headroom.features.events import add_calendar, add_series_events
from headroom.features.holidays import add_holidays, public_holidays
from headroom.freq import parse_freq
from headroom.schemas import EVENTS

FIRST, LAST = datetime(2025, 5, 1), datetime(2025, 5, 31)


def calendars(spark: SparkSession, *items: tuple[str, str | None, str], **times: Any) -> Any:
    first, last = times.get("first", FIRST), times.get("last", LAST)
    frame = spark.createDataFrame(
        [(item, "g", "cpu", {}, zone, country, first, last) for item, country, zone in items],
        "item_id string, group_id string, metric string, dimensions map<string,string>, "
        "time_zone string, country string, first_seen timestamp, last_seen timestamp",
    )
    return add_holidays(add_calendar(frame, spark.createDataFrame([], EVENTS.schema)))


def test_countries_and_their_parts() -> None:
    corpus_christi = date(2025, 6, 19)
    assert corpus_christi in public_holidays("DE-BY", range(2025, 2026))
    assert corpus_christi not in public_holidays("DE", range(2025, 2026))
    assert public_holidays("XX", range(2025, 2026)) == []
    assert public_holidays("DE-QQ", range(2025, 2026)) == []


def test_from_local_midnight_to_midnight_and_none_without_a_country(spark: SparkSession) -> None:
    frame = calendars(
        spark, ("berlin", "DE", "Europe/Berlin"), ("unknown", "XX", "UTC"), ("none", None, "UTC")
    )
    found = {row.item_id: row.calendar for row in frame.collect()}
    assert found["none"] == found["unknown"] == []
    labour_day = next(e for e in found["berlin"] if e.starts_at.year == 2025)
    assert labour_day.kind == "holiday"
    assert labour_day.starts_at == datetime(2025, 4, 30, 22)  # summer time
    assert labour_day.ends_at == datetime(2025, 5, 1, 22)
    assert labour_day.known_at == datetime(2024, 4, 30, 22)
    ahead = [e.starts_at for e in found["berlin"] if e.starts_at > LAST]
    assert min(ahead) == datetime(2025, 6, 8, 22)  # Whit Monday
    assert max(ahead) > datetime(2027, 5, 1)


def test_they_are_events_of_the_series(spark: SparkSession) -> None:
    from pyspark.sql import functions as F

    series = calendars(spark, ("i", "FR", "Europe/Paris")).withColumn("start", F.lit(FIRST))
    events = add_series_events(series, parse_freq("D")).first().series_events
    assert [(e.kind, e.first_step, e.last_step) for e in events[:3]] == [
        ("holiday", 0, 0),  # a local day is the day of UTC that holds its middle
        ("holiday", 7, 7),
        ("holiday", 28, 28),
    ]
    assert all(e.known_step < 0 for e in events[:3])


def test_an_item_never_seen_has_none(spark: SparkSession) -> None:
    frame = calendars(spark, ("i", "DE", "UTC"), first=None, last=None)
    assert frame.first().calendar == []


def test_a_column_that_is_no_country(spark: SparkSession) -> None:
    items = [(str(i), f"C{i}", "UTC") for i in range(1_001)]
    with pytest.raises(DataError, match="more than 1000 countries"):
        calendars(spark, *items)
