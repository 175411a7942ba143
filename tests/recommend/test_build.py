"""Rows of `recommendations` from rows of `series`, on Spark."""

import json
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.cli import Job
from headroom.config import Config, Recommend
from headroom.freq import parse_freq
from headroom.recommend.build import build_recommendations, group_rows, keep_latest
from headroom.schemas import FORECASTS, QUALITY, RECOMMENDATIONS, SERIES
from headroom.tables import Tables
from jobs.recommend import run
from tests.recommend.groups import HOST, demand

START = datetime(2025, 9, 1)
SETTINGS = Recommend(horizon_days=60)
BY_NAME = [c.GROUP_ID, c.REC_TYPE]


def series_rows(
    group: str, metrics: dict[str, Any], start: datetime = START
) -> list[dict[str, Any]]:
    service, _, region = group.partition("/")
    return [
        {
            c.ITEM_ID: f"{group}/{metric}",
            c.GROUP_ID: group,
            c.DIMENSIONS: {"service": service, "region": region, "tier": "T2", "host": metric},
            c.METRIC: metric,
            c.METRIC_KIND: "gauge",
            c.UNIT: {"capacity_cores": "cores"}.get(metric, ""),
            c.TIME_ZONE: "UTC",
            c.FREQ: "h",
            c.START: start,
            c.LENGTH: len(values),
            c.TARGET: [float(value) if np.isfinite(value) else None for value in values],
            c.OBSERVED: [bool(np.isfinite(value)) for value in values],
            c.FLAGGED: [False] * len(values),
            c.STATIC_CODES: [],
            c.SERIES_EVENTS: [],
            c.STATUS: "ok",
            c.REASON: None,
        }
        for metric, values in metrics.items()
    ]


def service(group: str, hosts: float, **more: Any) -> list[dict[str, Any]]:
    cores = demand(seed=len(group), **more)
    capacity = np.full(len(cores), HOST * hosts)
    metrics = {
        "cpu_utilisation": cores / capacity,
        "capacity_cores": capacity,
        "hosts": np.full(len(cores), hosts),
        "cost": 0.05 * capacity,
    }
    return series_rows(group, metrics)


@pytest.fixture(scope="module")
def fleet(spark: SparkSession) -> DataFrame:
    silent = demand()
    silent[-48:] = np.nan
    rows = [
        *service("big/eu", hosts=40),
        *service("growing/eu", hosts=11, growth=0.01),
        *service("young/eu", hosts=11, n_days=20),
        *series_rows("alone", {"value": demand()}),
        *series_rows("gone", {"value": silent}),
    ]
    return spark.createDataFrame(rows, SERIES.schema)


@pytest.fixture(scope="module")
def empty(spark: SparkSession) -> dict[str, DataFrame]:
    return {
        "quality": spark.createDataFrame([], QUALITY.schema),
        "forecasts": spark.createDataFrame([], FORECASTS.schema),
    }


def recommend(fleet: DataFrame, empty: dict[str, DataFrame], **more: Any) -> DataFrame:
    frames = {**empty, **more}
    return build_recommendations(fleet, **frames, freq="h", settings=SETTINGS, seed=7)


def test_every_group_and_type_has_a_row(fleet: DataFrame, empty: dict[str, DataFrame]) -> None:
    rows = recommend(fleet, empty)
    outcomes = {(r[c.GROUP_ID], r[c.REC_TYPE]): r for r in rows.collect()}
    expected = {
        "big/eu": ("data_complete", "capacity_suffices", "recommended"),
        "growing/eu": ("data_complete", "recommended", "shortfall_risk"),
        "young/eu": ("recommended", "data_gap", "data_gap"),
        "alone": ("data_complete", "missing_inputs", "missing_inputs"),
        "gone": ("recommended", "missing_inputs", "missing_inputs"),
    }
    types = ("data_gap", "capacity_shortfall", "rightsize_down")
    told = {
        (g, t): o
        for g, all_three in expected.items()
        for t, o in zip(types, all_three, strict=True)
    }
    assert {key: row[c.OUTCOME] for key, row in outcomes.items()} == told
    assert all(row[c.SUMMARY].endswith(".") for row in outcomes.values())
    assert {row[c.AS_OF] for row in outcomes.values()} == {START + timedelta(hours=63 * 24 - 1)}
    big = outcomes["big/eu", "rightsize_down"]
    assert (big[c.CURRENT], big[c.PROPOSED], big[c.UNIT]) == (40.0, 28.0, "hosts")
    assert big[c.DIMENSIONS] == {"service": "big", "region": "eu", "tier": "T2"}
    evidence = json.loads(big[c.EVIDENCE])
    assert evidence["seed"] == 7
    assert len(evidence["chart"]["future_peaks"]) == 3
    growing = outcomes["growing/eu", "capacity_shortfall"]
    assert growing[c.EVENT_P10] <= growing[c.EVENT_P50] <= growing[c.EVENT_P90]
    assert growing[c.ACT_BY] <= growing[c.EVENT_P10]


