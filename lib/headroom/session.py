"""The only maker of a SparkSession."""

from pyspark.sql import SparkSession

from headroom.config import Spark

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
    "spark.sql.execution.arrow.maxRecordsPerBatch": "256",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Delta's default of 50 tasks per log snapshot is for large clusters.
    "spark.databricks.delta.snapshotPartitions": "2",
}


def build_session(app_name: str, settings: Spark) -> SparkSession:
    """The session of this application, with Delta and UTC. The master comes from spark-submit."""
    builder = SparkSession.builder.appName(app_name)
    for name, value in PROPERTIES.items():
        builder = builder.config(name, value)
    builder = builder.config("spark.sql.shuffle.partitions", settings.shuffle_partitions)
    return builder.getOrCreate()
