"""From the `series` table to a registered ensemble, on the driver."""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import Config
from headroom.errors import ArtifactError, TrainingError
from headroom.model.artifact import digest, unpack
from headroom.storage import read_bytes
from headroom.training.launch import run_with_restarts
from headroom.training.loop import Task, Trained, train
from headroom.training.shards import Manifest, export_shards

SHARDS = 16  # more than ranks, so that ranks get even loads; at most this many ranks have work


def export(series: DataFrame, config: Config, folder: str = "shards") -> Manifest:
    """The shards of the series that can be trained on."""
    n_shards = max(SHARDS, config.training.ranks)
    return export_shards(series, f"{config.artifacts_path}/{folder}", n_shards=n_shards)


def starting_weights(config: Config) -> bytes | None:
    """The packed weights of `training.start_from`. Raises ArtifactError where they do not fit."""
    path = config.training.start_from
    if path is None:
        return None
    packed = read_bytes(path)
    if unpack(packed).shape["hidden_size"] != config.training.hidden_size:
        raise ArtifactError(
            f"{path} has networks of another size; set training.hidden_size="
            f"{unpack(packed).shape['hidden_size']}"
        )
    return packed


def task_of(
    series: DataFrame, manifest: Manifest, config: Config, version: str, start: bytes | None
) -> Task:
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
        start=start,
    )


def synthetic_task(manifest: Manifest, config: Config) -> Task:
    """What the ranks are to do with synthetic series: nothing held out, no categories."""
    settings = config.training.model_dump_json()
    version = hashlib.sha256(f"{manifest.digest}{settings}{config.seed}".encode()).hexdigest()[:16]
    return Task(
        manifest=manifest,
        folder=f"{config.artifacts_path}/checkpoints/{version}",
        horizon=config.forecast.prediction_length,
        holdout=0,
        cardinalities=(),
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
    """The MODELS row of a new candidate: the same wherever the warehouse lies."""
    settings = json.dumps(config.training.model_dump(mode="json"), sort_keys=True)
    return {
        c.MODEL_VERSION: version,
        c.STAGE: "candidate",
        c.CONFIG: settings,
        c.CONFIG_DIGEST: hashlib.sha256(settings.encode()).hexdigest()[:12],
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
