"""The `series` and `quality` tables: one row per series, whatever its observations are like."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BooleanType, StructField, StructType

from headroom import columns as c
from headroom.config import Rules, Series
from headroom.errors import DataError
from headroom.features.digests import CONTENT, content_of_row
from headroom.features.events import CALENDAR, FIELDS
from headroom.features.packets import KEY, TEXT, Record, Records, bring_together, record_of, unpack
from headroom.features.ratios import WEIGHT
from headroom.features.series import COUNT, COUNTER, Built, Calendar, Rows, build_series
from headroom.schemas import DOUBLE, INT, LONG, STRING

ISSUES = "issues"

_TIME = "time"  # µs
_VALUE = "value"  # NaN where missing
# Of an item one text, as nested columns cost Spark's way to Python several times what numbers do:
# JSON of what Python needs of the item; after a line break that of all its columns, which comes
# back as it went.
_BREAK = "\n"  # which JSON writes as an escape

_SERIES_PER_BATCH = 256
_JSON = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}  # exact

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
    """One row per item: its columns, freq, start, length, target, observed, flagged, status,
    reason, issues, and the content (digest) of its observations. An item without observations has
    its row too. Items have a `calendar`; observations may have the `weight` of a ratio."""
    rows = _to_numbers(observations)
    record = record_of(rows)
    built = bring_together(rows, _to_texts(items, rules), n_partitions).mapInArrow(
        lambda batches: _build_batches(batches, record, settings, rules),
        StructType([StructField(TEXT, STRING), StructField(CONTENT, LONG), *_BUILT_FIELDS]),
    )
    own = _with_micros(items)
    built = built.withColumn(TEXT, F.from_json(TEXT, own.schema, _JSON))
    built = built.select(f"{TEXT}.*", CONTENT, *[field.name for field in _BUILT_FIELDS])
    return built.withColumns(
        {
            CALENDAR: _calendar_with(F.timestamp_micros),
            c.METRIC_KIND: F.when(F.col(c.METRIC_KIND) == COUNTER, F.lit(COUNT)).otherwise(
                F.col(c.METRIC_KIND)
            ),
            c.FREQ: F.lit(settings.freq),
            c.START: F.timestamp_micros(_START_MICROS),
        }
    ).drop(_START_MICROS)


def _to_numbers(observations: DataFrame) -> DataFrame:
    nan = F.lit(float("nan"))
    weighted = [WEIGHT] if WEIGHT in observations.columns else []
    return observations.select(
        F.xxhash64(c.ITEM_ID).alias(KEY),
        F.unix_micros(c.TIMESTAMP).alias(_TIME),
        F.coalesce(c.TARGET, nan).alias(_VALUE),
        F.coalesce(c.N_ROWS, F.lit(1)).alias(c.N_ROWS),
        content_of_row(observations.columns).alias(CONTENT),
        *[F.coalesce(name, nan).alias(name) for name in weighted],
    )


def _to_texts(items: DataFrame, rules: Rules) -> DataFrame:
    hints = F.struct(
        F.col(c.METRIC_KIND).alias("kind"),
        _spans(rules.incidents.event_kinds).alias("incidents"),
        _spans(_ANNOUNCED).alias("announced"),
    )
    own = _with_micros(items.withColumn("hints", F.to_json(hints)))
    text = F.concat_ws(_BREAK, "hints", F.to_json(F.struct(*items.columns), _JSON))
    return own.select(F.xxhash64(c.ITEM_ID).alias(KEY), text.alias(TEXT))


def _with_micros(items: DataFrame) -> DataFrame:
    """With µs for the times in `calendar`, which JSON spells and reads faster than dates."""
    return items.withColumn(CALENDAR, _calendar_with(F.unix_micros))


def _calendar_with(turn: Callable[[Column], Column]) -> Column:
    times = (c.STARTS_AT, c.ENDS_AT, c.KNOWN_AT)

    def turned(entry: Column) -> Column:
        fields = {name: turn(entry[name]) if name in times else entry[name] for name in FIELDS}
        return F.struct(*[field.alias(name) for name, field in fields.items()])

    return F.transform(CALENDAR, turned)


def _spans(kinds: Sequence[str]) -> Column:
    """Begin and end in µs of the calendar entries of these kinds."""
    chosen = F.filter(CALENDAR, lambda entry: entry[c.KIND].isin(list(kinds)))
    edges = (c.STARTS_AT, c.ENDS_AT)
    return F.transform(chosen, lambda e: F.array(*[F.unix_micros(e[name]) for name in edges]))


def build_quality(series: DataFrame) -> DataFrame:
    """One row per series and issue that was found in it."""
    return series.select(c.ITEM_ID, F.explode(ISSUES).alias("found")).select(
        c.ITEM_ID,
        *[f"found.{name}" for name in (c.ISSUE, c.N_AFFECTED, c.SHARE, c.ACTION)],
        F.timestamp_micros("found.first_micros").alias(c.FIRST_AT),
        F.timestamp_micros("found.last_micros").alias(c.LAST_AT),
    )


def _build_batches(
    batches: Iterator[pa.RecordBatch],
    record: Record,
    settings: Series,
    rules: Rules,
) -> Iterator[pa.RecordBatch]:
    made = (_build(texts, rows, settings, rules) for texts, rows in unpack(batches, record))
    while some := list(islice(made, _SERIES_PER_BATCH)):
        texts, content, built = zip(*some, strict=True)
        columns = {TEXT: pa.array(texts, pa.string()), CONTENT: pa.array(content, pa.int64())}
        yield pa.RecordBatch.from_pydict(columns | _to_arrow(built))


def _build(
    texts: Sequence[str], rows: Records, settings: Series, rules: Rules
) -> tuple[str, int, Built]:
    """Columns, content and series of the one item with these texts. Raises DataError for two."""
    if len(texts) > 1:
        names = [json.loads(text.partition(_BREAK)[2])[c.ITEM_ID] for text in texts]
        raise DataError(f"the items {names} have the same xxhash64; rename one of them")
    told, _, columns = texts[0].partition(_BREAK)
    hints = json.loads(told)
    weights = rows[WEIGHT] if WEIGHT in (rows.dtype.names or ()) else None
    own = Rows(rows[_TIME], rows[_VALUE], rows[c.N_ROWS], weights)
    built = build_series(own, hints["kind"], settings, rules, _calendar_of(hints))
    return columns, int(np.bitwise_xor.reduce(rows[CONTENT])), built


def _calendar_of(hints: Mapping[str, Any]) -> Calendar:
    spans = (np.array(hints[name], dtype=np.int64) for name in ("incidents", "announced"))
    return Calendar(*[span.reshape(-1, 2) for span in spans])


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
