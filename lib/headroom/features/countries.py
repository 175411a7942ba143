"""The country of items that nobody named one for, where their own past tells it: on its public
holidays a working day looks like a Sunday, or like a Friday where that is the day of rest.

A country is taken only if its calendar fits clearly better than the calendars of all countries do
when they are moved by whole weeks, which is what chance finds.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import holidays
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import Config
from headroom.features.holidays import public_holidays
from headroom.features.series import COUNTER
from headroom.freq import DAY, parse_freq
from headroom.schemas import FINDINGS

log = logging.getLogger(__name__)

Days = NDArray[np.float64]

_FEWEST_ITEMS, _MOST_ITEMS = 3, 32  # of a time zone, that stand for all
_SHORTEST, _LONGEST = 182, 1_100  # days that are looked at

_WEEKENDS = ((5, 6), (4, 5))  # Monday is 0
_DAYS_OF_REST = (6, 4)
_LEAST_SEEN = 0.75  # of a day's buckets
_WEEKS_BESIDE = (7, 14, 21)
_FLOOR = 0.05  # of the mean of an item, below which the logarithm is flat
_RIDGE = 0.1
_LARGEST_CHANGE = 1.5  # of a day, in logarithms; and of its likeness
_LARGEST_WEIGHT = 3.0
_TINY = 1e-12

_FEWEST_HOLIDAYS = 4  # on working days
_YEAR = 52  # weeks
_LEAST_LIKENESS = 0.25  # mean over the holidays; 1 is a day of rest
_BEYOND_CHANCE = 1.2

_DAY, _BUCKET = "day", "bucket"
_GUESSED = "country string, evidence double, chance double, n_items int"
_ISSUE = "guessed_country"


@dataclass(frozen=True)
class Guess:
    """A country; how well its calendar fits; how well the best of the moved ones does."""

    country: str
    evidence: float
    chance: float


def guess_country(profiles: NDArray[np.float64], first_day: date) -> Guess | None:
    """The country whose holidays these items keep, None where none stands out or there are fewer
    than three items. Profiles are [items, days, buckets of the local day], NaN where there is no
    value."""
    if len(profiles) < _FEWEST_ITEMS:
        return None
    n_weeks = profiles.shape[1] // 7
    profiles = profiles[:, : n_weeks * 7]
    weekdays = (first_day.weekday() + np.arange(n_weeks * 7)) % 7
    rested = [
        (*_pool(profiles, weekdays, rest, weekend), weekend)
        for rest, weekend in zip(_DAYS_OF_REST, _WEEKENDS, strict=True)
    ]
    _, likeness, weekend = max(rested, key=lambda one: one[0])
    works = ~np.isin(weekdays, weekend)
    countries = {
        country: is_holiday
        for country in _countries()
        if (is_holiday := _on_days(country, first_day, works)).sum() >= _FEWEST_HOLIDAYS
    }
    moves = np.arange(n_weeks)
    beside = np.minimum(_from_years(moves), _from_years(n_weeks - moves)) < 2
    if not countries or beside.all():
        return None
    calendars = np.stack(list(countries.values())).astype(float)
    n_holidays = calendars.sum(axis=1)
    moved = np.stack([np.roll(likeness, 7 * weeks) for weeks in moves], axis=1)
    evidence = calendars @ moved / np.sqrt(n_holidays)[:, None]  # [countries, weeks moved by]
    best = int(evidence[:, 0].argmax())
    found, chance = float(evidence[best, 0]), float(evidence[:, ~beside].max())
    is_clear = found >= _BEYOND_CHANCE * chance
    if not (is_clear and found >= _LEAST_LIKENESS * np.sqrt(n_holidays[best])):
        return None
    return Guess(list(countries)[best], found, chance)


def _pool(
    profiles: NDArray[np.float64], weekdays: NDArray[np.int64], rest: int, weekend: Sequence[int]
) -> tuple[float, Days]:
    """How far days of rest are from working days, summed over the items; and how like a day of rest
    each day was."""
    total, pooled = 0.0, np.zeros(len(weekdays))
    for profile in profiles:
        distance, likeness = _likeness(profile, weekdays == rest, ~np.isin(weekdays, weekend))
        weight = min(distance, _LARGEST_WEIGHT)
        total += weight
        pooled += weight * likeness
    return total, np.clip(pooled / max(total, _TINY), -1, 1)


def _likeness(
    profile: Days, is_rest: NDArray[np.bool_], is_work: NDArray[np.bool_]
) -> tuple[float, Days]:
    """Of one item: how many standard deviations its days of rest lie from its working days, and
    where each day lies on the way from the usual day of its weekday, 0, to a day of rest, 1.

    Along Fisher's linear discriminant (Hastie, Tibshirani and Friedman, The Elements of Statistical
    Learning, section 4.3), with a ridge on the covariance of working days.
    """
    none = np.zeros(len(profile))
    seen = np.isfinite(profile)
    mean = profile[seen].mean() if seen.any() else 0.0
    if mean <= 0:
        return 0.0, none
    levels = np.log(np.maximum(profile, 0) + _FLOOR * mean)
    levels = levels[:, seen.any(axis=0)]
    is_seen = np.isfinite(levels).mean(axis=1) >= _LEAST_SEEN
    beside = [_moved(levels, days) for weeks in _WEEKS_BESIDE for days in (weeks, -weeks)]
    masked = np.ma.masked_invalid(beside)  # type: ignore[no-untyped-call]
    usual = np.ma.median(masked, axis=0).filled(np.nan)  # type: ignore[no-untyped-call]
    change = np.clip(levels - usual, -_LARGEST_CHANGE, _LARGEST_CHANGE)
    change = np.where(np.isfinite(change) & is_seen[:, None], change, 0.0)
    rest, work = levels[is_rest & is_seen], levels[is_work & is_seen]
    if min(len(rest), len(work)) < 2:
        return 0.0, none
    step = np.nan_to_num(np.nanmean(rest, axis=0) - np.nanmean(work, axis=0))
    spread = np.atleast_2d(np.cov(change[is_work & is_seen], rowvar=False))
    spread = spread + (_RIDGE * np.trace(spread) / len(spread) + _TINY) * np.eye(len(spread))
    weights = np.linalg.solve(spread, step)
    squared = float(step @ weights)
    if squared <= _TINY:
        return 0.0, none
    likeness = np.clip(change @ weights / squared, -_LARGEST_CHANGE, _LARGEST_CHANGE)
    return float(np.sqrt(squared)), likeness


def _moved(levels: Days, days: int) -> Days:
    """The levels so many days later or earlier, NaN where there are none."""
    moved = np.full_like(levels, np.nan)
    if days > 0:
        moved[days:] = levels[:-days]
    else:
        moved[:days] = levels[-days:]
    return moved


def _from_years(weeks: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many weeks from a whole number of years."""
    return np.minimum(weeks % _YEAR, -weeks % _YEAR)


