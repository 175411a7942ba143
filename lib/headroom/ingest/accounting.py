"""Rows in = rows kept + duplicates merged + rows refused; and how many may be refused."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import Config, Source
from headroom.errors import DataError
from headroom.ingest.survey import Totals

_REMEDIES = {
    "malformed": "check source.format and source.options",
    "no_item_id": "name the column of the series in source.columns.item_id",
    "bad_timestamp": "name a column of times in source.columns.timestamp: ISO 8601, or an epoch "
    "in s, ms, µs or ns",
    "out_of_range": "name another column in source.columns.timestamp",
    "future_dated": "set source.until later",
    "stray_timestamp": "correct these times in the source, or name another column in "
    "source.columns.timestamp",
    "mixed_timestamps": "write the times of a column in one form, or ingest each form by itself "
    "with source.where",
    "repeated_hour": "name the instant that is meant in source.local_time.repeated_hour",
    "missing_hour": "set source.local_time.missing_hour=shift, or correct source.local_time.zone",
    "bad_target": "name a numeric column in source.columns.target",
    "bad_revision": "name a column of whole numbers or times in source.columns.revision",
    "infinite_target": "correct these values in the source",
    "bad_metric_kind": "correct the column that source.columns.metric_kind names",
    "bad_time_zone": "correct the column that source.columns.time_zone names",
    "bad_local_zone": "set source.local_time.zone, or correct source.local_time.column",
    "bad_event": "correct these entries of source.events",
}


def check_refused(
    rejected: DataFrame, ingest_id: str, n_refused: int, rows_in: int, config: Config
) -> None:
    """Raises DataError where not all that this ingest refused is in rejected_rows, and where a
    larger share of the rows was refused than the limit allows, with the commonest reason, an
    example and the remedy."""
    refused = rejected.where(F.col(c.INGEST_ID) == ingest_id)
    n_written = sum(count_observations(refused))
    if n_written != n_refused:
        raise DataError(
            f"{n_refused:,} rows were refused, but {n_written:,} are in table rejected_rows: the "
            "source changed while it was read; run ingest again"
        )
    limit = config.limits.max_rejected_rows
    if n_refused <= limit * rows_in:
        return
    top = (
        refused.groupBy(c.REASON)
        .agg(F.sum(c.N_ROWS).alias(c.N_ROWS), F.min(c.DETAIL).alias(c.DETAIL))
        .orderBy(F.desc(c.N_ROWS), c.REASON)
        .first()
    )
    assert top is not None  # noqa: S101 - n_refused > 0
    raise DataError(
        f"{n_refused:,} of {rows_in:,} rows were refused, more than "
        f"limits.max_rejected_rows={limit:g} allows; {top[c.N_ROWS]:,} of them for "
        f"{top[c.REASON]}, for example: {_named(top[c.DETAIL], config.source)}; "
        f"{_REMEDIES[top[c.REASON]]}. All are in table rejected_rows"
    )


def _named(detail: str, source: Source) -> str:
    """The sentence with the source's own name of the column."""
    for meaning in ("timestamp", "target"):
        name = getattr(source.columns, meaning)
        if detail.startswith(f"{meaning} '"):
            return f"column {name!r}, {detail}"
    return detail


def count_rows(observations: DataFrame, ingest_id: str, totals: Totals) -> tuple[int, int]:
    """Observations written by this ingest, and the duplicates merged into them."""
    span = F.col(c.TIMESTAMP).between(F.lit(totals.first), F.lit(totals.last))
    mine = observations.where(span & (F.col(c.INGEST_ID) == ingest_id))
    return count_observations(mine)


def count_observations(observations: DataFrame) -> tuple[int, int]:
    """How many there are, and how many rows of the source went into them beside their first."""
    counted = observations.agg(F.count("*"), F.coalesce(F.sum(c.N_ROWS), F.lit(0))).first()
    assert counted is not None  # noqa: S101 - an aggregate always has its row
    return int(counted[0]), int(counted[1] - counted[0])


def check_accounts(totals: Totals, kept: int, merged: int) -> None:
    """Raises DataError where a row of the source is in no table or in two."""
    if totals.rows_in != kept + merged + totals.refused:
        raise DataError(
            f"{totals.rows_in:,} rows came in, but {kept:,} were kept, {merged:,} merged and "
            f"{totals.refused:,} refused: the source changed while it was read; run ingest again"
        )
