"""Delta: writes that can be repeated, versions that are pinned, constraints that hold."""

import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chispa.dataframe_comparer import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headroom.errors import DataError, SchemaError
from headroom.schemas import EVENTS, OBSERVATIONS, conform
from headroom.tables import Tables, first_line, source_frame

T0, T1 = datetime(2024, 1, 1), datetime(2024, 1, 1, 1)
Row = tuple[str, datetime, float | None, str]


def frame(spark: SparkSession, *rows: Row) -> DataFrame:
    """Observations, each of one row of the source."""
    observations = [(item, time, target, 1, ingest, None) for item, time, target, ingest in rows]
    return spark.createDataFrame(observations, OBSERVATIONS.schema)


def same(left: DataFrame, right: DataFrame) -> None:
    assert_df_equality(left, right, ignore_row_order=True, ignore_nullable=True)


def test_replacing_a_slice_leaves_the_others_and_can_be_repeated(
    spark: SparkSession, tables: Tables
) -> None:
    tables.replace(frame(spark, ("a", T0, 1.0, "x"), ("b", T0, 2.0, "y")), OBSERVATIONS)
    for _ in range(2):
        written = tables.replace(
            frame(spark, ("a", T0, 9.0, "x")), OBSERVATIONS, {"ingest_id": "x"}
        )
        same(written, frame(spark, ("a", T0, 9.0, "x"), ("b", T0, 2.0, "y")))


def test_a_row_outside_the_slice_is_refused(spark: SparkSession, tables: Tables) -> None:
    tables.replace(frame(spark, ("a", T0, 1.0, "x")), OBSERVATIONS)
    with pytest.raises(Exception, match="DELTA_REPLACE_WHERE_MISMATCH"):
        tables.replace(frame(spark, ("a", T0, 1.0, "y")), OBSERVATIONS, {"ingest_id": "x"})


def test_merging_updates_what_is_there_and_inserts_the_rest(
    spark: SparkSession, tables: Tables
) -> None:
    tables.merge(frame(spark, ("a", T0, 1.0, "x")), OBSERVATIONS)
    for _ in range(2):
        written = tables.merge(frame(spark, ("a", T0, 5.0, "y"), ("a", T1, 6.0, "y")), OBSERVATIONS)
        same(written, frame(spark, ("a", T0, 5.0, "y"), ("a", T1, 6.0, "y")))


def test_each_write_tells_its_own_version(spark: SparkSession, tables: Tables) -> None:
    one, nothing = frame(spark, ("a", T0, 1.0, "x")), frame(spark)
    for write in (
        lambda: tables.replace(one, OBSERVATIONS),
        lambda: tables.merge(one, OBSERVATIONS),
        lambda: tables.replace(one, OBSERVATIONS, {"ingest_id": "x"}),
        lambda: tables.replace(nothing, OBSERVATIONS),
        lambda: tables.replace(nothing, OBSERVATIONS),  # no commit: Delta tells of none
    ):
        tables.create(EVENTS)
        tables.replace(tables.read(EVENTS), EVENTS)  # another table, with versions of its own
        write()
        assert tables.written_versions[OBSERVATIONS.name] == tables.version(OBSERVATIONS)


def test_a_table_that_this_job_made_is_known_to_be_empty(
    spark: SparkSession, tables: Tables
) -> None:
    tables.create(OBSERVATIONS)
    spark.sparkContext.setJobGroup("empty", "")
    assert tables.read(OBSERVATIONS).collect() == []
    assert spark.sparkContext.statusTracker().getJobIdsForGroup("empty") == []
    assert tables.read_versions == {"observations": 0}
    one = frame(spark, ("a", T0, 1.0, "x"))
    same(tables.replace(one, OBSERVATIONS, {"ingest_id": "x"}), one)
    two = frame(spark, ("a", T0, 2.0, "x"))
    same(tables.merge(two, OBSERVATIONS), two)
    same(tables.read(OBSERVATIONS), two)


def test_a_table_that_another_job_made_may_hold_rows(spark: SparkSession, tables: Tables) -> None:
    Tables(spark, tables.warehouse).merge(one := frame(spark, ("a", T0, 1.0, "x")), OBSERVATIONS)
    tables.create(OBSERVATIONS)
    same(tables.read(OBSERVATIONS), one)
    same(tables.merge(one, OBSERVATIONS), one)


def test_a_job_reads_one_version_of_a_table(spark: SparkSession, tables: Tables) -> None:
    tables.replace(frame(spark, ("a", T0, 1.0, "x")), OBSERVATIONS)
    reader = Tables(spark, tables.warehouse)
    first = reader.read(OBSERVATIONS)
    tables.replace(frame(spark, ("b", T0, 2.0, "x")), OBSERVATIONS)
    same(reader.read(OBSERVATIONS), first)
    assert first.first()["item_id"] == "a"
    assert reader.read_versions == {"observations": tables.written_versions["observations"] - 1}


def test_a_constraint_refuses_the_whole_write(spark: SparkSession, tables: Tables) -> None:
    with pytest.raises(Exception, match="finite_target"):
        tables.replace(frame(spark, ("a", T0, float("nan"), "x")), OBSERVATIONS)
    assert tables.read(OBSERVATIONS).count() == 0


