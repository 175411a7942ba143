"""A fleet of synthetic series, drawn on executors."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema

from headroom import columns as c
from headroom.arrow import TIME, batch_of
from headroom.config import Pretrain
from headroom.freq import Freq, parse_freq
from headroom.schemas import SYNTHETIC_SERIES, conform
from headroom.series.synthetic import synthetic_series

PER_TASK = 250
FIRST_START = np.datetime64("2015-01-05", "s")  # a Monday
START_DAYS = 3 * 365  # starts are spread over so many days, so that calendars differ


def build_synthetic_series(
    spark: SparkSession, settings: Pretrain, freq: str, seed: int
) -> DataFrame:
    """SYNTHETIC_SERIES: `settings.series` rows, each decided by (seed, number) alone."""
    schema = to_arrow_schema(SYNTHETIC_SERIES.schema)
    step = parse_freq(freq)

    def draw(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield batch_of(_columns(number, settings, step, freq, seed), schema)

    tasks = max(spark.sparkContext.defaultParallelism, -(-settings.series // PER_TASK))
    numbers = spark.range(0, settings.series, 1, tasks)
    return conform(numbers.mapInArrow(draw, SYNTHETIC_SERIES.schema), SYNTHETIC_SERIES)


def _columns(number: int, settings: Pretrain, step: Freq, freq: str, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng([seed, number])
    length = int(rng.integers(settings.min_length, settings.max_length + 1))
    start = FIRST_START + np.timedelta64(int(rng.integers(0, START_DAYS)), "D")
    target = synthetic_series(rng, length, step.seasons)
    item = f"synthetic-{number:08d}"
    return {
        c.ITEM_ID: [item],
        c.GROUP_ID: [item],
        c.DIMENSIONS: [[]],
        c.METRIC: ["synthetic"],
        c.METRIC_KIND: ["gauge"],
        c.UNIT: [""],
        c.TIME_ZONE: ["UTC"],
        c.FREQ: [freq],
        c.START: pa.array([start.astype("datetime64[us]")]).cast(TIME),
        c.LENGTH: [length],
        c.TARGET: [target.tolist()],
        c.OBSERVED: [[True] * length],
        c.STATIC_CODES: [[]],
        c.SERIES_EVENTS: [[]],
        c.STATUS: ["ok"],
        c.REASON: [None],
    }
