"""Recommendations for every group of a fleet: one row per (group, type) considered."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import Recommend
from headroom.freq import Freq, parse_freq
from headroom.recommend.data_gap import LOW_COVERAGE, data_gap
from headroom.recommend.decision import (
    CAPACITY_SHORTFALL,
    DATA_GAP,
    FAILED,
    INSUFFICIENT_HISTORY,
    RIGHTSIZE_DOWN,
    TYPES,
    Decision,
)
from headroom.recommend.events import Event
from headroom.recommend.group import Group, Item, Refusal, assemble
from headroom.recommend.outlook import build_outlook, n_history_days
from headroom.recommend.rightsize import rightsize
from headroom.recommend.row import to_row
from headroom.recommend.shortfall import shortfall
from headroom.schemas import RECOMMENDATIONS

log = logging.getLogger(__name__)

CAPACITY_TYPES = (CAPACITY_SHORTFALL, RIGHTSIZE_DOWN)
_FLEET_END = "fleet_end"
_ISSUES, _SHARES, _MEANS = "issues", "issue_shares", "means"
_DIMENSION_NAMES, _DIMENSION_VALUES = "dimension_names", "dimension_values"
_EVENT_FIELDS = (c.KIND, "first_step", "last_step", c.EXPECTED_LIFT, "known_step")


def build_recommendations(
    series: DataFrame,
    quality: DataFrame,
    forecasts: DataFrame,
    *,
    freq: str,
    settings: Recommend,
    seed: int,
) -> DataFrame:
    """Rows of RECOMMENDATIONS: for each group one per type, recommended or with the reason why not.

    `quality` and `forecasts` may be empty. Deterministic by its arguments, whatever the
    partitioning. A group that cannot be computed has rows with outcome `failed`.
    """

    step = parse_freq(freq)

    def recommend(rows: pd.DataFrame) -> pd.DataFrame:
        return group_rows(rows, step, settings, seed)

    items = _with_forecasts(_with_quality(_with_fleet_end(series, step), quality), forecasts)
    return items.groupBy(c.GROUP_ID).applyInPandas(recommend, RECOMMENDATIONS.schema)


def keep_latest(recommendations: DataFrame) -> DataFrame:
    """Of each group and type the row of the latest `as_of`."""
    newest = Window.partitionBy(c.GROUP_ID, c.REC_TYPE).orderBy(
        F.desc(c.AS_OF), c.RECOMMENDATION_ID
    )
    return (
        recommendations.withColumn("rank", F.row_number().over(newest))
        .where("rank = 1")
        .drop("rank")
    )


def group_rows(rows: pd.DataFrame, freq: Freq, settings: Recommend, seed: int) -> pd.DataFrame:
    """The rows of RECOMMENDATIONS of one group from its series, one row per item."""
    rows = rows.sort_values(c.ITEM_ID)
    first = rows.iloc[0]
    group_id, as_of = str(first[c.GROUP_ID]), _seconds(first[_FLEET_END])
    dimensions = common_dimensions(rows)
    try:
        items = [
            _item(dict(zip(rows.columns, row, strict=True))) for row in rows.itertuples(index=False)
        ]
        decisions = decide(items, dimensions, group_id, as_of, freq, settings, seed)
    except Exception as error:  # one bad group never ends the job; its row says what went wrong
        log.exception("group %s", group_id)
        detail = f"{type(error).__name__}: {error}"
        decisions = [Decision(kind, FAILED, detail) for kind in TYPES]
    records = [to_row(decision, group_id, dimensions, as_of) for decision in decisions]
    return pd.DataFrame(records, columns=RECOMMENDATIONS.schema.names)


def decide(
    items: Sequence[Item],
    dimensions: Mapping[str, str],
    group_id: str,
    as_of: np.datetime64,
    freq: Freq,
    settings: Recommend,
    seed: int,
) -> list[Decision]:
    """One decision per type: data gap first, which withholds the others."""
    gap = data_gap(items, as_of, freq, settings)
    group = assemble(items, dimensions, group_id, freq, settings)
    refused = group if isinstance(group, Refusal) else _withheld(gap, settings)
    if isinstance(group, Group) and refused is None:
        n_days = n_history_days(group)
        if n_days >= settings.min_history_days:
            outlook = build_outlook(group, settings, seed)
            return [gap, shortfall(group, outlook, settings), rightsize(group, outlook, settings)]
        detail = f"{n_days} of {settings.min_history_days} days of history"
        refused = Refusal(INSUFFICIENT_HISTORY, detail)
    reason = refused or Refusal(FAILED, "")
    return [gap, *[Decision(kind, reason.outcome, reason.detail) for kind in CAPACITY_TYPES]]


def common_dimensions(rows: pd.DataFrame) -> dict[str, str]:
    """The dimensions that all items of the group share."""
    pairs = [
        {
            (str(name), str(value))
            for name, value in zip(names, values, strict=True)
            if value is not None
        }
        for names, values in zip(rows[_DIMENSION_NAMES], rows[_DIMENSION_VALUES], strict=True)
    ]
    return dict(sorted(set.intersection(*pairs)))


def _withheld(gap: Decision, settings: Recommend) -> Refusal | None:
    """Why the group's capacity is not judged: a fault in a series that the judgement rests on."""
    roles = settings.roles
    demand = (roles.demand, roles.utilisation)
    found = [
        fault
        for fault in gap.evidence["faults"]
        # Capacity, hosts and cost move in steps: a value missed now and then costs nothing.
        if fault["metric"] in demand
        or (
            fault["metric"] in (roles.capacity, roles.hosts, roles.cost)
            and fault["code"] != LOW_COVERAGE
        )
    ]
    if not found:
        return None
    words = ", ".join(f"{fault['metric']} {fault['code'].replace('_', ' ')}" for fault in found)
    return Refusal(DATA_GAP, f"its data cannot be trusted ({words})")


