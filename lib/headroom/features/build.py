"""The `series` and `quality` tables: one row per series, whatever its observations are like."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BooleanType, StructField, StructType

from headroom import columns as c
from headroom.config import Rules, Series
from headroom.features.events import CALENDAR
from headroom.features.ratios import WEIGHT
from headroom.features.series import COUNT, COUNTER, Built, Calendar, Rows, build_series
from headroom.schemas import DOUBLE, INT, LONG, STRING

ISSUES = "issues"

_TIMES = "times"  # µs
_VALUES = "values"  # NaN where missing
_WEIGHTS = "weights"

# What a value far from its like may be the effect of: it is no outlier then.
_ANNOUNCED = ("live_event", "launch", "freeze", "holiday")
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
    StructField(c.FLAGGED, ArrayType(BooleanType())),
    StructField(c.STATUS, STRING),
    StructField(c.REASON, STRING),
    StructField(ISSUES, ArrayType(StructType(list(_ISSUE_FIELDS)))),
)


def to_series(
    items: DataFrame, observations: DataFrame, settings: Series, rules: Rules, n_partitions: int
) -> DataFrame:
    """One row per item: its columns, freq, start, length, target, observed, flagged, status, reason
    and issues. An item without observations has its row too. Items have a `calendar`; observations
    may have the `weight` of a ratio."""
    # A stated number of partitions, as Spark would merge small ones and leave cores idle in Python.
    spread = observations.repartition(n_partitions, c.ITEM_ID)
    nan = F.lit(float("nan"))
    fields = {
        _TIMES: ("bigint", F.unix_micros(c.TIMESTAMP)),
        _VALUES: ("double", F.coalesce(c.TARGET, nan)),
        c.N_ROWS: ("bigint", F.coalesce(c.N_ROWS, F.lit(1))),
    }
    if WEIGHT in observations.columns:
        fields[_WEIGHTS] = ("double", F.coalesce(WEIGHT, nan))
    row = F.struct(*[column.alias(name) for name, (_, column) in fields.items()])
    gathered = spread.groupBy(c.ITEM_ID).agg(F.collect_list(row).alias("rows"))
    joined = items.join(gathered, c.ITEM_ID, "left").select(
        *items.columns,
        *[
            F.coalesce(f"rows.{name}", F.array().cast(f"array<{kind}>")).alias(name)
            for name, (kind, _) in fields.items()
        ],
    )
    kept = list(items.columns)
    built = joined.mapInArrow(
        lambda batches: _build_batches(batches, kept, settings, rules),
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
    batches: Iterator[pa.RecordBatch], kept: Sequence[str], settings: Series, rules: Rules
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        kinds = batch.column(c.METRIC_KIND).to_pylist()
        built = [
            build_series(rows, kind, settings, rules, calendar)
            for rows, kind, calendar in zip(
                _rows_of(batch), kinds, _calendars_of(batch, rules), strict=True
            )
        ]
        columns = {name: batch.column(name) for name in kept} | _to_arrow(built)
        yield pa.RecordBatch.from_pydict(columns)


def _rows_of(batch: pa.RecordBatch) -> Iterator[Rows]:
    names = [n for n in (_TIMES, _VALUES, c.N_ROWS, _WEIGHTS) if n in batch.schema.names]
    flat = [batch.column(name).values.to_numpy() for name in names]
    offsets = [batch.column(name).offsets.to_numpy() for name in names]
    for i in range(batch.num_rows):
        yield Rows(*[f[o[i] : o[i + 1]] for f, o in zip(flat, offsets, strict=True)])


def _calendars_of(batch: pa.RecordBatch, rules: Rules) -> Iterator[Calendar]:
    column = batch.column(CALENDAR)
    offsets, entries = column.offsets.to_numpy(), column.values
    kinds = entries.field(c.KIND)
    spans = np.stack(
        [entries.field(name).cast(pa.int64()).to_numpy() for name in (c.STARTS_AT, c.ENDS_AT)],
        axis=1,
    )
    is_incident = np.isin(kinds, rules.incidents.event_kinds)
    is_announced = np.isin(kinds, _ANNOUNCED)
    for first, last in pairwise(offsets):
        own = slice(first, last)
        yield Calendar(spans[own][is_incident[own]], spans[own][is_announced[own]])


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
        c.FLAGGED: _lists(lengths, pa.array(np.concatenate([b.grid.flagged for b in built]))),
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
