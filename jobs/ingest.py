"""Reads what is new in the source into observations and items, and the calendar into events.

Rows in = observations + rows merged + rows refused: the job checks it. Files that were read before
are left out, whatever they are called; each refused row is kept with its reason.
"""

from pyspark.sql import DataFrame

from headroom import columns as c
from headroom.cli import Job, main
from headroom.config import Source
from headroom.freq import parse_freq
from headroom.ingest import accounting, aliases
from headroom.ingest.findings import build_findings
from headroom.ingest.mapping import resolve_source
from headroom.ingest.reading import Reading, read_rows
from headroom.ingest.rows import build_observations, build_rejected_rows, find_outdated
from headroom.ingest.survey import build_items, digest_ingest
from headroom.readers import source_errors, source_frame
from headroom.schemas import FINDINGS, ITEMS, OBSERVATIONS, REJECTED_ROWS
from headroom.sources import open_source, remember_files
from jobs import events


def run(job: Job) -> None:
    source = resolve_source(job.config.source)
    renamed = rename_known(job, source)
    opened = open_source(job.tables, source)
    job.count(files=opened.n_new, files_repeated=opened.n_repeated, files_known=opened.n_known)
    if opened.frame:
        with source_errors(source.path, source.format):
            seconds = parse_freq(job.config.series.freq).seconds
            reading = read_rows(opened.frame, source, seconds, renamed, opened.n_known > 0)
        with reading:
            write_rows(job, source, reading)
    remember_files(job.tables, opened, job.fingerprint)
    events.run(job)


def rename_known(job: Job, source: Source) -> DataFrame | None:
    """The aliases, after what the warehouse holds goes by the new names."""
    if not (file := source.aliases):
        return None
    frame = source_frame(job.spark, file.path, file.format, setting="source.aliases")
    renamed = aliases.resolve_aliases(frame)
    old = renamed.select(aliases.OLD_ID)
    if job.tables.exists(ITEMS) and aliases.are_met(items := job.tables.read(ITEMS), old):
        moved = aliases.rename_observations(job.tables.read(OBSERVATIONS), renamed)
        job.tables.move(moved, old, OBSERVATIONS, update=False)
        job.tables.move(aliases.rename_items(items, renamed), old, ITEMS, update=True)
    return renamed


def write_rows(job: Job, source: Source, reading: Reading) -> None:
    totals, survey = reading.totals, reading.survey
    ingest_id = job.fingerprint = digest_ingest(source, totals)
    job.count(rows_in=totals.rows_in, refused=totals.refused, missing=totals.missing)
    job.tables.create(REJECTED_ROWS)
    if totals.refused:  # kept first, so that they can be looked at where they are too many
        refused, mine = build_rejected_rows(reading.refused, ingest_id), {c.INGEST_ID: ingest_id}
        refused = job.tables.replace(refused, REJECTED_ROWS, mine)
        accounting.check_refused(refused, ingest_id, totals.refused, totals.rows_in, job.config)
    n_partitions = job.config.spark.shuffle_partitions
    found, outdated = build_observations(reading.rows, source, ingest_id, n_partitions), 0
    if source.columns.revision and job.tables.exists(OBSERVATIONS):
        known = job.tables.read(OBSERVATIONS)
        outdated = sum(accounting.count_observations(find_outdated(found, known)))
    observations = job.tables.merge(found, OBSERVATIONS, c.REVISION, totals.span)
    kept, merged = accounting.count_rows(observations, ingest_id, totals)
    accounting.check_accounts(totals, kept, merged + outdated)
    job.tables.create(ITEMS)
    job.tables.merge(build_items(survey, job.tables.read(ITEMS), source), ITEMS)
    if totals.doubtful:
        findings = build_findings(survey, source, ingest_id)
        job.tables.replace(findings, FINDINGS, {c.INGEST_ID: ingest_id})
    job.count(kept=kept, merged=merged + outdated, items=totals.items)


if __name__ == "__main__":
    main("ingest", __doc__, run)
