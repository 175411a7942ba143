"""From the evaluations of a backtest to its tables: the choice per series and its worth."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from headroom import columns as c
from headroom.arrow import batch_of, columns_of, lists, times
from headroom.evaluation.backtest import COVERED, HIGH, LOSSES, LOW, Design
from headroom.schemas import BACKTEST_FORECASTS, BACKTESTS, SELECTIONS, Table, conform
from headroom.series import metrics
from headroom.series.quantiles import at_levels, mean_of, widen
from headroom.series.selection import (
    Choice,
    Record,
    choose,
    record_without_windows,
    with_best_bet,
)

Floats = NDArray[np.float64]


def fleet_record(evaluations: DataFrame, design: Design) -> Record:
    """Means of the relative losses and of the coverage over the series that had a window, shrunk
    as far as the windows are few."""
    rows = (
        evaluations.where(F.col(c.N_WINDOWS) > 0)
        .select(c.N_WINDOWS, F.posexplode(F.arrays_zip(LOSSES, COVERED)).alias("place", "one"))
        .groupBy("place")
        .agg(
            *[F.avg(f"one.{name}").alias(name) for name in (LOSSES, COVERED)],
            F.avg(c.N_WINDOWS).alias(c.N_WINDOWS),
        )
        .collect()  # methods × factors rows
    )
    record = record_without_windows(design.methods)
    for row in rows:
        record.losses.flat[row["place"]] = row[LOSSES]
        record.covered.flat[row["place"]] = row[COVERED]
    return with_best_bet(record, design.methods, rows[0][c.N_WINDOWS] if rows else 0.0)


def build_selections(
    evaluations: DataFrame, fleet: Record, version: str, design: Design
) -> DataFrame:
    """SELECTIONS: the choice of every series, and that of the fleet for the others."""
    schema = to_arrow_schema(SELECTIONS.schema)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = columns_of(batch)
            chosen = [_choice(row, fleet, design) for row in _rows(rows)]
            yield batch_of(
                _selection_rows(rows[c.ITEM_ID], chosen, rows[c.N_WINDOWS], version), schema
            )

    own = evaluations.select(c.ITEM_ID, LOSSES, COVERED, c.N_WINDOWS).mapInArrow(
        run, SELECTIONS.schema
    )
    default = choose(design.methods, None, fleet, 0)
    row = (version, "", default.method, default.factor, default.score, 0)
    everyone = evaluations.sparkSession.createDataFrame([row], SELECTIONS.schema)
    return conform(own.unionByName(everyone), SELECTIONS)


def build_backtest_forecasts(evaluations: DataFrame, fleet: Record, design: Design) -> DataFrame:
    """BACKTEST_FORECASTS: every method's quantiles of every step of the judged windows.

    The served method's rows carry its widened quantiles; the others are as the method made them.
    """
    return _exploded(evaluations, BACKTEST_FORECASTS, lambda row: _step_columns(row, fleet, design))


def build_backtests(
    evaluations: DataFrame, fleet: Record, version: str, design: Design
) -> DataFrame:
    """BACKTESTS: the measures of every method on every judged window."""

    def measures(row: Mapping[str, Any]) -> dict[str, Any]:
        return _measure_columns(row, fleet, version, design)

    return _exploded(evaluations, BACKTESTS, measures)


def _exploded(
    evaluations: DataFrame, table: Table, build: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> DataFrame:
    schema = to_arrow_schema(table.schema)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in _rows(columns_of(batch)):
                yield batch_of(build(row), schema)

    return conform(evaluations.mapInArrow(run, table.schema), table)


def _choice(row: Mapping[str, Any], fleet: Record, design: Design) -> Choice:
    losses, covered = (
        np.asarray(row[name], dtype=np.float64).reshape(fleet.losses.shape)
        for name in (LOSSES, COVERED)
    )
    own = Record(losses, covered)
    return choose(design.methods, own, fleet, int(row[c.N_WINDOWS]))


def _selection_rows(
    items: Sequence[str], chosen: Sequence[Choice], n_windows: Sequence[int], version: str
) -> dict[str, Any]:
    return {
        c.MODEL_VERSION: [version] * len(items),
        c.ITEM_ID: items,
        c.METHOD: [choice.method for choice in chosen],
        c.FACTOR: [choice.factor for choice in chosen],
        c.SCORE: [choice.score for choice in chosen],
        c.N_WINDOWS: n_windows,
    }


@dataclass(frozen=True)
class _Judged:
    """One series' forecasts of its judged windows that have a history."""

    windows: NDArray[np.int64]  # (window,)
    stamps: NDArray[np.datetime64]  # (window, step)
    targets: Floats  # (window, step)
    scales: Floats  # (window,)
    quantiles: Floats  # (method, window, step, level), the served method's widened
    is_selected: NDArray[np.bool_]  # (method,)


