"""First forecasts of series with little or no history, from the forecasts of their siblings."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from headroom import columns as c
from headroom.arrow import batch_of, lists
from headroom.features.series import NO_OBSERVATIONS, SHORT_HISTORY
from headroom.freq import Freq, parse_freq
from headroom.schemas import FORECASTS, conform
from headroom.scoring import OK
from headroom.series.panel import ceilings_of, limits_of
from headroom.series.quantiles import mean_of
from headroom.series.siblings import mixture

SIBLINGS = "siblings"  # the method
MOST, FEWEST = 30, 3  # siblings of one series
CANDIDATES = 1_000  # of one metric: the cost grows with the young series, not with their product
RECENT = 400  # steps of a sibling that are compared


def build_cold_starts(series: DataFrame, forecasts: DataFrame) -> DataFrame:
    """FORECASTS of the series that are too young for one of their own and have FEWEST siblings or
    more. `forecasts` are those of the other series, all from the latest start on.
    """
    schema = to_arrow_schema(FORECASTS.schema)
    latest = forecasts.agg(F.max(c.FORECAST_START).alias(c.FORECAST_START))
    steps = (
        forecasts.where(F.col(c.STATUS) == OK)
        .join(F.broadcast(latest), c.FORECAST_START, "left_semi")
        .groupBy(F.col(c.ITEM_ID).alias("sibling"))
        .agg(
            F.first(c.FORECAST_START).alias(c.FORECAST_START),
            F.first(c.MODEL_VERSION).alias(c.MODEL_VERSION),
            F.first(c.QUANTILE_LEVELS).alias(c.QUANTILE_LEVELS),
            F.sort_array(F.collect_list(F.struct(c.STEP, c.TIMESTAMP, c.QUANTILES))).alias("steps"),
        )
    )
    history = series.where(F.col(c.STATUS) == OK).select(
        F.col(c.ITEM_ID).alias("sibling"),
        F.col(c.START).alias("sibling_start"),
        F.col(c.LENGTH).alias("sibling_length"),
        F.slice(c.TARGET, F.greatest(F.col(c.LENGTH) - RECENT + 1, F.lit(1)), F.lit(RECENT)).alias(
            "beside"
        ),
    )
    pairs = siblings(series).join(steps, "sibling").join(history, "sibling")
    families = pairs.groupBy(c.ITEM_ID).agg(F.collect_list(F.struct("*")).alias("family"))

    def mix(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for family in batch.column("family").to_pylist():
                if len(family) >= FEWEST:
                    ordered = sorted(family, key=lambda row: row["sibling"])
                    yield batch_of(_forecast_rows(ordered), schema)

    return conform(families.mapInArrow(mix, FORECASTS.schema), FORECASTS)


def siblings(series: DataFrame) -> DataFrame:
    """Of every young series up to MOST `sibling`s: of CANDIDATES of the same metric that have a
    forecast, first those that share most dimensions."""
    is_young = F.col(c.STATUS).isin(NO_OBSERVATIONS, SHORT_HISTORY)
    own = (
        c.ITEM_ID, c.METRIC, c.METRIC_KIND, c.UNIT, c.DIMENSIONS, c.FREQ, c.START, c.LENGTH,
        c.TARGET, c.REASON,
    )  # fmt: skip
    others = series.where(F.col(c.STATUS) == OK).select(
        F.col(c.ITEM_ID).alias("sibling"), c.METRIC, F.col(c.DIMENSIONS).alias("theirs")
    )
    drawn = Window.partitionBy(c.METRIC).orderBy(F.xxhash64("sibling"), "sibling")
    candidates = (
        others.withColumn("place", F.row_number().over(drawn))
        .where(F.col("place") <= CANDIDATES)
        .drop("place")
    )
    shared = F.size(F.array_intersect(F.map_entries(c.DIMENSIONS), F.map_entries("theirs")))
    nearest = Window.partitionBy(c.ITEM_ID).orderBy(shared.desc(), "sibling")
    return (
        series.where(is_young)
        .select(*own)
        .join(candidates, c.METRIC)
        .withColumn("place", F.row_number().over(nearest))
        .where(F.col("place") <= MOST)
        .drop("place", "theirs", c.DIMENSIONS, c.METRIC)
    )


def _forecast_rows(family: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The rows of one young series; one dict per sibling, with the series' own columns in each."""
    first = family[0]
    freq = parse_freq(first[c.FREQ])
    own = _floats(first[c.TARGET] or [])
    seen = np.flatnonzero(~np.isnan(own))
    at = _stamps(freq, first[c.START], len(own))[seen] if len(seen) else _NEVER
    beside = np.full((len(family), len(seen)), np.nan)
    for place, row in enumerate(family):
        stamps = _stamps(freq, row["sibling_start"], row["sibling_length"])[-RECENT:]
        found = np.clip(np.searchsorted(stamps, at), 0, len(stamps) - 1)
        values = _floats(row["beside"])[found]
        beside[place] = np.where(stamps[found] == at, values, np.nan)
    levels = first[c.QUANTILE_LEVELS]
    theirs = np.array([[step[c.QUANTILES] for step in row["steps"]] for row in family])
    passed = np.append(own, theirs)[None]  # a share above one among them, as of CPUs: no ceiling
    _, high = limits_of(passed, ceilings_of([first[c.METRIC_KIND]], [first[c.UNIT]]))
    quantiles = np.minimum(mixture(own[seen], beside, theirs, levels), high)
    n_steps = len(quantiles)
    why = f"{first[c.REASON]}; forecast from {len(family)} series of the same metric"
    return {
        c.ITEM_ID: [first[c.ITEM_ID]] * n_steps,
        c.FORECAST_START: [first[c.FORECAST_START]] * n_steps,
        c.TIMESTAMP: [step[c.TIMESTAMP] for step in first["steps"]],
        c.STEP: np.arange(1, n_steps + 1),
        c.MEAN: mean_of(quantiles, levels),
        c.QUANTILE_LEVELS: lists(np.tile(levels, (n_steps, 1))),
        c.QUANTILES: lists(quantiles),
        c.MODEL_VERSION: [first[c.MODEL_VERSION]] * n_steps,
        c.METHOD: [SIBLINGS] * n_steps,
        c.STATUS: [OK] * n_steps,
        c.REASON: [why] * n_steps,
    }


_NEVER = np.zeros(0, dtype="datetime64[s]")


def _stamps(freq: Freq, start: datetime, length: int) -> NDArray[np.datetime64]:
    naive = start.astimezone(UTC).replace(tzinfo=None) if start.tzinfo else start
    return freq.timestamps(np.datetime64(naive, "s"), length)


def _floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
