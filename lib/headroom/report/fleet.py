"""The fleet, its data quality and what was refused, counted in Spark."""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from headroom import columns as c
from headroom import schemas as s
from headroom.config import Config
from headroom.freq import DAY, parse_freq
from headroom.report.facts import Fleet, Issue, Tally, WorstItem
from headroom.report.numerals import from_epoch

OK = "ok"
TOP = 15  # labels of a tally
WORST = 3  # items named beside an issue
LONGEST = 300  # characters of an example

_N, _EXAMPLE, _RANK, _SET = "n", "example", "rank", "set"
_BY_BOTH, _BY_STATUS, _BY_METRIC, _WHOLE = range(4)  # grouping_id of (status, metric)


def epoch(column: str) -> Column:
    """Seconds since 1970: unlike a timestamp, the driver's own time zone cannot shift it."""
    return F.col(column).cast("double")


def first_of(*columns: str) -> Column:
    """The alphabetically first of the rows' values in these columns, as an example."""
    return F.min(F.struct(*[F.substring(name, 1, LONGEST).alias(name) for name in columns]))


def as_tally(label: object, n: int, example: Sequence[object] | None = None) -> Tally:
    """A row of counts as a fact."""
    named, detail = example or ("", "")
    return Tally(str(label or "not given"), n, str(named or ""), str(detail or ""))


def gather_fleet(frames: Mapping[str, DataFrame], config: Config) -> Fleet | None:
    """The fleet at a glance, or None before `features`."""
    series, forecasts = frames.get(s.SERIES.name), frames.get(s.FORECASTS.name)
    if series is None:
        return None
    totals = _totals(series, config)
    served = [] if forecasts is None else _served(forecasts)
    methods = [as_tally(row[c.METHOD], row[_N]) for row in served if row[c.STATUS] == OK]
    empty = Row(**{_N: 0, c.FIRST_SEEN: None, c.LAST_SEEN: None})
    whole = next((row for row in totals if row[_SET] == _WHOLE), empty)
    last = whole[c.LAST_SEEN]
    return Fleet(
        n_series=whole[_N],
        n_forecast=sum(method.n for method in methods),
        n_stale=0 if last is None else _n_stale(series, last, config),
        freq=config.series.freq,
        prediction_length=config.prediction_length,
        first_at=from_epoch(whole[c.FIRST_SEEN]),
        last_at=from_epoch(last),
        statuses=tuple(
            as_tally(row[c.STATUS], row[_N], row[_EXAMPLE])
            for row in totals
            if row[_SET] == _BY_STATUS
        ),
        metrics=tuple(
            as_tally(row[c.METRIC], row[_N]) for row in totals if row[_SET] == _BY_METRIC
        )[:TOP],
        methods=tuple(methods),
        unserved=tuple(
            as_tally(row[c.STATUS], row[_N], row[_EXAMPLE]) for row in served if row[c.STATUS] != OK
        ),
    )


def _totals(series: DataFrame, config: Config) -> list[Row]:
    """Series in all, by status and by metric, in one pass; statuses are few."""
    is_ok = F.col(c.STATUS) == OK
    return (
        series.withColumn(c.LAST_SEEN, F.when(is_ok, _last_observed(config)))
        .withColumn(c.FIRST_SEEN, F.when(is_ok, epoch(c.START)))
        .cube(c.STATUS, c.METRIC)
        .agg(
            F.grouping_id().alias(_SET),
            F.count(F.lit(1)).alias(_N),
            F.min(c.FIRST_SEEN).alias(c.FIRST_SEEN),
            F.max(c.LAST_SEEN).alias(c.LAST_SEEN),
            first_of(c.ITEM_ID, c.REASON).alias(_EXAMPLE),
        )
        .where(F.col(_SET) != _BY_BOTH)
        .orderBy(F.desc(_SET), F.desc(_N), c.STATUS, c.METRIC)
        .limit(4 * TOP)
        .collect()
    )


def _served(forecasts: DataFrame) -> list[Row]:
    """Items by status and method of their latest forecast, refused ones too."""
    fields = F.struct(c.FORECAST_START, c.STATUS, c.METHOD, c.REASON)
    latest = F.max(fields).alias("latest")
    first_steps = forecasts.where(F.col(c.STEP) <= 1)
    return (
        first_steps.groupBy(c.ITEM_ID)
        .agg(latest)
        .select(c.ITEM_ID, "latest.*")
        .groupBy(c.STATUS, F.when(F.col(c.STATUS) == OK, F.col(c.METHOD)).alias(c.METHOD))
        .agg(F.count(F.lit(1)).alias(_N), first_of(c.ITEM_ID, c.REASON).alias(_EXAMPLE))
        .orderBy(F.desc(_N), c.STATUS, c.METHOD)
        .limit(2 * TOP)
        .collect()
    )


def _n_stale(series: DataFrame, last: float, config: Config) -> int:
    """Series that end more than a day and a step before the freshest one."""
    grace = DAY + parse_freq(config.series.freq).seconds
    ends = series.where(F.col(c.STATUS) == OK).select(_last_observed(config).alias(c.LAST_SEEN))
    return ends.where(F.col(c.LAST_SEEN) < last - grace).count()


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


def gather_rejected(frames: Mapping[str, DataFrame]) -> tuple[Tally, ...] | None:
    """Rows of the source that were refused, by reason; None before anything was read."""
    rejected = frames.get(s.REJECTED_ROWS.name)
    if rejected is None:
        return None
    rows = (
        rejected.groupBy(c.REASON)
        .agg(F.sum(c.N_ROWS).alias(_N), first_of(c.RAW, c.DETAIL).alias(_EXAMPLE))
        .orderBy(F.desc(_N), c.REASON)
        .limit(TOP)
        .collect()
    )
    return tuple(as_tally(row[c.REASON], row[_N], row[_EXAMPLE]) for row in rows)
