"""The three tables of the simulated fleet. Rows are made on executors from names and numbers alone,
so that neither their count nor the partitioning changes any of them."""

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StructField, StructType

from headroom import columns as c
from headroom.config import Simulate
from headroom.schemas import (
    CALENDAR,
    DOUBLE,
    INT,
    LONG,
    SIMULATED_TRUTH,
    STRING,
    TELEMETRY,
    conform,
)
from headroom.simulate import dirt
from headroom.simulate.calendar import Event, fleet_events, service_events
from headroom.simulate.fleet import (
    EFFICIENCY_REGRESSION,
    SAFE_UTILISATION,
    Fleet,
    Group,
    build_fleet,
)
from headroom.simulate.signals import (
    COUNTER,
    CPU,
    METRICS,
    Metric,
    counter,
    metrics_of,
    regression_deployment,
    signals,
)
from headroom.simulate.truth import group_truth

BLOCK_STEPS = 4096  # steps of one service-region that are in memory together
_ROWS_PER_FILE = 1_000_000

_ARRAYS = ("at", "value", "code")
_TEXTS = (c.ITEM_ID, "service", "region", "team", "tier", c.METRIC, c.METRIC_KIND, c.UNIT)
_BLOCK = StructType(
    [StructField(name, STRING) for name in (*_TEXTS, c.TIME_ZONE, c.GROUP_ID, "clock")]
    + [
        StructField("at", ArrayType(LONG)),
        StructField("value", ArrayType(DOUBLE)),
        StructField("code", ArrayType(INT)),
    ]
)
_EVENT = StructType(
    [StructField(name, STRING) for name in (c.EVENT_ID, c.KIND, c.NAME, "service", "region")]
    + [StructField(name, LONG) for name in (c.STARTS_AT, c.ENDS_AT, c.KNOWN_AT)]
    + [StructField(c.EXPECTED_LIFT, DOUBLE)]
)
_EVENT_VALUES = attrgetter(
    *("event_id", "kind", "name", "service", "region", "starts", "ends", "known", "expected_lift")
)
_TRUTH = StructType(
    [StructField(name, STRING) for name in (c.GROUP_ID, c.KIND, c.DETAIL)]
    + [StructField(name, LONG) for name in (c.STARTS_AT, c.ENDS_AT)]
    + [StructField("magnitude", DOUBLE)]
)
_TRUTH_VALUES = attrgetter("group_id", "kind", "detail", "starts", "ends", "magnitude")


