"""Configurations proposed from a sample: pure over rows, and the job on real files."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from headroom.config import Config, build_config
from headroom.errors import DataError
from headroom.ingest.infer import Sample, propose
from headroom.sources import guess_separator, read_sample

PLACE = {"format": "csv", "path": "x.csv"}


def proposed(header: str, *lines: Sequence[Any]) -> dict[str, Any]:
    names = header.split()
    sample = Sample(names, [dict(zip(names, line, strict=True)) for line in lines])
    return check(propose(sample, PLACE, "warehouse"))


def check(text: str) -> dict[str, Any]:
    """The values, after they were found to be a configuration."""
    values: dict[str, Any] = yaml.safe_load(text)
    assert isinstance(build_config(values), Config)
    return values


def hours(n: int) -> list[str]:
    return [f"2025-01-06T{hour:02d}:00:00Z" for hour in range(n)]


def test_names_as_they_are_here() -> None:
    lines = [(item, time, "1.5") for item in "ab" for time in hours(4)]
    values = proposed("item_id timestamp target", *lines)
    assert values == {
        "warehouse": "warehouse",
        "source": {
            **PLACE,
            "columns": {"item_id": "item_id", "timestamp": "timestamp", "target": "target"},
            "dimensions": [],
        },
        "series": {"freq": "h"},
    }


def test_a_narrow_table_of_several_metrics() -> None:
    lines = [
        (f"2025-01-06 00:{minute:02d}", host, metric, value, "eu", "Europe/Berlin", minute)
        for host in ("h1", "h2")
        for metric, value in (("cpu_pct", "55.5"), ("requests", "7"), ("p99_ms", "80"))
        for minute in (0, 5, 10)
    ]
    values = proposed("time hostname metricName value region tz version", *lines)
    assert values["source"]["columns"] == {
        "item_id": ["hostname", "metricName"],
        "timestamp": "time",
        "target": "value",
        "metric": "metricName",
        "time_zone": "tz",
        "revision": "version",
    }
    assert values["source"]["metrics"] == {
        "cpu_pct": {"metric_kind": "ratio", "unit": "%"},
        "p99_ms": {"metric_kind": "latency", "unit": "ms"},
        "requests": {"metric_kind": "count"},
    }
    assert values["source"]["dimensions"] == ["region"]
    assert values["series"] == {"freq": "5min"}


def test_a_wide_table() -> None:
    lines = [
        (host, 1_736_121_600_000 + day * 86_400_000, 0.5, 3, day - 1.0, 1 if day else 0)
        for host in ("h1", "h2")
        for day in range(4)
    ]
    values = proposed("service at_ms cpu_util requests temperature is_anomaly", *lines)
    assert values["source"] == {
        **PLACE,
        "columns": {"item_id": "service", "timestamp": "at_ms"},
        "metrics": {
            "cpu_util": {"metric_kind": "ratio"},
            "requests": {"metric_kind": "count"},
            "temperature": {},
        },
        "dimensions": [],
    }
    assert values["series"] == {"freq": "D"}


def test_the_fewest_columns_that_tell_series_apart() -> None:
    lines = [
        (datetime(2025, 1, 6, hour), app, region, 1.0)
        for app in ("a", "b")
        for region in ("eu", "us")
        for hour in range(3)
    ]
    columns = proposed("ds app region usage", *lines)["source"]["columns"]
    assert columns == {"item_id": ["app", "region"], "timestamp": "ds", "target": "usage"}


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        (
            "item_id value",
            ("a", "1"),
            "no column of the source holds times; it has: item_id, value",
        ),
        (
            "item_id ts",
            ("a", "2025-01-06"),
            "no column of the source holds numbers; it has: item_id",
        ),
        (
            "ts value",
            ("2025-01-06", "1"),
            "no column of the source names a series; it has: ts, value",
        ),
    ],
)
def test_what_cannot_be_guessed(header: str, line: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        proposed(header, line)


def test_doubts_are_said() -> None:
    rows: list[Mapping[str, Any]] = [
        {"id": "a", "ts": t, "y": "1"} for t in ("2025-01-06", "1736208000")
    ]
    text = propose(Sample(["id", "ts", "y"], rows), PLACE, "w")
    assert "# Times such as '2025-01-06' name no zone and are read as UTC" in text
    assert "# Column ts has '2025-01-06' and '1736208000': rows in the rarer form are" in text


def test_a_country_is_found_or_asked_for() -> None:
    asked = "# No column is a country: job features guesses"
    for value, is_country in (("DE-BY", True), ("Bavaria", False)):
        rows = [{"id": "a", "ts": t, "y": "1", "country": value} for t in hours(3)]
        text = propose(Sample(["id", "ts", "y", "country"], rows), PLACE, "w")
        columns = check(text)["source"]["columns"]
        assert (columns.get("country") == "country", asked in text) == (is_country, not is_country)


@pytest.mark.parametrize(("header", "separator"), [("a,b", ","), ("a;b c", ";"), ("a\tb", "\t")])
def test_separators(header: str, separator: str) -> None:
    assert guess_separator(header) == separator


@pytest.mark.parametrize(
    ("name", "dimensions"),
    [("m4_hourly_train", []), ("electricity_clients", []), ("cloud_monitoring", ["domain"])],
)
def test_real_files(spark: SparkSession, data: Path, name: str, dimensions: list[str]) -> None:
    path = str(data / f"{name}.parquet")
    values = check(sampled(spark, path))
    assert values["source"] == {
        "format": "parquet",
        "path": path,
        "columns": {"item_id": "item_id", "timestamp": "timestamp", "target": "target"},
        "dimensions": dimensions,
    }
    assert values["series"] == {"freq": "h"}


def test_a_wide_file_with_semicolons(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "hosts.csv"
    lines = [f"{host};{time};0.5;{i}" for host in ("a", "b") for i, time in enumerate(hours(3))]
    path.write_text("\n".join(["host;ts;cpu_pct;orders", *lines]))
    source = check(sampled(spark, str(path)))["source"]
    assert (source["format"], source["options"]) == ("csv", {"sep": ";"})
    assert source["columns"] == {"item_id": "host", "timestamp": "ts"}
    assert source["metrics"] == {
        "cpu_pct": {"metric_kind": "ratio", "unit": "%"},
        "orders": {"metric_kind": "count"},
    }
    with pytest.raises(DataError, match="is not told by the names of its files; add --format"):
        read_sample(spark, str(path.rename(tmp_path / "hosts")))


def sampled(spark: SparkSession, path: str) -> str:
    place, frame = read_sample(spark, path)
    rows = [row.asDict() for row in frame.limit(5_000).collect()]
    return propose(Sample(frame.columns, rows), place, "warehouse")
