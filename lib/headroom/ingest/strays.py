"""Rows dated far from all others of their item: clocks that were wrong, units that were misread."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.ingest.rows import PERIOD

STRAY = "stray_timestamp"

# A stray is one of few among many, and its distance is long in steps too.
LEAST_ROWS = 10
SHARE = 0.01
LEAST_STEPS = 100

_OPENS, _IS_STRAY = "opens", "is_stray"


def find_strays(survey: DataFrame, step_seconds: int) -> DataFrame:
    """item_id and period of the first or last periods of an item that hold at most 1 % of its rows
    (or one row) and lie farther from the others than these reach."""
    least = LEAST_STEPS * step_seconds
    kept = survey.where(F.col(c.REASON).isNull()).groupBy(c.ITEM_ID, PERIOD)
    periods = kept.agg(
        F.sum(c.N_ROWS).alias(c.N_ROWS),
        F.unix_seconds(F.min(c.FIRST_SEEN)).alias(c.FIRST_SEEN),
        F.unix_seconds(F.max(c.LAST_SEEN)).alias(c.LAST_SEEN),
    ).withColumn(_IS_STRAY, F.lit(False))
    marked = _mark_end(_mark_end(periods, 1, least), -1, least)
    return marked.where(_IS_STRAY).select(c.ITEM_ID, PERIOD)


def _mark_end(periods: DataFrame, direction: int, least: int) -> DataFrame:
    """Marks what lies far after the rest; with direction −1, on times turned round, far before."""
    first, last = F.col(c.FIRST_SEEN), F.col(c.LAST_SEEN)
    begin, end = (first, last) if direction == 1 else (-last, -first)
    item = Window.partitionBy(c.ITEM_ID, _IS_STRAY)
    ordered = item.orderBy(F.col(PERIOD) * direction)
    before = ordered.rowsBetween(Window.unboundedPreceding, -1)
    onwards = ordered.rowsBetween(0, Window.unboundedFollowing)
    n_rows = F.sum(c.N_ROWS).over(item)
    few = F.greatest(F.lit(1), F.floor(n_rows * SHARE))
    reach = F.max(end).over(before) - F.min(begin).over(before)
    distance = F.min(begin).over(onwards) - F.max(end).over(before)
    opens = (
        ~F.col(_IS_STRAY)
        & (n_rows >= LEAST_ROWS)
        & (F.sum(c.N_ROWS).over(onwards) <= few)
        & (distance > F.greatest(reach, F.lit(least)))
    )
    marked = periods.withColumn(_OPENS, F.coalesce(opens, F.lit(False)))
    so_far = ordered.rowsBetween(Window.unboundedPreceding, 0)
    is_stray = F.col(_IS_STRAY) | F.max(_OPENS).over(so_far)
    return marked.withColumn(_IS_STRAY, is_stray).drop(_OPENS)


def mark_strayed(rows: DataFrame, strays: DataFrame) -> DataFrame:
    """The rows, or a survey, with the reason where their item and period are among the strays."""
    marked = rows.join(
        F.broadcast(strays.withColumn(_IS_STRAY, F.lit(True))), [c.ITEM_ID, PERIOD], "left"
    )
    reason = F.when(F.col(_IS_STRAY), F.lit(STRAY))
    return marked.withColumn(c.REASON, F.coalesce(c.REASON, reason)).drop(_IS_STRAY)


def say_stray() -> Column:
    """What is told of such a row."""
    return F.concat(
        F.lit("timestamp '"),
        F.col(c.TIMESTAMP).cast("string"),
        F.lit("' is far from all others of its item"),
    )
