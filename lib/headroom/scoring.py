"""Forecasts of every series: Spark tasks, each with batches of whole series."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from headroom.config import Config
from headroom.model.artifact import fair_members, unpack
from headroom.schemas import FORECASTS, conform
from headroom.series.methods import Networks, forecast_methods, methods_with
from headroom.series.panel import Panel, panel_of
from headroom.series.quantiles import mean_of, widen

Floats = NDArray[np.float64]

OK = "ok"

# What a panel is made of, and what a refused series is told with.
PANEL_COLUMNS = (
    c.ITEM_ID,
    c.FREQ,
    c.START,
    c.TARGET,
    c.TIME_ZONE,
    c.STATIC_CODES,
    c.SERIES_EVENTS,
    c.METRIC_KIND,
    c.UNIT,
    c.STATUS,
    c.REASON,
)


@dataclass(frozen=True)
class ModelFile:
    """A registered model as it travels to the tasks: a few hundred kB."""

    version: str
    packed: bytes
    sha256: str

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that forecast with this model."""
        return methods_with(member.kind for member in unpack(self.packed).members)

    def check_unseen(self, backs: Iterable[int]) -> None:
        """Raises ArtifactError where it may not forecast windows that begin so many steps before
        the end, and where this version of headroom cannot read it."""
        members = unpack(self.packed).members
        for back in backs:
            fair_members(members, back)

    def networks(self, back: int = 0) -> Networks:
        """Those that may forecast a window which begins `back` steps before the end; MXNet is
        imported here, in the task."""
        from headroom.model.predict import load_predictor

        return load_predictor(self.packed, self.sha256).fair(back)


def methods_of(
    model: ModelFile | None, panel: Panel, horizon: int, levels: Sequence[float], back: int = 0
) -> dict[str, Floats]:
    """Quantiles (series, step, level) by method of what follows the panel, which lacks the last
    `back` steps of its series; without a model, of the floors."""
    return forecast_methods(panel, horizon, levels, model.networks(back) if model else None)


