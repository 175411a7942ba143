"""From the `series` table to a registered ensemble, on the driver."""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from importlib import resources
from itertools import cycle, islice
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import SHIPPED, Config
from headroom.errors import TrainingError
from headroom.model.artifact import digest, pack, unpack
from headroom.series.methods import SCRATCH, TUNED
from headroom.storage import read_bytes
from headroom.training.launch import run_with_restarts
from headroom.training.loop import Stage, Task, Trained, train
from headroom.training.shards import Manifest, export_shards

# Of networks that learn from the fleet, in turn. Those from scratch differ most by their seed.
_KINDS = (TUNED, SCRATCH, SCRATCH)
SHARDS = 16  # more than ranks, so that ranks get even loads; at most this many ranks have work


def export(series: DataFrame, config: Config, folder: str = "shards") -> Manifest:
    """The shards of the series that can be trained on."""
    n_shards = max(SHARDS, config.training.ranks)
    return export_shards(series, f"{config.artifacts_path}/{folder}", n_shards=n_shards)


def starting_weights(config: Config) -> bytes | None:
    """The packed networks of `training.start_from`. Raises ArtifactError for a file that holds
    none."""
    path = config.training.start_from
    if path is None:
        return None
    if path == SHIPPED:
        return resources.files("headroom.model").joinpath("pretrained.npz").read_bytes()
    packed = read_bytes(path)
    unpack(packed)
    return packed


def task_of(
    series: DataFrame, manifest: Manifest, config: Config, version: str, start: bytes | None
) -> Task:
    """What the ranks are to do: networks, one of each kind at least, that stand in for the others
    where the choice is made; then these, which learn from the windows of the choice as well."""
    kinds = _KINDS if start else (SCRATCH,)
    horizon, judged = config.prediction_length, config.backtest.windows
    chosen_on = judged + config.backtest.selection_windows
    return Task(
        manifest=manifest,
        folder=f"{config.artifacts_path}/checkpoints/{version}",
        horizons={config.series.freq: (horizon,)},
        stages=(
            Stage(chosen_on * horizon, kinds[: max(config.training.members, 2)]),
            Stage(judged * horizon, tuple(islice(cycle(kinds), config.training.members))),
        ),
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
        horizons={fleet.freq: fleet.horizons for fleet in config.pretrain.fleets},
        stages=(Stage(0, (SCRATCH,) * config.training.members),),
        cardinalities=(),
        settings=config.training,
        seed=config.seed,
        is_synthetic=True,
    )


def described(packed: bytes, **facts: Any) -> bytes:
    """The same networks with further facts about what made them."""
    model = unpack(packed)
    return pack(model.members, {**model.about, **facts})


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
