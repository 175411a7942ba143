"""The series that a training reads, as Parquet files outside of any Delta folder.

A Delta folder holds deleted and superseded rows too, which only Delta tells apart; so Spark writes
the rows of one pinned version once, and a manifest says what must be there.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.arrow import columns_of
from headroom.errors import ArtifactError, ConfigError, DataError
from headroom.sharding import SHARD_ID, add_shard_id
from headroom.storage import read_bytes, remove, sizes, write_bytes

log = logging.getLogger(__name__)

COLUMNS = (
    c.ITEM_ID,
    c.GROUP_ID,
    c.METRIC_KIND,
    c.FREQ,
    c.START,
    c.TIME_ZONE,
    c.TARGET,
    c.STATIC_CODES,
    c.SERIES_EVENTS,
)
_ROWS, _MANIFEST = "rows", "manifest.json"
_ROWS_PER_FILE = 2_000  # 20,000 steps each are 320 MB: what a reader holds at once


@dataclass(frozen=True)
class ShardFile:
    """One Parquet file; `name` is relative to the folder of the export."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Shard:
    """Whole groups of series; the files in order hold the rows by `item_id`."""

    shard_id: int
    rows: int
    observed: int  # steps
    files: tuple[ShardFile, ...]


@dataclass(frozen=True)
class Manifest:
    """What an export holds. `digest` depends on the content alone: not on files, order or number
    of shards."""

    folder: str
    digest: str
    shards: tuple[Shard, ...]  # by shard_id, empty ones included

    @property
    def rows_by_shard(self) -> tuple[int, ...]:
        return tuple(shard.rows for shard in self.shards)

    @property
    def rows(self) -> int:
        return sum(self.rows_by_shard)


def export_shards(series: DataFrame, folder: str, *, n_shards: int) -> Manifest:
    """Writes the series with status ok to the folder, or finds that they are there already.

    Related series share a shard. The manifest comes last, so that an export without one is none.
    Raises DataError where there is no series to train on.
    """
    rows = add_shard_id(_trainable(series), n_shards)
    counts = _count(rows)
    if not counts:
        raise DataError("no series has status ok, so there is nothing to train on; see `quality`")
    digest = _digest(counts.values())
    found = _find(folder)
    if found and found.digest == digest and len(found.shards) == n_shards:
        log.info("the shards in %s are those already: %s", folder, digest)
        return found
    remove(f"{folder}/{_MANIFEST}")
    _write_rows(rows, f"{folder}/{_ROWS}", n_shards)
    files = _list_files(rows, folder)
    shards = tuple(
        Shard(shard, *counts.get(shard, _NOTHING)[:2], files.get(shard, ()))
        for shard in range(n_shards)
    )
    manifest = Manifest(folder, digest, shards)
    write_bytes(f"{folder}/{_MANIFEST}", json.dumps(asdict(manifest), indent=1).encode())
    return manifest


def content_digest(series: DataFrame) -> str:
    """The digest that an export of these series has, without writing anything."""
    return _digest(_count(add_shard_id(_trainable(series), 1)).values())


def read_manifest(folder: str) -> Manifest:
    """The manifest of an export. Raises ArtifactError where it is missing or unreadable."""
    try:
        fields = json.loads(read_bytes(f"{folder}/{_MANIFEST}"))
        shards = tuple(
            Shard(**{**shard, "files": tuple(ShardFile(**file) for file in shard["files"])})
            for shard in fields["shards"]
        )
        return Manifest(folder, str(fields["digest"]), shards)
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder}/{_MANIFEST} is no manifest of shards: {error}") from error


def shards_of(rank: int, size: int, manifest: Manifest) -> list[int]:
    """The shards of one rank, ascending; every shard that has rows goes to exactly one rank.

    Longest first, each to the rank with the fewest rows so far. With fewer such shards than ranks,
    some ranks have none.
    """
    loads = [0] * size
    mine = []
    for shard in sorted(manifest.shards, key=lambda shard: (-shard.rows, shard.shard_id)):
        taker = loads.index(min(loads))
        loads[taker] += shard.rows
        if taker == rank and shard.rows:
            mine.append(shard.shard_id)
    return sorted(mine)


def read_shards(manifest: Manifest, shard_ids: Iterable[int]) -> dict[str, Sequence[Any]]:
    """The columns of the shards' rows, in the order given and by `item_id` within each shard.

    `target` holds float64 arrays with NaN where nothing was observed, `start` is datetime64[s].
    Raises ArtifactError that names a file which is missing or was altered.
    """
    tables = [
        table
        for shard_id in shard_ids
        for table in _read_shard(manifest.folder, manifest.shards[shard_id])
    ]
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for table in tables:
        for name, values in columns_of(table.select(COLUMNS)).items():
            columns[name] += list(values)
    return dict(columns)


