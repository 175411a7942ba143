"""Configurations proposed from a sample: pure over rows, and the job on real files."""

import gzip
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
        "forecast": {"prediction_length": 48},
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


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("1,5", "column 'value' holds texts such as '1,5': write numbers with a decimal point"),
        ("10,001.50", "column 'value' holds texts such as '10,001.50'"),
        ("many", "it has: host, value"),
    ],
)
def test_numbers_in_another_notation_are_told(value: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        proposed("host ts value", *[("a", time, value) for time in hours(3)])
    assert hint in str(caught.value)


def test_a_file_in_utf_16_is_told() -> None:
    with pytest.raises(DataError, match="seems to be UTF-16: convert it to UTF-8"):
        proposed("h\x00o\x00s\x00t v\x00", ("a\x00", "1\x00"))


def test_numbers_that_are_names() -> None:
    lines = [(number, time, "1") for number in (101, 102) for time in hours(3)]
    assert proposed("server_id ts value", *lines)["source"]["columns"]["item_id"] == "server_id"
    # An index that pandas wrote is neither a name nor a metric.
    lines = [(i, "a", time, 0.5, 7) for i, time in enumerate(hours(3))]
    source = proposed("_c0 host ts cpu_pct orders", *lines)["source"]
    assert source["columns"]["item_id"] == "host"
    assert set(source["metrics"]) == {"cpu_pct", "orders"}
    for name, numbers in (("busy_id", (0.5, 1.0, 1.5)), ("load_per_node", (1, 2, 3))):
        lines = [("a", time, number) for time, number in zip(hours(3), numbers, strict=True)]
        assert proposed(f"host ts {name}", *lines)["source"]["columns"]["target"] == name


def test_counts_that_never_fall_are_counters() -> None:
    rising = [*range(0, 60, 5), *range(0, 60, 5)]  # with a reset
    for values, kind in ((rising, "counter"), ([7, 9, 6, 8] * 6, "count"), ([0] * 24, "count")):
        lines = [(h, t, v) for h in "ab" for t, v in zip(hours(24), values, strict=True)]
        lines.sort(key=lambda line: line[1])  # as telemetry comes, item after item
        source = proposed("host ts value", *lines)["source"]
        assert source.get("defaults") is None  # a value may be anything
        lines = [(h, t, "http_requests_total", v) for h, t, v in lines]
        source = proposed("host ts metric value", *lines)["source"]
        assert source["metrics"]["http_requests_total"]["metric_kind"] == kind


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
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DataError, match=r"empty\.csv holds no files with content"):
        read_sample(spark, str(tmp_path / "empty.csv"))


def test_a_compressed_file_is_no_table(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with gzip.open("rows.csv.gz", "wt") as file:
        file.write("host,ts,value\n")
    with pytest.raises(DataError, match=r"cannot read source\.path rows\.csv\.gz as a source"):
        read_sample(spark, "rows.csv.gz")  # Spark's own folder is another
    assert read_sample(spark, str(tmp_path / "rows.csv.gz"))[0]["format"] == "csv"


def sampled(spark: SparkSession, path: str) -> str:
    place, frame = read_sample(spark, path)
    rows = [row.asDict() for row in frame.limit(5_000).collect()]
    return propose(Sample(frame.columns, rows), place, "warehouse")
