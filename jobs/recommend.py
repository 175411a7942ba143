"""Turns series and forecasts into recommendations: what to change, by when, and what it is worth.

Writes `recommendations`: for every group and type one row, recommended or with the reason why not.
Reads `series`, `quality` and `forecasts`. docs/recommendations.md explains every column.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.cli import Job, main
from headroom.features.status import RETIRED
from headroom.recommend.build import build_recommendations, keep_latest
from headroom.recommend.decision import FAILED, RECOMMENDED
from headroom.schemas import FORECASTS, MEMBERSHIPS, QUALITY, RECOMMENDATIONS, SERIES


def run(job: Job) -> None:
    series = job.tables.read(SERIES)
    if job.tables.exists(MEMBERSHIPS):  # a sum over services has no hosts of its own
        aggregates = job.tables.read(MEMBERSHIPS).select(F.col(c.AGGREGATE_ID).alias(c.ITEM_ID))
        series = series.join(aggregates, c.ITEM_ID, "left_anti")
    rows = build_recommendations(
        series.where(F.col(c.STATUS) != RETIRED),
        job.tables.read(QUALITY),
        job.tables.read(FORECASTS),
        freq=job.config.series.freq,
        settings=job.config.recommend,
        seed=job.config.seed,
    )
    written = keep_latest(job.tables.merge(rows, RECOMMENDATIONS))
    job.count(considered=written.count(), **count_by_outcome(written))


def count_by_outcome(rows: DataFrame) -> dict[str, int]:
    """How many were recommended, by type, and how many failed."""
    label = F.when(F.col(c.OUTCOME) == RECOMMENDED, F.col(c.REC_TYPE)).otherwise(F.col(c.OUTCOME))
    told = rows.where(F.col(c.OUTCOME).isin(RECOMMENDED, FAILED)).groupBy(label.alias("label"))
    counts = told.count().orderBy("label").collect()  # one row per type
    return {row["label"]: row["count"] for row in counts}


if __name__ == "__main__":
    main("recommend", __doc__, run)
