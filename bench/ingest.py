"""The ingest job against the least that Spark must do: read the rows, shuffle them once by item and
write them as Delta, in the same session on the same files.

    conf/environment.sh python bench/ingest.py --series 20000 --steps 1000 --runs 5

The rows are simulated, with dirt: duplicates, late rows, missing values, texts that are no numbers
or times. Each run writes new warehouses; the order of the two alternates. Prints seconds, the ratio
with its range over the runs.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.cli import Job
from headroom.config import build_config
from headroom.session import build_session
from headroom.tables import Tables
from jobs import ingest

PARTITIONS = 8
START = 1_735_689_600  # 2025-01-01
DIRTY = 0.02  # of the rows


def main() -> None:
    options = parse()
    spark = make_session(options)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source = f"{folder}/source"
        make_rows(spark, options.series, options.steps).write.parquet(source)
        size = sum(path.stat().st_size for path in Path(source).glob("*.parquet"))
        n_rows = spark.read.parquet(source).count()
        print(f"{n_rows:,} rows, {size / 1e6:,.0f} MB of Parquet", flush=True)
        pairs = []
        for run in range(options.runs + 1):  # the first warms the JVM up
            both = [("floor", run_floor), ("ingest", run_ingest)]
            seconds = {}
            for name, body in both if run % 2 else both[::-1]:
                target = f"{folder}/{name}"
                begun = time.monotonic()
                body(spark, source, target)
                seconds[name] = time.monotonic() - begun
                shutil.rmtree(target)
            label = f"run {run}" if run else "warm-up"
            print(
                f"{label}: floor {seconds['floor']:.1f} s, ingest {seconds['ingest']:.1f} s, "
                f"ratio {seconds['ingest'] / seconds['floor']:.2f}",
                flush=True,
            )
            pairs.append(seconds)
    print(summary(pairs[1:], n_rows))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--memory", default="3g", help="of the driver, which does all the work")
    parser.add_argument("--folder", help="where files are made (default: the system's)")
    return parser.parse_args()


def make_session(options: argparse.Namespace) -> SparkSession:
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        f"--master local[2] --driver-memory {options.memory} --jars {os.environ['HEADROOM_JARS']} "
        f"--conf spark.ui.enabled=false "
        "--conf spark.ui.showConsoleProgress=false pyspark-shell"
    )
    config = build_config({"warehouse": "x", "spark": {"shuffle_partitions": PARTITIONS}})
    spark = build_session("headroom-bench", config.spark)
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def make_rows(spark: SparkSession, n_series: int, n_steps: int) -> DataFrame:
    """Rows as a source has them, ordered by time: text times, text values, six attributes."""
    n_rows = n_series * n_steps
    series, step = F.col("id") % n_series, F.floor(F.col("id") / n_series)
    chance = F.rand(seed=7) / DIRTY
    value = F.round(100 + 50 * F.sin(step / 24 * 6.2832) + 10 * F.randn(seed=7), 3)
    rows = spark.range(0, n_rows, numPartitions=PARTITIONS).select(
        F.concat(F.lit("service-"), series, F.lit("/eu/requests")).alias("item_id"),
        _dirty_time(F.timestamp_seconds(START + step * 3_600), chance).alias("timestamp"),
        _dirty_value(value, chance).alias("target"),
        F.concat(F.lit("service-"), series).alias("service"),
        F.element_at(
            F.array(*map(F.lit, ("eu", "us", "asia"))), 1 + (series % 3).cast("int")
        ).alias("region"),
        F.concat(F.lit("team-"), series % 50).alias("team"),
        F.lit("requests").alias("metric"),
        F.lit("count").alias("metric_kind"),
        F.when(chance < 0.4, 2).otherwise(1).alias("times"),
    )
    return rows.withColumn("times", F.explode(F.sequence(F.lit(1), "times"))).drop("times")


def _dirty_time(time: Column, chance: Column) -> Column:
    text = F.date_format(time, "yyyy-MM-dd'T'HH:mm:ss'Z'")
    return F.when(chance.between(0.4, 0.45), "2025-13-45T99:00:00Z").otherwise(text)


def _dirty_value(value: Column, chance: Column) -> Column:
    return (
        F.when(chance.between(0.5, 0.8), "NaN")
        .when(chance.between(0.8, 0.85), "12,5 n/a")
        .otherwise(value.cast("string"))
    )


def run_floor(spark: SparkSession, source: str, target: str) -> None:
    rows = spark.read.parquet(source).repartition(PARTITIONS, c.ITEM_ID)
    rows.write.format("delta").save(f"{target}/rows")


def run_ingest(spark: SparkSession, source: str, target: str) -> None:
    config = build_config(
        {
            "warehouse": target,
            "source": {
                "format": "parquet",
                "path": source,
                "columns": {"metric": "metric", "metric_kind": "metric_kind"},
                "dimensions": ["service", "region", "team"],
            },
            "spark": {"shuffle_partitions": PARTITIONS},
        }
    )
    ingest.run(Job("ingest", config, Tables(spark, config.warehouse)))


def summary(pairs: list[dict[str, float]], n_rows: int) -> str:
    ratios = [pair["ingest"] / pair["floor"] for pair in pairs]
    floors = [pair["floor"] for pair in pairs]
    return (
        f"{n_rows:,} rows: ratio {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f} over {len(ratios)} runs), "
        f"floor {statistics.median(floors):.1f} s"
    )


if __name__ == "__main__":
    main()
