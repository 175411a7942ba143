"""The columns of a source, found by their exact names, under the names used here."""

import difflib
from collections.abc import Collection, Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    NumericType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from headroom import columns as c
from headroom.config import Names, Source, SourceColumns
from headroom.errors import DataError, SchemaError
from headroom.schemas import TELEMETRY

RAW_TIMESTAMP = "raw_timestamp"
RAW_TARGET = "raw_target"
RAW_REVISION = "raw_revision"
ROW = "row"  # all columns of the source
LOCAL_ZONE = "local_zone"  # of the clock that wrote the row; null where times are UTC
DIMENSION_VALUES = "dimension_values"  # in the order of source.dimensions
IS_MALFORMED = "is_malformed"

# Between the parts of an item_id; within a part it is written %2F.
SEPARATOR = "/"

ATTRIBUTES = (c.METRIC, c.METRIC_KIND, c.UNIT, c.TIME_ZONE, c.COUNTRY, c.GROUP_ID)

# Where Spark's JSON reader puts a line that it cannot read.
_CORRUPT = "_corrupt_record"

_CELLS = "cells"
_TEXT_ATTRIBUTES = (c.METRIC_KIND, c.UNIT, c.TIME_ZONE, c.COUNTRY)

_LISTED, _LONGEST_NAME = 20, 40  # a message stays readable where a file is no table

_TEXTS = (StringType, NumericType, BooleanType)
_TIMES = (TimestampType, TimestampNTZType, DateType, StringType, NumericType)

# A setting, the column that it names, and the types that can serve.
Expected = tuple[str, str | None, tuple[type[DataType], ...]]

_SIMULATED_COLUMNS = SourceColumns(
    metric=c.METRIC,
    metric_kind=c.METRIC_KIND,
    unit=c.UNIT,
    time_zone=c.TIME_ZONE,
    group_id=c.GROUP_ID,
)
_SIMULATED_DIMENSIONS = ("service", "region", "team", "tier")


def resolve_source(source: Source) -> Source:
    """The source, with the columns of the simulated telemetry where that is what is read."""
    if source.format != "simulated":
        return source
    simulated = {"columns": _SIMULATED_COLUMNS, "dimensions": _SIMULATED_DIMENSIONS}
    return source.model_copy(update=simulated)


def to_mapped(frame: DataFrame, source: Source) -> DataFrame:
    """The rows that `source.where` selects, as item_id, raw_timestamp, raw_target, raw_revision,
    local_zone, attributes (null where not mapped), dimension_values, is_malformed, row and
    source_file; of a wide table one row per metric.

    Raises SchemaError for a column that is not there or cannot hold what it is mapped to.
    """
    _check_columns(frame, source)
    # Positions in place of names: dots, backticks and names that differ only in case stay apart.
    place = {name: f"_{i}" for i, name in enumerate(frame.columns)}
    # The name of the file is known only right above the scan.
    placed = frame.select("*", _origin(source)).toDF(*place.values(), c.SOURCE_FILE)
    found = {name: F.col(position) for name, position in place.items()}
    mapped = placed.where(_selection(found, source)).select(
        _key(found, source.columns.item_id).alias(c.ITEM_ID),
        found[source.columns.timestamp].alias(RAW_TIMESTAMP),
        *_values(frame, found, source),
        _revision(found, source).alias(RAW_REVISION),
        _local_zone(found, source).alias(LOCAL_ZONE),
        *[_attribute(found, source, name) for name in _TEXT_ATTRIBUTES],
        _key(found, source.columns.group_id).alias(c.GROUP_ID),
        _texts(found, source.dimensions).alias(DIMENSION_VALUES),
        (found[_CORRUPT].isNotNull() if _CORRUPT in found else F.lit(False)).alias(IS_MALFORMED),
        F.struct(*[column.alias(name) for name, column in found.items()]).alias(ROW),
        F.col(c.SOURCE_FILE),
    )
    return _to_long(mapped, source) if source.is_wide else mapped


def _values(frame: DataFrame, found: Mapping[str, Column], source: Source) -> list[Column]:
    """Metric and value of a row, or an array of them, one for each column of a wide table."""
    if not source.is_wide:
        return [found[source.columns.target].alias(RAW_TARGET), _attribute(found, source, c.METRIC)]
    numeric = all(isinstance(frame.schema[name].dataType, NumericType) for name in source.metrics)
    cells = [
        F.struct(
            F.lit(name).alias(c.METRIC),
            _as_number(found[name], frame.schema[name].dataType)
            .cast("double" if numeric else "string")
            .alias(RAW_TARGET),
        )
        for name in source.metrics
    ]
    return [F.array(*cells).alias(_CELLS)]


def _as_number(value: Column, kind: DataType) -> Column:
    return value.cast("int") if isinstance(kind, BooleanType) else value


def _to_long(wide: DataFrame, source: Source) -> DataFrame:
    """A row per cell. Its item is named after the row and the metric; the row's own name is that of
    the group, so that what was measured together stays together."""
    names = {name: metric.metric or name for name, metric in source.metrics.items()}
    cells = wide.withColumn(_CELLS, F.explode(_CELLS)).select("*", f"{_CELLS}.*").drop(_CELLS)
    name = F.create_map(*[F.lit(text) for pair in names.items() for text in pair])[F.col(c.METRIC)]
    return cells.withColumns(
        {
            c.ITEM_ID: F.concat(c.ITEM_ID, F.lit(SEPARATOR), name),
            c.GROUP_ID: F.coalesce(c.GROUP_ID, c.ITEM_ID),
        }
    )


