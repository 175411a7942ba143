"""What flags mean to those who learn from series."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headroom import columns as c


def without_flagged(series: DataFrame) -> DataFrame:
    """The series with null in place of flagged values: for scales, training and forecasts. What is
    judged, recommended or shown is the series as it is."""
    kept = F.zip_with(c.TARGET, c.FLAGGED, lambda value, is_flagged: F.when(~is_flagged, value))
    return series.withColumn(
        c.TARGET, F.when(F.array_contains(c.FLAGGED, True), kept).otherwise(F.col(c.TARGET))
    )
