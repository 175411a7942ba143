"""The features job beside the physical floor: Spark reading the same observations, shuffling them
once by item and writing them as Delta. Both in turn, so that a slow machine is slow for both.

    python bench/features.py --series 1000 --steps 1000 --runs 5
    python bench/features.py --series 1000 --giant-series 1000000 --giant-group 5000
"""

import argparse
import tempfile
import time
from collections.abc import Callable

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bench.local import local_session
from headroom import columns as c
from headroom.cli import Job
from headroom.config import Config, build_config
from headroom.schemas import ITEMS, OBSERVATIONS, Table
from headroom.tables import Tables
from jobs import features, ingest, simulate

REGIONS, METRICS = 4, 7
FLOOR = Table("floor", OBSERVATIONS.schema, ())


def main() -> None:
    options = parse_arguments()
    spark = local_session()
    with tempfile.TemporaryDirectory() as folder:
        config = make_config(f"{folder}/warehouse", options)
        tables = Tables(spark, config.warehouse)
        for name, body in (("simulate", simulate.run), ("ingest", ingest.run)):
            body(Job(name, config, Tables(spark, config.warehouse)))
        add_giants(tables, options)
        n_rows, n_items = tables.read(OBSERVATIONS).count(), tables.read(ITEMS).count()
        times = [
            (seconds(lambda: run_floor(tables, config)), seconds(lambda: run_job(tables, config)))
            for _ in range(options.runs + 1)
        ][1:]  # the first warms the JVM
    print(report(n_rows, n_items, np.array(times)))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=1000, help="about so many")
    parser.add_argument("--steps", type=int, default=1000, help="hourly steps of each")
    parser.add_argument("--giant-series", type=int, default=0, help="rows of one more series")
    parser.add_argument("--giant-group", type=int, default=0, help="series of one group, of a week")
    parser.add_argument("--tiny-series", type=int, default=0, help="series of five rows")
    parser.add_argument("--aggregates", action="store_true", help="by service, by region, of all")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--unchanged", action="store_true", help="time runs that find no series changed, not all"
    )
    return parser.parse_args()


def make_config(warehouse: str, options: argparse.Namespace) -> Config:
    services = -(-options.series // (REGIONS * METRICS))
    days = -(-options.steps // 24)
    return build_config(
        {
            "warehouse": warehouse,
            "simulate": {"services": services, "regions": REGIONS, "days": days},
            "spark": {"shuffle_partitions": 4},
            "limits": {"max_refused_series": 1.0},
            "features": {
                "incremental": options.unchanged,
                "aggregates": [["service"], ["region"], []] if options.aggregates else [],
            },
        }
    )


def add_giants(tables: Tables, options: argparse.Namespace) -> None:
    """One series far longer, one group far larger, and series far shorter than the others."""
    spark = tables.spark
    wanted = (
        ("giant", 1, options.giant_series),
        ("crowd", options.giant_group, 7 * 24),
        ("dust", options.tiny_series, 5),
    )
    for group, n_items, n_steps in wanted:
        if not n_items * n_steps:
            continue
        number = F.floor(F.col("id") / n_steps)
        step = F.col("id") % n_steps
        rows = spark.range(n_items * n_steps).select(
            F.concat(F.lit(f"{group}/"), number).alias(c.ITEM_ID),
            F.timestamp_seconds(F.lit(0) + step * 3600).alias(c.TIMESTAMP),
            (100 + F.rand(seed=1)).alias(c.TARGET),
            F.lit(1).alias(c.N_ROWS),
            F.lit(None).cast(OBSERVATIONS.schema[c.REVISION].dataType).alias(c.REVISION),
            F.lit(group).alias(c.INGEST_ID),
        )
        tables.merge(rows, OBSERVATIONS)
        template = tables.read(ITEMS).limit(1).drop(c.ITEM_ID, c.GROUP_ID, c.FIRST_SEEN)
        items = rows.groupBy(c.ITEM_ID).agg(F.min(c.TIMESTAMP).alias(c.FIRST_SEEN))
        tables.merge(items.crossJoin(template).withColumn(c.GROUP_ID, F.lit(group)), ITEMS)


def seconds(work: Callable[[], object]) -> float:
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def run_floor(tables: Tables, config: Config) -> DataFrame:
    rows = Tables(tables.spark, config.warehouse).read(OBSERVATIONS)
    return tables.replace(rows.repartition(config.spark.shuffle_partitions, c.ITEM_ID), FLOOR)


def run_job(tables: Tables, config: Config) -> None:
    features.run(Job("features", config, Tables(tables.spark, config.warehouse)))


def report(n_rows: int, n_items: int, times: np.ndarray) -> str:
    floor, job = times.T
    ratios = job / floor
    return "\n".join(
        [
            f"{n_rows:,} observations of {n_items:,} items, {len(times)} runs of each in turn",
            "",
            "| | median | smallest | largest |",
            "|---|---|---|---|",
            _line("floor, s", floor),
            _line("features, s", job),
            _line("features ÷ floor", ratios),
        ]
    )


def _line(label: str, values: np.ndarray) -> str:
    return f"| {label} | {np.median(values):.2f} | {values.min():.2f} | {values.max():.2f} |"


if __name__ == "__main__":
    main()