def _read_shard(folder: str, shard: Shard) -> list[pa.Table]:
    tables = []
    for file in shard.files:
        data = read_bytes(f"{folder}/{file.name}")
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise ArtifactError(
                f"{folder}/{file.name} was altered since it was exported (sha256 differs); "
                "delete the folder and train again"
            )
        tables.append(pq.read_table(pa.BufferReader(data)))
    rows = sum(table.num_rows for table in tables)
    if rows != shard.rows:
        raise ArtifactError(f"shard {shard.shard_id} in {folder} has {rows} rows, not {shard.rows}")
    return tables


def _trainable(series: DataFrame) -> DataFrame:
    group = F.coalesce(c.GROUP_ID, c.ITEM_ID)  # a series without a group is one
    return series.where(F.col(c.STATUS) == "ok").select(*COLUMNS).withColumn(c.GROUP_ID, group)


_Counts = tuple[int, int, int, int]  # rows, observed steps, and two sums of hashes
_NOTHING: _Counts = (0, 0, 0, 0)


def _count(rows: DataFrame) -> dict[int, _Counts]:
    hashed = [F.xxhash64(F.lit(salt), *_hashable()) for salt in ("a", "b")]
    observed = F.size(F.filter(c.TARGET, lambda value: value.isNotNull()))
    sums = [F.sum(column.cast("decimal(38,0)")) for column in (observed, *hashed)]
    counted = rows.groupBy(SHARD_ID).agg(F.count(F.lit(1)), *sums)
    return {
        row[0]: (int(row[1]), int(row[2]), int(row[3]), int(row[4])) for row in counted.collect()
    }


def _hashable() -> list[Column]:
    """The columns such that different rows differ: xxhash64 passes over nulls in silence."""
    target = F.transform(c.TARGET, lambda value: F.coalesce(value, F.lit(float("nan"))))
    plain = [name for name in COLUMNS if name not in (c.TARGET, c.START)]
    rest = F.to_json(F.struct(*plain), {"ignoreNullFields": "false"})
    return [target, F.unix_micros(c.START), rest]


def _digest(counts: Iterable[_Counts]) -> str:
    totals = [sum(numbers) for numbers in zip(*counts, strict=True)]
    return hashlib.sha256(json.dumps(totals).encode()).hexdigest()


def _find(folder: str) -> Manifest | None:
    present = sizes(folder)
    if _MANIFEST not in present:
        return None
    try:
        manifest = read_manifest(folder)
    except ArtifactError as error:
        log.warning("%s; the shards are written again", error)
        return None
    files = [file for shard in manifest.shards for file in shard.files]
    return manifest if all(present.get(file.name) == file.size for file in files) else None


def _write_rows(rows: DataFrame, path: str, n_shards: int) -> None:
    (
        rows.repartition(n_shards, SHARD_ID)
        .sortWithinPartitions(SHARD_ID, c.ITEM_ID)
        .write.mode("overwrite")
        .option("maxRecordsPerFile", _ROWS_PER_FILE)
        .partitionBy(SHARD_ID)
        .parquet(path)
    )


def _list_files(rows: DataFrame, folder: str) -> dict[int, tuple[ShardFile, ...]]:
    """The files by shard, hashed where they lie; one task writes a shard, so names give order."""
    found = (
        rows.sparkSession.read.format("binaryFile")
        .option("recursiveFileLookup", "true")
        .option("pathGlobFilter", "*.parquet")
        .load(f"{folder}/{_ROWS}")
        .select("path", "length", F.sha2("content", 256).alias("sha256"))
    )
    files: dict[int, tuple[ShardFile, ...]] = {}
    for row in sorted(found.collect(), key=lambda row: row["path"]):
        if row["path"].startswith("hdfs:") and not folder.startswith("hdfs:"):
            raise ConfigError(
                f"artifacts {folder} means {row['path'].split(f'/{_ROWS}/')[0]} to Spark and a "
                "local folder to the ranks; write the URI"
            )
        name = f"{_ROWS}/" + "/".join(row["path"].rsplit("/", 2)[1:])
        shard = int(row["path"].rsplit(f"{SHARD_ID}=", 1)[1].split("/")[0])
        files[shard] = (*files.get(shard, ()), ShardFile(name, row["length"], row["sha256"]))
    return files
