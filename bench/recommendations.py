"""How well recommendations find what was planted in a simulated fleet, and what came of them.

Runs simulate, ingest, features and recommend (without a trained model, so without the short
forecast) for each seed in a warehouse of its own, and holds the rows against `simulated_truth` and
against the 90 days after the telemetry, which the simulator knows.

    python bench/recommendations.py --seeds 101 102 --services 24 --regions 5
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from headroom import columns as c
from headroom.cli import Job
from headroom.config import Config, build_config
from headroom.freq import DAY
from headroom.recommend.decision import CAPACITY_SHORTFALL, RECOMMENDED, RIGHTSIZE_DOWN
from headroom.schemas import FORECASTS, RECOMMENDATIONS, SIMULATED_TRUTH
from headroom.session import build_session
from headroom.simulate.fleet import (
    AUTOSCALED,
    HEALTHY,
    HOUR,
    IDLE,
    OVER_PROVISIONED,
    SHORTFALL,
    Fleet,
    Group,
    build_fleet,
)
from headroom.simulate.load import noisy_requests
from headroom.simulate.sizing import demand_of
from headroom.tables import Tables
from jobs import features, ingest, recommend, simulate

HORIZON = 90


@dataclass
class Result:
    """Counts over the groups of all fleets."""

    n_groups: int = 0
    truth: dict[str, set[str]] = field(default_factory=dict)  # kind → groups
    told: dict[str, set[str]] = field(default_factory=dict)  # type → groups
    day_errors: list[float] = field(default_factory=list)
    n_dates: int = 0
    n_inside: int = 0
    reductions: list[tuple[float, bool]] = field(default_factory=list)  # allowed chance, passed


def main() -> None:
    options = parse_arguments()
    os.environ.setdefault(
        "PYSPARK_SUBMIT_ARGS",
        f"--master local[2] --jars {os.environ['HEADROOM_JARS']} --driver-memory 3g "
        "--conf spark.ui.enabled=false --conf spark.ui.showConsoleProgress=false pyspark-shell",
    )
    result = Result()
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            config = make_config(folder, seed, options)
            spark = build_session("headroom-bench", config.spark)
            run_jobs(spark, config)
            judge(spark, config, result)
    print(table(result))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[101])
    parser.add_argument("--services", type=int, default=24)
    parser.add_argument("--regions", type=int, default=5)
    return parser.parse_args()


def make_config(folder: str, seed: int, options: argparse.Namespace) -> Config:
    fleet = {"services": options.services, "regions": options.regions}
    return build_config({"warehouse": f"{folder}/warehouse", "seed": seed, "simulate": fleet})


def run_jobs(spark: SparkSession, config: Config) -> None:
    for name, body in (
        ("simulate", simulate.run),
        ("ingest", ingest.run),
        ("features", features.run),
        ("recommend", recommend.run),
    ):
        tables = Tables(spark, config.warehouse)
        tables.create(FORECASTS)  # no model is trained here
        body(Job(name, config, tables))


def judge(spark: SparkSession, config: Config, result: Result) -> None:
    """Adds one fleet to the result. Collects a few rows per group of a fleet that is small."""
    tables = Tables(spark, config.warehouse)
    tiers = {name: tier.safe_utilisation for name, tier in config.recommend.tiers.items()}
    fleet = build_fleet(config.simulate, config.seed, config.series.freq, tiers)
    groups = {group.group_id: group for group in map(fleet.group, range(fleet.n_groups))}
    truth = [row.asDict() for row in tables.read(SIMULATED_TRUTH).collect()]
    rows = [row.asDict() for row in tables.read(RECOMMENDATIONS).collect()]
    made = [row for row in rows if row[c.OUTCOME] == RECOMMENDED]
    result.n_groups += len(groups)
    _add(result.truth, ((row[c.KIND], _name(config, row)) for row in truth))
    kinds = ((group.kind, f"{config.seed}:{name}") for name, group in groups.items())
    _add(result.truth, ((kind, name) for kind, name in kinds if kind in (HEALTHY, AUTOSCALED)))
    _add(result.told, ((row[c.REC_TYPE], _name(config, row)) for row in made))
    _judge_dates(made, truth, result)
    for row in made:
        if row[c.REC_TYPE] == RIGHTSIZE_DOWN:
            evidence = json.loads(row[c.EVIDENCE])
            peak = future_peak(fleet, groups[row[c.GROUP_ID]])
            allowed = evidence["violation_probability"]
            result.reductions.append((allowed, peak > evidence["proposed_limit"]))


def _add(sets: dict[str, set[str]], pairs: Iterable[tuple[str, str]]) -> None:
    for kind, name in pairs:
        sets.setdefault(kind, set()).add(name)


def _name(config: Config, row: Mapping[str, Any]) -> str:
    return f"{config.seed}:{row[c.GROUP_ID]}"


def _judge_dates(
    made: Sequence[Mapping[str, Any]], truth: Sequence[Mapping[str, Any]], result: Result
) -> None:
    """Dates against the first hour in which demand, noise included, passed safe capacity."""
    breaches = {
        row[c.GROUP_ID]: json.loads(row[c.DETAIL]).get("first_breach_with_noise")
        for row in truth
        if row[c.KIND] == SHORTFALL
    }
    for row in made:
        breach = breaches.get(row[c.GROUP_ID])
        if row[c.REC_TYPE] != CAPACITY_SHORTFALL or not breach:
            continue
        day = datetime.fromisoformat(breach).replace(tzinfo=None, hour=0, minute=0)
        late = row[c.EVENT_P90]
        result.n_dates += 1
        result.n_inside += row[c.EVENT_P10] <= day and (late is None or day <= late)
        if row[c.EVENT_P50] is not None:
            result.day_errors.append((row[c.EVENT_P50] - day).total_seconds() / DAY)


def future_peak(fleet: Fleet, group: Group) -> float:
    """The largest hourly demand of the 90 days after the telemetry, in cores, noise included."""
    first = fleet.end + HOUR // 2
    hours = np.arange(first, first + HORIZON * DAY, HOUR, dtype=np.int64)
    return float(demand_of(group, hours, noisy_requests(group, hours)).max())


def table(result: Result) -> str:
    """The figures as Markdown."""
    truth, told = result.truth, result.told
    healthy = truth.get(HEALTHY, set()) | truth.get(AUTOSCALED, set())
    idle = truth.get(IDLE, set())
    lines = [
        f"{result.n_groups} groups, {len(healthy)} of them healthy",
        "",
        "| | planted | told | recall | precision | told of healthy groups |",
        "|---|---|---|---|---|---|",
        _line("shortfall within 90 days", truth.get(SHORTFALL, set()), told, CAPACITY_SHORTFALL,
              set(), healthy),
        _line("over-provisioned", truth.get(OVER_PROVISIONED, set()), told, RIGHTSIZE_DOWN,
              idle, healthy),
        "",
        _dates(result),
        _reductions(result),
    ]  # fmt: skip
    return "\n".join(lines)


def _line(
    label: str,
    planted: set[str],
    told: Mapping[str, set[str]],
    rec_type: str,
    also_right: set[str],
    healthy: set[str],
) -> str:
    """`also_right`: groups of which the type is right too, though they are not counted as found."""
    made = told.get(rec_type, set())
    found = len(planted & made) / max(len(planted), 1)
    right = len(made & (planted | also_right)) / max(len(made), 1)
    alarms = f"{len(made & healthy)} of {len(healthy)}"
    return f"| {label} | {len(planted)} | {len(made)} | {found:.2f} | {right:.2f} | {alarms} |"


def _dates(result: Result) -> str:
    errors = np.array(result.day_errors)
    return (
        f"Dates of {result.n_dates} shortfalls: {result.n_inside} inside P10 to P90; the most "
        f"likely day is {np.median(errors):+.0f} days off in the median, "
        f"{np.median(np.abs(errors)):.0f} days in the median size, {np.mean(errors > 7):.0%} are "
        "more than a week late."
    )


def _reductions(result: Result) -> str:
    allowed = sum(chance for chance, _ in result.reductions)
    passed = sum(is_passed for _, is_passed in result.reductions)
    return (
        f"{len(result.reductions)} reductions: {passed} passed the safe limit in the 90 days that "
        f"came; their tiers allow {allowed:.1f}."
    )


if __name__ == "__main__":
    main()
