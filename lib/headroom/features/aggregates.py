"""Sums and means of series along the business dimensions, as items of their own."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from headroom import columns as c
from headroom.arrow import batch_of, columns_of, times
from headroom.errors import DataError
from headroom.features.totals import MAX, MEAN, SUM, Totals
from headroom.freq import Freq
from headroom.schemas import OBSERVATIONS

AGGREGATE = "aggregate"  # in place of an ingest

_HOW = {"count": SUM, "rate": SUM, "cost": SUM, "capacity": SUM, "gauge": MEAN,
        "ratio": MEAN, "latency": MAX}  # fmt: skip

_AGGREGATED = "aggregated_over"
_PIECE, _PLACE = "piece", "place"
_STEPS_PER_PIECE = 256


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
    schema = to_arrow_schema(OBSERVATIONS.schema)
    own = memberships.select(c.ITEM_ID, c.AGGREGATE_ID, c.HOW)
    members = series.select(c.ITEM_ID, c.START, _in_pieces().alias(_PIECE)).join(own, c.ITEM_ID)
    pieces = members.select(c.AGGREGATE_ID, c.HOW, c.ITEM_ID, c.START, F.inline(_PIECE))
    # In order of the items: sums of floats depend on it, and must not on who was built anew.
    order = (c.AGGREGATE_ID, c.ITEM_ID, _PLACE)
    ordered = pieces.repartition(c.AGGREGATE_ID).sortWithinPartitions(*order)

    def add_up(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for (name, how), rows in groupby(_rows(batches), key=itemgetter(0, 1)):
            totals = Totals(freq)
            for (_, start), own in groupby(rows, key=itemgetter(2, 3)):
                totals.add(start, np.concatenate([row[4] for row in own]))
            yield _observations(name, totals, how, schema)

    return ordered.mapInArrow(add_up, OBSERVATIONS.schema)


def _in_pieces() -> Column:
    """The values in pieces: batches to Python hold so many rows, whatever these are."""
    places = F.sequence(
        F.lit(0), F.floor((F.greatest(c.LENGTH, F.lit(1)) - 1) / _STEPS_PER_PIECE).cast("int")
    )
    return F.transform(
        places,
        lambda place: F.struct(
            place.alias(_PLACE),
            F.slice(c.TARGET, place * _STEPS_PER_PIECE + 1, _STEPS_PER_PIECE).alias(c.TARGET),
        ),
    )


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[Any, ...]]:
    for batch in batches:
        columns = columns_of(batch)
        names = (c.AGGREGATE_ID, c.HOW, c.ITEM_ID, c.START, c.TARGET)
        yield from zip(*[columns[name] for name in names], strict=True)


def _observations(name: str, totals: Totals, how: str, schema: pa.Schema) -> pa.RecordBatch:
    here = totals.n_members > 0
    n_rows = int(here.sum())
    return batch_of(
        {
            c.ITEM_ID: [name] * n_rows,
            c.TIMESTAMP: times(totals.times()[here].astype("datetime64[us]")),
            c.TARGET: totals.values(how)[here],
            c.N_ROWS: np.ones(n_rows, dtype=np.int64),
            c.INGEST_ID: [AGGREGATE] * n_rows,
            c.REVISION: [None] * n_rows,
        },
        schema,
    )
