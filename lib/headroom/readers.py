"""Files and tables outside the warehouse, as frames: what stands in them, as it is.

What Spark would read wrongly without a word is told from the files themselves: CSV columns without
a name of their own, and Parquet's times in nanoseconds.
"""

import csv
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import unquote

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType

from headroom.errors import ArtifactError, DataError, HeadroomError, first_line
from headroom.storage import parquet_schema, read_first_line

log = logging.getLogger(__name__)

# All files have one header, or one is refused: columns in another order would be mixed up.
_READER_OPTIONS = {
    "csv": {"header": "true", "enforceSchema": "false", "escape": '"'},  # quotes as in RFC 4180
    "json": {"primitivesAsString": "true"},
}


def source_frame(
    spark: SparkSession,
    path: str,
    format: str,
    options: Mapping[str, str] | None = None,
    setting: str = "source",
) -> DataFrame:
    """A source outside the warehouse, read as it is: text columns stay text.

    Raises DataError that names the path and the setting to look at.
    """
    with source_errors(path, format, setting):
        if format == "table":
            return spark.read.options(**(options or {})).table(_table_name(path))
        return read_files(spark, path, format, options)


def read_files(
    spark: SparkSession,
    path: str | list[str],
    format: str,
    options: Mapping[str, str] | None = None,
) -> DataFrame:
    """The same of a path or of several files; raises what Spark raises, and DataError."""
    chosen = {**_READER_OPTIONS.get(format, {}), **(options or {})}
    frame = spark.read.options(**chosen).format(format).load(path)
    has_header = format == "csv" and chosen["header"] == "true"
    if has_header and _have_an_odd_header(frame, chosen.get("sep", ",")):
        frame = spark.read.options(**{**chosen, "enforceSchema": "true"}).csv(path)
    return _with_nanoseconds(frame, path) if format == "parquet" else frame


def _have_an_odd_header(frame: DataFrame, separator: str) -> bool:
    """Whether a column of CSV files has no name or that of another. Spark names these by their
    places, and takes that for a fault of the file where it compares headers. Raises DataError where
    it is so, and files differ in their headers: their columns would be mixed up."""
    if not _may_be_named_by_place(frame.columns):
        return False
    files = [unquote(file) for file in frame.inputFiles()]
    try:
        headers = [read_first_line(file) for file in files]
    except ArtifactError as error:
        log.info("whether each column has a name of its own is not known: %s", error)
        return False
    text = headers[0].decode(errors="replace").removeprefix("\ufeff").rstrip("\r")
    names = [name.strip().lower() for name in next(csv.reader([text], delimiter=separator[:1]))]
    if all(names) and len(set(names)) == len(names):
        return False
    for file, header in zip(files, headers, strict=True):
        if header != headers[0]:
            raise DataError(
                f"columns of {files[0]} have no name or one name, and the header of {file} is "
                "another; give each column a name"
            )
    return True


def _may_be_named_by_place(names: list[str]) -> bool:
    """Whether one is `_c0` in the first place, or two are the same but for their places."""
    stems = [
        name.removesuffix(str(place)).lower()
        for place, name in enumerate(names)
        if name.endswith(str(place))
    ]
    return "_c" in stems or len(set(stems)) < len(stems)


def _with_nanoseconds(frame: DataFrame, path: str | list[str]) -> DataFrame:
    """Parquet's times in ns, as pandas writes them and of which Spark makes numbers, as times. Not
    every number tells: 10^16 ns after 1970 are in April 1970, as many µs in 2286.

    Raises DataError for a file with another type there: Spark would take its times for ns too.
    """
    numbers = [field.name for field in frame.schema if isinstance(field.dataType, LongType)]
    files = frame.inputFiles() if numbers else []
    if not files:
        return frame
    try:
        told = parquet_schema(unquote(files[0]))
    except ArtifactError as error:
        log.info(
            "times in ns are told by their size, as the first file's schema is unread: %s", error
        )
        return frame
    times = {}
    for name in numbers:
        kind = _type_in(told, name)
        if pa.types.is_timestamp(kind):  # in ns here, or in another file
            quoted = name.replace("`", "``")
            instant = F.timestamp_micros(F.expr(f"`{quoted}` div 1000"))
            times[name] = instant if kind.tz else instant.cast("timestamp_ntz")
    if times and _differ(frame.sparkSession, path):
        for file in files:
            schema = parquet_schema(unquote(file))
            for name in times:
                here = _type_in(schema, name)
                if here not in (first := _type_in(told, name), pa.null()):
                    raise DataError(
                        f"column {name} is {first} in {unquote(files[0])} and {here} in "
                        f"{unquote(file)}; write it in one unit, or ingest the files by themselves"
                    )
    return frame.withColumns(times) if times else frame


def _type_in(schema: pa.Schema, column: str) -> pa.DataType:
    return schema.field(column).type if column in schema.names else pa.null()


def _differ(spark: SparkSession, path: str | list[str]) -> bool:
    """Whether Parquet files differ in the types of their columns."""
    paths = [path] if isinstance(path, str) else path
    try:
        spark.read.option("mergeSchema", "true").parquet(*paths)
    except (PySparkException, Py4JJavaError) as error:
        log.debug("%s", first_line(error))
        return True
    return False


@contextmanager
def source_errors(path: str | None, format: str, setting: str = "source") -> Iterator[None]:
    """Turns what goes wrong while a source is read, at once or at the first action, into one
    DataError that names the path and the setting to look at."""
    try:
        yield
    except HeadroomError:
        raise
    except Exception as error:  # Spark raises many classes here; each becomes one message
        raise DataError(
            f"cannot read {setting}.path {path} as {format}: {first_line(error)}; "
            f"check {setting}.path and {setting}.format"
        ) from error


def _table_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,2}", name):
        raise DataError(f"{name!r} is no table name; write catalog.schema.table")
    return name
