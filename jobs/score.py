"""Forecast every series from its last step on. Reads series, selections and the champion of models;
merges forecasts: those of earlier starts stay.
"""

from pyspark.sql import functions as F

from headroom import columns as c
from headroom.cli import Job, main
from headroom.features.status import RETIRED
from headroom.registry import champion, load
from headroom.schemas import FORECASTS, MODELS, SELECTIONS, SERIES
from headroom.scoring import OK, build_forecasts, latest_forecasts


def run(job: Job) -> None:
    series = job.tables.read(SERIES)
    model = load(champion(job.tables.read(MODELS)), job.config)
    selections = job.tables.read(SELECTIONS).where(F.col("model_version") == model.version)
    forecasts = build_forecasts(series, selections, model, job.config)
    written = latest_forecasts(job.tables.merge(forecasts, FORECASTS))
    n_series = series.where(F.col(c.STATUS) != RETIRED).count()
    n_refused = written.where(~F.col(c.STATUS).isin(OK, RETIRED)).count()
    job.count(series=n_series, refused=n_refused)
    job.limit_refused(n_refused, n_series)


if __name__ == "__main__":
    main("score", __doc__, run)
