"""Columns are found by their exact names, or the fault is named."""

from typing import Any

import pytest
from pyspark.sql import SparkSession

from headroom import columns as c
from headroom.config import Source, build_config
from headroom.errors import DataError, SchemaError
from headroom.ingest.mapping import RAW_TARGET, resolve_source, to_mapped
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
    found = to_mapped(frame, source(columns=columns, dimensions=["_metadata"])).first()
    assert (found[c.ITEM_ID], found[RAW_TARGET], found.dimension_values) == ("a", 2.5, ["x"])
    assert found[c.RAW] == '{"a.b":"a","select *":"t","v`; --":1.5,"V`; --":2.5,"_metadata":"x"}'


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