def test_partitions_and_order_do_not_matter(fleet: DataFrame, empty: dict[str, DataFrame]) -> None:
    one = recommend(fleet.repartition(1), empty)
    four = recommend(fleet.orderBy(F.desc(c.ITEM_ID)).repartition(4), empty)
    assert_df_equality(one.orderBy(*BY_NAME), four.orderBy(*BY_NAME), ignore_nullable=True)


def test_forecasts_anchor_the_near_days(
    spark: SparkSession, fleet: DataFrame, empty: dict[str, DataFrame]
) -> None:
    begins = START + timedelta(hours=63 * 24)
    mean = 0.5
    rows = [
        ("growing/eu/cpu_utilisation", start, start + timedelta(hours=step), step + 1, mean)
        for start in (begins - timedelta(days=1), begins)  # the older forecast is passed over
        for step in range(24)
    ]
    names = (c.ITEM_ID, c.FORECAST_START, c.TIMESTAMP, c.STEP, c.MEAN)
    made = [
        {**dict.fromkeys(FORECASTS.schema.names), **dict(zip(names, row, strict=True))}
        for row in rows
    ]
    forecasts = spark.createDataFrame(made, FORECASTS.schema)
    rows = recommend(fleet, empty, forecasts=forecasts)
    told = rows.where(f"{c.GROUP_ID} = 'growing/eu' and {c.OUTCOME} = 'recommended'").first()
    assert abs(json.loads(told[c.EVIDENCE])["anchor"]) > 0.01


def test_a_group_that_cannot_be_computed_has_rows_that_say_so() -> None:
    row = {
        c.ITEM_ID: "a/value",
        c.GROUP_ID: "a",
        "fleet_end": pd.Timestamp(START),
        "dimension_names": ["service"],
        "dimension_values": ["a"],
    }
    rows = group_rows(pd.DataFrame([row]), parse_freq("h"), SETTINGS, 7)
    assert rows[c.OUTCOME].tolist() == ["failed"] * 3
    assert rows[c.SUMMARY][0] == "The data of a was not judged: KeyError: 'forecast_start'."


def test_the_job_run_twice_leaves_one_row_per_group_and_type(
    spark: SparkSession,
    tables: Tables,
    config: Config,
    fleet: DataFrame,
    empty: dict[str, DataFrame],
) -> None:
    tables.replace(fleet.where(f"{c.GROUP_ID} in ('alone', 'gone')"), SERIES)
    tables.replace(empty["quality"], QUALITY)
    tables.replace(empty["forecasts"], FORECASTS)
    for _ in range(2):
        job = Job("recommend", config, Tables(spark, tables.warehouse))
        run(job)
        assert job.counts["considered"] == 6
    written = tables.read(RECOMMENDATIONS)
    assert written.count() == 6
    assert job.counts["data_gap"] == 1


def test_the_latest_row_of_each_group_and_type_is_kept(spark: SparkSession) -> None:
    rows = [
        {
            **dict.fromkeys(RECOMMENDATIONS.schema.names),
            c.RECOMMENDATION_ID: str(n),
            c.GROUP_ID: group,
            c.REC_TYPE: "data_gap",
            c.AS_OF: START + timedelta(days=day),
        }
        for n, (group, day) in enumerate((("a", 0), ("a", 1), ("b", 0)))
    ]
    frame = spark.createDataFrame(rows, RECOMMENDATIONS.schema)
    kept = keep_latest(frame)
    assert {row[c.RECOMMENDATION_ID] for row in kept.collect()} == {"1", "2"}
    assert kept.columns == frame.columns
