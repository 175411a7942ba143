"""What the statuses of all series mean for the run."""

import logging
from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import Series
from headroom.errors import DataError
from headroom.features.series import OK
from headroom.freq import DAY

log = logging.getLogger(__name__)

RETIRED = "retired"
RETIREMENT = "retirement"
_LATEST = "latest"


def mark_retired(items: DataFrame, settings: Series) -> DataFrame:
    """The items with RETIREMENT, the reason why they are to be forecast no more, or null. Silence
    counts back from the latest row of all items, not from the clock of the machine."""
    listed = F.when(F.col(c.ITEM_ID).isin(*settings.retired), F.lit("it is in series.retired"))
    if settings.retire_after_days is None:
        return items.withColumn(RETIREMENT, listed)
    latest = items.agg(F.max(c.LAST_SEEN).alias(_LATEST))
    last = F.unix_seconds(c.LAST_SEEN)
    silent = F.when(
        F.unix_seconds(_LATEST) - last > settings.retire_after_days * DAY,
        F.concat(
            F.lit("nothing came of it after "),
            F.date_format(c.LAST_SEEN, "yyyy-MM-dd HH:mm"),
            F.lit(f", series.retire_after_days={settings.retire_after_days:g}"),
        ),
    )
    beside = items.crossJoin(F.broadcast(latest))
    return beside.withColumn(RETIREMENT, F.coalesce(listed, silent)).drop(_LATEST)


def warn_of_unknown(series: DataFrame, retired: Sequence[str]) -> None:
    """Says which of the retired items there are not: a name misspelt would go on being forecast."""
    if retired:
        listed = series.where(F.col(c.ITEM_ID).isin(*retired)).select(c.ITEM_ID)
        unknown = sorted(set(retired) - {row[0] for row in listed.collect()})  # as many as are told
        if unknown:
            log.warning("series.retired names %s, which no series has", ", ".join(unknown))


def retire(series: DataFrame) -> DataFrame:
    """The series with status retired and the reason where RETIREMENT has one."""
    retired = F.col(RETIREMENT).isNotNull()
    status = F.when(retired, F.lit(RETIRED)).otherwise(F.col(c.STATUS))
    reason = F.coalesce(RETIREMENT, c.REASON)
    return series.withColumns({c.STATUS: status, c.REASON: reason}).drop(RETIREMENT)


def check_statuses(series: DataFrame, counts: Mapping[str, int], max_refused: float) -> str:
    """Why the run is done only in part: more series refused than the limit allows. Empty otherwise.

    Raises DataError where no series has a single step.
    """
    n = sum(counts.values()) - counts.get(RETIRED, 0)
    refused = n - counts.get(OK, 0)
    if refused <= max_refused * n and refused < n:
        return ""
    bad = series.where(~F.col(c.STATUS).isin(OK, RETIRED))
    example = bad.orderBy(c.LENGTH, c.ITEM_ID).select(c.ITEM_ID, c.STATUS, c.REASON).first()
    if example is None:
        raise DataError(
            "every item is retired, see series.retired and series.retire_after_days"
            if counts
            else "table items holds no series; run ingest first"
        )
    why = f"for example {example[c.ITEM_ID]}: {example[c.REASON]}"
    if series.where(F.col(c.LENGTH) > 0).isEmpty():
        raise DataError(f"none of the {n} series has a step to forecast from, {why}")
    return f"{refused} of {n} series cannot be forecast, {why}"
