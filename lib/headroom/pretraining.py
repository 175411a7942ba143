"""Fleets of synthetic series, drawn on executors, and how well networks forecast unseen ones."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema

from headroom import columns as c
from headroom.arrow import TIME, batch_of, columns_of, lists
from headroom.config import Config, Pretrain, SyntheticFleet
from headroom.freq import parse_freq
from headroom.model.artifact import digest
from headroom.schemas import SYNTHETIC_SERIES, conform
from headroom.scoring import ModelFile
from headroom.series.metrics import quantile_losses
from headroom.series.panel import panel_of
from headroom.series.quantiles import normal_scores
from headroom.series.sampling import Windows, joined, make_plan
from headroom.series.synthetic import synthetic_series

PER_TASK = 250
HELD_OUT = 200  # series of each frequency
HELD_OUT_BATCHES = 20
FIRST_START = np.datetime64("2015-01-05", "s")  # a Monday
START_DAYS = 3 * 365  # starts are spread over so many days, so that calendars differ


def build_synthetic_series(spark: SparkSession, settings: Pretrain, seed: int) -> DataFrame:
    """SYNTHETIC_SERIES: the series of all fleets, each decided by (seed, frequency, number)."""
    fleets = [_fleet(spark, fleet, seed) for fleet in settings.fleets]
    return conform(reduce(DataFrame.unionByName, fleets), SYNTHETIC_SERIES)


def _fleet(spark: SparkSession, fleet: SyntheticFleet, seed: int) -> DataFrame:
    schema = to_arrow_schema(SYNTHETIC_SERIES.schema)

    def draw(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield batch_of(synthetic_columns(number, fleet, seed), schema)

    tasks = max(spark.sparkContext.defaultParallelism, -(-fleet.series // PER_TASK))
    numbers = spark.range(0, fleet.series, 1, tasks)
    return numbers.mapInArrow(draw, SYNTHETIC_SERIES.schema)


def held_out_losses(
    spark: SparkSession, packed: bytes, config: Config
) -> dict[str, dict[str, float]]:
    """By frequency the mean pinball loss of the networks and of their floor, in units of the
    floor's standard deviation, on HELD_OUT series each that no training has seen."""
    fleets = {fleet.freq: fleet for fleet in config.pretrain.fleets}
    seed, batch_size = config.seed, config.training.batch_size
    model = ModelFile("", packed, digest(packed))

    def judge(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for freq in batch.column(0).to_pylist():
                windows = _held_out_windows(fleets[freq], seed + 1, batch_size)
                losses = _mean_losses(windows, seed, model)
                yield pa.RecordBatch.from_pylist([{c.FREQ: freq, **losses}])

    schema = f"{c.FREQ} string, network double, floor double"
    freqs = spark.createDataFrame([(freq,) for freq in fleets], f"{c.FREQ} string")
    rows = freqs.repartition(len(fleets), c.FREQ).mapInArrow(judge, schema).collect()  # one each
    return {row[c.FREQ]: {"network": row["network"], "floor": row["floor"]} for row in rows}


def _held_out_windows(fleet: SyntheticFleet, seed: int, batch_size: int) -> Windows:
    schema = to_arrow_schema(SYNTHETIC_SERIES.schema)
    drawn = [batch_of(synthetic_columns(number, fleet, seed), schema) for number in range(HELD_OUT)]
    panel = panel_of(columns_of(pa.Table.from_batches(drawn)))
    plan = make_plan(panel.lengths.tolist(), batch_size, fleet.horizons)
    return Windows(panel, plan, np.arange(HELD_OUT))


def _mean_losses(windows: Windows, seed: int, model: ModelFile) -> dict[str, float]:
    networks = model.networks()
    totals = {"network": 0.0, "floor": 0.0}
    observed = 0.0
    for step in range(HELD_OUT_BATCHES):
        examples = joined(windows.draw(seed, step))
        target = np.where(examples.mask > 0, examples.target, np.nan)
        forecast = np.mean(list(networks.quantiles(examples).values()), axis=0)
        floor = np.broadcast_to(normal_scores(networks.levels), forecast.shape)
        for name, quantiles in (("network", forecast), ("floor", floor)):
            totals[name] += float(np.nansum(quantile_losses(target, quantiles, networks.levels)))
        observed += float(examples.mask.sum())
    return {name: total / observed for name, total in totals.items()}


def synthetic_columns(number: int, fleet: SyntheticFleet, seed: int) -> dict[str, Any]:
    """The columns of one row of SYNTHETIC_SERIES."""
    freq = parse_freq(fleet.freq)
    rng = np.random.default_rng([seed, freq.seconds, number])
    # Short and long histories alike: lengths are uniform on the logarithm.
    bounds = np.log([fleet.min_length, fleet.max_length + 1])
    length = int(np.exp(rng.uniform(*bounds)))
    start = FIRST_START + np.timedelta64(int(rng.integers(0, START_DAYS)), "D")
    if freq.is_monthly:
        start = start.astype("datetime64[M]")
    target, events = synthetic_series(rng, length, freq.seasons)
    item = f"synthetic-{fleet.freq}-{number:08d}"
    return {
        c.ITEM_ID: [item],
        c.GROUP_ID: [item],
        c.DIMENSIONS: [[]],
        c.METRIC: ["synthetic"],
        c.METRIC_KIND: ["gauge"],
        c.UNIT: [""],
        c.TIME_ZONE: ["UTC"],
        c.FREQ: [fleet.freq],
        c.START: pa.array([start.astype("datetime64[us]")]).cast(TIME),
        c.LENGTH: [length],
        c.TARGET: lists(target[None, :]),
        c.OBSERVED: [(~np.isnan(target)).tolist()],
        c.STATIC_CODES: [[]],
        c.SERIES_EVENTS: [[asdict(event) for event in events]],
        c.STATUS: ["ok"],
        c.REASON: [None],
    }