def _countries() -> list[str]:
    """All that have a calendar. Of those with the same the one with most parts comes first: the
    United States before their Minor Outlying Islands."""
    parts = holidays.list_supported_countries(include_aliases=False)
    return sorted(parts, key=lambda country: (-len(parts[country]), country))


def _on_days(country: str, first_day: date, works: NDArray[np.bool_]) -> NDArray[np.bool_]:
    years = range(first_day.year, (first_day + timedelta(len(works))).year + 1)
    at = np.array([(day - first_day).days for day in public_holidays(country, years)], dtype=int)
    is_holiday = np.zeros(len(works), dtype=bool)
    is_holiday[at[(at >= 0) & (at < len(works))]] = True
    return is_holiday & works


def guess_countries(
    items: DataFrame, observations: DataFrame, config: Config
) -> tuple[DataFrame, DataFrame]:
    """The items, those without a country with the one that the items of their time zone show; and
    what was guessed, as rows of `findings`.

    Looks at 3 to 32 items per time zone that were seen for half a year, before the first window of
    the backtest. None there, or steps longer than a day: the items as they are.
    """
    none = items.sparkSession.createDataFrame([], FINDINGS.schema)
    step = parse_freq(config.series.freq).seconds
    if not config.features.guess_country or step > DAY:
        return items, none
    withheld = config.backtest.windows * config.prediction_length * step
    sample = _sample(items, withheld).collect()  # few rows per time zone
    if not sample:
        return items, none
    chosen = items.sparkSession.createDataFrame(sample)
    guesses = _profiles(chosen, observations, step).groupBy(c.TIME_ZONE)
    found = guesses.applyInPandas(_guess_zone, f"{c.TIME_ZONE} string, {_GUESSED}").collect()
    for row in found:
        log.warning(
            "items of time zone %s name no country; by their past they keep the holidays of %s "
            "(%d items, evidence %.1f; the best calendar out of place has %.1f). If not so, set "
            "source.defaults.country, or features.guess_country to false",
            *(row[c.TIME_ZONE], row.country, row.n_items, row.evidence, row.chance),
        )
    if not found:
        return items, none
    return _name(items, {row[c.TIME_ZONE]: row.country for row in found})


