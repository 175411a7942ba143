"""Rolling-origin backtest: every method's forecast of windows that it has not seen.

The last `backtest.windows` windows of a series judge; the `selection_windows` before them choose
the method and its spread. The networks that forecast the former were trained on what lies before
the first of them, those that stand in for them on the latter on what lies before all; the floors
are fitted anew at each origin.

`evaluate` makes one row per series with the forecasts of all windows and the losses that a choice
needs; `verdict` turns these rows into tables, once the means over the fleet are known.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import (
    ArrayType,
    DoubleType,
    IntegerType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from headroom import columns as c
from headroom.arrow import batch_of, columns_of, lists, times
from headroom.config import Config
from headroom.scoring import OK, PANEL_COLUMNS, ModelFile, methods_of, spread_over_tasks
from headroom.series import metrics
from headroom.series.panel import Panel, panel_of
from headroom.series.selection import (
    FACTORS,
    relative_losses,
    selection_coverage,
    selection_losses,
    tells,
)

Floats = NDArray[np.float64]

LOSSES, COVERED = "losses", "covered"
LOW, HIGH = "low", "high"

# One row per series; arrays are flat, their axes in the comment.
EVALUATIONS = StructType(
    [
        StructField(c.ITEM_ID, StringType()),
        StructField("starts", ArrayType(TimestampType())),  # window
        StructField("stamps", ArrayType(TimestampType())),  # window × step
        StructField("targets", ArrayType(DoubleType())),  # window × step
        StructField("scales", ArrayType(DoubleType())),  # window: seasonal error before it
        StructField(LOW, ArrayType(DoubleType())),  # window: quantiles are not below
        StructField(HIGH, ArrayType(DoubleType())),  # window: nor above
        StructField(c.QUANTILES, ArrayType(DoubleType())),  # method × window × step × level
        StructField(LOSSES, ArrayType(DoubleType())),  # method × factor, log, relative
        StructField(COVERED, ArrayType(DoubleType())),  # method × factor
        StructField(c.N_WINDOWS, IntegerType()),  # selection windows with a target
    ]
)


@dataclass(frozen=True)
class Design:
    """The windows and levels of a backtest, and the methods judged."""

    horizon: int
    windows: int
    selection_windows: int
    levels: tuple[float, ...]
    methods: tuple[str, ...]


def design_of(config: Config, model: ModelFile) -> Design:
    """The backtest of a model that a configuration asks for."""
    return Design(
        config.prediction_length,
        config.backtest.windows,
        config.backtest.selection_windows,
        config.forecast.quantile_levels,
        model.methods,
    )


def evaluate(
    series: DataFrame, model: ModelFile, design: Design, series_per_task: int
) -> DataFrame:
    """EVALUATIONS: one row per `ok` series."""
    schema = to_arrow_schema(EVALUATIONS)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            panel = panel_of(columns_of(batch))
            yield batch_of(evaluate_panel(panel, model, design), schema)

    ok = series.where(F.col(c.STATUS) == OK).select(*PANEL_COLUMNS)
    tasks = spread_over_tasks(ok, series_per_task)
    return tasks.mapInArrow(run, EVALUATIONS)


def evaluate_panel(panel: Panel, model: ModelFile | None, design: Design) -> dict[str, Any]:
    """The columns of EVALUATIONS for the series of a panel."""
    judged = [
        _window(panel, (design.windows - window) * design.horizon, model, design)
        for window in range(design.windows)
    ]
    first = design.windows * design.horizon
    backs = [first + back * design.horizon for back in range(design.selection_windows, 0, -1)]
    earlier = [_window(panel, back, model, design) for back in backs]
    n_series = len(panel.item_ids)
    losses, covered, n_windows = _records(earlier, tells(panel.lengths, backs, first), design)
    stamps = _stamps(panel, design)
    quantiles = np.stack([window.quantiles for window in judged], axis=2)
    targets = np.stack([window.target for window in judged], axis=1)
    return {
        c.ITEM_ID: list(panel.item_ids),
        "starts": _time_lists(stamps[:, :: design.horizon]),
        "stamps": _time_lists(stamps),
        "targets": lists(targets.reshape(n_series, -1)),
        "scales": lists(np.stack([window.scale for window in judged], axis=1)),
        LOW: lists(np.stack([window.low for window in judged], axis=1)),
        HIGH: lists(np.stack([window.high for window in judged], axis=1)),
        c.QUANTILES: lists(np.moveaxis(quantiles, 0, 1).reshape(n_series, -1)),
        LOSSES: lists(losses.reshape(n_series, -1)),
        COVERED: lists(covered.reshape(n_series, -1)),
        c.N_WINDOWS: n_windows,
    }


@dataclass(frozen=True)
class _Window:
    target: Floats  # (series, step)
    quantiles: Floats  # (method, series, step, level); NaN where there was no history
    scale: Floats  # (series,)
    low: Floats  # (series,)
    high: Floats  # (series,)


def _window(panel: Panel, end: int, model: ModelFile | None, design: Design) -> _Window:
    """The forecasts of the window that begins `end` steps before the end."""
    begin = panel.n_steps - end
    past = panel.until(min(end, panel.n_steps))
    has_history = ~np.isnan(past.values).all(axis=1)
    n_series = len(panel.item_ids)
    shape = (len(design.methods), n_series, design.horizon, len(design.levels))
    quantiles = np.full(shape, np.nan)
    target = np.full((n_series, design.horizon), np.nan)
    if begin > 0 and has_history.any():
        found = methods_of(model, past, design.horizon, design.levels, back=end)
        for place, name in enumerate(design.methods):
            quantiles[place] = np.where(has_history[:, None, None], found[name], np.nan)
        target = panel.values[:, begin : begin + design.horizon]
    season = panel.freq.seasons[0] if panel.freq.seasons else 1
    scale = metrics.seasonal_error(past.values, season)
    return _Window(target, quantiles, scale, *past.limits())


def _records(
    windows: Sequence[_Window], tells: NDArray[np.bool_], design: Design
) -> tuple[Floats, Floats, list[int]]:
    """Relative selection losses and coverage (series, method, factor), NaN without a window, and
    the number of windows."""
    n_series = len(windows[0].target)
    shape = (n_series, len(design.methods), len(FACTORS))
    losses, covered = np.full(shape, np.nan), np.full(shape, np.nan)
    counts = []
    for row in range(n_series):
        usable = [
            w for w, tells_here in zip(windows, tells[row], strict=True)
            if tells_here and not np.isnan(w.quantiles[0, row]).any()
            and not np.isnan(w.target[row]).all()
        ]  # fmt: skip
        counts.append(len(usable))
        if not usable:
            continue
        targets = np.stack([window.target[row] for window in usable])
        for place in range(len(design.methods)):
            forecasts = np.stack([window.quantiles[place, row] for window in usable])
            losses[row, place] = selection_losses(targets, forecasts, design.levels)
            covered[row, place] = selection_coverage(targets, forecasts, design.levels)
        losses[row] = relative_losses(losses[row], float(np.nanmean(np.abs(targets))))
    return losses, covered, counts


def _stamps(panel: Panel, design: Design) -> NDArray[np.datetime64]:
    """Step starts of the judged windows (series, window × step)."""
    length = design.windows * design.horizon
    stamps = np.zeros((len(panel.item_ids), length), dtype="datetime64[s]")
    for row in range(len(panel.item_ids)):
        own = panel.timestamps(row)[-length:]
        stamps[row, length - len(own) :] = own
    return stamps


def _time_lists(values: NDArray[np.datetime64]) -> pa.ListArray:
    offsets = pa.array(np.arange(len(values) + 1, dtype=np.int32) * values.shape[1])
    return pa.ListArray.from_arrays(offsets, times(values.ravel()))