# -- frames in -------------------------------------------------------------------------------------


def _with_fleet_end(series: DataFrame, freq: Freq) -> DataFrame:
    """+ the start of the last step observed anywhere in the fleet; maps and structs as arrays."""
    last_step = F.expr(f"{c.LENGTH} - array_position(reverse({c.OBSERVED}), true)")
    observed = F.array_contains(c.OBSERVED, True)
    last = F.when(observed, _step_time(last_step, freq)).otherwise(F.col(c.START))
    kept = (c.ITEM_ID, c.GROUP_ID, c.METRIC, c.METRIC_KIND, c.UNIT, c.START, c.TARGET)
    return series.select(
        *kept,
        c.STATUS,
        c.REASON,
        F.map_keys(c.DIMENSIONS).alias(_DIMENSION_NAMES),
        F.map_values(c.DIMENSIONS).alias(_DIMENSION_VALUES),
        *[F.col(f"{c.SERIES_EVENTS}.{name}").alias(f"event_{name}") for name in _EVENT_FIELDS],
    ).crossJoin(F.broadcast(series.agg(F.max(last).alias(_FLEET_END))))


def _step_time(step: Column, freq: Freq) -> Column:
    if freq.is_monthly:
        return F.add_months(c.START, step.cast("int") * freq.count).cast("timestamp")
    return F.timestamp_seconds(F.unix_timestamp(c.START) + step * freq.seconds)


def _with_quality(items: DataFrame, quality: DataFrame) -> DataFrame:
    issues = (
        quality.groupBy(c.ITEM_ID)
        .agg(F.array_sort(F.collect_list(F.struct(c.ISSUE, c.SHARE))).alias(_ISSUES))
        .select(
            c.ITEM_ID,
            F.col(f"{_ISSUES}.{c.ISSUE}").alias(_ISSUES),
            F.col(f"{_ISSUES}.{c.SHARE}").alias(_SHARES),
        )
    )
    return items.join(issues, c.ITEM_ID, "left")


def _with_forecasts(items: DataFrame, forecasts: DataFrame) -> DataFrame:
    """+ the latest forecast of the item: its start, and its means in order of the steps."""
    newest = Window.partitionBy(c.ITEM_ID)
    means = (
        forecasts.where(F.col(c.MEAN).isNotNull() & (F.col(c.STEP) > 0))
        .withColumn("newest", F.max(c.FORECAST_START).over(newest))
        .where(F.col(c.FORECAST_START) == F.col("newest"))
        .groupBy(c.ITEM_ID, c.FORECAST_START)
        .agg(F.array_sort(F.collect_list(F.struct(c.STEP, c.MEAN))).alias(_MEANS))
        .select(c.ITEM_ID, c.FORECAST_START, F.col(f"{_MEANS}.{c.MEAN}").alias(_MEANS))
    )
    return items.join(means, c.ITEM_ID, "left")


# -- one item in -----------------------------------------------------------------------------------


def _item(row: Mapping[str, Any]) -> Item:
    start = row[c.FORECAST_START]
    means = row[_MEANS]
    return Item(
        item_id=row[c.ITEM_ID],
        metric=row[c.METRIC] or "",
        metric_kind=row[c.METRIC_KIND] or "",
        unit=row[c.UNIT] or "",
        start=_seconds(row[c.START]),
        values=_floats(row[c.TARGET]),
        status=row[c.STATUS] or "ok",
        reason=row[c.REASON] or "",
        events=_events(row),
        issues=dict(zip(_listed(row[_ISSUES]), _listed(row[_SHARES]), strict=True)),
        forecast_start=None if pd.isna(start) else _seconds(start),
        forecast_means=None if means is None else _floats(means),
    )


def _events(row: Mapping[str, Any]) -> list[Event]:
    fields = [_listed(row[f"event_{name}"]) for name in _EVENT_FIELDS]
    return [
        Event(kind, int(first), int(last), _number(lift), int(known))
        for kind, first, last, lift, known in zip(*fields, strict=True)
        if first is not None and last is not None and known is not None
    ]


def _listed(values: Iterable[Any] | None) -> list[Any]:
    return [] if values is None else list(values)


def _floats(values: Iterable[Any] | None) -> NDArray[np.float64]:
    return np.asarray(_listed(values), dtype=np.float64)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _seconds(at: Any) -> np.datetime64:
    return np.datetime64(pd.Timestamp(at).to_datetime64(), "s")