def _sample(items: DataFrame, withheld: int) -> DataFrame:
    """item_id, time_zone, and the begin and end of what is looked at of its zone."""
    zone = Window.partitionBy(c.TIME_ZONE)
    rank = F.row_number().over(zone.orderBy(F.xxhash64(c.ITEM_ID), c.ITEM_ID))
    until = F.max(c.LAST_SEEN).over(zone) - F.make_dt_interval(secs=F.lit(withheld))
    seen = F.datediff(c.LAST_SEEN, c.FIRST_SEEN) >= _SHORTEST
    fit = items.where(F.col(c.COUNTRY).isNull() & (F.col(c.METRIC_KIND) != COUNTER) & seen)
    ranked = fit.select(c.ITEM_ID, c.TIME_ZONE, rank.alias("rank"), until.alias(c.ENDS_AT))
    begin = F.col(c.ENDS_AT) - F.make_dt_interval(days=F.lit(_LONGEST))
    return ranked.where(F.col("rank") <= _MOST_ITEMS).drop("rank").withColumn(c.STARTS_AT, begin)


def _profiles(chosen: DataFrame, observations: DataFrame, step: int) -> DataFrame:
    """Means by time_zone, item_id, local day since 1970 and bucket of the day: hours, or steps."""
    is_within = (F.col(c.TIMESTAMP) >= F.col(c.STARTS_AT)) & (F.col(c.TIMESTAMP) < F.col(c.ENDS_AT))
    middle = F.col(c.TIMESTAMP) + F.make_dt_interval(secs=F.lit(step / 2))
    local = F.from_utc_timestamp(middle, F.col(c.TIME_ZONE))
    bucket = F.floor((F.unix_seconds(local) % DAY) / max(3_600, step)).cast("int")
    kept = observations.join(F.broadcast(chosen), c.ITEM_ID).where(is_within)
    timed = kept.select(
        c.TIME_ZONE,
        c.ITEM_ID,
        F.unix_date(local.cast("date")).alias(_DAY),
        bucket.alias(_BUCKET),
        c.TARGET,
    )
    keys = (c.TIME_ZONE, c.ITEM_ID, _DAY, _BUCKET)
    return timed.groupBy(*keys).agg(F.avg(c.TARGET).alias(c.TARGET)).dropna()


def _guess_zone(rows: pd.DataFrame) -> pd.DataFrame:
    first = int(rows[_DAY].min())
    item, names = pd.factorize(rows[c.ITEM_ID])
    shape = (len(names), int(rows[_DAY].max()) - first + 1, int(rows[_BUCKET].max()) + 1)
    profiles = np.full(shape, np.nan)
    profiles[item, rows[_DAY] - first, rows[_BUCKET]] = rows[c.TARGET]
    guess = guess_country(profiles, date(1970, 1, 1) + timedelta(first))
    found = [] if guess is None else [
        (rows[c.TIME_ZONE].iloc[0], guess.country, guess.evidence, guess.chance, len(names))
    ]  # fmt: skip
    names_of = [c.TIME_ZONE, *[field.split()[0] for field in _GUESSED.split(", ")]]
    return pd.DataFrame(found, columns=names_of)


def _name(items: DataFrame, countries: Mapping[str, str]) -> tuple[DataFrame, DataFrame]:
    """The items with the country of their time zone where they have none, and findings of these."""
    spark, guess, days = items.sparkSession, "guess", "days"
    years = range(date(1970, 1, 1).year, datetime.now(UTC).year + 1)
    rows = [(zone, name, public_holidays(name, years)) for zone, name in countries.items()]
    by_zone = spark.createDataFrame(
        rows, f"{c.TIME_ZONE} string, {guess} string, {days} array<date>"
    )
    joined = items.join(F.broadcast(by_zone), c.TIME_ZONE, "left")
    first, last = (
        F.to_date(F.from_utc_timestamp(name, F.col(c.TIME_ZONE)))
        for name in (c.FIRST_SEEN, c.LAST_SEEN)
    )
    findings = joined.where(F.col(c.COUNTRY).isNull()).select(
        F.lit("features").alias(c.INGEST_ID),
        c.ITEM_ID,
        F.lit(_ISSUE).alias(c.ISSUE),
        F.size(F.filter(days, lambda day: day.between(first, last)))
        .cast("bigint")
        .alias(c.N_AFFECTED),
        (F.datediff(last, first) + 1).cast("bigint").alias(c.N_ROWS),
        F.col(c.FIRST_SEEN).alias(c.FIRST_AT),
        F.col(c.LAST_SEEN).alias(c.LAST_AT),
        F.concat(F.lit("public holidays of "), guess).alias(c.ACTION),
    )
    country = F.coalesce(c.COUNTRY, guess).alias(c.COUNTRY)
    columns = [country if name == c.COUNTRY else F.col(name) for name in items.columns]
    return joined.select(columns), findings.where(F.col(c.N_AFFECTED) > 0)
