"""What a second ingest does: known files, copies, corrections, renamed items."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from headroom import columns as c
from headroom.cli import Job
from headroom.config import build_config
from headroom.errors import DataError, SchemaError
from headroom.ingest.aliases import NEW_ID, OLD_ID, resolve_aliases
from headroom.schemas import INGESTED_FILES, ITEMS, OBSERVATIONS
from headroom.sources import base_path
from headroom.tables import Tables
from jobs import ingest

Ingest = Callable[..., dict[str, int]]
HEADER = "item_id,timestamp,target,v"


@pytest.fixture
def run(spark: SparkSession, warehouse: str, tmp_path: Path) -> Ingest:
    def run_once(**source: Any) -> dict[str, int]:
        values = {"format": "csv", "path": f"{tmp_path}/rows", **source}
        config = build_config({"warehouse": warehouse, "source": values})
        job = Job("ingest", config, Tables(spark, warehouse))
        ingest.run(job)
        return job.counts

    return run_once


def write(tmp_path: Path, name: str, *rows: str) -> Path:
    """A CSV file of `item hour target v` rows below the folder that is ingested."""
    path = tmp_path / "rows" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row.split() for row in rows]
    text = [
        f"{item},2025-01-06T{int(hour):02d}:00:00Z,{','.join(rest)}" for item, hour, *rest in lines
    ]
    path.write_text("\n".join([HEADER, *text]) + "\n", encoding="utf-8")
    return path


def values(spark: SparkSession, warehouse: str) -> dict[tuple[str, int], float]:
    rows = Tables(spark, warehouse).read(OBSERVATIONS).collect()
    return {(row[c.ITEM_ID], row[c.TIMESTAMP].hour): row[c.TARGET] for row in rows}


def test_only_new_content_is_read(
    run: Ingest, spark: SparkSession, warehouse: str, tmp_path: Path
) -> None:
    write(tmp_path, "1.csv", "a 0 1 1", "a 1 2 1")
    write(tmp_path, "deep/ü [1] %20.csv", "b 0 5 1")
    first = run()
    assert (first["files"], first["rows_in"], first["kept"]) == (2, 3, 3)

    write(tmp_path, "copy.csv", "a 1 2 1", "a 0 1 1")  # in another order
    write(tmp_path, "late.csv", "a 0 9 1", "a 2 3 1")
    (tmp_path / "rows" / "empty.csv").touch()
    counts = run()
    assert (counts["files"], counts["files_repeated"], counts["files_known"]) == (1, 1, 2)
    assert (counts["rows_in"], counts["kept"], counts["merged"]) == (2, 2, 0)
    expected = {("a", 0): 9.0, ("a", 1): 2.0, ("a", 2): 3.0, ("b", 0): 5.0}
    assert values(spark, warehouse) == expected

    assert "rows_in" not in run()
    write(tmp_path, "header only.csv")
    assert run()["rows_in"] == 0
    assert values(spark, warehouse) == expected
    item = Tables(spark, warehouse).read(ITEMS).where("item_id = 'a'").first()
    assert (item[c.FIRST_SEEN], item[c.LAST_SEEN]) == (
        datetime(2025, 1, 6),
        datetime(2025, 1, 6, 2),
    )
    remembered = Tables(spark, warehouse).read(INGESTED_FILES)
    assert remembered.count() == 5
    # Files that are read in another way are new.
    assert run(defaults={"unit": "req"})["files"] == 4


def test_a_file_that_changes_back_is_no_copy(
    run: Ingest, spark: SparkSession, warehouse: str, tmp_path: Path
) -> None:
    for target in (1, 22, 1):
        write(tmp_path, "1.csv", f"a 0 {target} 1", "a 1 2 1")
        assert run()["files"] == 1
        assert values(spark, warehouse) == {("a", 0): float(target), ("a", 1): 2.0}
    write(tmp_path, "backup.csv", "a 0 22 1", "a 1 2 1")
    assert run()["files_repeated"] == 1
    assert values(spark, warehouse)["a", 0] == 1.0


def test_equal_files_in_folders_that_are_columns_are_no_copies(
    run: Ingest, spark: SparkSession, warehouse: str, tmp_path: Path
) -> None:
    for place in ("region=eu", "region=us"):
        write(tmp_path, f"{place}/1.csv", "a 0 0 1", "a 1 0 1")
    write(tmp_path, "region=us/copy.csv", "a 0 0 1", "a 1 0 1")
    counts = run(columns={"item_id": ["item_id", "region"]})
    assert (counts["files"], counts["files_repeated"], counts["rows_in"]) == (2, 1, 4)
    assert set(values(spark, warehouse)) == {(f"a/{r}", h) for r in ("eu", "us") for h in (0, 1)}


@pytest.mark.slow
def test_the_largest_revision_counts_whenever_it_comes(
    run: Ingest, spark: SparkSession, warehouse: str, tmp_path: Path
) -> None:
    columns = {"revision": "v"}
    write(
        tmp_path, "1.csv", "a 0 1 5", "a 0 7 6", "a 0 8 5", "a 1 1 2025-01-01", "a 2 1 1", "a 3 1 "
    )
    counts = run(columns=columns)
    assert (counts["rows_in"], counts["kept"], counts["merged"]) == (6, 4, 2)
    assert values(spark, warehouse)["a", 0] == 7.0

    write(tmp_path, "2.csv", "a 0 2 5", "a 0 2 4", "a 1 2 2025-01-02", "a 2 2 1", "a 3 2 ")
    counts = run(columns=columns)
    assert (counts["rows_in"], counts["kept"], counts["merged"]) == (5, 3, 2)
    assert values(spark, warehouse) == {("a", 0): 7.0, ("a", 1): 2.0, ("a", 2): 2.0, ("a", 3): 2.0}
    write(tmp_path, "3.csv", "a 0 3 later", *["a 4 1 1"] * 20)
    assert run(columns=columns)["refused"] == 1


@pytest.mark.slow
def test_renamed_items_take_their_history_along(
    run: Ingest, spark: SparkSession, warehouse: str, tmp_path: Path
) -> None:
    write(tmp_path, "1.csv", "old 0 1 1", "old 1 1 1", "new 1 2 1", "oldest 2 3 1", "other 0 4 1")
    run()
    aliases = tmp_path / "aliases.csv"
    aliases.write_text("old_id,new_id\nold,new\noldest,old\nnobody,never\n")
    write(tmp_path, "2.csv", "old 3 5 1")
    settings = {"path": str(aliases), "format": "csv"}
    assert run(aliases=settings)["kept"] == 1
    expected = {
        ("new", 0): 1.0,
        ("new", 1): 2.0,
        ("new", 2): 3.0,
        ("new", 3): 5.0,
        ("other", 0): 4.0,
    }
    assert values(spark, warehouse) == expected
    items = {row[c.ITEM_ID]: row for row in Tables(spark, warehouse).read(ITEMS).collect()}
    assert set(items) == {"new", "other"}
    assert items["new"][c.FIRST_SEEN] == datetime(2025, 1, 6)
    assert items["new"][c.LAST_SEEN] == datetime(2025, 1, 6, 3)
    assert items["new"][c.GROUP_ID] == "new"
    run(aliases=settings)
    assert values(spark, warehouse) == expected


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("a", "b"), ("a", "c")], "'a' has become 'b' and 'c'; give each old_id one new_id"),
        ([("a", "b"), ("b", "a")], "in a circle through 'a', 'b'; the"),
        (
            [("a", "b"), ("b", "c"), ("c", "a"), ("x", "y")],
            "in a circle through 'a', 'b', 'c'; the",
        ),
    ],
)
def test_aliases_that_lead_nowhere(spark: SparkSession, pairs: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        resolve_aliases(spark.createDataFrame(pairs, "old_id string, new_id string"))


def test_aliases_are_followed_to_the_last_name(spark: SparkSession) -> None:
    pairs = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("x", "x"), ("y", None), ("a", "b")]
    found = resolve_aliases(spark.createDataFrame(pairs, "old_id string, new_id string"))
    assert {row[OLD_ID]: row[NEW_ID] for row in found.collect()} == dict.fromkeys("abcd", "e")
    with pytest.raises(SchemaError, match=r"aliases has no column 'new_id'; it has: old_id, x"):
        resolve_aliases(spark.createDataFrame([], "old_id string, x string").select("x", "old_id"))


@pytest.mark.parametrize(
    ("path", "file", "expected"),
    [
        ("/d/rows", "file:/d/rows/region=eu/1.csv", "/d/rows"),
        ("/d/rows/", "file:/d/rows/1.csv", None),
        ("/d/day=1/x=2.csv", "file:/d/day=1/x=2.csv", None),
        ("s3://b/*/day=1", "s3://b/a/day=1/1.csv", "s3://b"),
    ],
)
def test_folders_that_are_columns(path: str, file: str, expected: str | None) -> None:
    assert base_path(path, [file]) == expected


def test_files_beside_folders_that_are_columns() -> None:
    with pytest.raises(DataError, match=r"such as /day=1/1.csv and /2.csv; choose one kind"):
        base_path("/d", ["file:/d/day=1/1.csv", "file:/d/2.csv"])
