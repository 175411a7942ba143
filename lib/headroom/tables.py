"""The only Delta reads and writes. Versions of inputs are pinned once; writes can be repeated."""

import csv
import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from delta import DeltaTable
from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
)
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, DataFrameWriter, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType

from headroom.config import is_catalog
from headroom.errors import ArtifactError, DataError, HeadroomError
from headroom.schemas import Table, conform
from headroom.storage import parquet_schema, read_first_line

log = logging.getLogger(__name__)

_CONFLICTS = (
    ConcurrentAppendException,
    ConcurrentDeleteReadException,
    ConcurrentDeleteDeleteException,
)
_ATTEMPTS = 5

# All files have one header, or one is refused: columns in another order would be mixed up.
_READER_OPTIONS = {
    "csv": {"header": "true", "enforceSchema": "false", "escape": '"'},  # quotes as in RFC 4180
    "json": {"primitivesAsString": "true"},
}
_GONE = "is_gone"
_LAST_COMMIT = "spark.databricks.delta.lastCommitVersionInSession"


class Tables:
    """The tables of one warehouse, as one job sees them.

    The first read of a table pins its version for the rest of the job, so that a job never sees two
    states of one table. `read_versions` and `written_versions` go into the run record.
    """

    def __init__(self, spark: SparkSession, warehouse: str) -> None:
        self.spark = spark
        self.warehouse = warehouse.rstrip("/")
        self.read_versions: dict[str, int] = {}
        self.written_versions: dict[str, int] = {}
        # Made by this job and not written since: Delta would look into each by several Spark jobs.
        self._empty: set[str] = set()

    # -- reading ---------------------------------------------------------------------------------

    def exists(self, table: Table) -> bool:
        if is_catalog(self.warehouse):
            return self.spark.catalog.tableExists(self._name(table))
        return DeltaTable.isDeltaTable(self.spark, self._path(table))

    def version(self, table: Table) -> int:
        """The latest version of the table."""
        return int(self._delta(table).history(1).select("version").first()["version"])

    def read(self, table: Table) -> DataFrame:
        """The table at the version pinned by this job. Raises DataError where it does not exist."""
        if table.name not in self.read_versions:
            if not self.exists(table):
                raise DataError(
                    f"table {table.name} does not exist in {self.warehouse}; "
                    "run the job that writes it first, or `pipeline`"
                )
            is_new = table.name in self._empty
            self.read_versions[table.name] = 0 if is_new else self.version(table)
        frame = self.read_at(table, self.read_versions[table.name])
        return frame.limit(0) if table.name in self._empty else frame

    def read_at(self, table: Table, version: int) -> DataFrame:
        reader = self.spark.read.option("versionAsOf", version)
        if is_catalog(self.warehouse):
            return reader.table(self._name(table))
        return reader.format("delta").load(self._path(table))

    # -- writing ---------------------------------------------------------------------------------

    def create(self, table: Table) -> None:
        """The table with its schema and constraints, in one commit; again: nothing."""
        if self.exists(table):
            return
        self.spark.conf.unset(_LAST_COMMIT)
        if is_catalog(self.warehouse):
            self.spark.sql(_create_statement(self._name(table), table))
        else:
            builder = DeltaTable.createIfNotExists(self.spark).location(self._path(table))
            for name, value in table.properties.items():
                builder = builder.property(name, value)
            builder.addColumns(table.schema).execute()
        if self.spark.conf.get(_LAST_COMMIT, None) == "0":  # else another was faster
            self._empty.add(table.name)

    def replace(
        self, frame: DataFrame, table: Table, where: Mapping[str, Any] | None = None
    ) -> DataFrame:
        """Replaces the rows that match `where` (all of them without it), in one commit.

        Returns the table as written, so that a costly frame is computed once. Delta refuses rows
        outside the slice, unless the table is new.
        """
        self.create(table)
        writer = conform(frame, table).write.format("delta")
        if table.name in self._empty:
            return self._save(writer.mode("append"), table)
        writer = writer.mode("overwrite")
        if where:
            writer = writer.option("replaceWhere", _predicate(where))
        return self._save(writer, table)

    def merge(
        self,
        frame: DataFrame,
        table: Table,
        order: str | None = None,
        within: tuple[str, Any, Any] | None = None,
    ) -> DataFrame:
        """Updates the rows whose key is there, inserts the others. Returns the table as written.

        A row that is there with a larger `order` stays; null is smallest. `within` is a column of
        the key with the least and largest value that the frame has: files outside are not read.
        The frame holds one row per key: Delta's MERGE refuses ambiguous updates but would insert
        duplicates in silence, so callers aggregate first.
        """
        self.create(table)
        if table.name in self._empty or self._delta(table).toDF().isEmpty():
            # MERGE would compute the frame, keep it and sort it.
            writer = conform(frame, table).write.format("delta").mode("append")
            return self._save(writer, table)
        match = [f"old.{name} = new.{name}" for name in table.key]
        if within:
            column, least, largest = within
            bounds = f"{_literal(least)} AND {_literal(largest)}"
            match.append(f"old.{column} BETWEEN {bounds}")
        newer = order and f"new.{order} >= old.{order} OR old.{order} IS NULL"
        merge = (
            self._delta(table)
            .alias("old")
            .merge(conform(frame, table).alias("new"), " AND ".join(match))
            .whenMatchedUpdateAll(newer)
            .whenNotMatchedInsertAll()
        )
        return self._write(merge.execute, table)

    def move(self, frame: DataFrame, gone: DataFrame, table: Table, update: bool) -> DataFrame:
        """In one commit: rows whose first key column is in the only column of `gone` are deleted,
        those of the frame written; of two rows of one key the new one stays with `update`, else the
        old one. Returns the table as written."""
        first, *rest = table.key
        marked = gone.toDF(first).withColumn(_GONE, F.lit(True))
        new = conform(frame, table).withColumn(_GONE, F.lit(False))
        match = " AND ".join([f"old.{name} = new.{name}" for name in rest] or ["true"])
        merge = (
            self._delta(table)
            .alias("old")
            .merge(
                new.unionByName(marked, allowMissingColumns=True).alias("new"),
                f"old.{first} = new.{first} AND (new.{_GONE} OR ({match}))",
            )
            .whenMatchedDelete(f"new.{_GONE}")
        )
        if update:
            merge = merge.whenMatchedUpdateAll(f"NOT new.{_GONE}")
        return self._write(merge.whenNotMatchedInsertAll(f"NOT new.{_GONE}").execute, table)

    def maintain(self, table: Table) -> None:
        """Small files compacted, and files dropped that no version of the last week needs."""
        self._delta(table).optimize().executeCompaction()
        self._delta(table).vacuum()

    def _save(self, writer: DataFrameWriter, table: Table) -> DataFrame:
        if is_catalog(self.warehouse):
            return self._write(lambda: writer.saveAsTable(self._name(table)), table)
        return self._write(lambda: writer.save(self._path(table)), table)

    def _write(self, write: Callable[[], Any], table: Table) -> DataFrame:
        """The table as written."""
        self.spark.conf.unset(_LAST_COMMIT)
        _with_retries(write, table)
        # Delta tells the version that it made; to ask for it takes a Spark job. A write that
        # changed nothing makes none.
        told = self.spark.conf.get(_LAST_COMMIT, None)
        version = int(told) if told else self.version(table)
        self._empty.discard(table.name)
        self.written_versions[table.name] = version
        self.read_versions.pop(table.name, None)
        return self.read_at(table, version)

    # -- names -----------------------------------------------------------------------------------

    def _path(self, table: Table) -> str:
        return f"{self.warehouse}/{table.name}"

    def _name(self, table: Table) -> str:
        return f"{self.warehouse}.{table.name}"

    def _delta(self, table: Table) -> DeltaTable:
        if is_catalog(self.warehouse):
            # Delta 3 takes no more than two parts, which lie in the session's catalog.
            name = self._name(table).removeprefix("spark_catalog.")
            return DeltaTable.forName(self.spark, name)
        return DeltaTable.forPath(self.spark, self._path(table))


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


