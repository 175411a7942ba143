"""What the rows add up to, who the items are, and which rows are far from all others."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from headroom import columns as c
from headroom.config import Source, build_config
from headroom.errors import DataError
from headroom.ingest.accounting import check_accounts
from headroom.ingest.mapping import to_mapped
from headroom.ingest.rows import to_rows
from headroom.ingest.strays import STRAY, find_strays, mark_strayed
from headroom.ingest.survey import (
    Totals,
    build_items,
    build_survey,
    digest_ingest,
    read_totals,
)
from headroom.schemas import ITEMS, conform

SCHEMA = "item_id string, timestamp string, target string, region string, kind string"
T0, HOUR = datetime(2025, 1, 6), timedelta(hours=1)


def source(**settings: Any) -> Source:
    values = {
        "format": "csv",
        "path": "x",
        "dimensions": ["region"],
        "columns": {"metric_kind": "kind"},
        **settings,
    }
    return build_config({"warehouse": "x", "source": values}).source


def hours(item: str, *offsets: int, region: str = "eu", value: str = "1") -> list[tuple[Any, ...]]:
    return [(item, str(T0 + timedelta(hours=h)), value, region, "count") for h in offsets]


def rows_of(spark: SparkSession, entries: list[tuple[Any, ...]], **settings: Any) -> DataFrame:
    chosen = source(**settings)
    return to_rows(to_mapped(spark.createDataFrame(entries, SCHEMA), chosen), chosen)


def no_items(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([], ITEMS.schema)


def test_totals_and_digest_do_not_depend_on_order(spark: SparkSession) -> None:
    entries = [*hours("a", 0, 1, 1), *hours("b", 0, value="NaN"), *hours("b", 1, value="x")]
    totals = read_totals(build_survey(rows_of(spark, entries)))
    assert (totals.rows_in, totals.refused, totals.missing, totals.items) == (5, 1, 1, 2)
    turned = rows_of(spark, entries[::-1]).repartition(3)
    assert read_totals(build_survey(turned)) == totals
    assert digest_ingest(source(path="elsewhere"), totals) == digest_ingest(source(), totals)
    changed = read_totals(build_survey(rows_of(spark, [*entries[:-1], *hours("b", 1, value="y")])))
    assert digest_ingest(source(), changed) != digest_ingest(source(), totals)


@pytest.mark.parametrize(
    "other",
    [
        hours("a", 0, 1, value="2"),  # another value
        [*hours("a", 0), *hours("b", 1)],  # of another item
        hours("a", 0, 1, region="us"),  # another attribute
        [*hours("a", 0), ("a", "soon", "1", "eu", "count")],  # a row that is refused
        hours("a", 0, 1, 1),  # one row more
    ],
)
def test_whatever_a_row_says_is_in_the_digest(spark: SparkSession, other: list[Any]) -> None:
    both = [read_totals(build_survey(rows_of(spark, rows))) for rows in (hours("a", 0, 1), other)]
    first, second = (digest_ingest(source(), totals) for totals in both)
    assert first != second


def test_rows_refused_for_one_reason_are_told_apart(spark: SparkSession) -> None:
    told = [
        read_totals(build_survey(rows_of(spark, [("a", text, "1", "eu", "count")])))
        for text in ("soon", "late")
    ]
    assert digest_ingest(source(), told[0]) != digest_ingest(source(), told[1])


def test_no_rows_at_all(spark: SparkSession) -> None:
    with pytest.raises(DataError, match="the source holds no rows"):
        read_totals(build_survey(rows_of(spark, [])))


def test_items_take_the_attributes_of_their_latest_row(spark: SparkSession) -> None:
    entries = [
        *hours("moved", 0, 1, region="eu"),
        *hours("moved", 2, region="us"),
        *hours("refused", 0, value="x"),
        ("odd", str(T0), "1", None, "speed"),
        *hours(" ", 0),
    ]
    survey = build_survey(rows_of(spark, entries))
    items = conform(build_items(survey, no_items(spark), source()), ITEMS)
    found = {row[c.ITEM_ID]: row for row in items.collect()}
    assert set(found) == {"moved", "refused", "odd"}
    assert found["moved"][c.DIMENSIONS] == {"region": "us"}
    assert found["moved"][c.FIRST_SEEN] == T0
    assert found["moved"][c.LAST_SEEN] == T0 + timedelta(hours=2)
    assert found["refused"][c.FIRST_SEEN] is None
    assert found["odd"][c.METRIC_KIND] == "gauge"
    assert found["odd"][c.DIMENSIONS] == {}
    assert found["odd"][c.GROUP_ID] == "odd"


def test_a_metric_that_a_host_never_reports_is_no_item(spark: SparkSession) -> None:
    wide = build_config(
        {
            "warehouse": "x",
            "source": {
                "format": "csv",
                "path": "x",
                "columns": {"item_id": "host"},
                "metrics": {"cpu": {}, "gpu": {}},
            },
        }
    ).source
    rows = [("a", str(T0), 0.5, None), ("a", str(T0 + HOUR), None, None), ("b", str(T0), 0.5, 0.1)]
    frame = spark.createDataFrame(rows, "host string, timestamp string, cpu double, gpu double")
    survey = build_survey(to_rows(to_mapped(frame, wide), wide))
    items = build_items(survey, no_items(spark), wide).select(c.ITEM_ID, c.GROUP_ID).collect()
    assert {tuple(row) for row in items} == {("a/cpu", "a"), ("b/cpu", "b"), ("b/gpu", "b")}


def test_items_remember_when_they_were_first_and_last_seen(spark: SparkSession) -> None:
    survey = build_survey(rows_of(spark, hours("a", 5, 6)))
    once = conform(build_items(survey, no_items(spark), source()), ITEMS)
    later = build_survey(rows_of(spark, hours("a", 2, 3)))
    row = build_items(later, once, source()).first()
    assert row[c.FIRST_SEEN] == T0 + timedelta(hours=2)
    assert row[c.LAST_SEEN] == T0 + timedelta(hours=6)


def test_rows_far_from_all_others_are_refused(spark: SparkSession) -> None:
    far = 50 * 365 * 24
    entries = [
        *hours("clock", *range(40), far),
        *hours("both", -far, *range(40), 2 * far),
        *hours("gap", *range(40), *range(far, far + 10)),  # too many to be strays
        *hours("young", 0, far),  # too few rows to say
        *hours("bad", *range(40)),
        *hours("bad", far, value="x"),
    ]
    rows = rows_of(spark, entries)
    survey = build_survey(rows)
    strays = find_strays(survey, step_seconds=3_600)
    refused = mark_strayed(rows, strays).where(f"{c.REASON} is not null")
    found = {(r[c.ITEM_ID], r[c.TIMESTAMP].year, r[c.REASON]) for r in refused.collect()}
    assert found == {
        ("clock", 2074, STRAY),
        ("both", 1975, STRAY),
        ("both", 2124, STRAY),
        ("bad", 2074, "bad_target"),
    }
    assert read_totals(mark_strayed(survey, strays)).refused == 4


def test_accounts_that_do_not_balance() -> None:
    totals = Totals(
        10, refused=2, missing=0, items=1, doubtful=0, first=T0, last=T0, content=(0, 0)
    )
    check_accounts(totals, kept=7, merged=1)
    with pytest.raises(DataError, match="10 rows came in, but 6 were kept, 1 merged and 2 refused"):
        check_accounts(totals, kept=6, merged=1)
