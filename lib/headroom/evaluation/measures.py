"""What a backtest says about the whole fleet, in numbers and in a sentence."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.series.methods import METHODS, SEASONAL_NAIVE

SERVED = "served"


def fleet_measures(backtests: DataFrame) -> dict[str, float]:
    """Mean weighted quantile loss by method and of what was served, and the served coverage."""
    wql = F.sum(c.MEAN_WQL_LOSS) / F.sum(c.ABS_TARGET)
    by_method = backtests.groupBy(c.MODEL).agg(wql.alias("wql")).collect()  # one row per method
    served = (
        backtests.where(c.IS_SELECTED)
        .agg(wql.alias(SERVED), *[_mean(name) for name in (c.COVERAGE_80, c.COVERAGE_90)])
        .first()
    )
    measures = {row[c.MODEL]: row["wql"] for row in by_method} | served.asDict()
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
        f"mean weighted quantile loss: served {measures[SERVED]:.4f} ({losses}); "
        f"{measures.get(c.COVERAGE_80, float('nan')):.0%} of actuals inside the 80 % interval"
    )


def beats_naive(measures: Mapping[str, float]) -> bool:
    """Whether what was served is at least as good as the seasonal naive."""
    return measures.get(SERVED, float("inf")) <= measures.get(SEASONAL_NAIVE, float("inf"))


def _mean(name: str) -> Column:
    return F.avg(name).alias(name)
