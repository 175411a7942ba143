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
from headroom.config import Source, SourceColumns
from headroom.errors import DataError, SchemaError
from headroom.schemas import TELEMETRY

RAW_TIMESTAMP = "raw_timestamp"
RAW_TARGET = "raw_target"
DIMENSION_VALUES = "dimension_values"  # in the order of source.dimensions
IS_MALFORMED = "is_malformed"

ATTRIBUTES = (c.METRIC, c.METRIC_KIND, c.UNIT, c.TIME_ZONE, c.COUNTRY, c.GROUP_ID)

# Where Spark's JSON reader puts a line that it cannot read.
_CORRUPT = "_corrupt_record"

_LISTED, _LONGEST_NAME = 20, 40  # a message stays readable where a file is no table

_TEXTS = (StringType, NumericType, BooleanType)
_TIMES = (TimestampType, TimestampNTZType, DateType, StringType, NumericType)

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
    """The rows that `source.where` selects, as item_id, raw_timestamp, raw_target, attributes (null
    where not mapped), dimension_values, is_malformed, raw and source_file.

    Raises SchemaError for a column that is not there or cannot hold what it is mapped to.
    """
    _check_columns(frame, source)
    # Positions in place of names: dots, backticks and names that differ only in case stay apart.
    place = {name: f"_{i}" for i, name in enumerate(frame.columns)}
    # The name of the file is known only right above the scan.
    placed = frame.select("*", _origin(source)).toDF(*place.values(), c.SOURCE_FILE)
    found = {name: F.col(position) for name, position in place.items()}
    return placed.where(_selection(found, source)).select(
        found[source.columns.item_id].cast("string").alias(c.ITEM_ID),
        found[source.columns.timestamp].alias(RAW_TIMESTAMP),
        found[source.columns.target].alias(RAW_TARGET),
        *[_attribute(found, source, name) for name in ATTRIBUTES],
        _texts(found, source.dimensions).alias(DIMENSION_VALUES),
        (found[_CORRUPT].isNotNull() if _CORRUPT in found else F.lit(False)).alias(IS_MALFORMED),
        _as_json(found).alias(c.RAW),
        F.col(c.SOURCE_FILE),
    )


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


def _as_json(found: Mapping[str, Column]) -> Column:
    row = F.struct(*[column.alias(name) for name, column in found.items()])
    return F.to_json(row, {"ignoreNullFields": "false"})


def _check_columns(frame: DataFrame, source: Source) -> None:
    if frame.columns == [_CORRUPT]:
        raise DataError("no line of the source is valid JSON; check source.path and source.format")
    columns = source.columns
    types = {field.name: field.dataType for field in frame.schema}
    expected: list[tuple[str, str, tuple[type[DataType], ...]]] = [
        ("source.columns.item_id", columns.item_id, _TEXTS),
        ("source.columns.timestamp", columns.timestamp, _TIMES),
        ("source.columns.target", columns.target, _TEXTS),
        *[(f"source.columns.{a}", getattr(columns, a), _TEXTS) for a in ATTRIBUTES],
        *[("source.dimensions", name, _TEXTS) for name in source.dimensions],
        *[("source.where", name, _TEXTS) for name in source.where],
    ]
    for setting, name, allowed in expected:
        if name is not None:
            _check_column(types, setting, name, allowed)


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