def is_delta(spark: SparkSession, path: str) -> bool:
    """True for the folder of a Delta table."""
    return DeltaTable.isDeltaTable(spark, path)


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


def first_line(error: BaseException) -> str:
    """The line of an error's text that a person reads: the first; of an error in a Python worker
    the last of its traceback; of one in a Java task its cause, with the file that it was reading.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [found[1] for line in lines if (found := _JAVA_CAUSE.match(line))]
    if causes and lines[0].startswith("An error occurred while calling"):
        files = [found[1] for line in lines if (found := _JAVA_FILE.search(line))]
        return causes[-1] + (f" (in {files[0]})" if files else "")
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        lines = [line for line in lines if _ERROR_LINE.match(line)][-1:] or lines
    return lines[0] if lines else type(error).__name__


_JAVA_CAUSE = re.compile(r"^Caused by: (?:[\w$]+\.)+[\w$]+: (.+)$")
_JAVA_FILE = re.compile(r"(?:while reading file|converted in file|CSV file:) (\S+?)\.?(?:\s|$)")
_ERROR_LINE = re.compile(r"^[A-Za-z_][A-Za-z0-9_.]*(Error|Exception|Warning|Interrupt|Exit): ")


def _table_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,2}", name):
        raise DataError(f"{name!r} is no table name; write catalog.schema.table")
    return name


def _create_statement(name: str, table: Table) -> str:
    """Delta's builder knows no names of three parts, so catalogs are told in SQL."""
    columns = ", ".join(
        f"`{field.name}` {field.dataType.simpleString()}{'' if field.nullable else ' NOT NULL'}"
        for field in table.schema.fields
    )
    given = ", ".join(f"'{name}' = {_literal(value)}" for name, value in table.properties.items())
    properties = f" TBLPROPERTIES ({given})" if given else ""
    return f"CREATE TABLE IF NOT EXISTS {name} ({columns}) USING delta{properties}"


def _predicate(where: Mapping[str, Any]) -> str:
    return " AND ".join(f"{column} = {_literal(value)}" for column, value in where.items())


def _literal(value: Any) -> str:
    if isinstance(value, datetime):
        return f"timestamp'{value:%Y-%m-%d %H:%M:%S.%f}'"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, bool | int):
        return str(value).lower()
    raise TypeError(f"no literal for {type(value).__name__}")


def _with_retries(write: Callable[[], Any], table: Table) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            write()
            return
        except _CONFLICTS as error:
            if attempt == _ATTEMPTS:
                raise DataError(
                    f"another writer kept changing table {table.name}; "
                    f"{_ATTEMPTS} attempts failed. Run one job per table at a time"
                ) from error
            pause = random.uniform(0.5, 1.5) * attempt  # noqa: S311 - jitter, no secret
            log.warning("table %s changed meanwhile, again in %.1f s", table.name, pause)
            time.sleep(pause)


def max_of(frame: DataFrame, column: str) -> Any:
    """The largest value of a column: one value on the driver."""
    return frame.agg(F.max(column).alias(column)).first()[column]
