"""The only maker of a SparkSession."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

from headroom.config import Spark
from headroom.errors import HeadroomError, first_line

_BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"

# Each line changes an answer or a cost that headroom depends on.
PROPERTIES = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # All times are UTC; calendars in local time are computed by name of zone.
    "spark.sql.session.timeZone": "UTC",
    # Spark 4 raises where 3.5 returned null; the same on both.
    "spark.sql.ansi.enabled": "true",
    # A speculative copy of a training task would corrupt the Horovod run.
    "spark.speculation": "false",
    # Rows are whole series (arrays): few per batch keep memory flat.
    _BATCH: "256",
    # Spark 4 adds up a batch's bytes again with each row, unless the limit is the largest: twice
    # the cost of passing the row on.
    "spark.sql.execution.arrow.maxBytesPerBatch": str(2**31 - 1),
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Spark would look up each key in a small map first, which only few of our keys fit into.
    "spark.sql.codegen.aggregate.map.twolevel.enabled": "false",
    # The JVM compiles no longer method; what Spark would fuse into one is faster in parts.
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # pandas writes nanoseconds, which Spark refuses to read as times; `tables` makes times of them.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Four times Spark's default number of tasks, so that no core waits long for the last of them.
    "spark.sql.files.maxPartitionBytes": "32m",
    # VACUUM lists a table in so many tasks; Spark's default of 10,000 costs a minute per table.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "32",
    # Delta's default of 50 tasks per log snapshot is for large clusters.
    "spark.databricks.delta.snapshotPartitions": "2",
}


# What a hosted runtime has set up in its own way, and would refuse or break by ours.
_DELTA = ("spark.sql.extensions", "spark.sql.catalog.spark_catalog")


def build_session(app_name: str, settings: Spark) -> SparkSession:
    """The session of this application, with Delta and UTC. The master comes from spark-submit."""
    builder = SparkSession.builder.appName(app_name)
    for name, value in PROPERTIES.items():
        if not (is_hosted() and name in _DELTA):
            builder = builder.config(name, value)
    builder = builder.config("spark.sql.shuffle.partitions", settings.shuffle_partitions)
    try:
        return builder.getOrCreate()
    except Exception as error:  # py4j's or PySpark's, by what failed
        raise HeadroomError(
            f"Spark did not start: {first_line(error).rstrip('.')}. Check the master, the memory "
            "and what follows `--` on the command line"
        ) from error


@contextmanager
def rows_per_batch(spark: SparkSession, rows: int) -> Iterator[None]:
    """Meanwhile batches to Python hold so many rows: for rows that are no whole series."""
    before = spark.conf.get(_BATCH)
    spark.conf.set(_BATCH, rows)
    try:
        yield
    finally:
        spark.conf.set(_BATCH, str(before))


def end_session(spark: SparkSession) -> None:
    """Stops the session, unless the platform made it and the next task will use it."""
    if not is_hosted():
        spark.stop()


def is_hosted() -> bool:
    """True on Databricks, where the session belongs to the cluster and outlives the job."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ
