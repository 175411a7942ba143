"""Accuracy, coverage and calibration from the backtest, aggregated in Spark.

The weighted quantile loss of a set of forecasts is the sum of their quantile losses over the sum of
the absolute targets. Targets of different metrics have different units and may not be added, so the
sums stay within a metric, and the results are averaged over metrics: the geometric mean, weighted
by series, so that the loss of a model over the naive's is the mean of the ratios too. A metric that
the naive repeats without error has no ratio and is left out. With one metric this is the plain
weighted quantile loss.
"""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from headroom import columns as c
from headroom import schemas as s
from headroom.report.facts import Accuracy, DimensionScores, Score, Slice
from headroom.report.fleet import epoch
from headroom.report.numerals import from_epoch

NAIVE = "seasonal_naive"
SERVED = "served"  # the rows of whichever model is_selected says
WHOLE = ""  # the dimension that holds the whole fleet as its one value
DIMENSIONS = 8
SLICES = 8  # values of a dimension
SMALLEST_RATIO = 1e-3  # a perfect forecast may not turn the geometric mean into zero
MEASURES = (c.MASE, c.COVERAGE_50, c.COVERAGE_80, c.COVERAGE_90, c.COVERAGE_95)

_N, _RATIO, _LOSS, _NAIVE_LOSS = "n_series", "ratio", "loss", "naive_loss"
_PAIRED, _DIMENSION, _VALUE, _RANK = "paired_loss", "dimension", "value", "rank"
_SIZE, _MODELS, _N_VALUES, _ENTRY = "size", "models", "n_values", "entry"
_FIELDS = (_N, _LOSS, _RATIO, *MEASURES)


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


def to_item_sums(backtests: DataFrame) -> DataFrame:
    """One row per item and model, summed over windows: losses, the naive's loss of the same
    windows, and sums and counts of the measures. What served comes again under `served`."""
    naive_loss = F.max(F.when(F.col(c.MODEL) == NAIVE, F.col(c.MEAN_WQL_LOSS)))
    same_window = Window.partitionBy(c.ITEM_ID, c.WINDOW)
    names = F.when(F.col(c.IS_SELECTED), F.array(F.col(c.MODEL), F.lit(SERVED)))
    is_paired = F.col(_NAIVE_LOSS).isNotNull() & F.col(c.MEAN_WQL_LOSS).isNotNull()
    return (
        backtests.withColumn(_NAIVE_LOSS, naive_loss.over(same_window))
        .withColumn(c.MODEL, F.explode(names.otherwise(F.array(F.col(c.MODEL)))))
        .groupBy(c.ITEM_ID, c.MODEL)
        .agg(
            F.sum(F.when(is_paired, F.col(c.ABS_TARGET))).alias(c.ABS_TARGET),
            F.sum(F.when(is_paired, F.col(c.MEAN_WQL_LOSS))).alias(_PAIRED),
            F.sum(F.when(is_paired, F.col(_NAIVE_LOSS))).alias(_NAIVE_LOSS),
            *[F.sum(_finite(name)).alias(name) for name in MEASURES],
            *[F.count(_finite(name)).alias(_count(name)) for name in MEASURES],
        )
    )


def to_slices(items: DataFrame, series: DataFrame) -> DataFrame:
    """One row per dimension and value (the whole fleet under `WHOLE`): its scores by model, its
    rank by number of series, and how many values the dimension has. Cut to the largest values."""
    about = series.select(c.ITEM_ID, c.METRIC, c.DIMENSIONS)
    placed = items.join(about, c.ITEM_ID, "left").withColumn(_ENTRY, F.explode(_entries()))
    by_value = (
        _scores(placed.select("*", f"{_ENTRY}.*"))
        .groupBy(_DIMENSION, _VALUE)
        .agg(F.max(_N).alias(_SIZE), F.collect_list(F.struct(c.MODEL, *_FIELDS)).alias(_MODELS))
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
    return F.when(F.col(c.MODEL).isin(SERVED, NAIVE), parts).otherwise(whole)


def _scores(placed: DataFrame) -> DataFrame:
    """One row per dimension, value and model with the fields of `Score`."""
    keys = [_DIMENSION, _VALUE, c.MODEL]
    sums = [*MEASURES, *map(_count, MEASURES)]
    naive, target = F.sum(_NAIVE_LOSS), F.sum(c.ABS_TARGET)
    usable = (naive > 0) & (target > 0)
    loss = F.greatest(F.sum(_PAIRED), naive * SMALLEST_RATIO)
    within_metric = placed.groupBy(*keys, c.METRIC).agg(
        F.count(F.lit(1)).alias(_N),
        F.when(usable, F.log(loss / target)).alias(_LOSS),
        F.when(usable, F.log(loss / naive)).alias(_RATIO),
        *[F.sum(name).alias(name) for name in sums],
    )
    return within_metric.groupBy(*keys).agg(
        F.sum(_N).alias(_N),
        F.exp(_mean_by_series(F.col(_LOSS))).alias(_LOSS),
        F.exp(_mean_by_series(F.col(_RATIO))).alias(_RATIO),
        *[_ratio(F.sum(name), F.sum(_count(name))).alias(name) for name in MEASURES],
    )


def _count(measure: str) -> str:
    return f"n_{measure}"


def _ratio(part: Column, whole: Column) -> Column:
    return F.when(whole > 0, part / whole)


def _finite(name: str) -> Column:
    return F.when(~F.isnan(name) & (F.abs(F.col(name)) < 1e300), F.col(name))


def _mean_by_series(value: Column) -> Column:
    weights = F.sum(F.when(value.isNotNull(), F.col(_N)))
    return F.when(weights > 0, F.sum(value * F.col(_N)) / weights)


# -- rows to facts ---------------------------------------------------------------------------------


def _model_scores(row: Row) -> dict[str, Score]:
    return {
        found[c.MODEL]: Score(found[c.MODEL], *[found[name] for name in _FIELDS])
        for found in row[_MODELS]
    }


def _fleet_scores(slices: Sequence[Row]) -> tuple[Score, ...]:
    """What was served first, then the models by their loss."""
    whole = next((row for row in slices if row[_DIMENSION] == WHOLE), None)
    scores = _model_scores(whole).values() if whole else ()
    return tuple(
        sorted(
            scores,
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
            Slice(value, scores[SERVED], scores.get(NAIVE))
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
