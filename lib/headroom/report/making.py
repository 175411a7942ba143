"""How it was made: the network, its training, and the latest run of every job."""

from collections.abc import Mapping

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

_STRIDE, _BACK = "stride", "back"


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
    speed = None if mine is None else _speed(mine)
    return ModelFacts(
        version=model[c.MODEL_VERSION],
        stage=model[c.STAGE] or "",
        code_version=model[c.CODE_VERSION] or "",
        config_digest=model[c.CONFIG_DIGEST] or "",
        sha256=model[c.SHA256] or "",
        inputs=dict(model[c.INPUTS] or {}),
        metrics={k: v for k, v in (model[c.METRICS] or {}).items() if v is not None},
        curves=() if mine is None else _curves(mine),
        n_ranks=speed["n_ranks"] if speed else 0,
        seconds=speed[c.SECONDS] if speed else None,
        windows_per_second=speed[c.WINDOWS_PER_SECOND] if speed else None,
    )


def _speed(log: DataFrame) -> Row | None:
    by_rank = log.groupBy(c.RANK).agg(
        F.sum(c.SECONDS).alias(c.SECONDS), F.avg(c.WINDOWS_PER_SECOND).alias(c.WINDOWS_PER_SECOND)
    )
    return by_rank.agg(
        F.count(F.lit(1)).alias("n_ranks"),
        F.max(c.SECONDS).alias(c.SECONDS),
        F.sum(c.WINDOWS_PER_SECOND).alias(c.WINDOWS_PER_SECOND),
    ).first()


def _curves(log: DataFrame) -> tuple[Loss, ...]:
    """Mean loss over ranks by member and epoch, thinned to at most `EPOCHS` points."""
    whole = Window.partitionBy("member")
    order = whole.orderBy(F.desc(c.EPOCH))
    rows = (
        log.groupBy("member", c.EPOCH)
        .agg(F.avg(c.LOSS).alias(c.LOSS))
        .where((F.col("member") < MEMBERS) & ~F.isnan(c.LOSS))
        .withColumn(_STRIDE, F.ceil(F.count(F.lit(1)).over(whole) / EPOCHS))
        .withColumn(_BACK, F.row_number().over(order) - 1)
        .where(F.col(_BACK) % F.col(_STRIDE) == 0)
        .orderBy("member", c.EPOCH)
        .collect()
    )
    members = sorted({row["member"] for row in rows})
    return tuple(
        Loss(
            member,
            tuple(row[c.EPOCH] for row in rows if row["member"] == member),
            tuple(row[c.LOSS] for row in rows if row["member"] == member),
        )
        for member in members
    )


def gather_runs(frames: Mapping[str, DataFrame]) -> tuple[RunFacts, ...]:
    """The latest run of every job, in the order in which they started."""
    runs = frames.get(s.RUNS.name)
    if runs is None:
        return ()
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
