"""The edge of a job: exit codes, the last line, the run record."""

import os
import signal
import threading
import time

import pytest
from py4j.protocol import Py4JNetworkError
from pyspark.sql import SparkSession

from headroom import cli
from headroom.config import Config
from headroom.errors import DataError
from headroom.schemas import RUNS
from headroom.tables import Tables
from jobs import pipeline


def job(spark: SparkSession, config: Config) -> cli.Job:
    return cli.Job("score", config, Tables(spark, config.warehouse), ["--x"])


def recorded(spark: SparkSession, config: Config) -> dict[str, object]:
    rows = Tables(spark, config.warehouse).read(RUNS).collect()
    assert len(rows) == 1
    return rows[0].asDict()


def test_a_run_that_is_done(spark: SparkSession, config: Config) -> None:
    code = cli.run_job(job(spark, config), lambda run: run.count(series=3))
    row = recorded(spark, config)
    assert (code, row["status"], row["exit_code"]) == (0, "done", 0)
    assert row["counts"] == {"series": 3}
    assert row["arguments"] == ["--x"]


def test_a_run_that_refused_too_much(
    spark: SparkSession, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run_job(job(spark, config), lambda run: run.limit_refused(3, 10))
    assert (code, recorded(spark, config)["status"]) == (3, "partial")
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("headroom: score done, but 3 of 10 series were refused")


def test_a_run_that_fails_says_why_in_one_line(
    spark: SparkSession, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    def body(_: cli.Job) -> None:
        raise DataError("the source\nis empty; check source.path")

    assert cli.run_job(job(spark, config), body) == 1
    row = recorded(spark, config)
    assert (row["status"], row["exit_code"]) == ("failed", 1)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "headroom: score failed: the source is empty; check source.path"


def test_an_error_nobody_foresaw_is_recorded_too(spark: SparkSession, config: Config) -> None:
    run = job(spark, config)
    assert cli.run_job(run, lambda _: 1 / 0) == 1  # type: ignore[arg-type, return-value]
    assert recorded(spark, config)["message"] == "ZeroDivisionError: division by zero"


def test_a_driver_process_that_is_gone_is_named(
    spark: SparkSession, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    def body(_: cli.Job) -> None:
        raise Py4JNetworkError("Answer from Java side is empty")

    assert cli.run_job(job(spark, config), body) == 1
    assert "score failed: Spark's driver process is gone: it was" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_stop_is_recorded_and_its_work_cancelled(
    spark: SparkSession,
    config: Config,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    def body(run: cli.Job) -> None:
        threading.Timer(2, os.kill, [os.getpid(), number]).start()
        run.spark.sparkContext.parallelize(range(2), 2).foreach(lambda _: time.sleep(300))

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    started = time.monotonic()
    try:
        cli.stop_on_signals()
        assert cli.run_job(job(spark, config), body) == 128 + number
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    row = recorded(spark, config)
    assert (row["status"], row["exit_code"]) == ("failed", 128 + number)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"headroom: score failed: stopped by {number.name}; start it again to go on"
    jobs = spark.sparkContext.statusTracker()
    while jobs.getActiveJobsIds() and time.monotonic() - started < 250:
        time.sleep(0.1)  # Spark tells of the end of a job a moment after it ended
    assert time.monotonic() - started < 250


def test_a_stop_is_told_as_one_where_the_call_to_spark_fails_as_it_ends(
    spark: SparkSession,
    config: Config,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def body(_: cli.Job) -> None:
        try:
            raise KeyboardInterrupt(signal.SIGTERM)
        finally:
            raise Py4JNetworkError("Answer from Java side is empty")

    cancel = spark.sparkContext.cancelAllJobs
    errors = [Py4JNetworkError("Answer from Java side is empty"), ConnectionRefusedError()]

    def cancel_at_the_third_try() -> None:
        if errors:
            raise errors.pop()
        cancel()

    monkeypatch.setattr(spark.sparkContext, "cancelAllJobs", cancel_at_the_third_try)
    assert cli.run_job(job(spark, config), body) == 143
    assert not errors
    assert recorded(spark, config)["exit_code"] == 143
    assert "score failed: stopped by SIGTERM" in capsys.readouterr().err


def test_a_small_share_of_refused_series_is_fine(spark: SparkSession, config: Config) -> None:
    run = job(spark, config)
    run.limit_refused(1, 100)
    run.limit_refused(0, 0)
    assert run.partial == ""


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["--print-config", "--set", "seed=9"], None, "seed: 9"),
        (["--print-schema"], None, '"properties"'),
        (["--set", "sed=9"], 2, "unknown setting sed; did you mean seed?"),
        (["--config", "/nowhere.yaml"], 2, "cannot read the configuration /nowhere.yaml"),
        (["--until", "lunch"], 2, "invalid choice: 'lunch'"),
    ],
)
def test_the_command_line(
    argv: list[str], code: int | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if code is None:
        pipeline.main(argv)
    else:
        with pytest.raises(SystemExit) as ended:
            pipeline.main(argv)
        assert ended.value.code == code
    printed = capsys.readouterr()
    assert said in printed.out + printed.err


def test_the_fleet_is_simulated_only_where_it_is_the_source(config: Config) -> None:
    assert pipeline.jobs_until("features", config) == ["simulate", "ingest", "features"]
    other = config.model_copy(
        update={"source": config.source.model_copy(update={"format": "csv", "path": "x"})}
    )
    assert pipeline.jobs_until("features", other) == ["ingest", "features"]


def test_the_code_version_is_of_the_parts_that_are_named() -> None:
    assert cli.code_version() == cli.code_version()
    assert cli.code_version("series") != cli.code_version("series", "model")
