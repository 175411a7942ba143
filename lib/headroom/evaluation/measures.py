"""What a backtest says about a fleet or a part of it, in numbers and in a sentence.

The weighted quantile loss of a set of forecasts is the sum of their quantile losses over the sum of
the absolute targets. Targets of different metrics have different units and may not be added, so the
sums stay within a metric, and the results are averaged over metrics: the geometric mean, weighted
by series, so that the loss of a model over the naive's is the mean of the ratios too. A metric that
the naive repeats without error has no ratio and is left out. With one metric this is the plain
weighted quantile loss.
"""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.series.methods import METHODS, SEASONAL_NAIVE

SERVED = "served"  # the rows of whichever method is_selected says
NEGLIGIBLE = 1e-4  # of the volume: losses of series that stand still differ by factors, not by much
SMALLEST_RATIO = 1e-3  # to the naive's loss: a perfect forecast may not make a geometric mean zero
AVERAGED = (c.MASE, c.COVERAGE_50, c.COVERAGE_80, c.COVERAGE_90, c.COVERAGE_95)
N_SERIES, RATIO = "n_series", "ratio"

_NAIVE_LOSS, _PAIRED, _OURS, _THEIRS = "naive_loss", "paired_loss", "ours", "theirs"


def fleet_measures(backtests: DataFrame, metric_of: DataFrame) -> dict[str, float]:
    """Weighted quantile loss by method and of what was served, and the served coverage. The loss is
    0 where the seasonal naive forecasts every metric exactly. `metric_of` has a row per item."""
    placed = to_item_sums(backtests).join(metric_of, c.ITEM_ID, "left")
    found = to_scores(placed, [c.MODEL]).collect()  # a row per method
    rows = {row[c.MODEL]: row for row in found}
    losses = {name: row[c.LOSS] or 0.0 for name, row in rows.items()}
    served = rows.get(SERVED)
    covered = {name: served[name] for name in (c.COVERAGE_80, c.COVERAGE_90)} if served else {}
    return losses | {name: share for name, share in covered.items() if share is not None}


def to_item_sums(backtests: DataFrame) -> DataFrame:
    """One row per item and method, summed over windows: losses, the naive's loss of the same
    windows, and sums and counts of the measures. What served comes again under `served`."""
    naive_loss = F.max(F.when(F.col(c.MODEL) == SEASONAL_NAIVE, F.col(c.MEAN_WQL_LOSS)))
    same_window = Window.partitionBy(c.ITEM_ID, c.WINDOW)
    names = F.when(F.col(c.IS_SELECTED), F.array(F.col(c.MODEL), F.lit(SERVED)))
    is_paired = F.col(_NAIVE_LOSS).isNotNull() & F.col(c.MEAN_WQL_LOSS).isNotNull()
    return (
        backtests.withColumn(_NAIVE_LOSS, naive_loss.over(same_window))
        .withColumn(c.MODEL, F.explode(F.coalesce(names, F.array(F.col(c.MODEL)))))
        .groupBy(c.ITEM_ID, c.MODEL)
        .agg(
            F.sum(F.when(is_paired, F.col(c.ABS_TARGET))).alias(c.ABS_TARGET),
            F.sum(F.when(is_paired, F.col(c.MEAN_WQL_LOSS))).alias(_PAIRED),
            F.sum(F.when(is_paired, F.col(_NAIVE_LOSS))).alias(_NAIVE_LOSS),
            *[F.sum(_finite(name)).alias(name) for name in AVERAGED],
            *[F.count(_finite(name)).alias(_count(name)) for name in AVERAGED],
        )
    )


