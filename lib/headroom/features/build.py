"""The `series` and `quality` tables: one row per series, whatever its observations are like."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BooleanType, StructField, StructType

from headroom import columns as c
from headroom.config import Series
from headroom.features.series import COUNT, COUNTER, Built, Rows, build_series
from headroom.schemas import DOUBLE, INT, LONG, STRING

ISSUES = "issues"

_TIMES = "times"  # µs
_VALUES = "values"  # NaN where missing
_START_MICROS = "start_micros"

_ISSUE_FIELDS = (
    StructField(c.ISSUE, STRING),
    StructField(c.N_AFFECTED, LONG),
    StructField(c.SHARE, DOUBLE),
    StructField("first_micros", LONG),
    StructField("last_micros", LONG),
    StructField(c.ACTION, STRING),
)
_BUILT_FIELDS = (
    StructField(_START_MICROS, LONG),
    StructField(c.LENGTH, INT),
    StructField(c.TARGET, ArrayType(DOUBLE)),
    StructField(c.OBSERVED, ArrayType(BooleanType())),
    StructField(c.STATUS, STRING),
    StructField(c.REASON, STRING),
    StructField(ISSUES, ArrayType(StructType(list(_ISSUE_FIELDS)))),
)


def to_series(
    items: DataFrame, observations: DataFrame, settings: Series, n_partitions: int
) -> DataFrame:
    """One row per item: its columns, freq, start, length, target, observed, status, reason and
    issues. An item without observations has its row too."""
    # A stated number of partitions, as Spark would merge small ones and leave cores idle in Python.
    spread = observations.repartition(n_partitions, c.ITEM_ID)
    row = F.struct(
        F.unix_micros(c.TIMESTAMP).alias(_TIMES),
        F.coalesce(c.TARGET, F.lit(float("nan"))).alias(_VALUES),
        F.coalesce(c.N_ROWS, F.lit(1)).alias(c.N_ROWS),
    )
    gathered = spread.groupBy(c.ITEM_ID).agg(F.collect_list(row).alias("rows"))
    joined = items.join(gathered, c.ITEM_ID, "left").select(
        *items.columns,
        *[
            F.coalesce(f"rows.{name}", F.array().cast(f"array<{kind}>")).alias(name)
            for name, kind in ((_TIMES, "bigint"), (_VALUES, "double"), (c.N_ROWS, "bigint"))
        ],
    )
    kept = list(items.columns)
    built = joined.mapInArrow(
        lambda batches: _build_batches(batches, kept, settings),
        StructType([*[joined.schema[name] for name in kept], *_BUILT_FIELDS]),
    )
    return built.withColumns(
        {
            c.METRIC_KIND: F.when(F.col(c.METRIC_KIND) == COUNTER, F.lit(COUNT)).otherwise(
                F.col(c.METRIC_KIND)
            ),
            c.FREQ: F.lit(settings.freq),
            c.START: F.timestamp_micros(_START_MICROS),
        }
    ).drop(_START_MICROS)


def build_quality(series: DataFrame) -> DataFrame:
    """One row per series and issue that was found in it."""
    return series.select(c.ITEM_ID, F.explode(ISSUES).alias("found")).select(
        c.ITEM_ID,
        *[f"found.{name}" for name in (c.ISSUE, c.N_AFFECTED, c.SHARE, c.ACTION)],
        F.timestamp_micros("found.first_micros").alias(c.FIRST_AT),
        F.timestamp_micros("found.last_micros").alias(c.LAST_AT),
    )


def _build_batches(
    batches: Iterator[pa.RecordBatch], kept: Sequence[str], settings: Series
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        kinds = batch.column(c.METRIC_KIND).to_pylist()
        built = [
            build_series(rows, kind, settings)
            for rows, kind in zip(_rows_of(batch), kinds, strict=True)
        ]
        columns = {name: batch.column(name) for name in kept} | _to_arrow(built)
        yield pa.RecordBatch.from_pydict(columns)


def _rows_of(batch: pa.RecordBatch) -> Iterator[Rows]:
    names = (_TIMES, _VALUES, c.N_ROWS)
    flat = [batch.column(name).values.to_numpy() for name in names]
    offsets = [batch.column(name).offsets.to_numpy() for name in names]
    for i in range(batch.num_rows):
        yield Rows(*[f[o[i] : o[i + 1]] for f, o in zip(flat, offsets, strict=True)])


def _to_arrow(built: Sequence[Built]) -> dict[str, pa.Array]:
    lengths = np.array([len(b.grid.values) for b in built], dtype=np.int32)
    values = np.concatenate([b.grid.values for b in built])
    seen = np.isfinite(values)
    starts = np.array([b.grid.start for b in built], dtype=np.int64)
    return {
        _START_MICROS: pa.array(starts, mask=lengths == 0),
        c.LENGTH: pa.array(lengths),
        c.TARGET: _lists(lengths, pa.array(values, mask=~seen)),
        c.OBSERVED: _lists(lengths, pa.array(seen)),
        c.STATUS: pa.array([b.status for b in built], pa.string()),
        c.REASON: pa.array([b.reason for b in built], pa.string()),
        ISSUES: _issues(built),
    }


def _issues(built: Sequence[Built]) -> pa.Array:
    found = [finding for b in built for finding in b.findings]
    columns = {
        c.ISSUE: pa.array([f.issue for f in found], pa.string()),
        c.N_AFFECTED: pa.array([f.n_affected for f in found], pa.int64()),
        c.SHARE: pa.array([f.share for f in found], pa.float64()),
        "first_micros": pa.array([f.first_at for f in found], pa.int64()),
        "last_micros": pa.array([f.last_at for f in found], pa.int64()),
        c.ACTION: pa.array([f.action for f in found], pa.string()),
    }
    lengths = np.array([len(b.findings) for b in built], dtype=np.int32)
    return _lists(lengths, pa.StructArray.from_arrays(list(columns.values()), list(columns)))


def _lists(lengths: NDArray[np.int32], flat: pa.Array) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)