def _key(found: Mapping[str, Column], names: Names | None) -> Column:
    """The text of one column, or of several, joined; null where one of several is empty."""
    if names is None:
        return F.lit(None).cast("string")
    if isinstance(names, str):
        return found[names].cast("string")
    parts = [found[name].cast("string") for name in names]
    escaped = [
        F.replace(F.replace(part, F.lit("%"), F.lit("%25")), F.lit(SEPARATOR), F.lit("%2F"))
        for part in parts
    ]
    filled = [F.when(F.trim(part) != "", text) for part, text in zip(parts, escaped, strict=True)]
    joined = [text for part in filled for text in (F.lit(SEPARATOR), part)][1:]
    return F.concat(*joined)


def _revision(found: Mapping[str, Column], source: Source) -> Column:
    name = source.columns.revision
    return F.lit(None).cast("string") if name is None else found[name]


def _local_zone(found: Mapping[str, Column], source: Source) -> Column:
    if source.local_time is None:
        return F.lit(None).cast("string")
    given = F.lit(source.local_time.zone).cast("string")
    if source.local_time.column is None:
        return given
    own = F.trim(found[source.local_time.column].cast("string"))
    return F.coalesce(F.when(own != "", own), given)


def _origin(source: Source) -> Column:
    """The file of a row; of a table its name, because its files are nobody's business and differ
    from one write of the same rows to the next."""
    if source.format == "simulated":
        return F.lit(TELEMETRY.name)
    if source.format in ("delta", "table"):
        return F.lit(source.path)
    return F.input_file_name()


def _selection(found: Mapping[str, Column], source: Source) -> Column:
    chosen = F.lit(True)
    for name, values in source.where.items():
        chosen = chosen & found[name].cast("string").isin(list(values))
    return chosen


def _attribute(found: Mapping[str, Column], source: Source, name: str) -> Column:
    column = getattr(source.columns, name)
    value = F.lit(None) if column is None else F.trim(found[column].cast("string"))
    return F.when(value != "", value).cast("string").alias(name)


def _texts(found: Mapping[str, Column], names: Sequence[str]) -> Column:
    return F.array(*[found[name].cast("string") for name in names]).cast("array<string>")


def as_it_came() -> Column:
    """The row of the source as JSON."""
    return F.to_json(ROW, {"ignoreNullFields": "false"})


def check_readable(frame: DataFrame) -> None:
    """Raises DataError for JSON of which Spark reads no line."""
    if frame.columns == [_CORRUPT]:
        raise DataError(
            "no line of the source is valid JSON; check source.path and source.format, and where a "
            "file is one array set source.options to {multiLine: true}"
        )


def _check_columns(frame: DataFrame, source: Source) -> None:
    check_readable(frame)
    columns = source.columns
    types = {field.name: field.dataType for field in frame.schema}
    expected: list[Expected] = [
        *[("source.columns.item_id", name, _TEXTS) for name in _listed(columns.item_id)],
        ("source.columns.timestamp", columns.timestamp, _TIMES),
        *[("source.columns.group_id", name, _TEXTS) for name in _listed(columns.group_id)],
        *_named_values(source),
        *[(f"source.columns.{a}", getattr(columns, a), _TEXTS) for a in _TEXT_ATTRIBUTES],
        ("source.columns.revision", columns.revision, _TIMES),
        *[("source.local_time.column", name, _TEXTS) for name in _zone_columns(source)],
        *[("source.dimensions", name, _TEXTS) for name in source.dimensions],
        *[("source.where", name, _TEXTS) for name in source.where],
    ]
    for setting, name, allowed in expected:
        if name is not None:
            _check_column(types, setting, name, allowed)


def _listed(names: Names | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names or ()


def _named_values(source: Source) -> list[Expected]:
    if source.is_wide:
        return [("source.metrics", name, _TEXTS) for name in source.metrics]
    columns = source.columns
    return [
        ("source.columns.target", columns.target, _TEXTS),
        ("source.columns.metric", columns.metric, _TEXTS),
    ]


def _zone_columns(source: Source) -> tuple[str, ...]:
    return _listed(source.local_time.column if source.local_time else None)


def _check_column(
    types: Mapping[str, DataType], setting: str, name: str, allowed: tuple[type[DataType], ...]
) -> None:
    if name not in types:
        near = difflib.get_close_matches(name, types, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SchemaError(
            f"the source has no column {name!r}, which {setting} names; {hint}"
            f"it has: {list_names(types)}"
        )
    if not isinstance(types[name], allowed):
        raise SchemaError(
            f"column {name!r} is of type {types[name].simpleString()}, which {setting} "
            "cannot use; name another column"
        )


def list_names(names: Collection[str]) -> str:
    """The first names in order, each cut short, and how many more there are."""
    listed = ", ".join(name[:_LONGEST_NAME] for name in sorted(names)[:_LISTED])
    return listed + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
