"""The job on a warehouse in which the pipeline has not come far."""

from pathlib import Path

from pyspark.sql import SparkSession
from test_gather import frame, series_row

from headroom import schemas as s
from headroom.cli import Job
from headroom.config import build_config
from headroom.tables import Tables
from jobs import report


def test_the_job_replaces_one_file(
    spark: SparkSession, tables: Tables, warehouse: str, tmp_path: Path
) -> None:
    tables.replace(frame(spark, s.SERIES, series_row("a/cpu"), series_row("b/cpu")), s.SERIES)
    path = tmp_path / "report.html"
    path.write_text("an older page")
    config = build_config({"warehouse": warehouse, "report": {"path": str(path)}})
    job = Job("report", config, Tables(spark, warehouse))
    report.run(job)
    page = path.read_text(encoding="utf-8")
    assert sorted(tmp_path.iterdir()) == [path, Path(warehouse)]
    assert job.counts == {"series_drawn": 2, "bytes": len(page.encode())}
    assert "a/cpu" in page
    assert "No backtest has run yet" in page
    assert job.closing.splitlines()[-1].strip() == str(path)
    assert "2 hourly series, 31 October 2025 to 2 November 2025." in job.closing
