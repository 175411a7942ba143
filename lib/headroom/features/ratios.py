"""Ratios rebuilt from their parts: a mean of quotients is no quotient of sums."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import Ratio

WEIGHT = "weight"  # the denominator: what a quotient counts in a mean

_RATIO_ID, _SIDE = "ratio_id", "side"
_OWN, _NUMERATOR, _DENOMINATOR = "own", "numerator", "denominator"
_QUOTIENT = "quotient"
_AS_PERCENT = (50, 200)  # times the quotient


def rebuild_ratios(
    observations: DataFrame, items: DataFrame, ratios: Mapping[str, Ratio]
) -> DataFrame:
    """The observations, in which those of the metrics in `ratios` are numerator ÷ denominator, with
    the denominator as `weight`, wherever the group has both at the same instant. Where nothing
    happened (denominator zero) what the source said stands, without weight.

    A source that tells the ratio in per cent, about a hundred times the quotient, has quotients in
    per cent too. Without ratios the observations as they are. A group with two items of one part
    keeps what the source said.
    """
    if not ratios:
        return observations
    parts = _parts(items, ratios)
    whole = parts.select(F.col(_RATIO_ID).alias(c.ITEM_ID)).distinct()
    others = observations.join(F.broadcast(whole), c.ITEM_ID, "left_anti")
    sides = observations.join(F.broadcast(parts), c.ITEM_ID)

    def side(name: str, column: str) -> Column:
        return F.max(F.when(F.col(_SIDE) == name, F.col(column)))

    rebuilt = sides.groupBy(F.col(_RATIO_ID).alias(c.ITEM_ID), c.TIMESTAMP).agg(
        side(_OWN, c.TARGET).alias(_OWN),
        side(_NUMERATOR, c.TARGET).alias(_NUMERATOR),
        side(_DENOMINATOR, c.TARGET).alias(_DENOMINATOR),
        F.coalesce(side(_OWN, c.N_ROWS), F.lit(1)).alias(c.N_ROWS),
        F.coalesce(side(_OWN, c.INGEST_ID), F.max(c.INGEST_ID)).alias(c.INGEST_ID),
        side(_OWN, c.REVISION).alias(c.REVISION),
        F.count_if(F.col(_SIDE) == _OWN).alias("n_own"),
    )
    has_both = F.col(_NUMERATOR).isNotNull() & (F.col(_DENOMINATOR) > 0)
    quotient = F.when(has_both, F.try_divide(F.col(_NUMERATOR), F.col(_DENOMINATOR)))
    usual = F.percentile_approx(F.try_divide(F.col(_OWN), quotient), 0.5)
    is_percent = usual.over(Window.partitionBy(c.ITEM_ID)).between(*_AS_PERCENT)
    rebuilt = rebuilt.withColumn(_QUOTIENT, F.when(is_percent, 100 * quotient).otherwise(quotient))
    rebuilt = rebuilt.where((F.col("n_own") > 0) | has_both).select(
        *[
            F.coalesce(_QUOTIENT, _OWN).alias(name) if name == c.TARGET else F.col(name)
            for name in observations.columns
        ],
        F.when(has_both, F.col(_DENOMINATOR)).alias(WEIGHT),
    )
    return others.withColumn(WEIGHT, F.lit(None).cast("double")).unionByName(rebuilt)


def _parts(items: DataFrame, ratios: Mapping[str, Ratio]) -> DataFrame:
    """item_id, ratio_id, side: which items make up which ratio item, itself included."""
    roles = [
        (ratio, side, metric)
        for ratio, parts in ratios.items()
        for side, metric in (
            (_OWN, ratio),
            (_NUMERATOR, parts.numerator),
            (_DENOMINATOR, parts.denominator),
        )
    ]
    names = items.sparkSession.createDataFrame(
        roles, f"ratio string, {_SIDE} string, {c.METRIC} string"
    )
    place = F.array_sort(F.map_entries(c.DIMENSIONS)).alias("place")
    readable = items.where(F.col(c.METRIC_KIND) != "counter")  # its readings are no counts
    members = readable.select(c.ITEM_ID, c.GROUP_ID, place, c.METRIC).join(
        F.broadcast(names), c.METRIC
    )
    one = members.groupBy(c.GROUP_ID, "place", "ratio", _SIDE).agg(
        F.min(c.ITEM_ID).alias(c.ITEM_ID), F.count(F.lit(1)).alias("n")
    )
    whole = one.groupBy(c.GROUP_ID, "place", "ratio").agg(
        F.max(F.when(F.col(_SIDE) == _OWN, F.col(c.ITEM_ID))).alias(_RATIO_ID),
        F.count(F.lit(1)).alias("sides"),
        F.max("n").alias("most"),
        F.collect_list(F.struct(c.ITEM_ID, _SIDE)).alias("members"),
    )
    return whole.where((F.col("sides") == 3) & (F.col("most") == 1)).select(
        _RATIO_ID, F.inline("members")
    )
