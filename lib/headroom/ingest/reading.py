"""The rows of a source, each with its instant and value or the reason why it is refused."""

from dataclasses import dataclass
from typing import Self

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import Source
from headroom.ingest.aliases import rename
from headroom.ingest.forms import MIXED, count_forms, mark_mixed, say_mixed, usual_form
from headroom.ingest.mapping import as_it_came, to_mapped
from headroom.ingest.rows import tell, to_rows
from headroom.ingest.strays import STRAY, find_strays, mark_strayed, say_stray
from headroom.ingest.survey import Totals, build_survey, read_totals


@dataclass(frozen=True)
class Reading:
    """The rows, with reasons; what is told of those refused; and what is known of all of them.

    A context: at its end what is kept in memory and on disk is freed, also where the job fails, as
    the session may outlive it and the file be mended meanwhile.
    """

    rows: DataFrame
    refused: DataFrame
    survey: DataFrame
    totals: Totals
    cached: tuple[DataFrame, ...]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        for frame in self.cached:
            frame.unpersist()


def read_rows(
    frame: DataFrame,
    source: Source,
    step_seconds: int,
    aliases: DataFrame | None = None,
    may_be_empty: bool = False,
) -> Reading:
    """Reads the source once for its survey, which holds the refused rows too, and leaves it to be
    read once more for the good ones: to keep all rows would cost more than to read them again.

    Raises SchemaError for its columns, DataError where it has no rows and there must be some.
    """
    rows = to_rows(rename(to_mapped(frame, source), aliases), source)
    survey = build_survey(rows).persist()
    usual = usual_form(count_forms(survey))
    marked = mark_mixed(survey, usual)
    strays = find_strays(marked, step_seconds).persist()
    has_strays = not strays.isEmpty()
    if has_strays:
        marked = mark_strayed(marked, strays)
    totals = read_totals(marked, may_be_empty)
    refused, cached = tell(survey, source), (survey, strays)
    if not (usual or has_strays):
        return Reading(rows, refused, marked, totals, cached)
    rows = mark_strayed(mark_mixed(rows, usual), strays)
    return Reading(rows, refused.unionByName(_tell_late(rows, usual)), marked, totals, cached)


def _tell_late(rows: DataFrame, usual: str | None) -> DataFrame:
    """The same of rows that only the survey could tell: they are read again."""
    late = rows.where(F.col(c.REASON).isin(MIXED, STRAY))
    mixed = say_mixed(rows, usual) if usual else F.lit(None)
    return late.select(
        as_it_came().alias(c.RAW),
        c.SOURCE_FILE,
        c.REASON,
        F.lit(1).cast("bigint").alias(c.N_ROWS),
        F.when(F.col(c.REASON) == MIXED, mixed).otherwise(say_stray()).alias(c.DETAIL),
    )
