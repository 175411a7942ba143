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

_OPENS = "opens"


def mark_strays(survey: DataFrame, step_seconds: int) -> DataFrame:
    """The survey with reason stray_timestamp for the first or last periods of an item that hold at
    most 1 % of its rows (or one row) and lie farther from the others than these reach."""
    least = LEAST_STEPS * step_seconds
    return _mark_end(_mark_end(survey, 1, least), -1, least)


def _mark_end(survey: DataFrame, direction: int, least: int) -> DataFrame:
    """Marks what lies far after the rest; with direction −1, on times turned round, far before."""
    is_kept = F.col(c.REASON).isNull()
    first, last = F.unix_seconds(c.FIRST_SEEN), F.unix_seconds(c.LAST_SEEN)
    begin, end = (first, last) if direction == 1 else (-last, -first)
    item = Window.partitionBy(c.ITEM_ID, is_kept)
    periods = item.orderBy(F.col(PERIOD) * direction)
    before = periods.rangeBetween(Window.unboundedPreceding, -1)
    onwards = periods.rangeBetween(0, Window.unboundedFollowing)
    n_rows = F.sum(c.N_ROWS).over(item)
    few = F.greatest(F.lit(1), F.floor(n_rows * SHARE))
    reach = F.max(end).over(before) - F.min(begin).over(before)
    distance = F.min(begin).over(onwards) - F.max(end).over(before)
    opens = (
        is_kept
        & (n_rows >= LEAST_ROWS)
        & (F.sum(c.N_ROWS).over(onwards) <= few)
        & (distance > F.greatest(reach, F.lit(least)))
    )
    marked = survey.withColumn(_OPENS, F.coalesce(opens, F.lit(False)))
    so_far = periods.rangeBetween(Window.unboundedPreceding, 0)
    reason = F.when(F.max(_OPENS).over(so_far), F.lit(STRAY))
    return marked.withColumn(c.REASON, F.coalesce(c.REASON, reason)).drop(_OPENS)


def mark_strayed(rows: DataFrame, survey: DataFrame) -> DataFrame:
    """The rows with the reason where the survey marks their item's period."""
    strays = survey.where(F.col(c.REASON) == STRAY).select(c.ITEM_ID, PERIOD).distinct()
    marked = rows.join(
        F.broadcast(strays.withColumn("is_stray", F.lit(True))), [c.ITEM_ID, PERIOD], "left"
    )
    reason = F.when(F.col("is_stray"), F.lit(STRAY))
    return marked.withColumn(c.REASON, F.coalesce(c.REASON, reason)).drop("is_stray")


def say_stray() -> Column:
    """What is told of such a row."""
    return F.concat(
        F.lit("timestamp '"),
        F.col(c.TIMESTAMP).cast("string"),
        F.lit("' is far from all others of its item"),
    )
