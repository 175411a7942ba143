"""Models whose files were lost or altered, and what becomes of them when they are trained again."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from headroom.config import build_config
from headroom.errors import ArtifactError
from headroom.registry import as_registered, is_whole, load, rival_of, staged
from headroom.schemas import MODELS
from headroom.storage import write_bytes

PACKED = b"weights"


def row(**changed: Any) -> dict[str, Any]:
    own = dict.fromkeys(MODELS.schema.names)
    own |= {"model_version": "v", "stage": "candidate", "metrics": {}, "weights_path": "v.npz",
           "sha256": hashlib.sha256(PACKED).hexdigest()}  # fmt: skip
    return own | changed


def test_a_lost_and_an_altered_file_say_what_to_run(tmp_path: Path) -> None:
    config = build_config({"warehouse": str(tmp_path)})
    registered = Row(**row())
    with pytest.raises(ArtifactError, match=r"cannot read .*v\.npz: .*; run `train` again"):
        load(registered, config)
    write_bytes(f"{config.artifacts_path}/v.npz", b"other")
    with pytest.raises(ArtifactError, match=r"\(sha256 differs\); run `train` again"):
        load(registered, config)
    assert not is_whole(registered, config)
    write_bytes(f"{config.artifacts_path}/v.npz", PACKED)
    assert load(registered, config).packed == PACKED
    assert is_whole(registered, config)


def test_the_one_that_serves_is_champion_and_the_one_before_archived(spark: SparkSession) -> None:
    models = spark.createDataFrame(
        [
            row(model_version="old", stage="champion", metrics={"served": 0.2}),
            row(model_version="new"),
            row(model_version="idle"),
        ],
        MODELS.schema,
    )
    measured = {"new": {"served": 0.1}}
    promoted = {r.model_version: r for r in staged(spark, models, "new", measured).collect()}
    assert {name: r.stage for name, r in promoted.items()} == {
        "new": "champion",
        "old": "archived",
    }
    assert promoted["new"].metrics == {"served": 0.1}
    assert promoted["old"].metrics == {"served": 0.2}
    measured["old"] = {"served": 0.05}
    kept = {r.model_version: r for r in staged(spark, models, "old", measured).collect()}
    assert {name: r.stage for name, r in kept.items()} == {"new": "candidate", "old": "champion"}
    assert kept["old"].metrics == {"served": 0.05}


def test_a_model_whose_weights_are_lost_is_no_rival(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = build_config({"warehouse": str(tmp_path)})
    models = spark.createDataFrame([row(stage="champion")], MODELS.schema)
    assert rival_of(models, "new", config) is None
    assert "model v served until now; its weights are lost or altered" in caplog.text
    write_bytes(f"{config.artifacts_path}/v.npz", PACKED)
    found = rival_of(models, "new", config)
    assert found is not None and found["model_version"] == "v"
    assert rival_of(models, "v", config) is None


def test_a_champion_that_comes_out_the_same_goes_on_serving() -> None:
    judged = Row(**row(stage="champion", metrics={"wql": 0.1}))
    assert as_registered(row(), judged) == judged.asDict()
    other = row(sha256="other")
    assert as_registered(other, judged) == other
    assert as_registered(other, None) == other
