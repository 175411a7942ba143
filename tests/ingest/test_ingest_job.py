"""The ingest job end to end: accounts, repetition, and each way to fail, by message and code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jobs import ingest
from pyspark.sql import DataFrame, SparkSession

from headroom import columns as c
from headroom.cli import DONE, FAILED, Job, run_job
from headroom.config import build_config
from headroom.schemas import EVENTS, ITEMS, OBSERVATIONS, REJECTED_ROWS, RUNS, TELEMETRY, Table
from headroom.tables import Tables

Ingest = Callable[..., tuple[int, Job]]


@pytest.fixture
def run(spark: SparkSession, warehouse: str) -> Ingest:
    def run_once(**source: Any) -> tuple[int, Job]:
        values = {"warehouse": warehouse, "source": source}
        job = Job("ingest", build_config(values), Tables(spark, warehouse))
        return run_job(job, ingest.run), job

    return run_once


@pytest.fixture
def last_word(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    return lambda: capsys.readouterr().err.strip().splitlines()[-1]


def hourly(n: int, item: str = "a", value: str = "1") -> list[str]:
    return [f"{item},2025-01-{6 + h // 24:02d}T{h % 24:02d}:00:00Z,{value},eu" for h in range(n)]


def csv(path: Path, *lines: str, header: str = "item_id,timestamp,target,region") -> str:
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return str(path)


def content(tables: Tables, table: Table) -> list[Any]:
    frame: DataFrame = tables.read(table)
    return sorted(row.asDict(recursive=True).items().__str__() for row in frame.collect())


def test_every_row_is_accounted_for_and_a_second_run_changes_nothing(
    run: Ingest, tables: Tables, tmp_path: Path
) -> None:
    dirt = ["a,2025-01-06T00:00:00Z,3,eu", "a,soon,1,eu", "a,soon,1,eu", ",2025-01-06,1,eu"]
    missing = ["b,2025-01-06T00:00:00Z,NaN,us"]
    calendar = tmp_path / "calendar.json"
    source = {
        "format": "csv",
        "path": csv(tmp_path / "rows.csv", *hourly(96), *dirt, *missing),
        "dimensions": ["region"],
        "events": {"path": str(calendar), "format": "json"},
    }
    calendar.write_text(
        '{"kind": "launch", "starts_at": "2025-02-01", "scope": {"region": "eu"}}\n' * 30
        + '{"kind": "launch", "starts_at": "whenever"}\n'
    )
    code, job = run(**source)
    assert code == DONE
    assert job.counts == {
        "rows_in": 101,
        "refused": 3,
        "missing": 1,
        "kept": 97,
        "merged": 1,
        "items": 2,
        "events": 30,
        "events_refused": 1,
    }
    refused = {
        (row[c.REASON], row[c.N_ROWS], Path(row[c.SOURCE_FILE]).name)
        for row in tables.read(REJECTED_ROWS).collect()
    }
    assert refused == {
        ("bad_timestamp", 2, "rows.csv"),
        ("no_item_id", 1, "rows.csv"),
        ("bad_event", 1, "calendar.json"),
    }
    assert tables.read(EVENTS).count() == 1
    written = (OBSERVATIONS, ITEMS, EVENTS, REJECTED_ROWS)
    before = [content(tables, table) for table in written]
    code, again = run(**source)
    assert (code, again.counts, again.fingerprint) == (DONE, job.counts, job.fingerprint)
    fresh = Tables(tables.spark, tables.warehouse)
    assert [content(fresh, table) for table in written] == before
    assert fresh.read(RUNS).count() == 2


def test_corrected_rows_take_the_place_of_earlier_ones(
    run: Ingest, tables: Tables, tmp_path: Path
) -> None:
    run(format="csv", path=csv(tmp_path / "one.csv", *hourly(3)))
    late = ["a,2025-01-06T02:00:00Z,7,eu", "a,2025-01-06T03:00:00Z,8,eu"]
    run(format="csv", path=csv(tmp_path / "two.csv", *late))
    found = {r[c.TIMESTAMP].hour: r[c.TARGET] for r in tables.read(OBSERVATIONS).collect()}
    assert found == {0: 1.0, 1: 1.0, 2: 7.0, 3: 8.0}


def test_json_lines_and_a_line_that_is_none(run: Ingest, tables: Tables, tmp_path: Path) -> None:
    rows = [
        json.dumps({"item_id": "a", "timestamp": 1_736_121_600 + 3600 * h, "target": h / 2})
        for h in range(40)
    ]
    path = tmp_path / "rows.json"
    path.write_text("\n".join([*rows, '{"item_id": "a", "times']))
    code, job = run(format="json", path=str(path))
    assert (code, job.counts["kept"], job.counts["refused"]) == (DONE, 40, 1)
    refused = tables.read(REJECTED_ROWS).first()
    assert (refused[c.REASON], refused[c.DETAIL]) == ("malformed", "the line cannot be read")
    assert '{\\"item_id\\": \\"a\\", \\"times' in refused[c.RAW]


def test_the_simulated_telemetry_and_a_table_are_sources(
    run: Ingest, tables: Tables, spark: SparkSession
) -> None:
    fixed = ("svc", "eu", "team", "T1", "requests", "count", "req/h", "Europe/Berlin", "svc/eu")
    rows = [("svc/eu/requests", f"2025-01-06T{h:02d}:00:00Z", str(h), *fixed) for h in range(3)]
    tables.replace(spark.createDataFrame(rows, TELEMETRY.schema), TELEMETRY)
    code, job = run(format="simulated")
    assert (code, job.counts["kept"]) == (FAILED, 3)  # the calendar is not there
    item = tables.read(ITEMS).first()
    assert item[c.DIMENSIONS] == {"service": "svc", "region": "eu", "team": "team", "tier": "T1"}
    assert (item[c.METRIC], item[c.GROUP_ID]) == ("requests", "svc/eu")
    code, job = run(format="delta", path=f"{tables.warehouse}/{TELEMETRY.name}")
    assert (code, job.counts["kept"]) == (DONE, 3)


class TestFailures:
    def test_missing_column(self, run: Ingest, last_word: Any, tmp_path: Path) -> None:
        path = csv(tmp_path / "rows.csv", "a,2025-01-06,1,eu")
        code, _ = run(format="csv", path=path, columns={"target": "value"})
        assert code == FAILED
        assert last_word() == (
            "headroom: ingest failed: the source has no column 'value', which "
            "source.columns.target names; it has: item_id, region, target, timestamp"
        )

    @pytest.mark.parametrize("kind", ["csv", "parquet", "json", "delta"])
    def test_no_file(self, run: Ingest, last_word: Any, tmp_path: Path, kind: str) -> None:
        path = f"{tmp_path}/nothing"
        assert run(format=kind, path=path)[0] == FAILED
        assert last_word().startswith(
            f"headroom: ingest failed: cannot read source.path {path} as {kind}: "
        )

    def test_a_file_of_another_kind(self, run: Ingest, last_word: Any, tmp_path: Path) -> None:
        path = csv(tmp_path / "rows.csv", *hourly(3))
        assert run(format="parquet", path=path)[0] == FAILED
        assert f"cannot read source.path {path} as parquet" in last_word()

    def test_a_damaged_file(
        self, run: Ingest, last_word: Any, tmp_path: Path, spark: SparkSession
    ) -> None:
        rows = [(str(i), f"2025-01-06T{i % 24:02d}:00:00Z", float(i)) for i in range(5_000)]
        frame = spark.createDataFrame(rows, "item_id string, timestamp string, target double")
        frame.coalesce(1).write.parquet(f"{tmp_path}/rows")
        part = next((tmp_path / "rows").glob("part-*.parquet"))
        blob = bytearray(part.read_bytes())
        blob[100 : len(blob) // 2] = b"\x00" * (len(blob) // 2 - 100)  # the footer stays whole
        part.write_bytes(blob)
        for check in (tmp_path / "rows").glob(".*.crc"):
            check.unlink()
        assert run(format="parquet", path=f"{tmp_path}/rows")[0] == FAILED
        assert f"cannot read source.path {tmp_path}/rows as parquet" in last_word()

    def test_an_empty_source(
        self, run: Ingest, last_word: Any, tmp_path: Path, tables: Tables
    ) -> None:
        assert run(format="csv", path=csv(tmp_path / "rows.csv"))[0] == FAILED
        assert "the source holds no rows" in last_word()
        assert not tables.exists(OBSERVATIONS)
        path = csv(tmp_path / "rows.csv", *hourly(3))
        assert run(format="csv", path=path, where={"region": ["asia"]})[0] == FAILED
        assert "the source holds no rows (after source.where)" in last_word()

    def test_a_target_that_is_no_number(
        self, run: Ingest, last_word: Any, tmp_path: Path, tables: Tables
    ) -> None:
        path = csv(tmp_path / "rows.csv", *hourly(3))
        assert run(format="csv", path=path, columns={"target": "region"})[0] == FAILED
        assert last_word() == (
            "headroom: ingest failed: 3 of 3 rows were refused, more than "
            "limits.max_rejected_rows=0.05 allows; 3 of them for bad_target, for example: column "
            "'region', target 'eu' is no number; name a numeric column in source.columns.target. "
            "All are in table rejected_rows"
        )
        assert tables.read(REJECTED_ROWS).count() == 3
        assert not tables.exists(OBSERVATIONS)
        assert tables.read(RUNS).first()[c.STATUS] == "failed"

    def test_a_name_of_a_table_that_is_no_name(self, run: Ingest, last_word: Any) -> None:
        assert run(format="table", path="x; DROP TABLE y")[0] == FAILED
        assert "'x; DROP TABLE y' is no table name" in last_word()
