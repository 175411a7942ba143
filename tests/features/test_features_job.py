"""Ingest and features end to end on real telemetry, and how features can fail."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.cli import PARTIAL, Job, run_job
from headroom.config import build_config
from headroom.errors import DataError
from headroom.features.status import check_statuses
from headroom.schemas import EVENTS, ITEMS, OBSERVATIONS, QUALITY, SERIES, VOCABULARY
from headroom.tables import Tables
from jobs import features, ingest


def start(spark: SparkSession, warehouse: str, body: Any, /, **sections: Any) -> Job:
    """Runs the job's body alone: a failure is raised, and no run is recorded."""
    config = build_config({"warehouse": warehouse, **sections})
    job = Job("job", config, Tables(spark, warehouse))
    body(job)
    return job


def write(tables: Tables, *rows: tuple[str, float, float]) -> None:
    """Items and hourly gauges of the rows (item, hour, value)."""
    at = datetime(2025, 1, 6)
    tables.replace(
        tables.spark.createDataFrame(
            [
                (item, at + timedelta(hours=hour), float(value), 1, "i", None)
                for item, hour, value in rows
            ],
            OBSERVATIONS.schema,
        ),
        OBSERVATIONS,
    )
    names = sorted({row[0] for row in rows})
    tables.replace(
        tables.spark.createDataFrame(
            [(n, n, {"region": "eu"}, "load", "gauge", "", "UTC", None, at, at) for n in names],
            ITEMS.schema,
        ),
        ITEMS,
    )
    tables.create(EVENTS)


def test_real_telemetry_with_mixed_frequencies_and_clock_changes(
    spark: SparkSession, warehouse: str, data: Path
) -> None:
    source = {"format": "parquet", "path": str(data / "cloud_monitoring.parquet"),
              "dimensions": ["domain"]}  # fmt: skip
    job = start(spark, warehouse, ingest.run, source=source)
    assert job.counts == {
        "files": 1,
        "files_repeated": 0,
        "files_known": 0,
        "rows_in": 71_744,
        "refused": 0,
        "missing": 42,
        "kept": 71_633,
        "merged": 111,
        "items": 41,
    }
    job = start(spark, warehouse, features.run, source=source)
    assert job.counts == {"rebuilt": 41, "series": 41, "ok": 39, "wrong_frequency": 2}
    assert job.partial == ""
    tables = Tables(spark, warehouse)
    series = {row[c.ITEM_ID]: row for row in tables.read(SERIES).collect()}
    refused = {item: row[c.REASON] for item, row in series.items() if row[c.STATUS] != "ok"}
    minutes = (
        "its typical step is 1min, finer than series.freq=h; "
        "set series.finer=aggregate or series.freq=1min"
    )
    assert refused == {"machine-01": minutes, "unavail-01": minutes}
    api = series["api-01"]
    assert api[c.START] == datetime(2017, 11, 1)
    assert api[c.START] + timedelta(hours=api[c.LENGTH] - 1) == datetime(2018, 7, 16, 23)
    assert api[c.TARGET][0] == pytest.approx(49.6747222222222)
    assert [value is not None for value in api[c.TARGET]] == api[c.OBSERVED]
    domains = {row[c.CATEGORY] for row in tables.read(VOCABULARY).collect()}
    assert "application-crash-rate-1" in domains
    duplicates = tables.read(QUALITY).where("issue = 'duplicates'").agg({"n_affected": "sum"})
    assert duplicates.first()[0] == 111


@pytest.mark.slow
def test_too_many_refused_series_end_in_part_and_a_second_run_changes_nothing(
    spark: SparkSession,
    tables: Tables,
    warehouse: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tables, *[("a", h, -h % 5) for h in range(30)], *[("b", 24 * d, 1) for d in range(30)])
    job = Job("features", build_config({"warehouse": warehouse}), Tables(spark, warehouse))
    assert run_job(job, features.run) == PARTIAL
    assert job.counts == {"rebuilt": 2, "series": 2, "ok": 1, "wrong_frequency": 1}
    assert capsys.readouterr().err.strip().splitlines()[-1] == (
        "headroom: features done, but 1 of 2 series cannot be forecast, for example b: its "
        "typical step is 1D, coarser than series.freq=h; set series.freq=1D"
    )

    def rows() -> list[Any]:
        found = Tables(spark, warehouse)
        frames = [found.read(table) for table in (SERIES, QUALITY, VOCABULARY)]
        return [sorted(str(r.asDict(recursive=True)) for r in f.collect()) for f in frames]

    first, version = rows(), tables.version(VOCABULARY)
    start(spark, warehouse, features.run)
    assert rows() == first
    assert tables.version(VOCABULARY) == version  # nobody writes what is known


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (0, "none of the 2 series has a step to forecast from, for example x: why x"),
        (3, "2 of 2 series cannot be forecast, for example x: why x"),
    ],
)
def test_no_series_is_fit(spark: SparkSession, length: int, message: str) -> None:
    rows = [("y", "short_history", length, "why y"), ("x", "short_history", length, "why x")]
    series = spark.createDataFrame(rows, "item_id string, status string, length int, reason string")
    if length:
        assert check_statuses(series, {"short_history": 2}, max_refused=1.0) == message
    else:
        with pytest.raises(DataError, match=message):
            check_statuses(series, {"short_history": 2}, max_refused=1.0)


