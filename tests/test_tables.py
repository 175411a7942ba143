"""Delta: writes that can be repeated, versions that are pinned, constraints that hold."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from chispa.dataframe_comparer import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from headroom.errors import DataError, SchemaError
from headroom.schemas import EVENTS, OBSERVATIONS, conform
from headroom.tables import Tables

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


def test_a_group_is_replaced_whole_and_the_others_stay(spark: SparkSession, tables: Tables) -> None:
    first = [("a", T0, 1.0, "x"), ("a", T1, 2.0, "x"), ("b", T0, 3.0, "x"), ("b", T1, 4.0, "x")]
    tables.replace_groups(frame(spark, *first), OBSERVATIONS, ["item_id"])
    for _ in range(2):
        shorter = frame(spark, ("a", T1, 9.0, "y"), ("c", T0, 5.0, "y"))
        written = tables.replace_groups(shorter, OBSERVATIONS, ["item_id"])
        same(
            written,
            frame(spark, ("a", T1, 9.0, "y"), ("c", T0, 5.0, "y"), *first[2:]),
        )
    same(tables.replace_groups(frame(spark), OBSERVATIONS, ["item_id"]), written)


def test_a_group_of_times_is_replaced_whole(spark: SparkSession, tables: Tables) -> None:
    first = [("a", T0, 1.0, "x"), ("a", T1, 2.0, "x")]
    tables.replace_groups(frame(spark, *first), OBSERVATIONS, ["item_id", "timestamp"])
    later = frame(spark, ("a", T1, 9.0, "y"))
    written = tables.replace_groups(later, OBSERVATIONS, ["item_id", "timestamp"])
    same(written, frame(spark, first[0], ("a", T1, 9.0, "y")))


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


def test_a_warehouse_that_cannot_be_written_is_named(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot make table events in .*/file: .*; check `wareh"):
        Tables(spark, f"{tmp_path}/file").create(EVENTS)


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
