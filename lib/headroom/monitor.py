"""Forecasts against what came, beside what the backtest promised."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import DoubleType, StringType, StructField, StructType, TimestampType

from headroom import columns as c
from headroom.arrow import batch_of, columns_of, times
from headroom.schemas import MONITORING, conform
from headroom.series.panel import panel_of

FINE, DRIFT = "ok", "drift"
WQL, COVERAGE = "weighted_quantile_loss", c.COVERAGE_80
_PROMISES = {"wql": WQL, "coverage": COVERAGE}
WORSE = 1.5  # times the loss of the backtest
MISSING = 0.15  # coverage below the nominal share by this much
RECENT = 2_000  # steps at the end of a series that may have been forecast

ACTUALS = StructType(
    [
        StructField(c.ITEM_ID, StringType()),
        StructField(c.GROUP_ID, StringType()),
        StructField(c.TIMESTAMP, TimestampType()),
        StructField("actual", DoubleType()),
    ]
)


def build_monitoring(
    forecasts: DataFrame, series: DataFrame, backtests: DataFrame, known: DataFrame
) -> DataFrame:
    """MONITORING: per group and forecast start the weighted quantile loss and the coverage of the
    80 % interval over the steps that have come since.

    `backtests` hold one model. What another one promised of its forecasts is in `known`, the table
    as it was; forecasts that are in neither are held to what the backtest of the other promises.
    """
    met = _measured(forecasts.where(F.col(c.STEP) > 0).join(to_actuals(series), _KEY, "inner"))
    groups = series.select(c.ITEM_ID, c.GROUP_ID)
    promised = (
        backtests.where(c.IS_SELECTED)
        .join(groups, c.ITEM_ID, "inner")
        .groupBy(c.GROUP_ID)
        .agg(
            (F.sum(c.MEAN_WQL_LOSS) / _positive(F.sum(c.ABS_TARGET))).alias("promised_wql"),
            F.avg(c.COVERAGE_80).alias("promised_coverage"),
            F.max(c.MODEL_VERSION).alias("promised_by"),
        )
    )
    told = known.groupBy(c.GROUP_ID, c.FORECAST_START).agg(
        *[
            F.max(F.when(F.col("measure") == measure, F.col("expected"))).alias(f"told_{name}")
            for name, measure in _PROMISES.items()
        ]
    )
    both = met.join(promised, c.GROUP_ID, "left").join(told, [c.GROUP_ID, c.FORECAST_START], "left")
    is_own = F.col(c.MODEL_VERSION) == F.col("promised_by")
    expected = {
        f"promised_{name}": F.when(is_own, F.col(f"promised_{name}")).otherwise(
            F.coalesce(f"told_{name}", f"promised_{name}")
        )
        for name in _PROMISES
    }
    return conform(_to_measures(both.withColumns(expected)), MONITORING)


_KEY = [c.ITEM_ID, c.TIMESTAMP]


def to_actuals(series: DataFrame) -> DataFrame:
    """The observed steps of every series, the latest RECENT ones, as rows."""
    schema = to_arrow_schema(ACTUALS)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield batch_of(_actual_rows(columns_of(batch)), schema)

    names = (c.ITEM_ID, c.GROUP_ID, c.FREQ, c.START, c.TARGET, c.TIME_ZONE)
    wanted = series.where(F.col(c.LENGTH) > 0).select(
        *names, F.lit(None).alias(c.STATIC_CODES), F.lit(None).alias(c.SERIES_EVENTS)
    )
    return wanted.mapInArrow(run, ACTUALS)


def _actual_rows(rows: dict[str, Any]) -> dict[str, Any]:
    panel = panel_of({**rows, c.SERIES_EVENTS: [None] * len(rows[c.ITEM_ID])})
    items, groups, stamps, actuals = [], [], [], []
    for row, item in enumerate(panel.item_ids):
        length = min(int(panel.lengths[row]), RECENT)
        values = panel.values[row, panel.n_steps - length :]
        seen = ~np.isnan(values)
        stamps.append(panel.timestamps(row)[-length:][seen])
        actuals.append(values[seen])
        items += [item] * int(seen.sum())
        groups += [rows[c.GROUP_ID][row]] * int(seen.sum())
    return {
        c.ITEM_ID: items,
        c.GROUP_ID: groups,
        c.TIMESTAMP: times(np.concatenate(stamps)),
        "actual": np.concatenate(actuals),
    }


def _measured(met: DataFrame) -> DataFrame:
    pinball = (
        "aggregate(zip_with(quantiles, quantile_levels, (q, l) -> "
        "greatest(l * (actual - q), (l - 1) * (actual - q))), 0D, (a, x) -> a + x)"
    )
    lower = "element_at(quantiles, int(array_position(quantile_levels, 0.1D)))"
    upper = "element_at(quantiles, int(array_position(quantile_levels, 0.9D)))"
    has_band = "array_contains(quantile_levels, 0.1D) and array_contains(quantile_levels, 0.9D)"
    inside = f"case when {has_band} then double(actual between {lower} and {upper}) end"
    return met.groupBy(c.GROUP_ID, c.FORECAST_START).agg(
        F.max(c.MODEL_VERSION).alias(c.MODEL_VERSION),
        (
            F.sum(F.expr(f"2 * {pinball} / size(quantiles)"))
            / _positive(F.sum(F.abs(F.col("actual"))))
        ).alias(WQL),
        F.avg(F.expr(inside)).alias(COVERAGE),
    )


def _to_measures(both: DataFrame) -> DataFrame:
    loss = F.struct(
        F.lit(WQL).alias("measure"),
        F.col(WQL).alias("value"),
        F.col("promised_wql").alias("expected"),
        (F.col(WQL) > WORSE * F.col("promised_wql")).alias("drifts"),
    )
    coverage = F.struct(
        F.lit(COVERAGE).alias("measure"),
        F.col(COVERAGE).alias("value"),
        F.col("promised_coverage").alias("expected"),
        (F.col(COVERAGE) < 0.8 - MISSING).alias("drifts"),
    )
    measures = both.select(
        c.GROUP_ID, c.FORECAST_START, F.explode(F.array(loss, coverage)).alias("m")
    )
    status = F.when(F.coalesce("m.drifts", F.lit(False)), DRIFT).otherwise(FINE)
    return measures.select(
        c.GROUP_ID, c.FORECAST_START, "m.measure", "m.value", "m.expected", status.alias(c.STATUS)
    )


def _positive(column: Any) -> Any:
    return F.when(column > 0, column)
