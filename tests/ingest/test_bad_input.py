"""Hostile and broken files: each comes through whole, or is refused by name."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from headroom import columns as c
from headroom.cli import Job
from headroom.config import build_config
from headroom.errors import DataError
from headroom.schemas import ITEMS, OBSERVATIONS
from headroom.tables import Tables
from jobs import ingest

Ingest = Callable[..., Job]
T0 = "2025-01-06T00:00:00Z"

# What is easily taken for another, for nothing, or for code.
NAMES = [
    "a", "A", "a ", " a", "nan", "None", "null", "NULL", "007", "7", "1e3", "0x1F", "é", "e\u0301",
    "☃", "👩‍💻", "a/b", "a%2Fb", "a,b", 'quo"te', "it's", "x'; DROP TABLE items; --",
    "../../etc/passwd", "${jndi:ldap://x}", "a\tb", "\u202eright to left", "long " + "x" * 10_000,
    "back\\slash",
]  # fmt: skip


@pytest.fixture
def run(spark: SparkSession, warehouse: str) -> Ingest:
    def run_once(**source: Any) -> Job:
        config = build_config({"warehouse": warehouse, "source": source})
        job = Job("ingest", config, Tables(spark, warehouse))
        ingest.run(job)
        return job

    return run_once


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def test_names_stay_apart_and_whole(
    run: Ingest, spark: SparkSession, warehouse: str, tmp_path: Path
) -> None:
    names = [*NAMES, "two\nlines"]
    rows = [(name, T0, 1.0) for name in names]
    frame = spark.createDataFrame(rows, "item_id string, timestamp string, target double")
    frame.write.parquet(f"{tmp_path}/names")
    assert run(format="parquet", path=f"{tmp_path}/names").counts["kept"] == len(names)
    tables = Tables(spark, warehouse)
    for table in (OBSERVATIONS, ITEMS):
        assert {row[c.ITEM_ID] for row in tables.read(table).collect()} == set(names)


def test_csv_with_a_byte_order_mark_quotes_and_extra_columns(
    run: Ingest, spark: SparkSession, warehouse: str, tmp_path: Path
) -> None:
    lines = [f"{quoted(name)},{T0},1,unused" for name in NAMES]
    text = "\r\n".join(["item_id,timestamp,target,what else", *lines])
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    path = str(tmp_path / "rows.csv")
    counts = run(format="csv", path=path).counts
    found = {row[c.ITEM_ID] for row in Tables(spark, warehouse).read(ITEMS).collect()}
    assert found == set(NAMES)
    assert (counts["rows_in"], counts["refused"]) == (len(NAMES), 0)


def test_files_whose_types_differ(run: Ingest, spark: SparkSession, tmp_path: Path) -> None:
    for number, kind in enumerate(("double", "string")):
        row = spark.createDataFrame([("a", T0, "1")], "item_id string, timestamp string, t string")
        cast = row.select("item_id", "timestamp", row["t"].cast(kind).alias("target"))
        cast.coalesce(1).write.parquet(f"{tmp_path}/rows/{number}")
    with pytest.raises(DataError, match=r"cannot read source.path .*\(in file:.*parquet\)"):
        run(format="parquet", path=f"{tmp_path}/rows")


def test_times_in_ns_beside_others(run: Ingest, tmp_path: Path) -> None:
    """Spark would read the µs of one file as ns, in January 1970."""
    (tmp_path / "rows").mkdir()
    for unit in ("ns", "us"):
        times = pa.array([datetime(2025, 1, 6)], pa.timestamp(unit))
        table = pa.table({"item_id": ["a"], "timestamp": times, "target": [1.0]})
        pq.write_table(table, tmp_path / f"rows/{unit}.parquet")
    with pytest.raises(DataError, match=r"column timestamp is timestamp\[.s\] in .*; write it in"):
        run(format="parquet", path=f"{tmp_path}/rows")


@pytest.mark.parametrize("header", [",item_id,timestamp,target", "x,item_id,timestamp,target,X"])
def test_columns_without_a_name_or_with_one_name(run: Ingest, tmp_path: Path, header: str) -> None:
    line = f"0,a,{T0},1" + ",2" * (header.count(",") - 3)
    folder = tmp_path / "rows"
    folder.mkdir()
    for number in range(2):
        (folder / f"{number}.csv").write_text(f"{header}\n{line.replace('a', str(number))}\n")
    counts = run(format="csv", path=str(folder)).counts
    assert (counts["rows_in"], counts["kept"]) == (2, 2)
    (folder / "2.csv").write_text(f"item_id,timestamp,target,x,X\na,{T0},1,0,2\n")
    (folder / "3.csv").write_text(f"{header}\n{line}\n")
    with pytest.raises(DataError, match=r"have no name or one name, and the header of .* is anoth"):
        run(format="csv", path=str(folder))


def test_rows_that_end_too_early(run: Ingest, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"item_id,timestamp,target\na,{T0},1\na")
    with pytest.raises(DataError, match=r"1 of 2 rows were refused.*'nothing' is no time"):
        run(format="csv", path=str(path))


@pytest.mark.slow
def test_rows_in_any_order_give_the_same(
    run: Ingest, spark: SparkSession, warehouse: str, tmp_path: Path
) -> None:
    rows = [f"{item},2025-01-0{day},{day}" for item in "ab" for day in range(1, 8)]
    header = "item_id,timestamp,target"
    contents = []
    for number, lines in enumerate((rows, rows[::-1], [*rows[1::2], *rows[::2]])):
        path = tmp_path / f"{number}.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        job = run(format="csv", path=str(path), defaults={"unit": str(number)})
        frame = Tables(spark, warehouse).read(OBSERVATIONS).drop(c.INGEST_ID)
        contents.append(sorted(map(tuple, frame.collect())))
        assert job.counts["kept"] == 14
    assert contents[0] == contents[1] == contents[2]
