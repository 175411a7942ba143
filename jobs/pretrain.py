"""Train networks on synthetic series, as a start for any fleet.

Writes synthetic_series and a file of weights. The series are drawn by `pretrain` and `seed`; the
networks are trained as `train` does it. Point `training.start_from` at the weights to forecast with
them and to tune them on a fleet.
"""

from headroom.cli import Job, main
from headroom.pretraining import build_synthetic_series, held_out_losses
from headroom.schemas import SYNTHETIC_SERIES
from headroom.storage import write_bytes
from headroom.training.ensemble import described, export, synthetic_task, train_ensemble


def run(job: Job) -> None:
    config = job.config
    made = build_synthetic_series(job.spark, config.pretrain, config.seed)
    series = job.tables.replace(made, SYNTHETIC_SERIES)
    manifest = export(series, config, "synthetic-shards")
    job.count(series=manifest.rows)
    packed, _ = train_ensemble(job.spark, synthetic_task(manifest, config))
    losses = held_out_losses(job.spark, packed, config)
    settings = config.model_dump(mode="json", include={"pretrain", "training", "seed"})
    write_bytes(config.pretrained_path, described(packed, settings=settings, held_out=losses))
    for freq, loss in losses.items():
        job.note(f"unseen {freq} series: {loss['network']:.4f}, their floor {loss['floor']:.4f}")
    job.note(f"weights in {config.pretrained_path}")


if __name__ == "__main__":
    main("pretrain", __doc__, run)
