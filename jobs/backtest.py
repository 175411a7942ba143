"""Judge every method on windows it has not seen. Reads series and models; writes backtests,
backtest_forecasts and selections, and makes the model champion if it earned that.

Histories keep their flagged values here: whether a value is flagged is told by those after it too,
which a window must not know.
"""

from pyspark import StorageLevel

from headroom.cli import Job, code_version, main
from headroom.evaluation.backtest import design_of, evaluate
from headroom.evaluation.measures import beats_naive, fleet_measures, sentence
from headroom.evaluation.verdict import (
    build_backtest_forecasts,
    build_backtests,
    build_selections,
    fleet_record,
)
from headroom.features.flags import without_flagged
from headroom.registry import LEARNING, load, model_version, registered, staged, who_serves
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
    model = load(registered(models, version), config)
    design = design_of(config, model)
    evaluated = evaluate(series, model, design, config.spark.series_per_task)
    evaluations = evaluated.persist(StorageLevel.DISK_ONLY)
    fleet = fleet_record(evaluations, design)

    selections = build_selections(evaluations, fleet, version, design)
    tables.replace(selections, SELECTIONS, {"model_version": version})
    tables.replace(build_backtest_forecasts(evaluations, fleet, design), BACKTEST_FORECASTS)
    written = tables.replace(build_backtests(evaluations, fleet, version, design), BACKTESTS)
    n_judged = evaluations.count()
    evaluations.unpersist()

    measures = fleet_measures(written)
    changed = staged(job.spark, models, version, measures, passes_gate=beats_naive(measures))
    after = tables.merge(changed, MODELS)
    n_series = series.count()
    job.count(series=n_series, judged=n_judged)
    job.note(sentence(measures))
    job.note(who_serves(models, after, version))
    job.limit_refused(n_series - n_judged, n_series)


if __name__ == "__main__":
    main("backtest", __doc__, run)
