"""The rows of a source, each with its instant and value or the reason why it is refused."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from headroom import columns as c
from headroom.config import Source
from headroom.ingest import mapping
from headroom.ingest.aliases import rename
from headroom.ingest.forms import count_forms, mark_mixed, refuse_mixed, usual_form
from headroom.ingest.mapping import to_mapped
from headroom.ingest.rows import DOUBT, FORM, PERIOD, to_rows
from headroom.ingest.strays import STRAY, mark_strayed, mark_strays, refuse_strays
from headroom.ingest.survey import Totals, build_survey, read_totals

_KEPT = (
    c.ITEM_ID,
    c.TIMESTAMP,
    c.TARGET,
    c.REVISION,
    *mapping.ATTRIBUTES,
    mapping.DIMENSION_VALUES,
    FORM,
    DOUBT,
    PERIOD,
    c.CONTENT,
    c.REASON,
)


@dataclass(frozen=True)
class Reading:
    """The rows with what is needed of good ones, kept in partitions by item; those of the source
    once more, with what is told of refused ones; and what is known of all of them."""

    rows: DataFrame
    refused: DataFrame
    survey: DataFrame
    totals: Totals
    cached: tuple[DataFrame, ...]

    def release(self) -> None:
        """Frees what is kept in memory and on disk."""
        for frame in self.cached:
            frame.unpersist()


def read_rows(
    frame: DataFrame,
    source: Source,
    step_seconds: int,
    n_partitions: int,
    aliases: DataFrame | None = None,
    may_be_empty: bool = False,
) -> Reading:
    """Reads, parses and shuffles the source once, and keeps what is needed of good rows: sentences
    and the rows as they came, which few of them need, would cost more than all else.

    Raises SchemaError for its columns, DataError where it has no rows and there must be some.
    """
    rows = to_rows(rename(to_mapped(frame, source), aliases), source)
    by_item = rows.select(*_KEPT).repartition(n_partitions, c.ITEM_ID)
    kept = by_item.persist(StorageLevel.MEMORY_AND_DISK)
    survey = build_survey(kept).persist()
    usual = usual_form(count_forms(survey))
    marked = mark_strays(mark_mixed(survey, usual), step_seconds).persist()
    totals = read_totals(marked, may_be_empty)
    cached = (kept, survey, marked)
    if usual is None and marked.where(F.col(c.REASON) == STRAY).isEmpty():
        return Reading(kept, rows, marked, totals, cached)
    good = mark_strayed(mark_mixed(kept, usual), marked)
    return Reading(good, refuse_strays(refuse_mixed(rows, usual), marked), marked, totals, cached)
