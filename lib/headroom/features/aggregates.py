"""Sums and means of series along the business dimensions, as items of their own."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.errors import DataError
from headroom.freq import Freq
from headroom.schemas import OBSERVATIONS

_LEAST_SEEN = 0.8  # of the usual size of its members; an aggregate of less is missing

_SUM, _MEAN, _MAX = "sum", "mean", "max"
_HOW = {"count": _SUM, "rate": _SUM, "cost": _SUM, "capacity": _SUM, "gauge": _MEAN,
        "ratio": _MEAN, "latency": _MAX}  # fmt: skip

_AGGREGATED = "aggregated_over"
_USUAL = "usual"
_EPOCH_MONDAY = 4 * 86_400


def check_levels(levels: Sequence[Sequence[str]], dimensions: Sequence[str]) -> None:
    """Raises DataError for a level of a dimension that no item has."""
    for name in dict.fromkeys(name for level in levels for name in level):
        if name not in dimensions:
            raise DataError(
                f"features.aggregates names the dimension {name!r}, which no item has; "
                f"they have: {', '.join(dimensions) or 'none'}"
            )


def build_memberships(series: DataFrame, levels: Sequence[Sequence[str]]) -> DataFrame:
    """One row per series with steps and aggregate that it is a member of: item_id, aggregate_id,
    how, and the dimensions of the aggregate.

    One aggregate per metric, kind, unit and values of the dimensions of a level. A series without
    one of these dimensions is in none of that level's.
    """
    chosen = F.array(
        *[
            F.array(*[F.lit(name) for name in level]).cast("array<string>")
            for level in dict.fromkeys(tuple(level) for level in levels)
        ]
    ).cast("array<array<string>>")  # also where there are none
    members = (
        series.where(F.col(c.LENGTH) > 0)
        .withColumn(_AGGREGATED, F.explode(chosen))
        .where(F.forall(_AGGREGATED, lambda name: F.col(c.DIMENSIONS)[name].isNotNull()))
    )
    own = F.map_from_arrays(
        _AGGREGATED, F.transform(_AGGREGATED, lambda name: F.col(c.DIMENSIONS)[name])
    )
    return members.withColumn(c.DIMENSIONS, own).select(
        c.ITEM_ID,
        _aggregate_id().alias(c.AGGREGATE_ID),
        _how().alias(c.HOW),
        *[c.DIMENSIONS, c.METRIC, c.METRIC_KIND, c.UNIT],
    )


def _aggregate_id() -> Column:
    """`aggregate:requests{region=eu,tier=T1} [req/s]`"""
    pairs = F.transform(_AGGREGATED, lambda n: F.concat(n, F.lit("="), F.col(c.DIMENSIONS)[n]))
    unit = F.when(F.coalesce(c.UNIT, F.lit("")) != "", F.concat(F.lit(" ["), c.UNIT, F.lit("]")))
    kind = F.when(F.col(c.METRIC_KIND) != "gauge", F.concat(F.lit(" "), c.METRIC_KIND))
    return F.concat(
        F.lit("aggregate:"),
        F.coalesce(c.METRIC, F.lit("")),
        *[F.lit("{"), F.array_join(pairs, ","), F.lit("}")],
        *[F.coalesce(part, F.lit("")) for part in (kind, unit)],
    )


def _how() -> Column:
    kinds = [part for kind, how in _HOW.items() for part in (F.lit(kind), F.lit(how))]
    return F.create_map(*kinds)[F.col(c.METRIC_KIND)]


def build_aggregate_items(memberships: DataFrame, items: DataFrame) -> DataFrame:
    """The aggregates as rows of `items`: time zone and country are those of all members, or UTC and
    none; related metrics share a group."""
    known = items.select(c.ITEM_ID, c.TIME_ZONE, c.COUNTRY, c.FIRST_SEEN, c.LAST_SEEN)
    pairs = F.transform(
        F.map_entries(c.DIMENSIONS), lambda e: F.concat(e["key"], F.lit("="), e["value"])
    )
    named = memberships.withColumn(
        c.GROUP_ID, F.concat(F.lit("aggregate:"), F.array_join(pairs, ","))
    )
    common = {
        name: F.when(F.min(name) == F.max(name), F.min(name)) for name in (c.TIME_ZONE, c.COUNTRY)
    }
    return (
        named.join(known, c.ITEM_ID)
        .groupBy(c.AGGREGATE_ID)
        .agg(
            *[
                F.first(n).alias(n)
                for n in (c.GROUP_ID, c.DIMENSIONS, c.METRIC, c.METRIC_KIND, c.UNIT)
            ],
            F.coalesce(common[c.TIME_ZONE], F.lit("UTC")).alias(c.TIME_ZONE),
            F.when(F.count(c.COUNTRY) == F.count(F.lit(1)), common[c.COUNTRY]).alias(c.COUNTRY),
            F.min(c.FIRST_SEEN).alias(c.FIRST_SEEN),
            F.max(c.LAST_SEEN).alias(c.LAST_SEEN),
        )
        .withColumnRenamed(c.AGGREGATE_ID, c.ITEM_ID)
    )


def aggregate(series: DataFrame, memberships: DataFrame, freq: Freq) -> DataFrame:
    """OBSERVATIONS of the aggregates, one row per step of any member: the sum of counts, rates,
    costs and capacities, the mean of gauges and ratios, the largest latency.

    A member counts from its first step to its last. Where some are missing, those that are there
    stand for all in proportion to their usual size; below 80 % of it the step is missing.
    """
    size = F.aggregate(
        F.filter(c.TARGET, lambda value: value.isNotNull()),
        F.struct(F.lit(0.0).alias("sum"), F.lit(0).alias("n")),
        lambda so_far, value: F.struct(
            (so_far["sum"] + F.abs(value)).alias("sum"), (so_far["n"] + 1).alias("n")
        ),
        lambda total: F.coalesce(F.try_divide(total["sum"], total["n"]), F.lit(0.0)),
    )
    steps = series.where(F.col(c.LENGTH) > 0).select(
        c.ITEM_ID, c.START, size.alias(_USUAL), F.posexplode(c.TARGET).alias(c.STEP, c.TARGET)
    )
    timed = steps.withColumn(c.TIMESTAMP, _time_of_step(freq)).drop(c.START, c.STEP)
    joined = timed.join(memberships.select(c.ITEM_ID, c.AGGREGATE_ID, c.HOW), c.ITEM_ID)
    # Sums of floats depend on the order: one order, whoever was built anew.
    keys = (c.AGGREGATE_ID, c.TIMESTAMP)
    ordered = joined.repartition(*keys).sortWithinPartitions(*keys, c.ITEM_ID)
    seen_size = F.sum(F.when(F.col(c.TARGET).isNotNull(), F.col(_USUAL)))
    grouped = ordered.groupBy(*keys).agg(
        F.first(c.HOW).alias(c.HOW),
        F.sum(c.TARGET).alias(_SUM),
        F.count(F.lit(1)).alias("n_members"),
        F.max(c.TARGET).alias(_MAX),
        F.coalesce(F.try_divide(seen_size, F.sum(_USUAL)), F.lit(1.0)).alias("seen"),
    )
    scaled = F.when(F.col("seen") == 1, F.col(_SUM)).otherwise(F.try_divide(_SUM, "seen"))
    value = (
        F.when(F.col(c.HOW) == _SUM, scaled)
        .when(F.col(c.HOW) == _MEAN, scaled / F.col("n_members"))
        .otherwise(F.col(_MAX))
    )
    return grouped.select(
        F.col(c.AGGREGATE_ID).alias(c.ITEM_ID),
        c.TIMESTAMP,
        F.when(F.col("seen") >= _LEAST_SEEN, value).alias(c.TARGET),
        F.lit(1).cast("bigint").alias(c.N_ROWS),
        F.lit("aggregate").alias(c.INGEST_ID),
        F.lit(None).cast(OBSERVATIONS.schema[c.REVISION].dataType).alias(c.REVISION),
    )


def _time_of_step(freq: Freq) -> Column:
    """The begin of the natural step of a series' own, which may lie beside it."""
    if freq.is_monthly:
        month = F.add_months(F.trunc(c.START, "month"), F.col(c.STEP) * freq.count)
        return month.cast("timestamp")
    origin = _EPOCH_MONDAY if freq.unit == "W" else 0
    seconds = F.unix_seconds(c.START) - origin
    floored = F.floor(seconds / freq.seconds) * freq.seconds + origin
    return F.timestamp_seconds(floored + F.col(c.STEP) * freq.seconds)
