"""The three tables as Spark writes them: repeatable, in any partitioning, with dirt as counted."""

from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.cli import Job
from headroom.config import Simulate, build_config
from headroom.schemas import CALENDAR, SIMULATED_TRUTH, TELEMETRY
from headroom.simulate import build
from headroom.simulate.build import build_calendar, build_telemetry, build_truth
from headroom.tables import Tables
from jobs import simulate

SMALL = Simulate(services=2, regions=2, days=28, start="2025-10-10", dirt=0.04)
END = pd.Timestamp("2025-11-07", tz="UTC")


@pytest.fixture(scope="module")
def telemetry(spark: SparkSession) -> pd.DataFrame:
    frame = build_telemetry(spark, SMALL, 7).toPandas()
    frame["order"] = np.arange(len(frame))
    return frame


@pytest.fixture(scope="module")
def truth(spark: SparkSession) -> dict[str, dict[str, float]]:
    counts: dict[str, dict[str, float]] = defaultdict(dict)
    for row in build_truth(spark, SMALL, 7).collect():
        counts[row[c.GROUP_ID]][row[c.KIND]] = row["magnitude"]
    return counts


def faults_seen(rows: pd.DataFrame) -> dict[str, float]:
    """Faults of one item, counted from its text alone."""
    rows = rows.sort_values("order")
    time, value = rows[c.TIMESTAMP], rows[c.TARGET]
    bad_time = time.str.contains("-13-45T")
    at = pd.to_datetime(time.where(~bad_time), format="ISO8601", utc=True)
    future = at > END
    kept = rows[~bad_time & ~future].assign(at=at)
    per_step = kept.groupby("at")[c.TARGET]
    numbers = pd.to_numeric(kept[c.TARGET], errors="coerce")
    return {
        "dirt_bad_timestamp": int(bad_time.sum()),
        "dirt_future": int(future.sum()),
        "dirt_no_value": int(value.isin(["", "NaN", "null"]).sum()),
        "dirt_not_a_number": int(value.str.endswith(" n/a").sum()),
        "dirt_negative": int((numbers < 0).sum()),
        "dirt_duplicate": int(((per_step.size() == 2) & (per_step.nunique() == 1)).sum()),
        "dirt_conflict": int(((per_step.size() == 2) & (per_step.nunique() == 2)).sum()),
        "dirt_late": int((kept["at"] < kept["at"].cummax()).sum()),
        "missing": 28 * 24 - per_step.ngroups,
    }


def test_faults_in_the_rows_are_those_that_truth_counts(
    telemetry: pd.DataFrame, truth: dict[str, dict[str, float]]
) -> None:
    total: dict[str, float] = defaultdict(float)
    for item, rows in telemetry.groupby(c.ITEM_ID):
        seen, planted = faults_seen(rows), truth[str(item)]
        missing = ("dirt_gap", "dirt_gap_run", "dirt_bad_timestamp", "dirt_future")
        assert seen.pop("missing") == sum(planted.get(kind, 0) for kind in missing), item
        for kind, count in seen.items():
            assert count == planted.get(kind, 0), (item, kind)
            total[kind] += count
    assert all(total.values()), total


def test_every_text_for_no_value_occurs(telemetry: pd.DataFrame) -> None:
    assert {"", "NaN", "null"} <= set(telemetry[c.TARGET])


def test_local_time_runs_through_the_change_of_the_clock(telemetry: pd.DataFrame) -> None:
    rows = telemetry[telemetry[c.GROUP_ID] == "playback/eu-central"]
    offsets = rows[c.TIMESTAMP].str[-6:]
    assert set(offsets) == {"+02:00", "+01:00"}
    others = telemetry[telemetry[c.GROUP_ID] != "playback/eu-central"]
    assert others[c.TIMESTAMP].str.endswith("Z").all()
    night = rows[rows[c.TIMESTAMP].str.startswith("2025-10-26T02:00:00")]
    one_item = night[night[c.METRIC] == "hosts"][c.TIMESTAMP]
    assert set(one_item) == {"2025-10-26T02:00:00+02:00", "2025-10-26T02:00:00+01:00"}


def test_counters_fall_where_truth_says_they_were_reset(
    telemetry: pd.DataFrame, truth: dict[str, dict[str, float]]
) -> None:
    item = "search/us-east/requests_total"
    rows = telemetry[telemetry[c.ITEM_ID] == item]
    number = pd.to_numeric(rows[c.TARGET], errors="coerce")
    at = pd.to_datetime(rows[c.TIMESTAMP], format="ISO8601", utc=True, errors="coerce")
    clean = rows.assign(number=number, at=at)[number.notna() & at.notna() & (at < END)]
    series = clean.groupby("at")["number"].max()  # the early value of a conflict is lower
    assert (series.diff() < 0).sum() == truth[item]["dirt_counter_reset"] > 2
    assert set(rows[c.METRIC_KIND]) == {"counter"}


