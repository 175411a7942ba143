"""The ingest job end to end: accounts, repetition, and each way to fail, by message and code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from delta import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from headroom import columns as c
from headroom.cli import FAILED, Job, run_job
from headroom.config import build_config
from headroom.errors import DataError, HeadroomError, SchemaError
from headroom.ingest.mapping import to_mapped
from headroom.ingest.rows import tell, to_rows
from headroom.ingest.survey import build_survey
from headroom.readers import source_frame
from headroom.schemas import (
    CALENDAR,
    EVENTS,
    ITEMS,
    OBSERVATIONS,
    REJECTED_ROWS,
    RUNS,
    TELEMETRY,
    Table,
)
from headroom.tables import Tables
from jobs import ingest

Ingest = Callable[..., Job]


@pytest.fixture
def make_job(spark: SparkSession, warehouse: str) -> Ingest:
    def make(**source: Any) -> Job:
        config = build_config({"warehouse": warehouse, "source": source})
        return Job("ingest", config, Tables(spark, warehouse))

    return make


@pytest.fixture
def run(make_job: Ingest) -> Ingest:
    """Runs the job's body alone: a failure is raised, and no run is recorded."""

    def run_once(**source: Any) -> Job:
        job = make_job(**source)
        ingest.run(job)
        return job

    return run_once


def hourly(n: int, item: str = "a", value: str = "1") -> list[str]:
    return [f"{item},2025-01-{6 + h // 24:02d}T{h % 24:02d}:00:00Z,{value},eu" for h in range(n)]


def csv(path: Path, *lines: str, header: str = "item_id,timestamp,target,region") -> str:
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return str(path)


def content(tables: Tables, table: Table) -> list[Any]:
    frame: DataFrame = tables.read(table)
    return sorted(row.asDict(recursive=True).items().__str__() for row in frame.collect())


