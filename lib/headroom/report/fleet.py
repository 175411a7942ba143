"""The fleet, its data quality and what was refused, counted in Spark."""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from headroom import columns as c
from headroom import schemas as s
from headroom.config import Config
from headroom.freq import DAY, parse_freq
from headroom.report.facts import Fleet, Issue, Refusals, Tally, WorstItem
from headroom.report.numerals import from_epoch

OK = "ok"
TOP = 15  # labels of a tally
WORST = 3  # items named beside an issue

_N, _EXAMPLE, _DETAIL, _LABEL, _RANK = "n", "example", "detail", "label", "rank"


def epoch(column: str) -> Column:
    """Seconds since 1970: unlike a timestamp, the driver's own time zone cannot shift it."""
    return F.col(column).cast("double")


def tally(
    frame: DataFrame, label: Column, example: str | None = None, detail: str | None = None
) -> tuple[Tally, ...]:
    """Rows by label, most frequent first, each with its alphabetically first example."""
    first = F.min(F.struct(F.col(example), F.col(detail or example))) if example else F.lit(None)
    rows = (
        frame.groupBy(label.alias(_LABEL))
        .agg(F.count(F.lit(1)).alias(_N), first.alias(_EXAMPLE))
        .orderBy(F.desc(_N), _LABEL)
        .limit(TOP)
        .collect()
    )
    return tuple(_tally(row[_LABEL], row[_N], row[_EXAMPLE]) for row in rows)


def _tally(label: object, n: int, example: Sequence[object] | None) -> Tally:
    named, detail = example or ("", "")
    return Tally(str(label or "not given"), n, str(named or ""), str(detail or ""))


def to_served(forecasts: DataFrame) -> DataFrame:
    """One row per item: status, method and reason of its latest forecast, refused ones too."""
    fields = F.struct(c.FORECAST_START, c.STATUS, c.METHOD, c.REASON)
    latest = F.max(fields).alias("latest")
    first_steps = forecasts.where(F.col(c.STEP) <= 1)
    return first_steps.groupBy(c.ITEM_ID).agg(latest).select(c.ITEM_ID, "latest.*")


def gather_fleet(frames: Mapping[str, DataFrame], config: Config) -> Fleet | None:
    """The fleet at a glance, or None before `features`."""
    series, forecasts = frames.get(s.SERIES.name), frames.get(s.FORECASTS.name)
    if series is None:
        return None
    served = None if forecasts is None else to_served(forecasts).where(F.col(c.STATUS) == OK)
    first, last, n_stale = _span(series, config)
    methods = () if served is None else tally(served, F.col(c.METHOD))
    statuses = tally(series, F.col(c.STATUS))
    return Fleet(
        n_series=sum(status.n for status in statuses),
        n_forecast=sum(method.n for method in methods),
        n_stale=n_stale,
        freq=config.series.freq,
        prediction_length=config.forecast.prediction_length,
        first_at=from_epoch(first),
        last_at=from_epoch(last),
        statuses=statuses,
        metrics=tally(series, F.col(c.METRIC)),
        methods=methods,
    )


def _span(series: DataFrame, config: Config) -> tuple[float | None, float | None, int]:
    """First and last observed step in seconds since 1970, and how many series end a day and a
    step earlier."""
    seen = series.where(F.col(c.STATUS) == OK).select(
        epoch(c.START).alias(c.FIRST_SEEN), _last_observed(config).alias(c.LAST_SEEN)
    )
    ends = seen.agg(
        F.min(c.FIRST_SEEN).alias(c.FIRST_SEEN), F.max(c.LAST_SEEN).alias(c.LAST_SEEN)
    ).first()
    if ends is None or ends[c.LAST_SEEN] is None:
        return None, None, 0
    grace = DAY + parse_freq(config.series.freq).seconds
    n_stale = seen.where(F.col(c.LAST_SEEN) < ends[c.LAST_SEEN] - grace).count()
    return ends[c.FIRST_SEEN], ends[c.LAST_SEEN], n_stale


def _last_observed(config: Config) -> Column:
    """Seconds since 1970 of the last observed step, null where there is none."""
    freq = parse_freq(config.series.freq)
    missing_behind = F.array_position(F.reverse(c.OBSERVED), True) - 1
    steps = F.when(missing_behind >= 0, F.col(c.LENGTH) - 1 - missing_behind).cast("int")
    if freq.is_monthly:
        return F.add_months(c.START, steps * freq.count).cast("timestamp").cast("double")
    return epoch(c.START) + steps * freq.seconds


def gather_issues(frames: Mapping[str, DataFrame]) -> tuple[Issue, ...] | None:
    """Issues by kind, most widespread first, with the items they weigh on most; None before
    `features`."""
    quality = frames.get(s.QUALITY.name)
    if quality is None:
        return None
    rank = Window.partitionBy(c.ISSUE).orderBy(
        F.desc_nulls_last(c.SHARE), F.desc(c.N_AFFECTED), c.ITEM_ID
    )
    entry = F.struct(_RANK, c.ITEM_ID, c.N_AFFECTED, c.SHARE)
    rows = (
        quality.withColumn(_RANK, F.row_number().over(rank))
        .groupBy(c.ISSUE)
        .agg(
            F.countDistinct(c.ITEM_ID).alias(_N),
            F.sum(c.N_AFFECTED).alias(c.N_AFFECTED),
            F.min(c.ACTION).alias(c.ACTION),
            F.sort_array(F.collect_list(F.when(F.col(_RANK) <= WORST, entry))).alias(_EXAMPLE),
        )
        .orderBy(F.desc(_N), c.ISSUE)
        .limit(TOP)
        .collect()
    )
    return tuple(
        Issue(
            kind=row[c.ISSUE],
            n_series=row[_N],
            n_affected=row[c.N_AFFECTED],
            action=row[c.ACTION] or "",
            worst=tuple(
                WorstItem(e[c.ITEM_ID], e[c.N_AFFECTED], e[c.SHARE]) for e in row[_EXAMPLE]
            ),
        )
        for row in rows
    )


def gather_refusals(frames: Mapping[str, DataFrame]) -> Refusals | None:
    """Series, forecasts and rows refused, by reason; None before anything was read."""
    series, forecasts = frames.get(s.SERIES.name), frames.get(s.FORECASTS.name)
    rejected = frames.get(s.REJECTED_ROWS.name)
    if series is None and rejected is None:
        return None
    return Refusals(
        series=() if series is None else _refused(series),
        forecasts=() if forecasts is None else _refused(to_served(forecasts)),
        rows=() if rejected is None else _rejected(rejected),
    )


def _refused(frame: DataFrame) -> tuple[Tally, ...]:
    refused = frame.where(~F.col(c.STATUS).eqNullSafe(OK))
    return tally(refused, F.col(c.STATUS), c.ITEM_ID, c.REASON)


def _rejected(rejected: DataFrame) -> tuple[Tally, ...]:
    rows = (
        rejected.groupBy(c.REASON)
        .agg(
            F.sum(c.N_ROWS).alias(_N),
            F.min(F.struct(F.substring(c.RAW, 1, 300), F.substring(c.DETAIL, 1, 300))).alias(
                _EXAMPLE
            ),
        )
        .orderBy(F.desc(_N), c.REASON)
        .limit(TOP)
        .collect()
    )
    return tuple(_tally(row[c.REASON], row[_N], row[_EXAMPLE]) for row in rows)
