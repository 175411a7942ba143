"""Series and quality as tables, and the same whatever the partitions."""

from datetime import datetime, timedelta
from typing import Any

from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import Rules, Series
from headroom.features.build import build_quality, to_series
from headroom.features.events import add_calendar
from headroom.schemas import EVENTS, OBSERVATIONS, QUALITY, conform
from headroom.session import rows_per_batch
from headroom.sharding import SHARD_ID, add_shard_id

T0 = datetime(2025, 1, 6)
HOURLY = Series(freq="h", min_observed=2)
RULES = Rules()


def items(spark: SparkSession, *names: str) -> DataFrame:
    rows = [(name, "gauge", {"region": "eu"}) for name in names]
    frame = spark.createDataFrame(
        rows, "item_id string, metric_kind string, dimensions map<string,string>"
    )
    return add_calendar(
        frame.withColumns({name: F.lit("") for name in (c.GROUP_ID, c.METRIC)}),
        spark.createDataFrame([], EVENTS.schema),
    )


def observations(spark: SparkSession, *rows: tuple[str, float, float | None]) -> DataFrame:
    return spark.createDataFrame(
        [(item, T0 + timedelta(hours=hour), value, 1, "i", None) for item, hour, value in rows],
        OBSERVATIONS.schema,
    )


def test_three_rows_become_a_series(spark: SparkSession) -> None:
    rows = observations(spark, ("a", 3, 4.0), ("a", 0, 1.0), ("a", 1, None))
    found = to_series(items(spark, "a"), rows, HOURLY, RULES, 2).first().asDict()
    for name in ("issues", "calendar", "content", c.GROUP_ID, c.METRIC):
        found.pop(name)
    assert found == {
        c.ITEM_ID: "a",
        c.METRIC_KIND: "gauge",
        c.DIMENSIONS: {"region": "eu"},
        c.FREQ: "h",
        c.START: T0,
        c.LENGTH: 4,
        c.TARGET: [1.0, None, None, 4.0],
        c.OBSERVED: [True, False, False, True],
        c.FLAGGED: [False] * 4,
        c.STATUS: "ok",
        c.REASON: "",
    }


def test_a_counter_is_a_count_in_the_series(spark: SparkSession) -> None:
    counter = items(spark, "a").withColumn(c.METRIC_KIND, F.lit("counter"))
    rows = observations(spark, ("a", 0, 1.0), ("a", 1, 3.0), ("a", 2, 4.0))
    found = to_series(counter, rows, HOURLY, RULES, 2).first()
    assert (found[c.METRIC_KIND], found[c.TARGET]) == ("count", [2.0, 1.0])


def test_every_item_has_exactly_one_row(spark: SparkSession) -> None:
    rows = observations(spark, ("a", 0, 1.0), ("a", 1, 1.0), ("b", 0, None), ("gone", 0, 1.0))
    found = to_series(items(spark, "a", "b", "c"), rows, HOURLY, RULES, 3).collect()
    assert sorted((r[c.ITEM_ID], r[c.STATUS], r[c.LENGTH], r[c.START]) for r in found) == [
        ("a", "ok", 2, T0),
        ("b", "no_observations", 0, None),
        ("c", "no_observations", 0, None),
    ]


def test_quality_has_a_row_per_series_and_issue(spark: SparkSession) -> None:
    rows = observations(
        spark, ("a", 0, 1.0), ("a", 1, None), ("a", 4, 4.0), ("b", 0, 1.0), ("b", 1, 1.0)
    )
    found = build_quality(to_series(items(spark, "a", "b"), rows, HOURLY, RULES, 2))
    expected = spark.createDataFrame(
        [
            ("a", "gaps", 2, 0.4, T0 + timedelta(hours=2), T0 + timedelta(hours=3), "left missing"),
            ("a", "missing_values", 1, 0.2, T0 + timedelta(hours=1), T0 + timedelta(hours=1),
             "left missing"),
        ],
        QUALITY.schema,
    )  # fmt: skip
    assert_df_equality(
        conform(found, QUALITY), expected, ignore_row_order=True, ignore_nullable=True
    )


def test_partitions_and_order_change_nothing(spark: SparkSession) -> None:
    entries = [(f"i{i % 7}", float(i // 7), float(i * i % 13)) for i in range(140)]
    names = [f"i{i}" for i in range(7)]
    one = to_series(items(spark, *names), observations(spark, *entries), HOURLY, RULES, 1)
    turned = observations(spark, *entries[::-1]).repartition(5)
    many = to_series(items(spark, *names[::-1]), turned, HOURLY, RULES, 4)

    def rows(frame: DataFrame) -> list[Any]:
        return sorted(str(row.asDict(recursive=True)) for row in frame.collect())

    assert rows(one) == rows(many)


def test_a_series_may_span_batches(spark: SparkSession) -> None:
    entries = [(f"i{i % 3}", float(i // 3), float(i)) for i in range(900)]
    with rows_per_batch(spark, 128):
        rows = to_series(
            items(spark, "i0", "i1", "i2"), observations(spark, *entries), HOURLY, RULES, 1
        ).collect()
    assert {r[c.ITEM_ID]: r[c.TARGET] for r in rows} == {
        f"i{k}": [float(i) for i in range(k, 900, 3)] for k in range(3)
    }


def test_a_group_stays_in_one_shard(spark: SparkSession) -> None:
    groups = spark.range(300).selectExpr(
        "cast(id as string) as item_id", "concat('group ', id % 40) as group_id"
    )
    sharded = add_shard_id(groups, 4)
    assert sharded.count() == 300
    pairs = sharded.select(c.GROUP_ID, SHARD_ID).distinct().collect()
    assert len(pairs) == 40
    assert {row[SHARD_ID] for row in pairs} == {0, 1, 2, 3}
    alone = add_shard_id(groups.where("group_id = 'group 3'"), 4).first()[SHARD_ID]
    assert alone == sharded.where("group_id = 'group 3'").first()[SHARD_ID]
