"""Makes one row per series from its observations: a regular grid, a status, codes and events.

What was found wrong, and what was done about it, goes to table quality. Every item has its row.
"""

from headroom import columns as c
from headroom.cli import Job, main
from headroom.features.build import build_quality, to_series
from headroom.features.events import add_series_events
from headroom.features.findings import to_quality
from headroom.features.status import check_statuses, retire
from headroom.features.vocabulary import add_static_codes, build_vocabulary, list_static_columns
from headroom.freq import parse_freq
from headroom.schemas import (
    EVENTS,
    FINDINGS,
    ITEMS,
    OBSERVATIONS,
    QUALITY,
    SERIES,
    VOCABULARY,
)


def run(job: Job) -> None:
    config = job.config
    items = job.tables.read(ITEMS)
    job.tables.create(VOCABULARY)
    vocabulary = build_vocabulary(items, job.tables.read(VOCABULARY))
    vocabulary = job.tables.replace(vocabulary, VOCABULARY)
    coded = add_static_codes(items, vocabulary, list_static_columns(vocabulary))

    observations = job.tables.read(OBSERVATIONS)
    series = to_series(coded, observations, config.series, config.spark.shuffle_partitions)
    series = retire(series, config.series)
    freq = parse_freq(config.series.freq)
    series = add_series_events(series, job.tables.read(EVENTS), freq).persist()
    written = job.tables.replace(series, SERIES)
    job.tables.create(FINDINGS)
    noticed = to_quality(job.tables.read(FINDINGS))
    job.tables.replace(build_quality(series).unionByName(noticed), QUALITY)
    series.unpersist()

    counts = {row[0]: row[1] for row in written.groupBy(c.STATUS).count().collect()}
    job.count(series=sum(counts.values()), **counts)
    job.partial = check_statuses(written, counts, config.limits.max_refused_series)


if __name__ == "__main__":
    main("features", __doc__, run)
