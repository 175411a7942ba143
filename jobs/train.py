"""Train the global network on Horovod ranks. Reads series; writes models and training_log.

No network sees a window that the backtest has it forecast. The same series, settings and seed
give the same model version; where it is registered already, nothing is trained.
"""

from headroom.cli import Job, code_version, main
from headroom.features.flags import without_flagged
from headroom.registry import (
    LEARNING,
    artifact,
    as_registered,
    find,
    is_whole,
    model_version,
    weights_path,
)
from headroom.schemas import MODELS, SERIES, TRAINING_LOG
from headroom.storage import write_bytes
from headroom.training.ensemble import export, model_row, starting_weights, task_of, train_ensemble


def run(job: Job) -> None:
    config, tables = job.config, job.tables
    series = without_flagged(tables.read(SERIES))
    manifest = export(series, config)
    start = starting_weights(config)
    version = model_version(config, manifest.digest, code_version(*LEARNING), start)
    job.count(series=manifest.rows)
    tables.create(MODELS)
    known = find(tables.read(MODELS), version)
    if is_whole(known, config):
        job.note(f"model {version} is trained already")
        return
    task = task_of(series, manifest, config, version, start)
    packed, log = train_ensemble(job.spark, task)

    path = weights_path(version)
    write_bytes(artifact(config, path), packed)
    rows = [{"model_version": version, **row} for row in log]
    log_frame = job.spark.createDataFrame(rows, TRAINING_LOG.schema)
    tables.replace(log_frame, TRAINING_LOG, {"model_version": version})
    row = as_registered(model_row(packed, path, version, config, manifest, code_version()), known)
    tables.merge(job.spark.createDataFrame([row], MODELS.schema), MODELS)


if __name__ == "__main__":
    main("train", __doc__, run)