def to_scores(items: DataFrame, keys: Sequence[str]) -> DataFrame:
    """One row per keys from those of `to_item_sums` with their metric: the number of series, the
    weighted quantile loss, its ratio to the seasonal naive's, and the means of the measures."""
    naive, target = F.sum(_NAIVE_LOSS), F.sum(c.ABS_TARGET)
    usable = (naive > 0) & (target > 0)
    loss = F.greatest(F.sum(_PAIRED), naive * SMALLEST_RATIO)
    within_metric = items.groupBy(*keys, c.METRIC).agg(
        F.count(F.lit(1)).alias(N_SERIES),
        F.when(usable, F.log(loss / target)).alias(c.LOSS),
        F.when(usable, F.log(loss / naive)).alias(RATIO),
        *[F.sum(name).alias(name) for name in (*AVERAGED, *map(_count, AVERAGED))],
    )
    return within_metric.groupBy(*keys).agg(
        F.sum(N_SERIES).alias(N_SERIES),
        F.exp(_mean_by_series(F.col(c.LOSS))).alias(c.LOSS),
        F.exp(_mean_by_series(F.col(RATIO))).alias(RATIO),
        *[_share(F.sum(name), F.sum(_count(name))).alias(name) for name in AVERAGED],
    )


def sentence(measures: Mapping[str, float]) -> str:
    """One line for a log."""
    if SERVED not in measures:
        return (
            "no window could be judged, for none has a past: lower backtest.windows or "
            "forecast.prediction_length, or wait for more data"
        )
    losses = ", ".join(f"{name} {measures[name]:.4f}" for name in METHODS if name in measures)
    return (
        f"weighted quantile loss: served {measures[SERVED]:.4f} ({losses}); "
        f"{measures.get(c.COVERAGE_80, float('nan')):.0%} of actuals inside the 80 % interval"
    )


def of_served(backtests: DataFrame) -> DataFrame:
    """The rows of what was served."""
    return backtests.where(F.col(c.IS_SELECTED))


def of_method(backtests: DataFrame, method: str) -> DataFrame:
    """The rows of a method."""
    return backtests.where(F.col(c.MODEL) == method)


def loss_ratio(ours: DataFrame, theirs: DataFrame, metric_of: DataFrame) -> float | None:
    """The loss of one forecast per item and window relative to that of another, over the windows
    that both have; None where they share none.

    Losses of different metrics have different units and are not added: the ratio is the geometric
    mean over metrics, weighted by their series. `metric_of` has a row per item with its metric.
    """
    keys = [c.ITEM_ID, c.WINDOW]
    other = theirs.select(*keys, F.col(c.MEAN_WQL_LOSS).alias(_THEIRS))
    both = ours.join(other, keys, "inner").join(metric_of, c.ITEM_ID, "left")
    negligible = NEGLIGIBLE * F.sum(c.ABS_TARGET)
    by_metric = (
        both.where(F.col(c.MEAN_WQL_LOSS).isNotNull() & F.col(_THEIRS).isNotNull())
        .groupBy(c.METRIC)
        .agg(
            F.countDistinct(c.ITEM_ID).alias(N_SERIES),
            (F.sum(c.MEAN_WQL_LOSS) + negligible).alias(_OURS),
            (F.sum(_THEIRS) + negligible).alias(_THEIRS),
        )
        .where((F.col(_OURS) > 0) & (F.col(_THEIRS) > 0))
    )
    logs = F.sum(F.col(N_SERIES) * F.log(F.col(_OURS) / F.col(_THEIRS)))
    ratio = by_metric.agg(F.exp(logs / F.sum(N_SERIES)).alias(RATIO)).first()
    return None if ratio is None else ratio[RATIO]


def _count(measure: str) -> str:
    return f"n_{measure}"


def _share(part: Column, whole: Column) -> Column:
    return F.when(whole > 0, part / whole)


def _finite(name: str) -> Column:
    return F.when(~F.isnan(name) & (F.abs(F.col(name)) < 1e300), F.col(name))


def _mean_by_series(value: Column) -> Column:
    weights = F.sum(F.when(value.isNotNull(), F.col(N_SERIES)))
    return F.when(weights > 0, F.sum(value * F.col(N_SERIES)) / weights)
