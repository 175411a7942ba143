"""Which models there are, which one serves, and how it got there."""

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import Config
from headroom.errors import ArtifactError, DataError
from headroom.schemas import MODELS
from headroom.scoring import ModelFile
from headroom.storage import read_bytes

log = logging.getLogger(__name__)

CANDIDATE, CHAMPION, ARCHIVED = "candidate", "champion", "archived"

_AGAIN = "run `train` again, and `backtest` where the series have changed since"

LEARNING = ("series", "model", "training")  # the sources that determine the weights

# Settings of training that change how, but not what: they are no part of a model's identity.
_NOT_IDENTITY = {
    "ranks",
    "attempts",
    "timeout_seconds",
    "stall_seconds",
    "device",
    "interfaces",
    "start_from",
}


def model_version(
    config: Config, data_digest: str, code_version: str, start: bytes | None = None
) -> str:
    """Sixteen hex digits of everything that determines the weights: the same inputs, settings, seed
    and code give the same version, so that a repeated run finds its model instead of another."""
    training = config.training.model_dump(mode="json", exclude=_NOT_IDENTITY)
    backtest = config.backtest.model_dump(mode="json")
    horizon = config.prediction_length
    begin = hashlib.sha256(start).hexdigest() if start else None
    facts = [training, backtest, horizon, config.seed, data_digest, code_version, begin]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def weights_path(version: str) -> str:
    """Where the weights of a version lie, below the folder for artifacts."""
    return f"models/{version}.npz"


def artifact(config: Config, path: str) -> str:
    """The whole path of a file below the folder for artifacts."""
    return f"{config.artifacts_path.rstrip('/')}/{path}"


def find(models: DataFrame, version: str) -> Row | None:
    """The registered model of that version."""
    return models.where(F.col(c.MODEL_VERSION) == version).first()


def registered(models: DataFrame, version: str) -> Row:
    """The model of that version. Raises DataError where it is not registered."""
    row = find(models, version)
    if row is None:
        raise DataError(
            f"no model {version} for these series and settings: run `train` with the same "
            "configuration first, or `pipeline`"
        )
    return row


def champion(models: DataFrame) -> Row:
    """The model that serves. Raises DataError where none does."""
    row = models.where(F.col(c.STAGE) == CHAMPION).first()
    if row is None:
        raise DataError("no model serves yet: run `train` and `backtest`, or `pipeline`")
    return row


def load(row: Row, config: Config) -> ModelFile:
    """The weights of a registered model. Raises ArtifactError where they are missing or altered."""
    path = artifact(config, row[c.WEIGHTS_PATH])
    try:
        packed = read_bytes(path)
    except ArtifactError as error:
        raise ArtifactError(f"{error}; {_AGAIN}") from error
    if hashlib.sha256(packed).hexdigest() != row[c.SHA256]:
        raise ArtifactError(f"{path} is not what was registered (sha256 differs); {_AGAIN}")
    return ModelFile(row[c.MODEL_VERSION], packed, row[c.SHA256])


def is_whole(row: Row | None, config: Config) -> bool:
    """Whether the registered weights are there, unaltered."""
    try:
        return row is not None and bool(load(row, config).packed)
    except ArtifactError:
        return False


def as_registered(row: dict[str, Any], known: Row | None) -> dict[str, Any]:
    """The row to register of a trained model. One that was lost and came out the same keeps what
    it was judged to be."""
    is_same = known is not None and known[c.SHA256] == row[c.SHA256]
    return known.asDict() if known is not None and is_same else row


def rival_of(models: DataFrame, version: str, config: Config) -> Row | None:
    """The other model that serves, None where none does or its weights are lost, which is said."""
    row = models.where((F.col(c.STAGE) == CHAMPION) & (F.col(c.MODEL_VERSION) != version)).first()
    if row is None or is_whole(row, config):
        return row
    log.warning("model %s served until now; its weights are lost or altered", row[c.MODEL_VERSION])
    return None


def staged(
    spark: SparkSession, models: DataFrame, serves: str, measured: Mapping[str, Mapping[str, float]]
) -> DataFrame:
    """MODELS rows to merge after a backtest: the models judged with their measures, by version, the
    one that `serves` as champion, and whoever did before, archived."""
    is_concerned = F.col(c.MODEL_VERSION).isin(*measured) | (F.col(c.STAGE) == CHAMPION)
    rows = [row.asDict() for row in models.where(is_concerned).collect()]  # three at most
    changed = [
        {
            **row,
            c.STAGE: _stage(row, serves),
            c.METRICS: dict(measured.get(row[c.MODEL_VERSION], row[c.METRICS] or {})),
        }
        for row in rows
    ]
    return spark.createDataFrame(changed, MODELS.schema)


def _stage(row: Mapping[str, Any], serves: str) -> str:
    if row[c.MODEL_VERSION] == serves:
        return CHAMPION
    return ARCHIVED if row[c.STAGE] == CHAMPION else CANDIDATE
