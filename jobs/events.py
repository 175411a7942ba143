"""Reads the calendar into events; entries that cannot be used are kept with a reason.

`ingest` does it too; this job alone is for a calendar that changes more often than the telemetry.
"""

from headroom import columns as c
from headroom.cli import Job, main
from headroom.ingest.accounting import check_refused
from headroom.ingest.events import (
    KINDS,
    build_events,
    count_entries,
    find_odd_names,
    refused_entries,
    to_entries,
)
from headroom.ingest.mapping import resolve_source
from headroom.ingest.rows import build_rejected_rows
from headroom.readers import source_errors, source_frame
from headroom.schemas import CALENDAR, EVENTS, REJECTED_ROWS

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
    place = source.events or source
    with source_errors(place.path, place.format, SETTING):
        n_entries, n_refused = count_entries(entries)
    if n_refused:
        ingest_id = f"{source.digest()}_events"
        refused = build_rejected_rows(refused_entries(entries), ingest_id)
        refused = job.tables.replace(refused, REJECTED_ROWS, {c.INGEST_ID: ingest_id})
        check_refused(refused, ingest_id, n_refused, n_entries, job.config)
    kinds = dict.fromkeys((*KINDS, *job.config.features.rules.incidents.event_kinds))
    for sentence in find_odd_names(entries, kinds, resolve_source(source).dimensions):
        job.note(sentence)
    job.tables.merge(build_events(entries), EVENTS)
    entries.unpersist()
    job.count(events=n_entries - n_refused, events_refused=n_refused)


if __name__ == "__main__":
    main("events", __doc__, run)
