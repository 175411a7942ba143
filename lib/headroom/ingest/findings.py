"""What is doubtful in rows that were kept: times within a change of clocks, rounded numbers."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import Source
from headroom.ingest.rows import DOUBT
from headroom.ingest.times import MISSING_HOUR, REPEATED_HOUR
from headroom.ingest.values import ROUNDED


def build_findings(survey: DataFrame, source: Source, ingest_id: str) -> DataFrame:
    """One row per item and kind of doubt, with the number of its rows and of all rows kept."""
    which = source.local_time.repeated_hour if source.local_time else "first"
    actions = {
        REPEATED_HOUR: f"read as the {which} of the two instants",
        MISSING_HOUR: "moved on by what the clocks skipped",
        ROUNDED: "rounded to what a double holds, 15 digits",
    }
    action = F.create_map(*[F.lit(text) for pair in actions.items() for text in pair])
    kept = survey.where(F.col(c.REASON).isNull())
    totals = kept.groupBy(c.ITEM_ID).agg(F.sum(c.N_ROWS).alias(c.N_ROWS))
    found = (
        kept.where(F.col(DOUBT).isNotNull())
        .groupBy(c.ITEM_ID, F.col(DOUBT).alias(c.ISSUE))
        .agg(
            F.sum(c.N_ROWS).alias(c.N_AFFECTED),
            F.min(c.FIRST_SEEN).alias(c.FIRST_AT),
            F.max(c.LAST_SEEN).alias(c.LAST_AT),
        )
    )
    return found.join(totals, c.ITEM_ID).withColumns(
        {c.INGEST_ID: F.lit(ingest_id), c.ACTION: action[F.col(c.ISSUE)]}
    )
