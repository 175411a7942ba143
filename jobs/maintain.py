"""Compact every table and drop files that no version of the last seven days needs."""

from headroom.cli import Job, main
from headroom.schemas import TABLES


def run(job: Job) -> None:
    present = [table for table in TABLES.values() if job.tables.exists(table)]
    for table in present:
        job.tables.maintain(table)
    job.count(tables=len(present))


if __name__ == "__main__":
    main("maintain", __doc__, run)
