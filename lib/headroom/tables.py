"""The only Delta reads and writes. Versions of inputs are pinned once; writes can be repeated."""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from delta import DeltaTable
from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
)
from delta.tables import DeltaTableBuilder
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, DataFrameWriter, SparkSession
from pyspark.sql import functions as F

from headroom.config import is_catalog
from headroom.errors import DataError, first_line
from headroom.schemas import Table, conform

log = logging.getLogger(__name__)

_CONFLICTS = (
    ConcurrentAppendException,
    ConcurrentDeleteReadException,
    ConcurrentDeleteDeleteException,
)
_ATTEMPTS = 5

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
            self._make(builder.addColumns(table.schema), table)
        if self.spark.conf.get(_LAST_COMMIT, None) == "0":  # else another was faster
            self._empty.add(table.name)

    def _make(self, builder: DeltaTableBuilder, table: Table) -> None:
        try:
            builder.execute()
        except Py4JJavaError as error:
            raise DataError(
                f"cannot make table {table.name} in {self.warehouse}: {first_line(error)}; check "
                "`warehouse`, and that it may be written"
            ) from error

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

    def replace_groups(self, frame: DataFrame, table: Table, columns: Sequence[str]) -> DataFrame:
        """In one commit, for all values of these columns of the key that the frame has: its rows in
        place of all that were there. Returns the table as written. Files without values of the last
        of the columns between the frame's least and largest are not read: a history may grow."""
        self.create(table)
        new = conform(frame, table)
        old = self._delta(table).toDF()
        if table.name in self._empty or old.isEmpty():
            return self._save(new.write.format("delta").mode("append"), table)
        least, largest = new.agg(F.min(columns[-1]), F.max(columns[-1])).first()
        if least is None:
            return self.read_at(table, self.version(table))
        near = f"{columns[-1]} BETWEEN {_literal(least)} AND {_literal(largest)}"
        stale = old.where(near).join(new.select(*columns).distinct(), [*columns], "left_semi")
        stale = stale.join(new, [*table.key], "left_anti").withColumn(_GONE, F.lit(True))
        rows = new.withColumn(_GONE, F.lit(False)).unionByName(stale)
        match = " AND ".join([*[f"old.{name} = new.{name}" for name in table.key], f"old.{near}"])
        merge = (
            self._delta(table)
            .alias("old")
            .merge(rows.alias("new"), match)
            .whenMatchedDelete(f"new.{_GONE}")
            .whenMatchedUpdateAll()
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


def is_delta(spark: SparkSession, path: str) -> bool:
    """True for the folder of a Delta table."""
    return DeltaTable.isDeltaTable(spark, path)


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
