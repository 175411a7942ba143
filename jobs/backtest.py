"""Judge every method on windows it has not seen, and a new model against the one that serves, on
the same windows. Reads series and models; makes the better one champion and writes backtests,
backtest_forecasts and selections of it.

Histories keep their flagged values here: whether a value is flagged is told by those after it too,
which a window must not know.
"""

from pyspark.sql import DataFrame, Row

from headroom import columns as c
from headroom.cli import Job, code_version, main
from headroom.errors import ArtifactError
from headroom.evaluation.gate import Judged, compared, decide, judge, shown
from headroom.evaluation.measures import sentence
from headroom.features.flags import without_flagged
from headroom.registry import LEARNING, load, model_version, registered, rival_of, staged
from headroom.schemas import BACKTEST_FORECASTS, BACKTESTS, MODELS, SELECTIONS, SERIES
from headroom.training.ensemble import starting_weights
from headroom.training.shards import content_digest


def run(job: Job) -> None:
    config, tables = job.config, job.tables
    series, models = tables.read(SERIES), tables.read(MODELS)
    start = starting_weights(config)
    version = model_version(
        config, content_digest(without_flagged(series)), code_version(*LEARNING), start
    )
    new = judge(series, load(registered(models, version), config), config)
    rival = rival_of(models, version, config)
    champion = judged_rival(job, series, rival) if rival else None
    measured = {version: compared(new, champion, series)}
    if champion:
        measured[champion.version] = compared(champion, None, series)
    worse = config.limits.max_loss_of_new_model
    serving = rival[c.MODEL_VERSION] if rival else None
    verdict = decide(version, serving, measured[version], worse)

    judged = [new, champion] if champion else [new]
    best = shown(judged, verdict)
    tables.replace(best.selections, SELECTIONS, {"model_version": best.version})
    tables.replace(best.forecasts, BACKTEST_FORECASTS)
    tables.replace(best.backtests, BACKTESTS)
    tables.merge(staged(job.spark, models, verdict.serves, measured), MODELS)

    n_judged, n_series = best.evaluations.count(), series.count()
    for one in judged:
        one.release()
    job.count(series=n_series, judged=n_judged)
    job.note(sentence(best.measures))
    job.note(verdict.sentence)
    job.limit_refused(n_series - n_judged, n_series)


def judged_rival(job: Job, series: DataFrame, rival: Row) -> Judged | None:
    """The champion on these windows; None where it has seen them or cannot be read any more."""
    try:
        return judge(series, load(rival, job.config), job.config)
    except ArtifactError as error:
        job.note(f"model {rival[c.MODEL_VERSION]} cannot be judged beside it: {error}")
        return None


if __name__ == "__main__":
    main("backtest", __doc__, run)
