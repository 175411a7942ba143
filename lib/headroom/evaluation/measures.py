"""What a backtest says about the whole fleet, in numbers and in a sentence."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.series.methods import METHODS, SEASONAL_NAIVE

SERVED = "served"
NEGLIGIBLE = 1e-4  # of the volume: losses of series that stand still differ by factors, not by much

_SMALLEST_RATIO = 1e-3  # to the naive's loss, as in the report: one exact metric is not all
_N_SERIES, _OURS, _THEIRS = "n_series", "ours", "theirs"


def fleet_measures(backtests: DataFrame, metric_of: DataFrame) -> dict[str, float]:
    """Weighted quantile loss by method and of what was served, and the served coverage.

    Over metrics, whose units differ, the loss is their geometric mean, weighted by series; metrics
    that the seasonal naive forecasts exactly are left out, and where there are no others it is 0.
    """
    names = F.when(F.col(c.IS_SELECTED), F.array(F.col(c.MODEL), F.lit(SERVED)))
    by_metric = (
        backtests.withColumn(c.MODEL, F.explode(F.coalesce(names, F.array(c.MODEL))))
        .join(metric_of, c.ITEM_ID, "left")
        .groupBy(c.METRIC, c.MODEL)
        .agg(
            F.countDistinct(c.ITEM_ID).alias(_N_SERIES),
            F.sum(c.MEAN_WQL_LOSS).alias(_OURS),
            F.sum(c.ABS_TARGET).alias(c.ABS_TARGET),
        )
    )
    naive = by_metric.where(F.col(c.MODEL) == SEASONAL_NAIVE)
    naive = naive.select(F.col(c.METRIC).alias("other"), F.col(_OURS).alias(_THEIRS))
    beside = by_metric.join(naive, F.col(c.METRIC).eqNullSafe(F.col("other")))
    loss = F.greatest(F.col(_OURS), _SMALLEST_RATIO * F.col(_THEIRS)) / F.col(c.ABS_TARGET)
    is_usable = (F.col(_THEIRS) > 0) & (F.col(c.ABS_TARGET) > 0)
    weight = F.when(is_usable, F.col(_N_SERIES))
    mean = F.exp(F.sum(weight * F.log(F.when(is_usable, loss))) / F.sum(weight))
    losses = beside.groupBy(c.MODEL).agg(F.coalesce(mean, F.lit(0.0)).alias("loss")).collect()
    covered = of_served(backtests).agg(*[_mean(name) for name in (c.COVERAGE_80, c.COVERAGE_90)])
    measures = {row[c.MODEL]: row["loss"] for row in losses} | covered.first().asDict()
    return {name: float(value) for name, value in measures.items() if value is not None}


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
            F.countDistinct(c.ITEM_ID).alias(_N_SERIES),
            (F.sum(c.MEAN_WQL_LOSS) + negligible).alias(_OURS),
            (F.sum(_THEIRS) + negligible).alias(_THEIRS),
        )
        .where((F.col(_OURS) > 0) & (F.col(_THEIRS) > 0))
    )
    logs = F.sum(F.col(_N_SERIES) * F.log(F.col(_OURS) / F.col(_THEIRS)))
    ratio = by_metric.agg(F.exp(logs / F.sum(_N_SERIES)).alias("ratio")).first()
    return None if ratio is None else ratio["ratio"]


def _mean(name: str) -> Column:
    return F.avg(name).alias(name)
