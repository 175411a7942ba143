"""Train networks on synthetic series, as a start for any fleet.

Writes synthetic_series and a file of weights. The series are drawn by `pretrain` and `seed`, at
`series.freq`; the networks are trained as `train` does it. Point `training.start_from` at the
weights to tune them on a fleet.
"""

from headroom.cli import Job, main
from headroom.pretraining import build_synthetic_series
from headroom.schemas import SYNTHETIC_SERIES
from headroom.storage import write_bytes
from headroom.training.ensemble import export, synthetic_task, train_ensemble


def run(job: Job) -> None:
    config = job.config
    made = build_synthetic_series(job.spark, config.pretrain, config.series.freq, config.seed)
    series = job.tables.replace(made, SYNTHETIC_SERIES)
    manifest = export(series, config, "synthetic-shards")
    job.count(series=manifest.rows)
    packed, log = train_ensemble(job.spark, synthetic_task(manifest, config))
    write_bytes(config.pretrained_path, packed)
    job.note(f"last loss {log[-1]['loss']:.4f}, weights in {config.pretrained_path}")


if __name__ == "__main__":
    main("pretrain", __doc__, run)
