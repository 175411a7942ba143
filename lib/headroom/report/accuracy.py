"""Accuracy, coverage and calibration from the backtest, aggregated in Spark."""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from headroom import columns as c
from headroom import schemas as s
from headroom.evaluation.measures import (
    AVERAGED,
    N_SERIES,
    RATIO,
    SERVED,
    to_item_sums,
    to_scores,
)
from headroom.report.facts import Accuracy, DimensionScores, Score, Slice
from headroom.report.fleet import epoch
from headroom.report.numerals import from_epoch
from headroom.series.methods import SEASONAL_NAIVE

WHOLE = ""  # the dimension that holds the whole fleet as its one value
DIMENSIONS = 8
SLICES = 8  # values of a dimension

_DIMENSION, _VALUE, _RANK = "dimension", "value", "rank"
_SIZE, _MODELS, _N_VALUES, _ENTRY = "size", "models", "n_values", "entry"
_FIELDS = (N_SERIES, c.LOSS, RATIO, *AVERAGED)


def gather_accuracy(frames: Mapping[str, DataFrame]) -> Accuracy | None:
    """What the backtest found, or None before `backtest`."""
    backtests, series = frames.get(s.BACKTESTS.name), frames.get(s.SERIES.name)
    if backtests is None or series is None:
        return None
    span = backtests.agg(
        F.min(epoch(c.FORECAST_START)).alias(c.STARTS_AT),
        F.max(epoch(c.FORECAST_START)).alias(c.ENDS_AT),
        F.countDistinct(c.WINDOW).alias(c.WINDOW),
    ).first()
    first, last = from_epoch(span[c.STARTS_AT]), from_epoch(span[c.ENDS_AT])
    if first is None or last is None:
        return None
    slices = to_slices(to_item_sums(backtests), series).collect()  # cut to the largest
    return Accuracy(
        n_windows=span[c.WINDOW],
        first_window=first,
        last_window=last,
        scores=_fleet_scores(slices),
        dimensions=_dimension_scores(slices),
        calibration=_calibration(frames),
    )


def to_slices(items: DataFrame, series: DataFrame) -> DataFrame:
    """One row per dimension and value (the whole fleet under `WHOLE`): its scores by model, its
    rank by number of series, and how many values the dimension has. Cut to the largest values."""
    about = series.select(c.ITEM_ID, c.METRIC, c.DIMENSIONS)
    placed = items.join(about, c.ITEM_ID, "left").withColumn(_ENTRY, F.explode(_entries()))
    by_value = (
        to_scores(placed.select("*", f"{_ENTRY}.*"), [_DIMENSION, _VALUE, c.MODEL])
        .groupBy(_DIMENSION, _VALUE)
        .agg(
            F.max(N_SERIES).alias(_SIZE), F.collect_list(F.struct(c.MODEL, *_FIELDS)).alias(_MODELS)
        )
    )
    values = Window.partitionBy(_DIMENSION)
    return (
        by_value.withColumn(_RANK, F.row_number().over(values.orderBy(F.desc(_SIZE), _VALUE)))
        .withColumn(_N_VALUES, F.count(F.lit(1)).over(values))
        .where(F.col(_RANK) <= SLICES)
        .orderBy(_DIMENSION, _RANK)
        .limit(1 + DIMENSIONS * SLICES)
    )


def _entries() -> Column:
    """Where a row counts: in the whole fleet, and what was served and the naive in the metric and
    in every dimension too."""
    kind = f"array<struct<{_DIMENSION}:string,{_VALUE}:string>>"
    whole = F.array(F.struct(F.lit(WHOLE), F.lit(WHOLE))).cast(kind)
    metric = F.array(F.struct(F.lit(c.METRIC), F.col(c.METRIC))).cast(kind)
    others = F.filter(
        F.map_entries(c.DIMENSIONS),
        lambda entry: (entry["key"] != c.METRIC) & entry["value"].isNotNull(),
    ).cast(kind)
    parts = F.concat(whole, metric, F.coalesce(others, F.array().cast(kind)))
    return F.when(F.col(c.MODEL).isin(SERVED, SEASONAL_NAIVE), parts).otherwise(whole)


# -- rows to facts ---------------------------------------------------------------------------------


def _model_scores(row: Row) -> dict[str, Score]:
    return {
        found[c.MODEL]: Score(found[c.MODEL], *[found[name] for name in _FIELDS])
        for found in row[_MODELS]
    }


def _fleet_scores(slices: Sequence[Row]) -> tuple[Score, ...]:
    """What was served first, then the models by their loss."""
    whole = next((row for row in slices if row[_DIMENSION] == WHOLE), None)
    found = _model_scores(whole).values() if whole else ()
    return tuple(
        sorted(
            found,
            key=lambda score: (
                score.model != SERVED,
                float("inf") if score.loss is None else score.loss,
                score.model,
            ),
        )
    )


def _dimension_scores(slices: Sequence[Row]) -> tuple[DimensionScores, ...]:
    """The dimensions with something served, the metric first."""
    names = sorted({row[_DIMENSION] for row in slices} - {WHOLE})
    found = []
    for name in sorted(names, key=lambda name: name != c.METRIC):
        rows = [row for row in slices if row[_DIMENSION] == name]
        by_value = [(row[_VALUE] or "", _model_scores(row)) for row in rows]
        parts = tuple(
            Slice(value, scores[SERVED], scores.get(SEASONAL_NAIVE))
            for value, scores in by_value
            if SERVED in scores
        )
        found += [DimensionScores(name, rows[0][_N_VALUES], parts)] if parts else []
    return tuple(found)


def _calibration(frames: Mapping[str, DataFrame]) -> tuple[tuple[float, float], ...]:
    """Share of actual values at or below each quantile of what was served, in one pass."""
    forecasts = frames.get(s.BACKTEST_FORECASTS.name)
    if forecasts is None:
        return ()
    served = forecasts.where(F.col(c.IS_SELECTED) & F.col(c.TARGET).isNotNull())
    first = served.select(c.QUANTILE_LEVELS).first()
    if first is None:
        return ()
    levels = first[c.QUANTILE_LEVELS]
    same = served.where(F.col(c.QUANTILE_LEVELS) == F.array(*map(F.lit, levels)))
    below = [
        F.avg((F.col(c.TARGET) <= F.col(c.QUANTILES)[k]).cast("double")) for k in range(len(levels))
    ]
    shares = same.agg(*[column.alias(f"level_{k}") for k, column in enumerate(below)]).first()
    return tuple(zip(levels, shares, strict=True)) if shares and shares[0] is not None else ()
