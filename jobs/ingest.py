"""Reads the source into observations, items and events; refused rows are kept with a reason.

Rows in = observations + duplicates merged + rows refused: the job checks it. The same rows read
again change nothing.
"""

from pyspark.sql import DataFrame

from headroom import columns as c
from headroom.cli import Job, main
from headroom.config import Source
from headroom.ingest.accounting import check_accounts, check_refused, count_rows
from headroom.ingest.events import build_events, to_events
from headroom.ingest.mapping import resolve_source, to_mapped
from headroom.ingest.rows import build_observations, build_rejected_rows, to_rows
from headroom.ingest.survey import build_items, build_survey, digest_ingest, read_totals
from headroom.schemas import CALENDAR, EVENTS, ITEMS, OBSERVATIONS, REJECTED_ROWS, TELEMETRY
from headroom.tables import source_errors, source_frame


def run(job: Job) -> None:
    source = resolve_source(job.config.source)
    rows = to_rows(to_mapped(read_observations(job, source), source), source)
    survey = build_survey(rows).persist()
    with source_errors(source.path, source.format):
        totals = read_totals(survey)
    ingest_id = job.fingerprint = digest_ingest(source, totals)
    job.count(rows_in=totals.rows_in, rejected=totals.rejected, missing=totals.missing)

    refused = build_rejected_rows(rows, ingest_id)
    refused = job.tables.replace(refused, REJECTED_ROWS, {c.INGEST_ID: ingest_id})
    check_refused(refused, totals, source, job.config.limits.max_rejected_rows)

    observations = job.tables.merge(build_observations(rows, ingest_id), OBSERVATIONS)
    job.tables.create(ITEMS)
    job.tables.merge(build_items(survey, job.tables.read(ITEMS), source), ITEMS)
    kept, merged = count_rows(observations, ingest_id)
    check_accounts(totals, kept, merged)
    job.count(kept=kept, merged=merged, items=totals.items)
    survey.unpersist()
    ingest_events(job, source)


def read_observations(job: Job, source: Source) -> DataFrame:
    """The source as it is."""
    if source.format == "simulated":
        return job.tables.read(TELEMETRY)
    return source_frame(job.spark, str(source.path), source.format, source.options)


def ingest_events(job: Job, source: Source) -> None:
    job.tables.create(EVENTS)
    if source.events:
        frame = source_frame(job.spark, source.events.path, source.events.format)
    elif source.format == "simulated":
        frame = job.tables.read(CALENDAR)
    else:
        return
    events = to_events(frame)
    job.tables.merge(build_events(events), EVENTS)


if __name__ == "__main__":
    main("ingest", __doc__, run)
