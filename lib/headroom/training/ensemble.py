"""From the `series` table to a registered ensemble, on the driver."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import Config
from headroom.errors import TrainingError
from headroom.model.artifact import digest
from headroom.training.launch import run_with_restarts
from headroom.training.loop import Task, Trained, train
from headroom.training.shards import Manifest, export_shards

SHARDS = 16  # more than ranks, so that ranks get even loads; at most this many ranks have work


def export(series: DataFrame, config: Config) -> Manifest:
    """The shards of the series that can be trained on."""
    n_shards = max(SHARDS, config.training.ranks)
    return export_shards(series, f"{config.artifacts_path}/shards", n_shards=n_shards)


def task_of(series: DataFrame, manifest: Manifest, config: Config, version: str) -> Task:
    """What the ranks are to do."""
    windows = config.backtest.windows + config.backtest.selection_windows
    return Task(
        manifest=manifest,
        folder=f"{config.artifacts_path}/checkpoints/{version}",
        horizon=config.forecast.prediction_length,
        holdout=windows * config.forecast.prediction_length,
        cardinalities=_cardinalities(series),
        settings=config.training,
        seed=config.seed,
    )


def train_ensemble(spark: SparkSession, task: Task) -> tuple[bytes, list[Mapping[str, Any]]]:
    """The packed weights and the training log. Raises TrainingError."""
    results = run_with_restarts(partial(train, task), settings=task.settings, spark=spark)
    trained: Trained = results[0]
    if trained.packed is None:
        raise TrainingError("rank 0 ended without weights")
    return trained.packed, list(trained.log)


def model_row(
    packed: bytes, path: str, version: str, config: Config, manifest: Manifest, code_version: str
) -> dict[str, Any]:
    """The MODELS row of a new candidate."""
    return {
        c.MODEL_VERSION: version,
        c.STAGE: "candidate",
        c.CONFIG: json.dumps(config.training.model_dump(mode="json"), sort_keys=True),
        c.CONFIG_DIGEST: config.digest(),
        c.CODE_VERSION: code_version,
        c.INPUTS: {"series": manifest.digest},
        c.METRICS: {},
        c.WEIGHTS_PATH: path,
        c.SHA256: digest(packed),
    }


def _cardinalities(series: DataFrame) -> tuple[int, ...]:
    """The largest code of every static column."""
    rows = (
        series.select(F.posexplode(c.STATIC_CODES).alias("place", "code"))
        .groupBy("place")
        .agg(F.max("code").alias("largest"))
        .orderBy("place")
        .collect()  # one row per static column
    )
    return tuple(int(row["largest"]) for row in rows)
