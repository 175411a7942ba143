"""Makes one row per series from its observations: a regular grid, a status, codes and events.

What was found wrong, and what was done about it, goes to table quality. Every item has its row.
Series of which nothing changed since the last run stand as they are.
"""

from pyspark.sql import DataFrame

from headroom import columns as c
from headroom.cli import Job, code_version, main
from headroom.features.aggregates import build_memberships, check_levels
from headroom.features.countries import guess_countries
from headroom.features.findings import with_noticed
from headroom.features.status import check_statuses, warn_of_unknown
from headroom.features.update import Maker, union
from headroom.features.vocabulary import list_static_columns, new_codes
from headroom.schemas import (
    EVENTS,
    FINDINGS,
    ITEMS,
    MEMBERSHIPS,
    OBSERVATIONS,
    QUALITY,
    SERIES,
    VOCABULARY,
    Table,
)
from headroom.session import rows_per_batch

ROWS_PER_BATCH = 16_384  # observations, on their way to Python


def run(job: Job) -> None:
    with rows_per_batch(job.spark, ROWS_PER_BATCH):
        make(job)


def make(job: Job) -> None:
    config, tables = job.config, job.tables
    items, observations = tables.read(ITEMS), tables.read(OBSERVATIONS)
    items, guessed = guess_countries(items, observations, config)
    tables.create(VOCABULARY)
    known = tables.read(VOCABULARY)
    new = new_codes(items, known)
    vocabulary = (known if new.isEmpty() else tables.merge(new, VOCABULARY)).persist()
    events = tables.read(EVENTS).persist()
    levels = config.features.aggregates
    if levels:
        check_levels(levels, list_static_columns(vocabulary)[1:])
    maker = Maker(config, code_version("features"), vocabulary, events, before(job, SERIES))
    updates = [maker.update(items, observations)]
    if levels or tables.exists(MEMBERSHIPS):
        series = updates[0].series()
        memberships = build_memberships(series, levels)
        tables.replace(memberships, MEMBERSHIPS)
        updates.append(maker.update_aggregates(series, memberships, items))
    tables.create(FINDINGS)
    quality = union([update.quality(before(job, QUALITY)) for update in updates])
    every = union([update.series() for update in updates])
    tables.replace(every, SERIES)
    warn_of_unknown(every, config.series.retired)
    noticed = tables.read(FINDINGS).unionByName(guessed)
    tables.replace(with_noticed(quality, noticed), QUALITY)
    job.count(rebuilt=sum(update.fresh.count() for update in updates))
    counts = dict(every.groupBy(c.STATUS).count().collect())  # one row per status
    job.count(series=sum(counts.values()), **counts)
    job.partial = check_statuses(every, counts, config.limits.max_refused_series)
    for frame in (vocabulary, events, *[update.fresh for update in updates]):
        frame.unpersist()


def before(job: Job, table: Table) -> DataFrame | None:
    """The table as the last run left it, where there was one and only changes are rebuilt."""
    if not (job.config.features.incremental and job.tables.exists(table)):
        return None
    return job.tables.read(table)


if __name__ == "__main__":
    main("features", __doc__, run)