def build_telemetry(
    spark: SparkSession,
    settings: Simulate,
    seed: int,
    freq: str = "h",
    tiers: Mapping[str, float] = SAFE_UTILISATION,
) -> DataFrame:
    """`telemetry`: timestamps and values as text, dirt included. `tiers`: safe utilisation by tier.

    Raises ConfigError where a day has no whole number of steps of `freq`.
    """
    fleet = build_fleet(settings, seed, freq, tiers)
    steps = BLOCK_STEPS
    n_blocks = -(-fleet.n_steps // steps)

    def block(number: int) -> pd.DataFrame:
        group, place = divmod(number, n_blocks)
        return telemetry_block(fleet.group(group), place * steps, steps)

    files = fleet.n_groups * fleet.n_steps * len(METRICS) // _ROWS_PER_FILE
    blocks = _frames(spark, fleet.n_groups * n_blocks, block, _BLOCK, files)
    texts = [name for name in _BLOCK.names if name not in _ARRAYS]
    rows = blocks.select(*texts, F.inline(F.arrays_zip(*_ARRAYS)))
    return conform(
        rows.withColumn(c.TIMESTAMP, _time_text()).withColumn(c.TARGET, _value_text()), TELEMETRY
    )


def build_calendar(
    spark: SparkSession,
    settings: Simulate,
    seed: int,
    freq: str = "h",
    tiers: Mapping[str, float] = SAFE_UTILISATION,
) -> DataFrame:
    """`calendar`: what is planned, some of it after the telemetry, and what has happened."""
    fleet = build_fleet(settings, seed, freq, tiers)

    def events(number: int) -> pd.DataFrame:
        rows = [_EVENT_VALUES(event) for event in _events_of(fleet, number)]
        return pd.DataFrame(rows, columns=_EVENT.names)

    frame = _frames(spark, fleet.n_services + 1, events, _EVENT)
    pairs = [(F.lit(name), F.col(name)) for name in ("service", "region")]
    scope = F.create_map(*[part for pair in pairs for part in pair])
    frame = frame.withColumn(c.SCOPE, F.map_filter(scope, lambda _, value: value != ""))
    return conform(_with_times(frame, c.STARTS_AT, c.ENDS_AT, c.KNOWN_AT), CALENDAR)


def build_truth(
    spark: SparkSession,
    settings: Simulate,
    seed: int,
    freq: str = "h",
    tiers: Mapping[str, float] = SAFE_UTILISATION,
) -> DataFrame:
    """`simulated_truth`: what was planted in each service-region, and the faults of each item."""
    fleet = build_fleet(settings, seed, freq, tiers)

    def truths(number: int) -> pd.DataFrame:
        rows = [_TRUTH_VALUES(row) for row in group_truth(fleet.group(number))]
        frame = pd.DataFrame(rows, columns=_TRUTH.names)
        return frame.astype({c.STARTS_AT: "Int64", c.ENDS_AT: "Int64"})

    frame = _frames(spark, fleet.n_groups, truths, _TRUTH)
    return conform(_with_times(frame, c.STARTS_AT, c.ENDS_AT), SIMULATED_TRUTH)


def telemetry_block(group: Group, first: int, at_most: int) -> pd.DataFrame:
    """One row per item with the arrays of its rows from step `first` on, faults applied."""
    fleet = group.fleet
    count = min(at_most, fleet.n_steps - first)
    values = signals(group, first, count)
    at = fleet.start + np.arange(first, first + count, dtype=np.int64) * fleet.step
    blocks = []
    for metric in metrics_of(group):
        clean = counter(group, first, count) if metric.name == COUNTER else values[metric.name]
        codes = dirt.fault_codes(group, metric.name, first, count)
        rows = dirt.dirty_rows(at, clean, codes, _stuck(group, metric))
        blocks.append(
            {**_texts(group, metric), "at": rows.at, "value": rows.value, "code": rows.code}
        )
    return pd.DataFrame(blocks, columns=_BLOCK.names)


def _stuck(group: Group, metric: Metric) -> float:
    """The value at which the sensor of this item stays, where it does."""
    lines = [run for run in dirt.fault_runs(group, metric.name) if run.code == dirt.FLAT_LINE]
    return float(signals(group, lines[0].first, 1)[CPU][0]) if lines else 0.0


def _texts(group: Group, metric: Metric) -> dict[str, str]:
    service, zone = group.service, group.region.time_zone
    return {
        c.ITEM_ID: f"{group.group_id}/{metric.name}",
        "service": service.name,
        "region": group.region.name,
        "team": service.team,
        "tier": service.tier,
        c.METRIC: metric.name,
        c.METRIC_KIND: metric.kind,
        c.UNIT: metric.unit,
        c.TIME_ZONE: zone,
        c.GROUP_ID: group.group_id,
        "clock": zone if dirt.has_local_time(group) else "UTC",
    }


def _time_text() -> Column:
    """ISO 8601: UTC with Z, local time with its offset, or what no calendar knows."""
    at = F.timestamp_seconds("at")
    local = F.from_utc_timestamp(at, F.col("clock"))
    minutes = ((F.unix_timestamp(local) - F.col("at")) / 60).cast("int")
    offset = F.when(F.col("clock") == "UTC", "Z").otherwise(
        F.format_string(
            "%s%02d:%02d",
            F.when(minutes < 0, "-").otherwise("+"),
            F.floor(F.abs(minutes) / 60),
            F.abs(minutes) % 60,
        )
    )
    clock = F.when(
        F.col("code") == dirt.BAD_TIMESTAMP, F.date_format(local, "yyyy-'13-45T'HH:mm:ss")
    ).otherwise(F.date_format(local, "yyyy-MM-dd'T'HH:mm:ss"))
    return F.concat(clock, offset)


def _value_text() -> Column:
    """Whole numbers without a point; what stands for no value; text that is no number."""
    value, code = F.col("value"), F.col("code")
    number = F.when(value == F.floor(value), value.cast("bigint").cast("string")).otherwise(
        value.cast("string")
    )
    which = F.pmod(F.hash(c.ITEM_ID, "at"), F.lit(3)) + 1
    nothing = F.element_at(F.array(F.lit(""), F.lit("NaN"), F.lit("null")), which)
    return (
        F.when(code == dirt.NO_VALUE, nothing)
        .when(code == dirt.NOT_A_NUMBER, F.concat(number, F.lit(" n/a")))
        .otherwise(number)
    )


def _events_of(fleet: Fleet, number: int) -> list[Event]:
    """The fleet's own events for 0, then those of one service after the other."""
    if number == 0:
        return list(fleet_events(fleet))
    service = number - 1
    groups = [fleet.group(service * fleet.n_regions + r) for r in range(fleet.n_regions)]
    regressions = [
        regression_deployment(group) for group in groups if group.kind == EFFICIENCY_REGRESSION
    ]
    return [*service_events(fleet, fleet.service(service)), *regressions]


def _with_times(frame: DataFrame, *names: str) -> DataFrame:
    return frame.withColumns({name: F.timestamp_seconds(name) for name in names})


def _frames(
    spark: SparkSession,
    count: int,
    make: Callable[[int], pd.DataFrame],
    schema: StructType,
    partitions: int = 0,
) -> DataFrame:
    """The frames that `make` gives for 0 to `count` - 1, made on executors, one at a time."""

    def made(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            for number in batch["id"]:
                yield make(int(number))

    at_least = spark.sparkContext.defaultParallelism
    numbers = spark.range(0, count, 1, min(count, max(at_least, partitions)))
    return numbers.mapInPandas(made, schema)
