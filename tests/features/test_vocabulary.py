"""Codes are given once, in order, and kept."""

from typing import Any

from pyspark.sql import DataFrame, SparkSession

from headroom import columns as c
from headroom.features.vocabulary import (
    add_static_codes,
    list_static_columns,
    new_codes,
)
from headroom.schemas import VOCABULARY


def items(spark: SparkSession, *rows: tuple[str, str, dict[str, str]]) -> DataFrame:
    return spark.createDataFrame(
        list(rows), "item_id string, metric string, dimensions map<string,string>"
    )


def nothing(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([], VOCABULARY.schema)


def codes(vocabulary: DataFrame) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in sorted(vocabulary.collect(), key=lambda row: row[c.CODE]):
        found.setdefault(row[c.STATIC_COLUMN], []).append((row[c.CATEGORY], row[c.CODE]))
    return found


def test_codes_are_alphabetical_and_stay(spark: SparkSession) -> None:
    first = items(spark, ("1", "cpu", {"region": "us"}), ("2", "cost", {"region": "eu"}))
    known = new_codes(first, nothing(spark)).localCheckpoint()
    assert codes(known) == {
        "metric": [("cost", 1), ("cpu", 2)],
        "region": [("eu", 1), ("us", 2)],
    }
    second = items(spark, ("3", "cpu", {"region": "asia", "tier": "T1"}))
    assert codes(new_codes(second, known)) == {"region": [("asia", 3)], "tier": [("T1", 1)]}
    assert new_codes(first, known).isEmpty()


def test_a_dimension_named_metric_does_not_mix_with_the_metric(spark: SparkSession) -> None:
    vocabulary = new_codes(items(spark, ("1", "cpu", {"metric": "x"})), nothing(spark))
    assert codes(vocabulary) == {"metric": [("cpu", 1)]}


def test_unknown_categories_have_code_zero(spark: SparkSession) -> None:
    known = new_codes(
        items(spark, ("1", "cpu", {"region": "us", "tier": "T1"})), nothing(spark)
    ).localCheckpoint()
    static_columns = list_static_columns(known)
    assert static_columns == ["metric", "region", "tier"]
    found = add_static_codes(
        items(
            spark,
            ("1", "cpu", {"region": "us", "tier": "T1"}),
            ("2", "cpu", {"region": "moon"}),
            ("3", "fans", {}),
        ),
        known,
        static_columns,
    )
    assert {row[c.ITEM_ID]: row[c.STATIC_CODES] for row in found.collect()} == {
        "1": [1, 1, 1],
        "2": [1, 0, 0],
        "3": [0, 0, 0],
    }
