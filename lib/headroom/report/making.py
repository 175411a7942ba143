"""How it was made: the network, its training, and the latest run of every job."""

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame, Row, Window
from pyspark.sql import functions as F

from headroom import columns as c
from headroom import schemas as s
from headroom.report.facts import Loss, ModelFacts, RunFacts
from headroom.report.fleet import epoch
from headroom.report.numerals import from_epoch

CHAMPION = "champion"
JOBS = 20
MEMBERS = 20
EPOCHS = 200  # points of a training curve

_MEMBER, _STRIDE, _BACK, _N_RANKS = "member", "stride", "back", "n_ranks"


def gather_model(frames: Mapping[str, DataFrame]) -> ModelFacts | None:
    """The champion, else the last version by name, with its training curve; None before `train`."""
    models = frames.get(s.MODELS.name)
    if models is None:
        return None
    champion_first = F.when(F.col(c.STAGE) == CHAMPION, 0).otherwise(1)
    model = models.orderBy(champion_first, F.desc(c.MODEL_VERSION)).first()
    if model is None:
        return None
    log = frames.get(s.TRAINING_LOG.name)
    mine = None if log is None else log.where(F.col(c.MODEL_VERSION) == model[c.MODEL_VERSION])
    rows = [] if mine is None else _epochs(mine)
    last = {row[_MEMBER]: row for row in rows}.values()  # each holds the totals of its member
    return ModelFacts(
        version=model[c.MODEL_VERSION],
        stage=model[c.STAGE] or "",
        code_version=model[c.CODE_VERSION] or "",
        config_digest=model[c.CONFIG_DIGEST] or "",
        sha256=model[c.SHA256] or "",
        inputs=dict(model[c.INPUTS] or {}),
        metrics={k: v for k, v in (model[c.METRICS] or {}).items() if v is not None},
        curves=_curves(rows),
        n_ranks=max((row[_N_RANKS] for row in last), default=0),
        seconds=sum(row[c.SECONDS] or 0.0 for row in last) if last else None,
        windows_per_second=(
            sum(row[c.WINDOWS_PER_SECOND] or 0.0 for row in last) / len(last) if last else None
        ),
    )


def _epochs(log: DataFrame) -> list[Row]:
    """Mean loss over ranks by member and epoch, thinned to at most `EPOCHS` rows a member; with
    the member's seconds in all and its windows a second over all ranks."""
    whole = Window.partitionBy(_MEMBER)
    by_epoch = log.groupBy(_MEMBER, c.EPOCH).agg(
        F.avg(c.LOSS).alias(c.LOSS),
        F.max(c.SECONDS).alias(c.SECONDS),
        F.sum(c.WINDOWS_PER_SECOND).alias(c.WINDOWS_PER_SECOND),
        F.count(F.lit(1)).alias(_N_RANKS),
    )
    return (
        by_epoch.where((F.col(_MEMBER) < MEMBERS) & ~F.isnan(c.LOSS))
        .withColumn(c.SECONDS, F.sum(c.SECONDS).over(whole))
        .withColumn(c.WINDOWS_PER_SECOND, F.avg(c.WINDOWS_PER_SECOND).over(whole))
        .withColumn(_STRIDE, F.ceil(F.count(F.lit(1)).over(whole) / EPOCHS))
        .withColumn(_BACK, F.row_number().over(whole.orderBy(F.desc(c.EPOCH))) - 1)
        .where(F.col(_BACK) % F.col(_STRIDE) == 0)
        .orderBy(_MEMBER, c.EPOCH)
        .collect()  # at most EPOCHS a member
    )


def _curves(rows: Sequence[Row]) -> tuple[Loss, ...]:
    members = sorted({row[_MEMBER] for row in rows})
    return tuple(
        Loss(
            member,
            tuple(row[c.EPOCH] for row in rows if row[_MEMBER] == member),
            tuple(row[c.LOSS] for row in rows if row[_MEMBER] == member),
        )
        for member in members
    )


def gather_runs(frames: Mapping[str, DataFrame]) -> tuple[RunFacts, ...]:
    """The latest run of every job, in the order in which they started, without the one that makes
    the report, which will have ended when somebody reads it."""
    runs = frames.get(s.RUNS.name)
    if runs is None:
        return ()
    is_this = F.col(c.JOB).isin("report", "pipeline") & F.col(c.FINISHED_AT).isNull()
    runs = runs.where(~F.coalesce(is_this, F.lit(False)))
    latest = Window.partitionBy(c.JOB).orderBy(F.desc(c.STARTED_AT), c.RUN_ID)
    rows = (
        runs.withColumn("rank", F.row_number().over(latest))
        .where(F.col("rank") == 1)
        .withColumns({name: epoch(name) for name in (c.STARTED_AT, c.FINISHED_AT)})
        .orderBy(c.STARTED_AT, c.JOB)
        .limit(JOBS)
        .collect()
    )
    return tuple(_run(row) for row in rows)


def _run(row: Row) -> RunFacts:
    started, finished = row[c.STARTED_AT], row[c.FINISHED_AT]
    return RunFacts(
        job=row[c.JOB],
        status=row[c.STATUS] or "",
        started_at=from_epoch(started),
        seconds=None if started is None or finished is None else finished - started,
        message=row[c.MESSAGE] or "",
        counts=dict(row[c.COUNTS] or {}),
        read=dict(row[c.TABLES_READ] or {}),
        written=dict(row[c.TABLES_WRITTEN] or {}),
        code_version=row[c.CODE_VERSION] or "",
        config_digest=row[c.CONFIG_DIGEST] or "",
    )
