"""Integer codes of the metric and of each dimension. A code once given is never given again."""

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from headroom import columns as c

UNKNOWN = 0

_LAST_CODE = "last_code"


def new_codes(items: DataFrame, known: DataFrame) -> DataFrame:
    """Codes for the categories of the items that have none: the next numbers, in alphabetical order
    within each static column."""
    entries = F.map_concat(
        F.create_map(F.lit(c.METRIC), F.col(c.METRIC)),
        F.map_filter(c.DIMENSIONS, lambda name, _: name != c.METRIC),
    )
    met = items.select(F.explode(entries).alias(c.STATIC_COLUMN, c.CATEGORY))
    met = met.where(F.col(c.CATEGORY).isNotNull()).distinct()
    new = met.join(known, [c.STATIC_COLUMN, c.CATEGORY], "left_anti")
    last = known.groupBy(c.STATIC_COLUMN).agg(F.max(c.CODE).alias(_LAST_CODE))
    place = F.row_number().over(Window.partitionBy(c.STATIC_COLUMN).orderBy(c.CATEGORY))
    return new.join(last, c.STATIC_COLUMN, "left").select(
        c.STATIC_COLUMN,
        c.CATEGORY,
        (F.coalesce(_LAST_CODE, F.lit(UNKNOWN)) + place).cast("int").alias(c.CODE),
    )


def list_static_columns(vocabulary: DataFrame) -> list[str]:
    """The static columns in the order of `static_codes`: the metric, then the dimensions."""
    distinct = vocabulary.select(c.STATIC_COLUMN).distinct().collect()  # as many as dimensions
    names = {row[0] for row in distinct}
    return [c.METRIC, *sorted(names - {c.METRIC})]


def add_static_codes(
    items: DataFrame, vocabulary: DataFrame, static_columns: Sequence[str]
) -> DataFrame:
    """The items with `static_codes`, one code per static column; 0 for an unknown category."""
    coded = items
    for i, name in enumerate(static_columns):
        value = F.col(c.METRIC) if name == c.METRIC else F.col(c.DIMENSIONS)[name]
        codes = vocabulary.where(F.col(c.STATIC_COLUMN) == name).select(
            F.col(c.CATEGORY).alias(f"_category_{i}"), F.col(c.CODE).alias(f"_code_{i}")
        )
        coded = coded.join(codes, value == F.col(f"_category_{i}"), "left")
    every = [F.coalesce(f"_code_{i}", F.lit(UNKNOWN)) for i in range(len(static_columns))]
    return coded.select(*items.columns, F.array(*every).alias(c.STATIC_CODES))