def test_a_table_comes_with_its_constraints_in_one_commit(
    spark: SparkSession, tables: Tables
) -> None:
    from delta import DeltaTable

    for _ in range(2):
        tables.create(EVENTS)
    table = DeltaTable.forPath(spark, f"{tables.warehouse}/events")
    assert "delta.constraints.ordered" in table.detail().first()["properties"]
    assert table.history().count() == 1


def test_least_and_largest_values_are_kept_of_the_columns_that_a_table_names(
    spark: SparkSession, tables: Tables
) -> None:
    tables.merge(frame(spark, ("a", T0, 1.0, "x"), ("b", T1, 2.0, "x")), OBSERVATIONS)
    commits = sorted(Path(tables.warehouse, "observations/_delta_log").glob("*.json"))
    added = [json.loads(line)["add"] for line in commits[-1].open() if '"add"' in line]
    stats = [json.loads(entry["stats"]) for entry in added]
    assert sum(entry["numRecords"] for entry in stats) == 2
    assert {name for entry in stats for name in entry["maxValues"]} == {"timestamp"}


def test_a_catalog_warehouse_writes_merges_and_reads(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql(f"CREATE DATABASE fleet LOCATION '{tmp_path}'")
    try:
        tables = Tables(spark, "spark_catalog.fleet")
        with pytest.raises(DataError, match=r"does not exist in spark_catalog\.fleet"):
            tables.read(OBSERVATIONS)
        tables.replace(frame(spark, ("a", T0, 1.0, "x")), OBSERVATIONS)
        tables.replace(frame(spark, ("a", T0, 2.0, "x")), OBSERVATIONS, {"ingest_id": "x"})
        written = tables.merge(frame(spark, ("b", T1, 3.0, "y")), OBSERVATIONS)
        same(written, frame(spark, ("a", T0, 2.0, "x"), ("b", T1, 3.0, "y")))
        with pytest.raises(Exception, match="finite_target"):
            tables.merge(frame(spark, ("c", T0, float("nan"), "x")), OBSERVATIONS)
    finally:
        spark.sql("DROP DATABASE fleet CASCADE")


def test_a_table_that_is_not_there_says_what_to_run(tables: Tables) -> None:
    with pytest.raises(DataError, match=r"table events does not exist in .*; run the job"):
        tables.read(EVENTS)


def test_conform_names_what_is_missing(spark: SparkSession) -> None:
    with pytest.raises(SchemaError, match=r"observations lacks \['target'\]"):
        conform(frame(spark, ("a", T0, 1.0, "x")).drop("target"), OBSERVATIONS)


def test_maintenance_keeps_the_rows(spark: SparkSession, tables: Tables) -> None:
    for value in (1.0, 2.0):
        tables.merge(frame(spark, ("a", T0, value, "x")), OBSERVATIONS)
    tables.maintain(OBSERVATIONS)
    same(tables.read(OBSERVATIONS), frame(spark, ("a", T0, 2.0, "x")))


@pytest.mark.parametrize("name", ["a; drop table b", "a.b.c.d", "`x`", "../etc"])
def test_hostile_table_names_never_reach_sql(spark: SparkSession, name: str) -> None:
    with pytest.raises(DataError, match="is no table name"):
        source_frame(spark, name, "table")


def test_a_missing_source_is_named(spark: SparkSession) -> None:
    with pytest.raises(DataError, match=r"cannot read source.path /nowhere as parquet: .*; check"):
        source_frame(spark, "/nowhere", "parquet")


def test_nanoseconds_of_parquet_are_times_in_any_year(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "of pandas" / "day=1"
    folder.mkdir(parents=True)
    nanos = pa.array([-157766400_000_000_000, 2_678_400_000_001_001, None], pa.int64())
    columns = {
        "naive": nanos.cast(pa.timestamp("ns")),
        "zo`ned.at": nanos.cast(pa.timestamp("ns", "UTC")),
        "number": nanos,
    }
    pq.write_table(pa.table(columns), folder / "a b.parquet")
    read = source_frame(spark, str(folder.parent), "parquet")
    assert dict(read.dtypes) == {
        "naive": "timestamp_ntz",
        "zo`ned.at": "timestamp",
        "number": "bigint",
        "day": "int",
    }
    found = read.select("naive", "`zo``ned.at`", "number", F.input_file_name()).collect()
    times = [datetime(1965, 1, 1), datetime(1970, 2, 1, 0, 0, 0, 1), None]
    assert [row[0] for row in found] == times
    utc = read.select(F.unix_micros("`zo``ned.at`")).collect()
    assert [row[0] for row in utc] == [-157766400_000_000, 2_678_400_000_001, None]
    assert [row[2] for row in found] == nanos.to_pylist()
    assert all("a%20b.parquet" in row[3] for row in found)


def test_of_an_error_in_a_worker_the_cause_is_told() -> None:
    text = (
        "An exception was thrown from the Python worker.\n"
        "Traceback (most recent call last):\n  File x\nValueError: no lags for item 7\n"
    )
    assert first_line(RuntimeError(text)) == "ValueError: no lags for item 7"
    assert first_line(RuntimeError("one\ntwo")) == "one"
    assert first_line(RuntimeError()) == "RuntimeError"
