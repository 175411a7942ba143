"""Columns are found by their exact names, or the fault is named."""

from typing import Any

import pytest
from pyspark.sql import SparkSession

from headroom import columns as c
from headroom.config import Source, build_config
from headroom.errors import ConfigError, DataError, SchemaError
from headroom.ingest.mapping import RAW_TARGET, as_it_came, resolve_source, to_mapped
from headroom.ingest.rows import EVIDENCE, to_rows
from headroom.schemas import TELEMETRY

PLAIN = "item_id string, timestamp string, target double, region string"


def source(**settings: Any) -> Source:
    values = {"format": "csv", "path": "x", **settings}
    return build_config({"warehouse": "x", "source": values}).source


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"columns": {"target": "targets"}},
            r"no column 'targets', which source.columns.target names; did you mean 'target'\? "
            r"it has: item_id, region, target, timestamp",
        ),
        ({"columns": {"item_id": "Item_ID"}}, r"no column 'Item_ID'.*did you mean 'item_id'\?"),
        ({"dimensions": ["service"]}, r"no column 'service', which source.dimensions names; it"),
        ({"where": {"regoin": ["eu"]}}, r"no column 'regoin', which source.where names; did you"),
        ({"columns": {"unit": "u"}}, r"no column 'u', which source.columns.unit names"),
    ],
)
def test_a_missing_column_is_named(spark: SparkSession, settings: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        to_mapped(spark.createDataFrame([], PLAIN), source(**settings))


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (
            "item_id string, timestamp boolean, target double",
            "column 'timestamp' is of type boolean, which source.columns.timestamp cannot use",
        ),
        (
            "item_id string, timestamp string, target date",
            "column 'target' is of type date, which source.columns.target cannot use",
        ),
        ("item_id array<int>, timestamp string, target int", "'item_id' is of type array<int>"),
    ],
)
def test_a_type_that_cannot_serve_is_named(spark: SparkSession, schema: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        to_mapped(spark.createDataFrame([], schema), source())


def test_a_file_that_is_no_json_is_said_to_be_none(spark: SparkSession) -> None:
    with pytest.raises(DataError, match="no line of the source is valid JSON"):
        to_mapped(spark.createDataFrame([], "_corrupt_record string"), source())


def test_many_columns_are_not_all_listed(spark: SparkSession) -> None:
    wide = ", ".join(f"column_{i:03d} string" for i in range(400))
    with pytest.raises(SchemaError) as error:
        to_mapped(spark.createDataFrame([], wide), source())
    assert len(str(error.value)) < 600
    assert "and 380 more" in str(error.value)


def test_hostile_names_are_only_names(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [("a", "t", 1.5, 2.5, "x")], "`a.b` string, `select *` string, `v``; --` double, "
        "`V``; --` double, `_metadata` string"
    )  # fmt: skip
    columns = {"item_id": "a.b", "timestamp": "select *", "target": "V`; --"}
    mapped = to_mapped(frame, source(columns=columns, dimensions=["_metadata"]))
    found, raw = mapped.first(), mapped.select(as_it_came()).first()[0]
    assert (found[c.ITEM_ID], found[RAW_TARGET], found.dimension_values) == ("a", 2.5, ["x"])
    assert raw == '{"a.b":"a","select *":"t","v`; --":1.5,"V`; --":2.5,"_metadata":"x"}'


def test_where_keeps_the_named_values(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [("a", "t", 1.0, "eu"), ("b", "t", 1.0, "us"), ("c", "t", 1.0, None)], PLAIN
    )
    found = to_mapped(frame, source(where={"region": ["eu", "asia"]})).collect()
    assert [row[c.ITEM_ID] for row in found] == ["a"]


def test_the_simulated_fleet_has_its_own_mapping(spark: SparkSession) -> None:
    simulated = resolve_source(source(format="simulated"))
    frame = spark.createDataFrame([tuple("x" * 12)], TELEMETRY.schema)
    found = to_mapped(frame, simulated).first()
    assert found.dimension_values == ["x"] * 4
    assert found[c.GROUP_ID] == found[c.METRIC_KIND] == "x"


WIDE = "host string, timestamp string, `cpu.pct` double, requests long, up boolean, note string"
METRICS = {
    "cpu.pct": {"metric": "cpu", "metric_kind": "ratio", "unit": "%"},
    "requests": {"metric_kind": "count"},
    "up": {},
}


def wide(**settings: Any) -> Source:
    return source(columns={"item_id": "host"}, metrics=METRICS, **settings)


def test_a_wide_table_has_an_item_for_each_metric(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [("h/1", "2025-01-06", 0.5, 7, True, "x"), ("h2", "soon", None, 8, None, "y")], WIDE
    )
    rows = to_rows(to_mapped(frame, wide(dimensions=["note"])), wide())
    names = (c.ITEM_ID, c.TARGET, c.REASON, c.METRIC, c.METRIC_KIND, c.UNIT, c.GROUP_ID)
    assert {tuple(row) for row in rows.select(*names).collect()} == {
        ("h/1/cpu", 0.5, None, "cpu", "ratio", "%", "h/1"),
        ("h/1/requests", 7.0, None, "requests", "count", "", "h/1"),
        ("h/1/up", 1.0, None, "up", "gauge", "", "h/1"),
        ("h2/cpu", None, "bad_timestamp", "cpu", "ratio", "%", "h2"),
        ("h2/requests", 8.0, "bad_timestamp", "requests", "count", "", "h2"),
        ("h2/up", None, "bad_timestamp", "up", "gauge", "", "h2"),
    }
    assert rows.where("item_id = 'h2/up'").first()[EVIDENCE][0] == (
        '{"host":"h2","timestamp":"soon","cpu.pct":null,"requests":8,"up":null,"note":"y"}'
    )


def test_a_wide_table_of_texts(spark: SparkSession) -> None:
    schema = "host string, timestamp string, `cpu.pct` string, requests string, up string"
    frame = spark.createDataFrame([("h", "2025-01-06", "0.5", "NaN", "broken")], schema)
    rows = to_rows(to_mapped(frame, wide()), wide()).select(c.METRIC, c.TARGET, c.REASON)
    assert {tuple(row) for row in rows.collect()} == {
        ("cpu", 0.5, None),
        ("requests", None, None),
        ("up", None, "bad_target"),
    }


def test_a_wide_table_that_lacks_a_metric(spark: SparkSession) -> None:
    frame = spark.createDataFrame([], "host string, timestamp string, cpu_pct double, up boolean")
    with pytest.raises(SchemaError, match=r"no column 'cpu.pct', which source.metrics names; did"):
        to_mapped(frame, wide())
    with pytest.raises(ConfigError, match="metrics names a column per metric, so leave"):
        source(columns={"target": "up"}, metrics={"up": {}})
    with pytest.raises(ConfigError, match=r"source\.metrics\.up\.metric_kind"):
        source(metrics={"up": {"metric_kind": "speed"}})


def test_a_narrow_table_whose_item_has_several_columns(spark: SparkSession) -> None:
    rows = [("a", "cpu", 1.0), ("a/b", "cpu", 2.0), ("a", "b/cpu", 3.0), ("a%2Fb", "cpu", 4.0),
            ("a", None, 5.0), ("a", " ", 6.0)]  # fmt: skip
    frame = spark.createDataFrame(
        [(host, "2025-01-06", *rest) for host, *rest in rows],
        "host string, timestamp string, metric string, value double",
    )
    chosen = source(
        columns={
            "item_id": ["host", "metric"],
            "metric": "metric",
            "target": "value",
            "group_id": "host",
        },
        metrics={"cpu": {"metric": "load", "metric_kind": "rate", "unit": "1"}},
    )
    found = to_rows(to_mapped(frame, chosen), chosen)
    names = (c.ITEM_ID, c.METRIC, c.METRIC_KIND, c.GROUP_ID, c.REASON)
    assert [tuple(row) for row in found.select(*names).collect()] == [
        ("a/cpu", "load", "rate", "a", None),
        ("a%2Fb/cpu", "load", "rate", "a/b", None),
        ("a/b%2Fcpu", "b/cpu", "gauge", "a", None),
        ("a%252Fb/cpu", "load", "rate", "a%2Fb", None),
        (None, "value", "gauge", "a", "no_item_id"),
        (None, "value", "gauge", "a", "no_item_id"),
    ]