def spread_over_tasks(series: DataFrame, per_task: int) -> DataFrame:
    """The series in tasks of about `per_task`, each in order of item: the same batches in every
    run. AQE would merge them, because it sees bytes and not the work."""
    n_tasks = max(
        series.sparkSession.sparkContext.defaultParallelism, -(-series.count() // per_task)
    )
    return series.repartition(n_tasks, c.ITEM_ID).sortWithinPartitions(c.ITEM_ID)


def build_forecasts(
    series: DataFrame, selections: DataFrame, model: ModelFile, config: Config
) -> DataFrame:
    """FORECASTS: one row per step of every `ok` series, one row with the reason for the others.

    `selections` holds the rows of this model version; its row with the empty item serves the
    series that have none.
    """
    default = selections.where(F.col(c.ITEM_ID) == "").select(
        F.col(c.METHOD).alias("default_method"), F.col(c.FACTOR).alias("default_factor")
    )
    own = selections.where(F.col(c.ITEM_ID) != "").select(c.ITEM_ID, c.METHOD, c.FACTOR)
    # An item that was never observed has no start; it is told so beside the latest of the others.
    latest = series.agg(F.max(c.START).alias("latest_start"))
    chosen = (
        series.select(*PANEL_COLUMNS)
        .join(own, c.ITEM_ID, "left")
        .crossJoin(F.broadcast(default))
        .crossJoin(F.broadcast(latest))
        .withColumn(c.METHOD, F.coalesce(c.METHOD, "default_method"))
        .withColumn(c.FACTOR, F.coalesce(c.FACTOR, "default_factor"))
        .withColumn(c.START, F.coalesce(c.START, "latest_start"))
        .drop("default_method", "default_factor", "latest_start")
    )
    horizon, levels = config.prediction_length, config.forecast.quantile_levels
    schema = to_arrow_schema(FORECASTS.schema)

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from score_batch(columns_of(batch), model, horizon, levels, schema)

    tasks = spread_over_tasks(chosen, config.spark.series_per_task)
    return conform(tasks.mapInArrow(score, FORECASTS.schema), FORECASTS)


def latest_forecasts(forecasts: DataFrame) -> DataFrame:
    """Of every item the forecast with the latest start; the table keeps earlier ones."""
    starts = forecasts.groupBy(c.ITEM_ID).agg(F.max(c.FORECAST_START).alias(c.FORECAST_START))
    return forecasts.join(starts, [c.ITEM_ID, c.FORECAST_START], "left_semi")


def score_batch(
    rows: dict[str, Sequence[Any]],
    model: ModelFile,
    horizon: int,
    levels: Sequence[float],
    schema: pa.Schema,
) -> Iterator[pa.RecordBatch]:
    """The forecast rows of some series, refused ones included."""
    is_ok = np.array([status == OK for status in rows[c.STATUS]])
    if is_ok.any():
        yield batch_of(_forecast_rows(_take(rows, is_ok), model, horizon, levels), schema)
    if not is_ok.all():
        yield batch_of(_refused_rows(_take(rows, ~is_ok), model.version), schema)


def _forecast_rows(
    rows: dict[str, Sequence[Any]], model: ModelFile, horizon: int, levels: Sequence[float]
) -> dict[str, Any]:
    panel = panel_of(rows)
    methods = methods_of(model, panel, horizon, levels)
    quantiles = served(methods, panel, rows[c.METHOD], rows[c.FACTOR], levels)
    n_series = len(panel.item_ids)
    stamps = np.stack([panel.timestamps(row, horizon)[-horizon:] for row in range(n_series)])
    flat = quantiles.reshape(n_series * horizon, len(levels))
    return {
        c.ITEM_ID: np.repeat(np.array(panel.item_ids, dtype=object), horizon),
        c.FORECAST_START: times(np.repeat(stamps[:, 0], horizon)),
        c.TIMESTAMP: times(stamps.ravel()),
        c.STEP: np.tile(np.arange(1, horizon + 1), n_series),
        c.MEAN: mean_of(flat, levels),
        c.QUANTILE_LEVELS: lists(np.tile(levels, (len(flat), 1))),
        c.QUANTILES: lists(flat),
        c.MODEL_VERSION: [model.version] * len(flat),
        c.METHOD: np.repeat(np.array(rows[c.METHOD], dtype=object), horizon),
        c.STATUS: [OK] * len(flat),
        c.REASON: [None] * len(flat),
    }


def served(
    methods: Mapping[str, Floats],
    panel: Panel,
    chosen: Sequence[str],
    factors: Sequence[float],
    levels: Sequence[float],
) -> Floats:
    """Of every series the quantiles (series, step, level) of its chosen method, widened by its
    factor, within what the series cannot pass."""
    quantiles = np.stack([methods[name][row] for row, name in enumerate(chosen)])
    wide = widen(quantiles, levels, np.asarray(factors, dtype=np.float64)[:, None])
    low, high = (limit[:, None, None] for limit in panel.limits())
    return np.clip(wide, low, high)


def _refused_rows(rows: dict[str, Sequence[Any]], version: str) -> dict[str, Any]:
    """One row per series, step 0, at the step after its end: no value, but status and reason."""
    n_rows = len(rows[c.ITEM_ID])
    panel = panel_of(rows)
    ends = np.array([panel.timestamps(row, 1)[-1] for row in range(n_rows)])
    nothing = [None] * n_rows
    return {
        c.ITEM_ID: rows[c.ITEM_ID],
        c.FORECAST_START: times(ends),
        c.TIMESTAMP: times(ends),
        c.STEP: [0] * n_rows,
        c.MEAN: nothing,
        c.QUANTILE_LEVELS: nothing,
        c.QUANTILES: nothing,
        c.MODEL_VERSION: [version] * n_rows,
        c.METHOD: nothing,
        c.STATUS: rows[c.STATUS],
        c.REASON: rows[c.REASON],
    }


def _take(rows: dict[str, Sequence[Any]], wanted: NDArray[np.bool_]) -> dict[str, Sequence[Any]]:
    places = np.flatnonzero(wanted)
    return {name: [values[place] for place in places] for name, values in rows.items()}
