"""Models whose files were lost or altered, and what becomes of them when they are trained again."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from headroom.config import build_config
from headroom.errors import ArtifactError
from headroom.registry import as_registered, is_whole, load, who_serves
from headroom.storage import write_bytes

PACKED = b"weights"


def row(**changed: Any) -> dict[str, Any]:
    own = {"model_version": "v", "stage": "candidate", "metrics": {}, "weights_path": "v.npz",
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


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {"v": "champion"}, "model v serves"),
        ({"v": "champion"}, {"v": "champion"}, "model v serves"),
        ({"w": "champion"}, {"w": "archived", "v": "champion"}, "model v serves in place of w"),
        (
            {"w": "champion"},
            {"w": "champion", "v": "candidate"},
            "model w goes on serving: v is no better than the seasonal naive",
        ),
    ],
)
def test_a_backtest_says_who_serves(
    spark: SparkSession, before: dict[str, str], after: dict[str, str], said: str
) -> None:
    frames = [
        spark.createDataFrame(list(stages.items()), "model_version string, stage string")
        for stages in (before, after)
    ]
    assert who_serves(frames[0], frames[1], "v") == said


def test_a_champion_that_comes_out_the_same_goes_on_serving() -> None:
    judged = Row(**row(stage="champion", metrics={"wql": 0.1}))
    assert as_registered(row(), judged) == judged.asDict()
    other = row(sha256="other")
    assert as_registered(other, judged) == other
    assert as_registered(other, None) == other
