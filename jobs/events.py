"""Reads the calendar into events; entries that cannot be used are kept with a reason.

`ingest` does it too; this job alone is for a calendar that changes more often than the telemetry.
"""

from headroom import columns as c
from headroom.cli import Job, main
from headroom.ingest.accounting import check_refused
from headroom.ingest.events import build_events, count_entries, refused_entries, to_entries
from headroom.ingest.rows import build_rejected_rows
from headroom.schemas import CALENDAR, EVENTS, REJECTED_ROWS
from headroom.tables import source_errors, source_frame

SETTING = "source.events"


def run(job: Job) -> None:
    source = job.config.source
    job.tables.create(EVENTS)
    if source.events:
        frame = source_frame(job.spark, source.events.path, source.events.format, setting=SETTING)
    elif source.format == "simulated":
        frame = job.tables.read(CALENDAR)
    else:
        return
    entries = to_entries(frame).persist()
    path, format = (
        (source.events.path, source.events.format) if source.events else (None, "simulated")
    )
    with source_errors(path, format, SETTING):
        n_entries, n_refused = count_entries(entries)
    if n_refused:
        ingest_id = f"{source.digest()}_events"
        refused = build_rejected_rows(refused_entries(entries), ingest_id)
        refused = job.tables.replace(refused, REJECTED_ROWS, {c.INGEST_ID: ingest_id})
        check_refused(refused, ingest_id, n_refused, n_entries, job.config)
    job.tables.merge(build_events(entries), EVENTS)
    entries.unpersist()
    job.count(events=n_entries - n_refused, events_refused=n_refused)


if __name__ == "__main__":
    main("events", __doc__, run)
