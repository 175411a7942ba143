"""Writes the simulated fleet: telemetry, calendar, and the truth that was planted in them.

Reads nothing, replaces the three tables. Sized by `simulate.services`, `simulate.regions` and
`simulate.days`; the same seed makes the same rows.
"""

from headroom.cli import Job, main
from headroom.schemas import CALENDAR, SIMULATED_TRUTH, TELEMETRY
from headroom.simulate.build import build_calendar, build_telemetry, build_truth


def run(job: Job) -> None:
    config = job.config
    tiers = {name: tier.safe_utilisation for name, tier in config.recommend.tiers.items()}
    fleet = (job.spark, config.simulate, config.seed, config.series.freq, tiers)
    telemetry = job.tables.replace(build_telemetry(*fleet), TELEMETRY)
    calendar = job.tables.replace(build_calendar(*fleet), CALENDAR)
    truth = job.tables.replace(build_truth(*fleet), SIMULATED_TRUTH)
    job.count(rows=telemetry.count(), events=calendar.count(), truths=truth.count())


if __name__ == "__main__":
    main("simulate", __doc__, run)
