"""Public holidays of an item's country, as entries of its calendar that are known a year ahead."""

import logging
from collections.abc import Sequence
from datetime import date

import holidays
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.errors import DataError
from headroom.features.events import CALENDAR, HOLIDAY

log = logging.getLogger(__name__)

_AHEAD = 800  # days after the last observation: beyond every horizon
_MOST_COUNTRIES = 1_000  # there are about 250, with their parts about 900

_DATES = "dates"


def add_holidays(items: DataFrame) -> DataFrame:
    """The items with the public holidays of `country` in their `calendar`, each from midnight to
    midnight of the item's own time zone, from its first observation to 800 days after its last.

    Raises DataError where `country` holds more values than there are countries.
    """
    is_seen = F.col(c.COUNTRY).isNotNull() & F.col(c.LAST_SEEN).isNotNull()
    years = items.where(is_seen).groupBy(c.COUNTRY)
    found = years.agg(F.min(F.year(c.FIRST_SEEN)), F.max(F.year(c.LAST_SEEN)))
    spans = found.limit(_MOST_COUNTRIES + 1).collect()
    if len(spans) > _MOST_COUNTRIES:
        raise DataError(
            f"table items names more than {_MOST_COUNTRIES} countries; "
            "source.columns.country must name a column of codes such as DE or DE-BY"
        )
    if not spans:
        return items
    dates = {country: public_holidays(country, range(a, b + 4)) for country, a, b in spans}
    unknown = sorted(country for country, days in dates.items() if not days)
    if unknown:
        log.warning("no public holidays are known of %s", ", ".join(unknown))
    rows = [(country, days) for country, days in dates.items() if days]
    by_country = items.sparkSession.createDataFrame(
        rows, f"{c.COUNTRY} string, {_DATES} array<date>"
    )
    own = F.filter(
        F.coalesce(_DATES, F.array().cast("array<date>")),
        lambda day: day.between(
            F.date_sub(c.FIRST_SEEN, 1), F.date_add(F.to_date(c.LAST_SEEN), _AHEAD)
        ),
    )
    entries = F.transform(own, _entry)
    extended = items.join(F.broadcast(by_country), c.COUNTRY, "left").withColumn(
        CALENDAR, F.array_sort(F.concat(CALENDAR, entries))
    )
    return extended.select(items.columns)


def public_holidays(country: str, years: Sequence[int]) -> list[date]:
    """The public holidays of a country, or of a part of it (DE-BY); none where none are known."""
    name, _, part = country.partition("-")
    try:
        return sorted(holidays.country_holidays(name, subdiv=part or None, years=years))
    except NotImplementedError:  # the library's answer to a country or part that it has not
        return []


def _entry(day: Column) -> Column:
    starts, ends = (
        F.to_utc_timestamp(date.cast("timestamp"), F.col(c.TIME_ZONE))
        for date in (day, F.date_add(day, 1))
    )
    return F.struct(
        F.lit(HOLIDAY).alias(c.KIND),
        starts.alias(c.STARTS_AT),
        ends.alias(c.ENDS_AT),
        (starts - F.expr("interval 365 days")).alias(c.KNOWN_AT),
        F.lit(None).cast("double").alias(c.EXPECTED_LIFT),
    )
