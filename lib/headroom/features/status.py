"""What the statuses of all series mean for the run."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.errors import DataError
from headroom.features.series import OK


def check_statuses(series: DataFrame, counts: Mapping[str, int], max_refused: float) -> str:
    """Why the run is done only in part: more series refused than the limit allows. Empty otherwise.

    Raises DataError where no series has a single step.
    """
    n = sum(counts.values())
    refused = n - counts.get(OK, 0)
    if refused <= max_refused * n and refused < n:
        return ""
    bad = series.where(F.col(c.STATUS) != OK)
    example = bad.orderBy(c.LENGTH, c.ITEM_ID).select(c.ITEM_ID, c.STATUS, c.REASON).first()
    if example is None:
        raise DataError("table items holds no series; run ingest first")
    why = f"for example {example[c.ITEM_ID]}: {example[c.REASON]}"
    if series.where(F.col(c.LENGTH) > 0).isEmpty():
        raise DataError(f"none of the {n} series has a step to forecast from, {why}")
    return f"{refused} of {n} series cannot be forecast, {why}"
