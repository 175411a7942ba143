"""The series worth a picture: which, why, and the points to draw."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from pyspark.sql import DataFrame, Row, Window
from pyspark.sql import functions as F

from headroom import columns as c
from headroom import schemas as s
from headroom.config import Config
from headroom.freq import parse_freq
from headroom.report.facts import Advice, Fan, Line, Picture
from headroom.report.fleet import OK, epoch
from headroom.report.numerals import from_epoch, words
from headroom.series.methods import SEASONAL_NAIVE

HISTORY_POINTS = 400
FAN_POINTS = 200
BACKTEST_WINDOWS = 3

_RANK, _VOLUME, _RATIO = "rank", "volume", "ratio"
_DRAWN = (
    c.ITEM_ID,
    c.FORECAST_START,
    c.TIMESTAMP,
    c.METHOD,
    c.QUANTILE_LEVELS,
    c.QUANTILES,
)
_DEMAND_FIRST = ("count", "rate", "gauge", "ratio", "latency", "cost", "capacity")


@dataclass(frozen=True)
class Drawn:
    """A fan and the method that made it."""

    fan: Fan
    method: str


def gather_pictures(
    frames: Mapping[str, DataFrame], advice: Sequence[Advice], config: Config
) -> tuple[Picture, ...]:
    """Up to `report.series` pictures: what recommendations rest on, the largest, the hardest."""
    series = frames.get(s.SERIES.name)
    if series is None:
        return ()
    judged = _with_results(series, frames.get(s.BACKTESTS.name)).persist()
    try:
        chosen = choose(judged, advice, config.report.series)
        return _read(frames, judged, series, chosen, config) if chosen else ()
    finally:
        judged.unpersist()


def _with_results(series: DataFrame, backtests: DataFrame | None) -> DataFrame:
    """Forecastable items with volume, ratio to the naive and coverage of what was served."""
    about = (c.ITEM_ID, c.GROUP_ID, c.METRIC, c.METRIC_KIND)
    usable = series.where(F.col(c.STATUS) == OK).select(*about)
    if backtests is None:
        missing = {name: F.lit(None).cast("double") for name in (_VOLUME, _RATIO, c.COVERAGE_90)}
        return usable.withColumns(missing)
    served = F.col(c.IS_SELECTED)
    naive_loss = F.sum(F.when(F.col(c.MODEL) == SEASONAL_NAIVE, F.col(c.MEAN_WQL_LOSS)))
    results = backtests.groupBy(c.ITEM_ID).agg(
        F.sum(F.when(served, F.col(c.ABS_TARGET))).alias(_VOLUME),
        F.avg(F.when(served, F.col(c.COVERAGE_90))).alias(c.COVERAGE_90),
        F.when(naive_loss > 0, F.sum(F.when(served, F.col(c.MEAN_WQL_LOSS))) / naive_loss).alias(
            _RATIO
        ),
    )
    return usable.join(results, c.ITEM_ID, "left")


def choose(judged: DataFrame, advice: Sequence[Advice], n: int) -> dict[str, str]:
    """Items to draw, in order, each with the reason: at most `n`."""
    chosen = dict(list(_behind(judged, advice).items())[: max(n // 2, 1)])
    largest = _largest(judged, 2 * n)
    _add(chosen, largest, n - (n - len(chosen)) // 2)
    _add(chosen, _hardest(judged, n), n)
    _add(chosen, largest, n)  # where few were hard to forecast
    return chosen


def _add(chosen: dict[str, str], more: Mapping[str, str], n: int) -> None:
    for item_id, why in more.items():
        if len(chosen) >= n:
            return
        chosen.setdefault(item_id, why)


def _behind(judged: DataFrame, advice: Sequence[Advice]) -> dict[str, str]:
    """For every recommendation the item it names, else the demand series of its group."""
    if not advice:
        return {}
    named = sorted({item for entry in advice for item in _named_items(entry)})
    targets = sorted({entry.target for entry in advice})
    is_named = F.col(c.ITEM_ID).isin(named) if named else F.lit(False)
    demand_first = ", ".join(f"'{kind}'" for kind in _DEMAND_FIRST)
    # As text: the function of Spark 3.5 takes no column as its value.
    kinds = F.expr(f"array_position(array({demand_first}), {c.METRIC_KIND})")
    order = Window.partitionBy(c.GROUP_ID).orderBy(F.desc(is_named), kinds, c.METRIC, c.ITEM_ID)
    rows = (
        judged.where(F.col(c.GROUP_ID).isin(targets) | is_named)
        .withColumn(_RANK, F.row_number().over(order))
        .where(F.col(_RANK) == 1)
        .select(c.ITEM_ID, c.GROUP_ID)
        .limit(2 * len(targets) + len(named))
        .collect()
    )
    by_group = {row[c.GROUP_ID]: row[c.ITEM_ID] for row in rows}
    found: dict[str, str] = {}
    for entry in advice:
        if entry.target in by_group:
            found.setdefault(by_group[entry.target], f"behind recommendation {entry.rank}")
    return found


def _named_items(advice: Advice) -> Iterable[str]:
    """Items that the evidence says are at fault."""
    faults = advice.evidence.get("faults")
    for fault in faults[:10] if isinstance(faults, list) else ():
        if isinstance(fault, dict) and isinstance(fault.get(c.ITEM_ID), str):
            yield fault[c.ITEM_ID]


def _largest(judged: DataFrame, n: int) -> dict[str, str]:
    """The largest of every metric, then the second largest, and so on."""
    order = Window.partitionBy(c.METRIC).orderBy(F.desc_nulls_last(_VOLUME), c.ITEM_ID)
    rows = (
        judged.withColumn(_RANK, F.row_number().over(order))
        .where(F.col(_RANK) <= n)
        .orderBy(_RANK, c.METRIC)
        .select(c.ITEM_ID, c.METRIC, _VOLUME)
        .limit(n)
        .collect()
    )
    return {row[c.ITEM_ID]: _size(row) for row in rows}


def _size(row: Row) -> str:
    if row[_VOLUME] is None:
        return "in order of name"
    return f"among the largest by {words(row[c.METRIC] or '')}"


def _hardest(judged: DataFrame, n: int) -> dict[str, str]:
    rows = (
        judged.where(F.col(_RATIO).isNotNull())
        .orderBy(F.desc(_RATIO), c.ITEM_ID)
        .select(c.ITEM_ID)
        .limit(n)
        .collect()
    )
    return {row[c.ITEM_ID]: "least gain over the seasonal naive" for row in rows}


# -- points ----------------------------------------------------------------------------------------


def _read(
    frames: Mapping[str, DataFrame],
    judged: DataFrame,
    series: DataFrame,
    chosen: Mapping[str, str],
    config: Config,
) -> tuple[Picture, ...]:
    mine = F.col(c.ITEM_ID).isin(list(chosen))
    tail = history_length(config)
    first = F.greatest(F.col(c.LENGTH) - tail + 1, F.lit(1))
    rows = (
        series.where(mine)
        .withColumn(c.TARGET, F.slice(c.TARGET, first, F.lit(tail)))
        .withColumn(c.START, epoch(c.START))
        .drop(c.OBSERVED, c.FLAGGED, c.STATIC_CODES, c.SERIES_EVENTS)
        .join(judged.where(mine).select(c.ITEM_ID, _RATIO, c.COVERAGE_90), c.ITEM_ID)
        .collect()  # the series with a picture, and of these the part that is drawn
    )
    length = config.prediction_length
    forecasts = _fans(frames.get(s.FORECASTS.name), chosen, length, 1)
    windows = _fans(_served(frames), chosen, length, BACKTEST_WINDOWS)
    pictures = {
        row[c.ITEM_ID]: _picture(
            row, chosen[row[c.ITEM_ID]], forecasts.get(row[c.ITEM_ID]), windows.get(row[c.ITEM_ID])
        )
        for row in rows
    }
    return tuple(pictures[item_id] for item_id in chosen if item_id in pictures)


def history_length(config: Config) -> int:
    """Steps of history drawn before a forecast: four horizons, at least seven short seasons."""
    seasons = parse_freq(config.series.freq).seasons
    return max(4 * config.prediction_length, 7 * seasons[0] if seasons else 0, 40)


def _picture(
    row: Row, why: str, forecasts: Sequence[Drawn] | None, windows: Sequence[Drawn] | None
) -> Picture:
    return Picture(
        item_id=row[c.ITEM_ID],
        why=why,
        metric=row[c.METRIC] or "",
        unit=words(row[c.UNIT] or ""),
        dimensions=dict(row[c.DIMENSIONS] or {}),
        history=to_line(row),
        forecast=forecasts[-1].fan if forecasts else None,
        backtests=tuple(drawn.fan for drawn in windows or ()),
        method=forecasts[-1].method if forecasts else "",
        ratio=row[_RATIO],
        coverage_90=row[c.COVERAGE_90],
    )


def to_line(row: Row) -> Line:
    """The end of a series as points, thinned to at most `HISTORY_POINTS` that end at its end."""
    values = row[c.TARGET] or []
    start = np.datetime64(int(row[c.START]), "s")
    times = parse_freq(row[c.FREQ]).timestamps(start, row[c.LENGTH])
    times = times[len(times) - len(values) :]
    stride = max(math.ceil(len(values) / HISTORY_POINTS), 1)
    kept = range((len(values) - 1) % stride, len(values), stride)
    return Line(tuple(_utc(times[k]) for k in kept), tuple(values[k] for k in kept))


def _utc(at: np.datetime64) -> datetime:
    return datetime.fromtimestamp(int(at.astype("datetime64[s]").astype(np.int64)), UTC)


def _served(frames: Mapping[str, DataFrame]) -> DataFrame | None:
    """What was served in the backtest, or None before `backtest`."""
    forecasts = frames.get(s.BACKTEST_FORECASTS.name)
    if forecasts is None:
        return None
    return forecasts.where(F.col(c.IS_SELECTED)).withColumn(c.METHOD, F.col(c.MODEL))


def _fans(
    forecasts: DataFrame | None, chosen: Mapping[str, str], length: int, n_latest: int
) -> dict[str, list[Drawn]]:
    """The latest fans of the chosen items by forecast start, of at most `FAN_POINTS` steps."""
    if forecasts is None:
        return {}
    stride = math.ceil(length / FAN_POINTS)
    latest = Window.partitionBy(c.ITEM_ID).orderBy(F.desc(c.FORECAST_START))
    rows = (
        forecasts.where(F.col(c.ITEM_ID).isin(list(chosen)) & F.col(c.QUANTILES).isNotNull())
        .where((F.col(c.STEP) - 1) % stride == 0)
        .where(F.col(c.STEP) <= length)
        .withColumn(_RANK, F.dense_rank().over(latest))
        .where(F.col(_RANK) <= n_latest)
        .withColumns({name: epoch(name) for name in (c.FORECAST_START, c.TIMESTAMP)})
        .select(*_DRAWN)
        .orderBy(c.ITEM_ID, c.FORECAST_START, c.TIMESTAMP)
        .collect()
    )
    grouped: dict[tuple[str, float], list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row[c.ITEM_ID], row[c.FORECAST_START]].append(row)
    fans: dict[str, list[Drawn]] = defaultdict(list)
    for (item_id, _), steps in grouped.items():
        fans[item_id].append(Drawn(_fan(steps), steps[0][c.METHOD] or ""))
    return fans


def _fan(steps: Sequence[Row]) -> Fan:
    times = [from_epoch(row[c.TIMESTAMP]) for row in steps]
    return Fan(
        times=tuple(at for at in times if at is not None),
        levels=tuple(steps[0][c.QUANTILE_LEVELS]),
        values=tuple(tuple(row[c.QUANTILES]) for row in steps),
    )