def sorted_rows(frame: DataFrame) -> list[Any]:
    return sorted(tuple(row) for row in frame.collect())


def test_rows_do_not_depend_on_partitions_or_blocks(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Simulate(services=2, regions=1, days=8, dirt=0.05)
    once = build_telemetry(spark, settings, 3)
    rows = sorted_rows(once)
    monkeypatch.setattr(build, "BLOCK_STEPS", 50)
    monkeypatch.setattr(build, "_ROWS_PER_FILE", 500)
    again = build_telemetry(spark, settings, 3)
    assert again.rdd.getNumPartitions() > once.rdd.getNumPartitions()
    assert sorted_rows(again) == rows


def test_the_seed_decides_the_rows(spark: SparkSession) -> None:
    settings = Simulate(services=1, regions=2, days=3)
    for builder in (build_telemetry, build_truth):
        rows = sorted_rows(builder(spark, settings, 3))
        assert sorted_rows(builder(spark, settings, 3)) == rows
        assert sorted_rows(builder(spark, settings, 4)) != rows


def test_a_larger_fleet_holds_the_rows_of_a_smaller_one(spark: SparkSession) -> None:
    small = build_telemetry(spark, Simulate(services=1, regions=1, days=2, dirt=0), 3)
    large = build_telemetry(spark, Simulate(services=3, regions=1, days=2, dirt=0), 3)
    inside = large.where(F.col(c.GROUP_ID) == "playback/us-east")
    assert_df_equality(small, inside, ignore_row_order=True)


@pytest.mark.parametrize(("freq", "steps"), [("15min", 96), ("D", 1)])
def test_rows_follow_the_frequency(spark: SparkSession, freq: str, steps: int) -> None:
    settings = Simulate(services=1, regions=1, days=2, dirt=0)
    assert build_telemetry(spark, settings, 7, freq).count() == 7 * 2 * steps


def test_the_calendar_reaches_beyond_the_telemetry_and_hides_nothing_planned(
    spark: SparkSession,
) -> None:
    settings = Simulate(services=24, regions=3, days=120)
    calendar = build_calendar(spark, settings, 7)
    assert calendar.count() == calendar.select(c.EVENT_ID).distinct().count()
    frame = calendar.toPandas()
    end = pd.Timestamp(settings.start) + pd.Timedelta(days=120)
    planned = frame[frame[c.KIND].isin(["live_event", "launch", "freeze", "holiday"])]
    happened = frame[frame[c.KIND].isin(["deployment", "incident"])]
    assert len(planned) + len(happened) == len(frame)
    assert (planned[c.KNOWN_AT] <= planned[c.STARTS_AT] - pd.Timedelta(days=14)).all()
    assert (planned[c.KNOWN_AT] <= end).all()
    assert (happened[c.KNOWN_AT] >= happened[c.STARTS_AT]).all()
    assert (happened[c.STARTS_AT] < end).all()
    assert planned[c.STARTS_AT].max() > end + pd.Timedelta(days=60)
    live = frame[frame[c.KIND] == "live_event"]
    hours = (live[c.ENDS_AT] - live[c.STARTS_AT]) / pd.Timedelta(hours=1)
    assert hours.min() >= 1 and hours.max() <= 3
    assert 0 < live[c.EXPECTED_LIFT].isna().mean() < 0.5
    scopes = {tuple(sorted(scope)) for scope in frame[c.SCOPE]}
    assert scopes == {(), ("region",), ("service",), ("region", "service")}


def test_no_deployment_falls_into_a_freeze(spark: SparkSession) -> None:
    frame = build_calendar(spark, Simulate(days=200, services=6), 7).toPandas()
    deployed = frame[frame[c.KIND] == "deployment"][c.STARTS_AT]
    freezes = frame[frame[c.KIND] == "freeze"]
    assert len(freezes) >= 1
    for freeze in freezes.itertuples():
        assert not ((deployed >= freeze.starts_at) & (deployed < freeze.ends_at)).any()


def test_the_job_writes_the_three_tables(tables: Tables, warehouse: str) -> None:
    sizes = {"services": 2, "regions": 2, "days": 3}
    config = build_config({"warehouse": warehouse, "simulate": sizes})
    job = Job("simulate", config, tables)
    simulate.run(job)
    assert tables.read_versions == {}
    assert set(tables.written_versions) == {"telemetry", "calendar", "simulated_truth"}
    telemetry = sorted_rows(tables.read(TELEMETRY))
    assert telemetry == sorted_rows(build_telemetry(tables.spark, config.simulate, config.seed))
    assert len(telemetry) == job.counts["rows"]
    assert len(telemetry) == pytest.approx(2 * 2 * 3 * 24 * 7.5, rel=0.05)  # half have a counter
    assert tables.read(CALENDAR).count() == job.counts["events"] > 0
    truths = tables.read(SIMULATED_TRUTH)
    assert truths.select(*SIMULATED_TRUTH.key).distinct().count() == job.counts["truths"] > 0
