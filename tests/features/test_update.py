"""Only what changed is made anew, and the result is that of making all."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from headroom.cli import Job
from headroom.config import build_config
from headroom.schemas import EVENTS, ITEMS, MEMBERSHIPS, OBSERVATIONS, QUALITY, SERIES
from headroom.tables import Tables
from jobs import features

T0 = datetime(2025, 1, 6)
SIZES = {"a": 1.0, "b": 10.0, "c": 100.0}


def run(spark: SparkSession, warehouse: str, **settings: Any) -> Job:
    config = build_config({"warehouse": warehouse, "features": settings})
    job = Job("features", config, Tables(spark, warehouse))
    features.run(job)
    return job


def put_items(tables: Tables, *names: str) -> None:
    rows = [
        (n, n, {"region": "eu" if n < "c" else "us"}, "load", "count", "", "UTC", None, T0, T0)
        for n in names
    ]
    tables.replace(tables.spark.createDataFrame(rows, ITEMS.schema), ITEMS)


def put_values(tables: Tables, values: dict[str, float], n: int) -> None:
    rows = [
        (name, T0 + timedelta(hours=h), size * (1 + h % 24), 1, "i", None)
        for name, size in values.items()
        for h in range(n)
        if h != 30
    ]
    tables.merge(tables.spark.createDataFrame(rows, OBSERVATIONS.schema), OBSERVATIONS)


def rows(spark: SparkSession, warehouse: str) -> list[Any]:
    tables = Tables(spark, warehouse)
    frames = [tables.read(table) for table in (SERIES, QUALITY, MEMBERSHIPS)]
    return [sorted(str(r.asDict(recursive=True)) for r in f.collect()) for f in frames]


@pytest.mark.slow
def test_changes_are_found_and_a_full_rebuild_is_no_different(
    spark: SparkSession, tables: Tables, warehouse: str
) -> None:
    levels = [["region"]]
    put_items(tables, "a", "b", "c")
    put_values(tables, SIZES, 60)
    tables.create(EVENTS)
    assert run(spark, warehouse, aggregates=levels).counts["rebuilt"] == 5
    put_values(tables, SIZES, 60)  # the same rows once more
    assert run(spark, warehouse, aggregates=levels).counts["rebuilt"] == 0

    put_values(tables, {"b": 11.0}, 3)
    put_values(tables, {"d": 1.0}, 50)
    put_items(tables, "a", "b", "d")  # and c is gone
    job = run(spark, warehouse, aggregates=levels)
    assert job.counts == {"rebuilt": 4, "series": 5, "ok": 5}  # b, d and both regions
    changed = rows(spark, warehouse)
    everything = run(spark, warehouse, aggregates=levels, incremental=False)
    assert everything.counts["rebuilt"] == 5
    assert rows(spark, warehouse) == changed
