"""Forecast every series from its last step on. Reads series, selections and the champion of models;
writes forecasts: those of earlier starts stay, one of the same start is replaced. Series with
little or no history get what their siblings do.
"""

from pyspark import StorageLevel
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.cli import Job, main
from headroom.coldstart import build_cold_starts
from headroom.features.flags import without_flagged
from headroom.features.status import RETIRED
from headroom.registry import champion, load
from headroom.schemas import FORECASTS, MODELS, SELECTIONS, SERIES
from headroom.scoring import OK, build_forecasts, latest_forecasts


def run(job: Job) -> None:
    series = without_flagged(job.tables.read(SERIES))
    model = load(champion(job.tables.read(MODELS)), job.config)
    selections = job.tables.read(SELECTIONS).where(F.col("model_version") == model.version)
    forecasts = build_forecasts(series, selections, model, job.config)
    forecasts = forecasts.persist(StorageLevel.DISK_ONLY)
    first = build_cold_starts(series, forecasts).persist(StorageLevel.DISK_ONLY)
    others = forecasts.join(first, c.ITEM_ID, "left_anti")
    every = others.unionByName(first)
    whole = [c.ITEM_ID, c.FORECAST_START]  # another horizon or status leaves no steps behind
    written = latest_forecasts(job.tables.replace_groups(every, FORECASTS, whole))
    n_series = series.where(F.col(c.STATUS) != RETIRED).count()
    n_refused = written.where(~F.col(c.STATUS).isin(OK, RETIRED)).count()
    n_first = first.select(c.ITEM_ID).distinct().count()
    first.unpersist()
    forecasts.unpersist()
    job.count(series=n_series, cold_starts=n_first, refused=n_refused)
    job.limit_refused(n_refused, n_series)


if __name__ == "__main__":
    main("score", __doc__, run)
