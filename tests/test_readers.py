"""Files and tables outside the warehouse: read as they are, refused by name."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from headroom.errors import DataError
from headroom.readers import source_frame


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
