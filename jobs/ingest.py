"""Reads the source into observations, items and events; refused rows are kept with a reason.

Rows in = observations + duplicates merged + rows refused: the job checks it. The same rows read
again change nothing.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.cli import Job, main
from headroom.config import Source
from headroom.freq import parse_freq
from headroom.ingest.accounting import check_accounts, check_refused, count_rows
from headroom.ingest.events import build_events, count_entries, to_entries
from headroom.ingest.findings import build_findings
from headroom.ingest.mapping import resolve_source
from headroom.ingest.reading import read_rows
from headroom.ingest.rows import build_observations, build_rejected_rows
from headroom.ingest.survey import build_items, digest_ingest
from headroom.schemas import (
    CALENDAR,
    EVENTS,
    FINDINGS,
    ITEMS,
    OBSERVATIONS,
    REJECTED_ROWS,
    TELEMETRY,
)
from headroom.tables import source_errors, source_frame


def run(job: Job) -> None:
    source = resolve_source(job.config.source)
    step_seconds = parse_freq(job.config.series.freq).seconds
    with source_errors(source.path, source.format):
        reading = read_rows(read_observations(job, source), source, step_seconds)
    totals, survey = reading.totals, reading.survey
    job.count(rows_in=totals.rows_in, refused=totals.refused, missing=totals.missing)
    ingest_id = job.fingerprint = digest_ingest(source, totals)

    write_refused(job, reading.rows, ingest_id, totals.refused, totals.rows_in)
    observations = build_observations(reading.rows, ingest_id)
    observations = job.tables.merge(observations, OBSERVATIONS)
    job.tables.create(ITEMS)
    job.tables.merge(build_items(survey, job.tables.read(ITEMS), source), ITEMS)
    write_findings(job, source, survey, ingest_id)
    kept, merged = count_rows(observations, ingest_id)
    check_accounts(totals, kept, merged)
    job.count(kept=kept, merged=merged, items=totals.items)
    survey.unpersist()
    write_events(job, source, f"{ingest_id}_events")


def read_observations(job: Job, source: Source) -> DataFrame:
    if source.format == "simulated":
        return job.tables.read(TELEMETRY)
    return source_frame(job.spark, str(source.path), source.format, source.options)


def write_refused(job: Job, rows: DataFrame, ingest_id: str, n_refused: int, rows_in: int) -> None:
    """Keeps the refused rows first, so that they can be looked at where they are too many."""
    if not n_refused and not job.tables.exists(REJECTED_ROWS):
        job.tables.create(REJECTED_ROWS)
        return  # the source is not read once more for nothing
    refused = build_rejected_rows(rows.where(F.lit(n_refused > 0)), ingest_id)
    refused = job.tables.replace(refused, REJECTED_ROWS, {c.INGEST_ID: ingest_id})
    check_refused(refused, n_refused, rows_in, job.config)


def write_findings(job: Job, source: Source, survey: DataFrame, ingest_id: str) -> None:
    if source.local_time:
        found = build_findings(survey, source.local_time, ingest_id)
        job.tables.replace(found, FINDINGS, {c.INGEST_ID: ingest_id})


def write_events(job: Job, source: Source, ingest_id: str) -> None:
    job.tables.create(EVENTS)
    if source.events:
        frame = source_frame(job.spark, source.events.path, source.events.format)
    elif source.format == "simulated":
        frame = job.tables.read(CALENDAR)
    else:
        return
    entries = to_entries(frame).persist()
    with source_errors(source.events.path if source.events else None, "events"):
        n_entries, n_refused = count_entries(entries)
    if n_refused:
        write_refused(job, entries, ingest_id, n_refused, n_entries)
    job.tables.merge(build_events(entries), EVENTS)
    job.count(events=n_entries - n_refused, events_refused=n_refused)


if __name__ == "__main__":
    main("ingest", __doc__, run)