def test_rows_are_accounted_for_and_merged_and_a_second_run_changes_nothing(
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
    job = run(**source)
    assert job.counts == {
        "files": 1,
        "files_repeated": 0,
        "files_known": 0,
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
    again = run(**source)
    assert again.counts == {
        "files": 0,
        "files_repeated": 0,
        "files_known": 1,
        "events": 30,
        "events_refused": 1,
    }
    DeltaTable.forPath(tables.spark, f"{tables.warehouse}/ingested_files").delete()
    again = run(**source)
    assert (again.counts, again.fingerprint) == (job.counts, job.fingerprint)
    fresh = Tables(tables.spark, tables.warehouse)
    assert [content(fresh, table) for table in written] == before
    corrected = ["a,2025-01-06T01:00:00Z,7,eu", "a,2025-01-20T00:00:00Z,8,eu"]
    run(format="csv", path=csv(tmp_path / "late.csv", *corrected))
    rows = Tables(tables.spark, tables.warehouse).read(OBSERVATIONS)
    assert rows.count() == 98
    assert {row[c.TARGET] for row in rows.where("target > 6").collect()} == {7.0, 8.0}


def test_json_lines_and_a_line_that_is_none(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    good = {"item_id": "a", "timestamp": 1_736_121_600, "target": 0.5, "tags": ["x"]}
    path.write_text(json.dumps(good) + '\n{"item_id": "a", "times')
    source = build_config(
        {"warehouse": "x", "source": {"format": "json", "path": str(path)}}
    ).source
    frame = source_frame(spark, str(path), "json")
    rows = to_rows(to_mapped(frame, source), source)
    assert [(r[c.TARGET], r[c.REASON]) for r in rows.collect()] == [
        (0.5, None),
        (None, "malformed"),
    ]
    told = tell(build_survey(rows), source).first()
    assert told[c.DETAIL] == "the line cannot be read"
    assert '{\\"item_id\\": \\"a\\", \\"times' in told[c.RAW]


def test_the_simulated_telemetry_is_a_source(
    run: Ingest, tables: Tables, spark: SparkSession
) -> None:
    fixed = ("svc", "eu", "team", "T1", "requests", "count", "req/h", "Europe/Berlin", "svc/eu")
    rows = [("svc/eu/requests", f"2025-01-06T{h:02d}:00:00Z", str(h), *fixed) for h in range(3)]
    tables.replace(spark.createDataFrame(rows, TELEMETRY.schema), TELEMETRY)
    tables.create(CALENDAR)
    assert run(format="simulated").counts["kept"] == 3
    item = tables.read(ITEMS).first()
    assert item[c.DIMENSIONS] == {"service": "svc", "region": "eu", "team": "team", "tier": "T1"}
    assert (item[c.METRIC], item[c.GROUP_ID]) == ("requests", "svc/eu")


def test_many_files_in_folders(run: Ingest, tmp_path: Path) -> None:
    for number, day in enumerate((1, 2, 3)):
        folder = tmp_path / "rows" / f"day={day}"
        folder.mkdir(parents=True)
        lines = [json.dumps({"item_id": "a", "timestamp": f"2025-01-0{day}", "target": number})]
        (folder / "part.jsonl").write_text("\n".join(lines))
    assert run(format="json", path=f"{tmp_path}/rows", dimensions=["day"]).counts["kept"] == 3


class TestFailures:
    """Each a HeadroomError, whose exit code is 1, with a message for a person."""

    def test_missing_column(self, run: Ingest, tmp_path: Path) -> None:
        path = csv(tmp_path / "rows.csv", "a,2025-01-06,1,eu")
        with pytest.raises(SchemaError) as error:
            run(format="csv", path=path, columns={"target": "value"})
        assert str(error.value) == (
            "the source has no column 'value', which source.columns.target names; "
            "it has: item_id, region, target, timestamp"
        )
        assert error.value.exit_code == FAILED

    @pytest.mark.parametrize("kind", ["csv", "parquet", "json", "delta"])
    def test_no_file(self, run: Ingest, tmp_path: Path, kind: str) -> None:
        path = f"{tmp_path}/nothing"
        with pytest.raises(DataError, match=f"cannot read source.path {path} as {kind}: "):
            run(format=kind, path=path)

    def test_a_file_of_another_kind(self, run: Ingest, tmp_path: Path) -> None:
        path = csv(tmp_path / "rows.csv", *hourly(3))
        with pytest.raises(DataError, match=f"cannot read source.path {path} as parquet: "):
            run(format="parquet", path=path)

    def test_files_with_columns_in_another_order(self, run: Ingest, tmp_path: Path) -> None:
        (tmp_path / "rows").mkdir()
        csv(tmp_path / "rows" / "1.csv", *hourly(3))
        csv(
            tmp_path / "rows" / "2.csv",
            "1,2025-01-06,a,eu",
            header="target,timestamp,item_id,region",
        )
        with pytest.raises(DataError, match=r"cannot read source.path .*CSV header.*rows/2\.csv\)"):
            run(format="csv", path=f"{tmp_path}/rows")

    def test_a_damaged_file(self, run: Ingest, tmp_path: Path, spark: SparkSession) -> None:
        rows = [(str(i), f"2025-01-06T{i % 24:02d}:00:00Z", float(i)) for i in range(5_000)]
        frame = spark.createDataFrame(rows, "item_id string, timestamp string, target double")
        frame.coalesce(1).write.parquet(f"{tmp_path}/rows")
        part = next((tmp_path / "rows").glob("part-*.parquet"))
        blob = bytearray(part.read_bytes())
        blob[100 : len(blob) // 2] = b"\x00" * (len(blob) // 2 - 100)  # the footer stays whole
        part.write_bytes(blob)
        for check in (tmp_path / "rows").glob(".*.crc"):
            check.unlink()
        with pytest.raises(
            DataError, match=f"cannot read source.path {tmp_path}/rows as parquet"
        ) as e:
            run(format="parquet", path=f"{tmp_path}/rows")
        assert f"(in file://{part})" in str(e.value)

    def test_an_empty_source(self, run: Ingest, tmp_path: Path, tables: Tables) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match=r"source.path .*/empty holds no files with content"):
            run(format="csv", path=f"{tmp_path}/empty")
        (tmp_path / "empty" / "rows.csv").touch()
        with pytest.raises(DataError, match=r"source.path .*/empty holds no files with content"):
            run(format="csv", path=f"{tmp_path}/empty")
        with pytest.raises(DataError, match="the source holds no rows"):
            run(format="csv", path=csv(tmp_path / "rows.csv"))
        path = csv(tmp_path / "rows.csv", *hourly(3))
        with pytest.raises(DataError, match=r"holds no rows \(after source.where\)"):
            run(format="csv", path=path, where={"region": ["asia"]})
        assert not tables.exists(OBSERVATIONS)
        assert not tables.exists(REJECTED_ROWS)

    def test_a_target_that_is_no_number(
        self,
        make_job: Ingest,
        tmp_path: Path,
        tables: Tables,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        path = csv(tmp_path / "rows.csv", *hourly(3))
        job = make_job(format="csv", path=path, columns={"target": "region"})
        assert run_job(job, ingest.run) == FAILED
        assert capsys.readouterr().err.strip().splitlines()[-1] == (
            "headroom: ingest failed: 3 of 3 rows were refused, more than "
            "limits.max_rejected_rows=0.05 allows; 3 of them for bad_target, for example: column "
            "'region', target 'eu' is no number; name a numeric column in source.columns.target. "
            "All are in table rejected_rows"
        )
        assert tables.read(REJECTED_ROWS).count() == 3
        assert not tables.exists(OBSERVATIONS)
        assert tables.read(RUNS).first()[c.STATUS] == "failed"

    def test_a_name_of_a_table_that_is_no_name(self, run: Ingest) -> None:
        with pytest.raises(HeadroomError, match="'x; DROP TABLE y' is no table name"):
            run(format="table", path="x; DROP TABLE y")
