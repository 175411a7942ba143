"""The calendar in whatever form it comes."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from headroom import columns as c
from headroom.errors import SchemaError
from headroom.ingest.events import KINDS, build_events, find_odd_names, to_entries
from headroom.schemas import EVENTS, conform

DAY = timedelta(days=1)


def entries(spark: SparkSession, schema: str, *rows: tuple[Any, ...]) -> dict[str, Any]:
    found = to_entries(spark.createDataFrame(list(rows), schema)).collect()
    return {row[c.NAME]: row for row in found}


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        (None, {}),
        ("", {}),
        ('{"region": "eu", "tier": "T1"}', {"region": "eu", "tier": "T1"}),
        ("region=eu; tier = T1", {"region": "eu", "tier": "T1"}),
        ("region=eu", {"region": "eu"}),
    ],
)
def test_scopes_in_text(spark: SparkSession, text: str | None, scope: dict[str, str]) -> None:
    schema = "kind string, name string, starts_at string, scope string"
    found = entries(spark, schema, ("launch", "n", "2025-01-06", text))
    assert found["n"][c.SCOPE] == scope


def test_scopes_as_structs_and_maps(spark: SparkSession) -> None:
    for kind in ("struct<region:string,tier:string>", "map<string,string>"):
        value = {"region": "eu"} if kind.startswith("map") else ("eu", None)
        schema = f"kind string, name string, starts_at string, scope {kind}"
        found = entries(spark, schema, ("launch", "n", "2025-01-06", value))
        assert found["n"][c.SCOPE] == {"region": "eu"}


def test_what_is_not_said_is_filled_in(spark: SparkSession) -> None:
    found = entries(
        spark,
        "kind string, starts_at string, ends_at string",
        ("Launch", "2025-01-06", None),
        ("incident", "2025-01-06T05:00Z", "2025-01-06T06:00Z"),
    )
    start = datetime(2025, 1, 6)
    launch, incident = found["launch"], found["incident"]
    assert (launch[c.STARTS_AT], launch[c.ENDS_AT]) == (start, start)
    assert launch[c.KNOWN_AT] == start - 365 * DAY
    assert incident[c.KNOWN_AT] == incident[c.ENDS_AT] == datetime(2025, 1, 6, 6)
    assert launch[c.EXPECTED_LIFT] is None
    assert len({launch[c.EVENT_ID], incident[c.EVENT_ID]}) == 2


def test_bad_entries_have_their_reason(spark: SparkSession) -> None:
    found = entries(
        spark,
        "name string, kind string, starts_at string, ends_at string, expected_lift string",
        ("no kind", None, "2025-01-06", None, None),
        ("no start", "launch", "soon", None, None),
        ("turned", "launch", "2025-01-06", "2025-01-05", None),
        ("good", "launch", "2025-01-06", "2025-01-07", "0.3"),
    )
    assert {name: row[c.DETAIL] for name, row in found.items()} == {
        "no kind": "it has no kind",
        "no start": "starts_at is no time",
        "turned": "it ends before it starts",
        "good": None,
    }
    assert found["good"][c.EXPECTED_LIFT] == 0.3
    assert found["turned"][c.REASON] == "bad_event"


def test_names_that_mean_nothing_are_told(spark: SparkSession) -> None:
    schema = "kind string, starts_at string, scope string"
    rows = [("party", "2025-01-06", "regoin=eu"), ("incident", "2025-01-06", "region=eu;metric=x")]
    odd = to_entries(spark.createDataFrame([*rows, ("typo", "soon", "a=b")], schema))
    assert find_odd_names(odd, KINDS, ["region"]) == [
        "entries of kind party have no effect; the kinds are live_event, launch, freeze, holiday, "
        "incident, deployment",
        "no item is in a scope that names regoin; the source has region, metric, group_id, item_id",
    ]
    assert find_odd_names(odd.where("kind = 'incident'"), KINDS, ["region"]) == []


def test_of_two_entries_with_one_id_the_later_known_counts(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [
            ("e1", "launch", "2025-01-08", "2025-01-01", {"a": "1"}),
            ("e1", "launch", "2025-01-06", "2024-12-01", {"a": "2"}),
            ("e2", "launch", "never", "2024-12-01", {}),
        ],
        "event_id string, kind string, starts_at string, known_at string, scope map<string,string>",
    )
    found = conform(build_events(to_entries(frame)), EVENTS).collect()
    assert [(row[c.EVENT_ID], row[c.STARTS_AT], row[c.SCOPE]) for row in found] == [
        ("e1", datetime(2025, 1, 8), {"a": "1"})
    ]


def test_a_calendar_without_start_is_refused(spark: SparkSession) -> None:
    frame = spark.createDataFrame([], "kind string, start_at string")
    with pytest.raises(SchemaError, match="no column 'starts_at'; did you mean 'start_at'"):
        to_entries(frame)


def test_what_cannot_be_read_is_no_empty_field(spark: SparkSession) -> None:
    """An end, a lift or a scope that was misread would change what an entry says, in silence."""
    columns = ("ends_at", "known_at", "expected_lift", "scope")
    said = {
        "end": ("tomorrow", None, None, None),
        "knowledge": (None, "soon", None, None),
        "lift": (None, None, "30%", None),
        "word": (None, None, None, "eu"),
        "broken": (None, None, None, "{region: eu"),
        "twice": (None, None, None, "region=eu;region=us"),
        "twice in JSON": (None, None, None, '{"region": "eu", "region": "us"}'),
        "half": (None, None, None, "region=eu;tier"),
        "nothing": ("", "NaN", "n/a", " "),
    }
    found = entries(
        spark,
        ", ".join(f"{name} string" for name in ("name", "kind", "starts_at", *columns)),
        *[(name, "launch", "2025-01-06", *fields) for name, fields in said.items()],
    )
    scope = "is neither JSON nor such as region=eu;tier=T1, each key once"
    assert {name: row[c.DETAIL] for name, row in found.items()} == {
        "end": "ends_at 'tomorrow' is no time",
        "knowledge": "known_at 'soon' is no time",
        "lift": "expected_lift '30%' is no number such as 0.3",
        "word": f"scope 'eu' {scope}",
        "broken": f"scope '{{region: eu' {scope}",
        "twice": f"scope 'region=eu;region=us' {scope}",
        "twice in JSON": f"scope '{said['twice in JSON'][3]}' {scope}",
        "half": f"scope 'region=eu;tier' {scope}",
        "nothing": None,
    }
