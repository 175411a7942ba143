"""What ingest noticed about rows that it kept, as rows of `quality`."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headroom import columns as c


def to_quality(findings: DataFrame) -> DataFrame:
    """One row per item and issue, over all ingests."""
    return findings.groupBy(c.ITEM_ID, c.ISSUE).agg(
        F.sum(c.N_AFFECTED).alias(c.N_AFFECTED),
        (F.sum(c.N_AFFECTED) / F.sum(c.N_ROWS)).alias(c.SHARE),
        F.min(c.FIRST_AT).alias(c.FIRST_AT),
        F.max(c.LAST_AT).alias(c.LAST_AT),
        F.max(c.ACTION).alias(c.ACTION),
    )


def with_noticed(quality: DataFrame, findings: DataFrame) -> DataFrame:
    """The rows of `quality`, those of the findings in place of what was noticed before."""
    noticed = to_quality(findings)
    others = quality.join(noticed, [c.ITEM_ID, c.ISSUE], "left_anti")
    return others.unionByName(noticed)