def _judged(row: Mapping[str, Any], fleet: Record, design: Design) -> _Judged:
    shape = (len(design.methods), design.windows, design.horizon, len(design.levels))
    quantiles = np.asarray(row[c.QUANTILES], dtype=np.float64).reshape(shape)
    targets = np.asarray(row["targets"], dtype=np.float64).reshape(shape[1:3])
    stamps = np.array(row["stamps"], dtype="datetime64[s]").reshape(shape[1:3])
    exists = ~np.isnan(quantiles[0]).any(axis=(1, 2))
    choice = _choice(row, fleet, design)
    place = design.methods.index(choice.method)
    wide = widen(quantiles[place], design.levels, choice.factor)
    low, high = (np.asarray(row[name])[:, None, None] for name in (LOW, HIGH))
    quantiles[place] = np.clip(wide, low, high)
    return _Judged(
        np.flatnonzero(exists),
        stamps[exists],
        targets[exists],
        np.asarray(row["scales"], dtype=np.float64)[exists],
        quantiles[:, exists],
        np.arange(len(design.methods)) == place,
    )


def _step_columns(row: Mapping[str, Any], fleet: Record, design: Design) -> dict[str, Any]:
    judged = _judged(row, fleet, design)
    n_methods, n_windows, horizon, n_levels = judged.quantiles.shape
    n_steps = n_windows * horizon
    n_rows = n_methods * n_steps
    flat = judged.quantiles.reshape(n_rows, n_levels)
    starts = np.repeat(judged.stamps[:, 0], horizon)
    return {
        c.ITEM_ID: [row[c.ITEM_ID]] * n_rows,
        c.WINDOW: np.tile(np.repeat(judged.windows, horizon), n_methods),
        c.FORECAST_START: times(np.tile(starts, n_methods)),
        c.TIMESTAMP: times(np.tile(judged.stamps.ravel(), n_methods)),
        c.STEP: np.tile(np.arange(1, horizon + 1), n_methods * n_windows),
        c.MODEL: np.repeat(np.array(design.methods, dtype=object), n_steps),
        c.IS_SELECTED: np.repeat(judged.is_selected, n_steps),
        c.TARGET: np.tile(judged.targets.ravel(), n_methods),
        c.MEAN: mean_of(flat, design.levels),
        c.QUANTILE_LEVELS: lists(np.tile(design.levels, (n_rows, 1))),
        c.QUANTILES: lists(flat),
    }


def _measure_columns(
    row: Mapping[str, Any], fleet: Record, version: str, design: Design
) -> dict[str, Any]:
    judged = _judged(row, fleet, design)
    quantiles, levels = judged.quantiles, design.levels
    n_methods, n_windows = quantiles.shape[:2]
    n_rows = n_methods * n_windows
    target = np.broadcast_to(judged.targets, quantiles.shape[:3])
    scale = np.broadcast_to(judged.scales, quantiles.shape[:2])
    median = at_levels(quantiles, levels, (0.5,))[..., 0]

    def band(coverage: float) -> tuple[Floats, Floats]:
        tails = at_levels(quantiles, levels, ((1 - coverage) / 2, (1 + coverage) / 2))
        return tails[..., 0], tails[..., 1]

    return {
        c.ITEM_ID: [row[c.ITEM_ID]] * n_rows,
        c.WINDOW: np.tile(judged.windows, n_methods),
        c.FORECAST_START: times(np.tile(judged.stamps[:, 0], n_methods)),
        c.MODEL: np.repeat(np.array(design.methods, dtype=object), n_windows),
        c.MODEL_VERSION: [version] * n_rows,
        c.IS_SELECTED: np.repeat(judged.is_selected, n_windows),
        c.MEAN_WQL_LOSS: metrics.quantile_loss(target, quantiles, levels).ravel(),
        c.ABS_TARGET: metrics.abs_target(target).ravel(),
        c.MASE: metrics.mase(target, median, scale).ravel(),
        c.SMAPE: metrics.smape(target, median).ravel(),
        c.MSIS: metrics.msis(target, *band(0.95), scale, 0.05).ravel(),
        c.CRPS: metrics.crps(target, quantiles, levels).ravel(),
        c.COVERAGE_50: metrics.coverage(target, *band(0.50)).ravel(),
        c.COVERAGE_80: metrics.coverage(target, *band(0.80)).ravel(),
        c.COVERAGE_90: metrics.coverage(target, *band(0.90)).ravel(),
        c.COVERAGE_95: metrics.coverage(target, *band(0.95)).ravel(),
    }


def _rows(columns: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for place in range(len(columns[c.ITEM_ID])):
        yield {name: values[place] for name, values in columns.items()}
