"""The rows of a source, each with its instant and value or the reason why it is refused."""

from dataclasses import dataclass

from pyspark.sql import DataFrame

from headroom.config import Source
from headroom.ingest.aliases import rename
from headroom.ingest.forms import count_forms, mark_mixed, refuse_mixed, usual_form
from headroom.ingest.mapping import to_mapped
from headroom.ingest.rows import to_rows
from headroom.ingest.strays import mark_strays, refuse_strays
from headroom.ingest.survey import Totals, build_survey, read_totals


@dataclass(frozen=True)
class Reading:
    """The rows, and what is known of all of them after one pass: `survey` is kept in memory or on
    disk until it is unpersisted."""

    rows: DataFrame
    survey: DataFrame
    totals: Totals


def read_rows(
    frame: DataFrame,
    source: Source,
    step_seconds: int,
    aliases: DataFrame | None = None,
    may_be_empty: bool = False,
) -> Reading:
    """Reads the source once. Raises SchemaError for its columns, DataError where it has no rows."""
    rows = to_rows(rename(to_mapped(frame, source), aliases), source)
    survey = build_survey(rows).persist()
    usual = usual_form(count_forms(survey))
    marked = mark_strays(mark_mixed(survey, usual), step_seconds).persist()
    totals = read_totals(marked, may_be_empty)
    survey.unpersist()
    return Reading(refuse_strays(refuse_mixed(rows, usual), marked), marked, totals)
