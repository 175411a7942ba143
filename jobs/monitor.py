"""Compare past forecasts with what came. Reads forecasts, series and backtests; writes monitoring.

A group drifts when its loss is far above what the backtest promised, or its intervals miss far too
often; exit code 3 where more than the configured share of groups does.
"""

from headroom.cli import Job, main
from headroom.monitor import DRIFT, build_monitoring
from headroom.schemas import BACKTESTS, FORECASTS, MONITORING, SERIES


def run(job: Job) -> None:
    tables = job.tables
    tables.create(MONITORING)
    monitoring = build_monitoring(
        *[tables.read(table) for table in (FORECASTS, SERIES, BACKTESTS, MONITORING)]
    )
    written = tables.merge(monitoring, MONITORING)
    n_groups = written.select("group_id").distinct().count()
    n_drifting = written.where(f"status = '{DRIFT}'").select("group_id").distinct().count()
    job.count(groups=n_groups, drifting=n_drifting)
    limit = job.config.limits.max_drifting_groups
    if n_groups and n_drifting / n_groups > limit:
        job.partial = (
            f"{n_drifting:,} of {n_groups:,} groups drift from their backtest, more than "
            f"limits.max_drifting_groups={limit:g}; run `train`, `backtest` and `score` again"
        )


if __name__ == "__main__":
    main("monitor", __doc__, run)
