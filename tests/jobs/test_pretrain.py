"""Networks that learn from synthetic series forecast others as they are."""

from pathlib import Path

from pyspark.sql import SparkSession

from headroom.cli import DONE, Job, run_job
from headroom.config import build_config
from headroom.model.artifact import unpack
from headroom.schemas import SYNTHETIC_SERIES
from headroom.series.methods import SCRATCH
from headroom.tables import Tables
from jobs import pretrain


def test_the_job_leaves_weights_and_what_made_them(spark: SparkSession, tmp_path: Path) -> None:
    fleets = [
        {"freq": "h", "horizons": [6, 12], "series": 6, "min_length": 120, "max_length": 200},
        {"freq": "MS", "horizons": [3], "series": 3, "min_length": 40, "max_length": 60},
    ]
    config = build_config(
        {
            "warehouse": str(tmp_path / "warehouse"),
            "pretrain": {"fleets": fleets},
            "training": {
                "ranks": 1, "steps": 2, "members": 2, "hidden_size": 4, "batch_size": 8,
                "designs": ["full", "horizon"], "start_from": None,
            },
        }
    )  # fmt: skip
    job = Job("pretrain", config, Tables(spark, config.warehouse))
    assert run_job(job, pretrain.run) == DONE, job.failure
    rows = Tables(spark, config.warehouse).read(SYNTHETIC_SERIES)
    assert dict(rows.groupBy("freq").count().collect()) == {"h": 6, "MS": 3}
    model = unpack(Path(config.pretrained_path).read_bytes())
    assert [member.kind for member in model.members] == [SCRATCH, SCRATCH]
    assert [member.shape["encoder"] for member in model.members] == [True, False]
    assert set(model.about["held_out"]) == {"h", "MS"}
    assert model.about["settings"]["pretrain"]["fleets"][0]["horizons"] == [6, 12]