def test_no_series_at_all(spark: SparkSession) -> None:
    none = spark.createDataFrame([], "item_id string, status string, length int, reason string")
    with pytest.raises(DataError, match="table items holds no series; run ingest first"):
        check_statuses(none, {}, max_refused=0.1)


def test_before_ingest(spark: SparkSession, warehouse: str) -> None:
    with pytest.raises(DataError, match="table items does not exist"):
        start(spark, warehouse, features.run)


@pytest.mark.slow
def test_files_do_not_grow_with_the_number_of_series(
    spark: SparkSession, warehouse: str, tables: Tables
) -> None:
    write(tables, *[(f"item {n}", hour, hour) for n in range(200) for hour in range(5)])
    spark_settings = {"shuffle_partitions": 3}
    start(spark, warehouse, features.run, spark=spark_settings, series={"min_observed": 3})
    for table in (SERIES, QUALITY):
        assert len(Tables(spark, warehouse).read(table).inputFiles()) <= 3


def test_ratios_of_aggregates_are_of_the_sums_and_go_when_they_are_not_wanted(
    spark: SparkSession, warehouse: str, tables: Tables
) -> None:
    sizes = {"a": (1.0, 10.0), "b": (30.0, 100.0)}
    values = {
        f"{service}/{metric}": value
        for service, (errors, requests) in sizes.items()
        for metric, value in (("errors", errors), ("requests", requests), ("rate", 0.5))
    }
    write(tables, *[(item, hour, value) for item, value in values.items() for hour in range(24)])
    metric = F.split(c.ITEM_ID, "/")[1]
    kind = F.when(metric == "rate", F.lit("ratio")).otherwise(F.lit("count"))
    items = tables.read(ITEMS).withColumns(
        {c.METRIC: metric, c.METRIC_KIND: kind, c.GROUP_ID: F.split(c.ITEM_ID, "/")[0],
         c.DIMENSIONS: F.create_map(F.lit("region"), F.lit("eu"))}
    )  # fmt: skip
    tables.replace(items.localCheckpoint(), ITEMS)
    wanted = {
        "aggregates": [["region"]],
        "ratios": {"rate": {"numerator": "errors", "denominator": "requests"}},
    }
    start(spark, warehouse, features.run, features=wanted)
    series = Tables(spark, warehouse).read(SERIES).collect()
    rows = {row[c.ITEM_ID]: row[c.TARGET][0] for row in series}
    assert (rows["a/rate"], rows["b/rate"]) == (0.1, 0.3)
    assert rows["aggregate:rate{region=eu} ratio"] == pytest.approx(31 / 110)
    job = start(spark, warehouse, features.run, features={"ratios": wanted["ratios"]})
    assert job.counts == {"rebuilt": 0, "series": 6, "ok": 6}


@pytest.mark.slow
def test_retired_items_are_told_so_and_are_no_fault(
    spark: SparkSession, warehouse: str, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    write(tables, *[(item, hour, hour) for item in "abc" for hour in range(24)])
    silent = tables.read(ITEMS).where("item_id = 'b'")
    long_ago = datetime(2025, 1, 1, 5)
    tables.merge(silent.withColumn(c.LAST_SEEN, F.lit(long_ago)), ITEMS)
    settings = {"retired": ["c", "gone"], "retire_after_days": 4}
    job = start(spark, warehouse, features.run, series=settings)
    assert job.counts == {"rebuilt": 3, "series": 3, "ok": 1, "retired": 2}
    assert job.partial == ""
    rows = Tables(spark, warehouse).read(SERIES).where("status = 'retired'").collect()
    assert {row[c.ITEM_ID]: (row[c.LENGTH], row[c.REASON]) for row in rows} == {
        "b": (24, "nothing came of it after 2025-01-01 05:00, series.retire_after_days=4"),
        "c": (24, "it is in series.retired"),
    }
    assert "series.retired names gone, which no series has" in caplog.text
    with pytest.raises(DataError, match="every item is retired, see"):
        start(spark, warehouse, features.run, series={"retired": ["a", "b", "c"]})
