"""Shards: whole groups, a digest of the content alone, and reads that notice any change."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.errors import ArtifactError, DataError
from headroom.schemas import SERIES
from headroom.training.shards import (
    Manifest,
    Shard,
    content_digest,
    export_shards,
    read_manifest,
    read_shards,
    shards_of,
)

EVENT = {
    "kind": "launch", "first_step": 1, "last_step": 2, "expected_lift": None, "known_step": 0,
}  # fmt: skip


def row(item: str, target: list[float | None], **other: Any) -> dict[str, Any]:
    return {
        c.ITEM_ID: item,
        c.GROUP_ID: item[0],
        c.METRIC_KIND: "gauge",
        c.TIME_ZONE: "Europe/Paris",
        c.FREQ: "h",
        c.START: datetime(2025, 3, 1, 5),
        c.LENGTH: len(target),
        c.TARGET: target,
        c.OBSERVED: [value is not None for value in target],
        c.FLAGGED: [False] * len(target),
        c.STATIC_CODES: [1, 0],
        c.SERIES_EVENTS: [EVENT],
        c.STATUS: "ok",
        **other,
    }


ROWS = [
    row("a/2", [1.0, None, 3.0], **{c.SERIES_EVENTS: None, c.STATIC_CODES: None}),
    row("a/1", [0.5]),
    row("b/1", [2.0, 2.5]),
    row("c/1", []),
    row("d/1", [9.0], **{c.STATUS: "short_history"}),
]


@pytest.fixture(scope="module")
def series(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(
        [{name: row.get(name) for name in SERIES.schema.names} for row in ROWS], SERIES.schema
    )


@pytest.fixture(scope="module")
def written(series: DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return export_shards(series, f"{tmp_path_factory.mktemp('shards')}/export", n_shards=3)


@pytest.fixture
def export(written: Manifest, tmp_path: Path) -> Manifest:
    """A copy to do anything to."""
    shutil.copytree(written.folder, tmp_path / "export")
    return read_manifest(str(tmp_path / "export"))


def test_rows_come_back_by_shard_and_item(export: Manifest) -> None:
    rows = read_shards(export, range(3))
    assert sorted(rows["item_id"]) == ["a/1", "a/2", "b/1", "c/1"]
    place = {item: i for i, item in enumerate(rows["item_id"])}
    assert place["a/2"] == place["a/1"] + 1  # the group is whole, and in order
    a1, a2, c1 = place["a/1"], place["a/2"], place["c/1"]
    np.testing.assert_array_equal(rows["target"][a2], [1.0, np.nan, 3.0])
    assert rows["target"][a2].dtype == np.float64
    assert len(rows["target"][c1]) == 0
    assert rows["start"][a2] == np.datetime64("2025-03-01T05:00:00")
    assert rows["static_codes"][a1] == [1, 0]
    assert rows["static_codes"][a2] is None
    assert rows["series_events"][a1] == [EVENT]
    assert set(rows["freq"]) == {"h"}
    assert export.rows == 4
    assert sum(shard.observed for shard in export.shards) == 5


def test_no_shards_are_no_rows(export: Manifest) -> None:
    assert read_shards(export, [])["item_id"] == []


def test_the_digest_is_of_the_content_alone(
    series: DataFrame, export: Manifest, tmp_path: Path
) -> None:
    shuffled = series.orderBy(F.desc(c.ITEM_ID)).repartition(3)
    again = export_shards(shuffled, f"{tmp_path}/again", n_shards=5)
    assert again.digest == export.digest
    assert again.rows_by_shard != export.rows_by_shard
    assert sorted(read_shards(again, range(5))["item_id"]) == ["a/1", "a/2", "b/1", "c/1"]


@pytest.mark.parametrize(
    ("column", "change"),
    [
        (c.TARGET, lambda: F.transform(c.TARGET, lambda v: F.when(v != 2.5, v).otherwise(2.6))),
        (c.TARGET, lambda: F.reverse(c.TARGET)),
        (c.TARGET, lambda: F.sort_array(c.TARGET)),  # moves nothing but a null
        (c.START, lambda: F.col(c.START) + F.expr("interval 1 microsecond")),
        (c.STATUS, lambda: F.lit("ok")),
    ],
)
def test_any_change_changes_the_digest(
    series: DataFrame, written: Manifest, column: str, change: Callable[[], Any]
) -> None:
    assert content_digest(series) == written.digest
    assert content_digest(series.withColumn(column, change())) != written.digest


def test_the_same_export_is_reused_and_a_changed_one_replaced(
    series: DataFrame, export: Manifest
) -> None:
    manifest = Path(export.folder, "manifest.json")
    before = manifest.stat().st_mtime_ns
    assert export_shards(series, export.folder, n_shards=3) == export
    assert manifest.stat().st_mtime_ns == before

    fewer = export_shards(series.where("item_id <> 'b/1'"), export.folder, n_shards=3)
    assert fewer.digest != export.digest
    assert sorted(read_shards(fewer, range(3))["item_id"]) == ["a/1", "a/2", "c/1"]


def test_an_incomplete_export_is_written_again(series: DataFrame, export: Manifest) -> None:
    lost = export.shards[int(np.argmax(export.rows_by_shard))].files[0]
    Path(export.folder, lost.name).unlink()
    again = export_shards(series, export.folder, n_shards=3)
    assert sorted(read_shards(again, range(3))["item_id"]) == ["a/1", "a/2", "b/1", "c/1"]


def test_an_altered_file_is_named(export: Manifest) -> None:
    name = next(file.name for shard in export.shards for file in shard.files)
    path = Path(export.folder, name)
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match=f"{name} was altered"):
        read_shards(export, range(3))
    path.unlink()
    with pytest.raises(ArtifactError, match=f"cannot read .*{name}"):
        read_shards(export, range(3))


def test_nothing_to_train_on_is_said(series: DataFrame, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no series has status ok"):
        export_shards(series.where("status <> 'ok'"), str(tmp_path), n_shards=2)


def test_a_manifest_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"digest": "a"}')
    with pytest.raises(ArtifactError, match="is no manifest"):
        read_manifest(str(tmp_path))


def fake(*rows: int) -> Manifest:
    return Manifest("x", "d", tuple(Shard(i, n, n, ()) for i, n in enumerate(rows)))


def test_ranks_share_the_rows_evenly() -> None:
    manifest = fake(5, 0, 9, 4, 4, 4)
    ranks = [shards_of(rank, 2, manifest) for rank in range(2)]
    assert ranks == [[2, 4], [0, 3, 5]]  # 9 + 4 and 5 + 4 + 4
    assert shards_of(0, 1, manifest) == [0, 2, 3, 4, 5]
    assert [shards_of(rank, 3, fake(0, 7)) for rank in range(3)] == [[1], [], []]
