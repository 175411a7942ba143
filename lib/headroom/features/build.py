"""The `series` and `quality` tables: one row per series, whatever its observations are like."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
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
from headroom.features.events import CALENDAR
from headroom.features.ratios import WEIGHT
from headroom.features.series import COUNT, COUNTER, Built, Calendar, Rows, build_series
from headroom.schemas import DOUBLE, INT, LONG, STRING

ISSUES = "issues"

_KEY = "key"
# In the one row of an item, null in those of its observations: one text, since nested columns cost
# Spark's way to Python several times what all numbers of a row do, also where they are null. JSON
# of what Python needs of the item; after a line break that of all its columns, which comes back as
# it went.
_ITEM = "item"
_BREAK = "\n"  # which JSON writes as an escape
_TIMES = "times"  # µs
_VALUES = "values"  # NaN where missing
_WEIGHTS = "weights"

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
    rows = _rows(observations, items, rules)
    # Sorted by a number, which Spark does without comparing; a stated number of partitions, as
    # Spark would merge small ones and leave cores idle in Python.
    gathered = rows.repartition(n_partitions, _KEY).sortWithinPartitions(_KEY)
    built = gathered.mapInArrow(
        lambda batches: _build_batches(batches, settings, rules),
        StructType([StructField(_ITEM, STRING), StructField(CONTENT, LONG), *_BUILT_FIELDS]),
    )
    built = built.withColumn(_ITEM, F.from_json(_ITEM, items.schema, _JSON))
    built = built.select(f"{_ITEM}.*", CONTENT, *[field.name for field in _BUILT_FIELDS])
    return built.withColumns(
        {
            c.METRIC_KIND: F.when(F.col(c.METRIC_KIND) == COUNTER, F.lit(COUNT)).otherwise(
                F.col(c.METRIC_KIND)
            ),
            c.FREQ: F.lit(settings.freq),
            c.START: F.timestamp_micros(_START_MICROS),
        }
    ).drop(_START_MICROS)


def _rows(observations: DataFrame, items: DataFrame, rules: Rules) -> DataFrame:
    """The observations, and one row for each item that carries all of its columns."""
    nan, nothing = F.lit(float("nan")), F.lit(None).cast("string")
    hints = F.struct(
        F.col(c.METRIC_KIND).alias("kind"),
        _spans(rules.incidents.event_kinds).alias("incidents"),
        _spans(_ANNOUNCED).alias("announced"),
    )
    key = F.xxhash64(c.ITEM_ID).alias(_KEY)
    weighted = [WEIGHT] if WEIGHT in observations.columns else []
    measured = observations.select(
        key,
        F.unix_micros(c.TIMESTAMP).alias(_TIMES),
        F.coalesce(c.TARGET, nan).alias(_VALUES),
        F.coalesce(c.N_ROWS, F.lit(1)).alias(c.N_ROWS),
        content_of_row(observations.columns).alias(CONTENT),
        nothing.alias(_ITEM),
        *[F.coalesce(name, nan).alias(_WEIGHTS) for name in weighted],
    )
    zero = F.lit(0).cast("bigint")
    own_columns = F.to_json(F.struct(*items.columns), _JSON)
    own = items.select(
        key,
        zero.alias(_TIMES),
        nan.alias(_VALUES),
        zero.alias(c.N_ROWS),
        zero.alias(CONTENT),
        F.concat_ws(_BREAK, F.to_json(hints), own_columns).alias(_ITEM),
        *[nan.alias(_WEIGHTS) for _ in weighted],
    )
    return measured.unionByName(own)


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
    batches: Iterator[pa.RecordBatch], settings: Series, rules: Rules
) -> Iterator[pa.RecordBatch]:
    # A series at a time: its rows, of which there may be millions, go before the next ones come.
    made = (
        (item, build_series(rows, hints["kind"], settings, rules, _calendar_of(hints)), content)
        for item, hints, rows, content in _gather(batches)
    )
    while some := list(islice(made, _SERIES_PER_BATCH)):
        items, built, content = zip(*some, strict=True)
        columns = {_ITEM: pa.array(items, pa.string()), CONTENT: pa.array(content, pa.int64())}
        yield pa.RecordBatch.from_pydict(columns | _to_arrow(built))


def _gather(
    batches: Iterator[pa.RecordBatch],
) -> Iterator[tuple[str, dict[str, Any], Rows, int]]:
    """Item, hints, observations and content (digest) of one series after the other, from rows in
    order of their key, which may span batches. Observations of no item are left out.

    Raises DataError where two items have one key.
    """
    parts: list[dict[str, NDArray[Any]]] = []
    last_key = None
    for batch in batches:
        columns = {
            name: column.to_numpy(zero_copy_only=False)
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        }
        keys = columns[_KEY]
        edges = [0, *(np.flatnonzero(keys[1:] != keys[:-1]) + 1), len(keys)]
        for first, last in pairwise(edges):
            if parts and (first or keys[0] != last_key):
                yield from _one_series(parts)
                parts = []
            parts.append({name: values[first:last] for name, values in columns.items()})
        last_key = keys[-1] if len(keys) else last_key
    if parts:
        yield from _one_series(parts)


def _one_series(
    parts: Sequence[dict[str, NDArray[Any]]],
) -> Iterator[tuple[str, dict[str, Any], Rows, int]]:
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    is_row = np.equal(columns[_ITEM], np.array(None))
    own = columns[_ITEM][~is_row]
    if len(own) == 0:
        return
    if len(own) > 1:
        names = [json.loads(text.partition(_BREAK)[2])[c.ITEM_ID] for text in own]
        raise DataError(f"the items {names} have the same xxhash64; rename one of them")
    hints, _, item = own[0].partition(_BREAK)
    rows = Rows(columns[_TIMES], columns[_VALUES], columns[c.N_ROWS], columns.get(_WEIGHTS))
    content = int(np.bitwise_xor.reduce(columns[CONTENT]))
    yield item, json.loads(hints), rows.keep(is_row), content


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
