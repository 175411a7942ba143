"""A column of times is written in one form; rows in another are refused, for they may mean another
instant than they seem to."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.ingest import mapping
from headroom.ingest.rows import FORM
from headroom.ingest.times import FORMS

MIXED = "mixed_timestamps"


def count_forms(survey: DataFrame) -> dict[str, int]:
    """Good rows by the form in which their time is written."""
    good = survey.where(F.col(c.REASON).isNull())
    counts = good.groupBy(FORM).agg(F.sum(c.N_ROWS)).collect()  # one row per form
    return {row[0]: row[1] for row in counts}


def usual_form(forms: Mapping[str, int]) -> str | None:
    """The form of most rows, of two equal ones the first by name; None where there is one only."""
    return min(forms, key=lambda form: (-forms[form], form)) if len(forms) > 1 else None


def mark_mixed(survey: DataFrame, usual: str | None) -> DataFrame:
    """The survey with the reason mixed_timestamps for what is written in another form."""
    if usual is None:
        return survey
    other = F.when(F.col(FORM) != usual, F.lit(MIXED))
    return survey.withColumn(c.REASON, F.coalesce(c.REASON, other))


def say_mixed(rows: DataFrame, usual: str) -> Column:
    """What is told of a row whose time is written in another form, with an example of each. Looks
    for one row of the usual form."""
    good = rows.where(F.col(c.REASON).isNull() & (F.col(FORM) == usual))
    example = good.select(F.col(mapping.RAW_TIMESTAMP).cast("string")).first()
    such_as = f", such as '{example[0]}'" if example else ""
    names = F.create_map(*[F.lit(text) for pair in FORMS.items() for text in pair])
    return F.concat(
        F.lit("timestamp '"),
        F.col(mapping.RAW_TIMESTAMP).cast("string"),
        F.lit("' is "),
        names[F.col(FORM)],
        F.lit(f", but most of the column is {FORMS[usual]}{such_as}"),
    )
