"""The whole path on a small real fleet: every table, real ranks, repeatable."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from headroom.cli import DONE, Job, run_job
from headroom.coldstart import SIBLINGS
from headroom.config import Config, build_config
from headroom.evaluation import gate
from headroom.schemas import (
    BACKTEST_FORECASTS,
    BACKTESTS,
    FORECASTS,
    MODELS,
    MONITORING,
    RECOMMENDATIONS,
    RUNS,
    SELECTIONS,
    SERIES,
    TRAINING_LOG,
    Table,
)
from headroom.series.methods import METHODS
from headroom.tables import Tables
from jobs import backtest, features, ingest, maintain, monitor, recommend, report, score, train

HOURS, HORIZON, WINDOWS = 24 * 21, 12, 2
BODIES = {
    "ingest": ingest.run,
    "features": features.run,
    "train": train.run,
    "backtest": backtest.run,
    "score": score.run,
    "recommend": recommend.run,
    "monitor": monitor.run,
    "report": report.run,
    "maintain": maintain.run,
}


def write_source(path: Path) -> None:
    hours = pd.date_range("2024-03-01", periods=HOURS, freq="h")
    rows = []
    for place, region in enumerate(("eu", "us", "ap")):
        rng = np.random.default_rng(place)
        wave = 1 + 0.5 * np.sin(2 * np.pi * (np.arange(HOURS) + 8 * place) / 24)
        for metric, level in (("requests", 1e4), ("latency", 80.0)):
            values = level * wave * rng.lognormal(0, 0.05, HOURS)
            rows.append(
                pd.DataFrame(
                    {"item_id": f"{region}/{metric}", "timestamp": hours, "target": values}
                ).assign(region=region, metric=metric)
            )
    short = rows[0].tail(5).assign(item_id="new/requests", region="new")
    alone = short.assign(item_id="new/errors", metric="errors")
    pd.concat([*rows, short, alone]).to_csv(path, index=False)


def config_of(folder: Path) -> Config:
    return build_config(
        {
            "warehouse": str(folder / "warehouse"),
            "source": {
                "format": "csv",
                "path": str(folder / "source.csv"),
                "columns": {"metric": "metric"},
                "dimensions": ["region"],
            },
            "forecast": {"prediction_length": HORIZON},
            "backtest": {"windows": WINDOWS, "selection_windows": 2},
            "training": {"steps": 20, "batch_size": 32, "hidden_size": 8, "members": 1},
            "limits": {"max_refused_series": 0.5},
            "recommend": {"paths": 50},
        }
    )


@pytest.fixture(scope="module")
def pipeline(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Config, Tables]:
    folder = tmp_path_factory.mktemp("fleet")
    write_source(folder / "source.csv")
    config = config_of(folder)
    for name, body in BODIES.items():
        job = Job(name, config, Tables(spark, config.warehouse))
        assert run_job(job, body) == DONE, (name, job.failure)
    return config, Tables(spark, config.warehouse)


def rows_of(tables: Tables, table: Table, *order: str) -> pd.DataFrame:
    return (
        tables.read(table).toPandas().sort_values(list(order or table.key)).reset_index(drop=True)
    )


def test_every_series_has_its_row_and_its_reason(pipeline: tuple[Config, Tables]) -> None:
    _, tables = pipeline
    series = rows_of(tables, SERIES).set_index("item_id")
    assert len(series) == 8
    assert series.loc["new/requests", "status"] == "short_history"
    assert "5" in series.loc["new/requests", "reason"]


def test_two_ranks_trained_and_left_their_log(pipeline: tuple[Config, Tables]) -> None:
    _, tables = pipeline
    log = rows_of(tables, TRAINING_LOG)
    assert set(log["rank"]) == {0, 1}
    assert np.isfinite(log["loss"]).all()
    models = rows_of(tables, MODELS)
    assert models["stage"].tolist() == ["champion"]
    assert models["metrics"][0]["served"] > 0


def test_backtest_judges_every_series_by_every_method(pipeline: tuple[Config, Tables]) -> None:
    _, tables = pipeline
    found = rows_of(tables, BACKTEST_FORECASTS)
    assert found["item_id"].nunique() == 6
    assert set(found["model"]) == set(METHODS)
    assert len(found) == 6 * len(METHODS) * WINDOWS * HORIZON
    one = found.groupby(["item_id", "forecast_start", "timestamp"])["is_selected"].sum()
    assert (one == 1).all()
    quantiles = np.stack(found["quantiles"])
    assert (np.diff(quantiles, axis=1) >= -1e-9 * np.abs(quantiles[:, 1:])).all()
    assert found["target"].notna().all()
    measured = rows_of(tables, BACKTESTS)
    served = measured[measured["is_selected"]]
    naive = measured[measured["model"] == "seasonal_naive"]
    wql = served["quantile_loss"].sum() / served["abs_target"].sum()
    assert wql < naive["quantile_loss"].sum() / naive["abs_target"].sum()


def test_every_series_is_forecast_or_refused_with_a_reason(pipeline: tuple[Config, Tables]) -> None:
    _, tables = pipeline
    found = rows_of(tables, FORECASTS)
    fine = found[found["status"] == "ok"]
    assert fine.groupby("item_id").size().eq(HORIZON).all()
    assert fine["item_id"].nunique() == 7
    assert fine["timestamp"].min() == pd.Timestamp("2024-03-22")
    refused = found[found["status"] != "ok"]
    assert refused["item_id"].tolist() == ["new/errors"]
    assert refused["step"].tolist() == [0]
    assert refused["reason"].notna().all()
    served = rows_of(tables, SELECTIONS)
    assert set(fine["method"]) <= {*served["method"], SIBLINGS}


def test_a_series_of_five_hours_is_forecast_as_its_siblings_are(
    pipeline: tuple[Config, Tables],
) -> None:
    _, tables = pipeline
    found = rows_of(tables, FORECASTS, "step")
    young = found[found["item_id"] == "new/requests"].sort_values("step")
    assert set(young["method"]) == {SIBLINGS}
    assert young["reason"].str.contains("forecast from 3 series of the same metric").all()
    older = found[found["item_id"].isin(["eu/requests", "us/requests", "ap/requests"])]
    assert older["mean"].min() / 2 < young["mean"].min()
    assert young["mean"].max() < 2 * older["mean"].max()

    def width(rows: pd.DataFrame) -> float:
        return float(np.mean([quantiles[-1] - quantiles[0] for quantiles in rows["quantiles"]]))

    assert width(young) > width(older[older["item_id"] == "eu/requests"])


def test_a_fleet_without_capacity_is_told_so_and_nothing_fails(
    pipeline: tuple[Config, Tables],
) -> None:
    _, tables = pipeline
    found = rows_of(tables, RECOMMENDATIONS)
    assert "failed" not in set(found["outcome"])
    assert rows_of(tables, MONITORING).empty


def test_the_report_is_one_file_without_a_network(pipeline: tuple[Config, Tables]) -> None:
    config, _ = pipeline
    page = Path(config.report_path).read_text(encoding="utf-8")
    assert "eu/requests" in page
    assert 'src="http' not in page and 'href="http' not in page


def test_every_run_is_on_record(pipeline: tuple[Config, Tables]) -> None:
    _, tables = pipeline
    runs = rows_of(tables, RUNS).set_index("job")
    assert set(runs.index) == set(BODIES)
    assert (runs["status"] == "done").all()
    assert "series" in dict(runs.loc["train", "tables_read"])
    assert json.loads(runs.loc["train", "config"])["training"]["steps"] == 20


def test_a_second_run_leaves_the_same_rows(
    pipeline: tuple[Config, Tables], spark: SparkSession
) -> None:
    config, before = pipeline
    kept = (SERIES, MODELS, BACKTEST_FORECASTS, SELECTIONS, FORECASTS, RECOMMENDATIONS)
    first = {table.name: rows_of(before, table) for table in kept}
    for name in ("ingest", "features", "train", "backtest", "score", "recommend"):
        job = Job(name, config, Tables(spark, config.warehouse))
        assert run_job(job, BODIES[name]) == DONE
    after = Tables(spark, config.warehouse)
    for table in kept:
        pd.testing.assert_frame_equal(rows_of(after, table), first[table.name])


def test_later_actuals_are_compared_with_the_forecast(
    pipeline: tuple[Config, Tables], spark: SparkSession
) -> None:
    from headroom.monitor import build_monitoring

    _, tables = pipeline
    longer = tables.read(SERIES).selectExpr(
        "item_id", "group_id", "freq", "start", "time_zone", "length + 12 as length",
        "concat(target, array_repeat(1D, 12)) as target",
    )  # fmt: skip
    forecasts, backtests, known = map(tables.read, (FORECASTS, BACKTESTS, MONITORING))
    found = build_monitoring(forecasts, longer, backtests, known).toPandas()
    assert set(found["measure"]) == {"weighted_quantile_loss", "coverage_80"}
    promised = found[found["expected"].notna()]  # nothing was promised for a first forecast
    assert promised["group_id"].nunique() == 6
    assert (promised["status"] == "drift").all()  # ten thousand requests became one


def test_a_new_model_serves_unless_it_is_worse(
    pipeline: tuple[Config, Tables],
    spark: SparkSession,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level("INFO", logger="headroom")
    config, before = pipeline
    first = rows_of(before, MODELS)["model_version"][0]
    other = build_config({**config.model_dump(mode="json"), "seed": 8})
    tables = run_all(spark, other, "train")
    (second,) = set(rows_of(tables, MODELS)["model_version"]) - {first}

    with monkeypatch.context() as patched:  # on so few series both serve the floor: as if not
        patched.setattr(gate, "loss_ratio", pretended(champion=1.5, naive=0.9))
        tables = run_all(spark, other, "backtest")
    assert stages(tables) == {first: "champion", second: "candidate"}
    metrics = rows_of(tables, MODELS).set_index("model_version")["metrics"]
    assert metrics[second]["vs_champion"] == 1.5
    assert f"model {first} goes on serving: the loss of {second} is 1.500 times" in caplog.text
    assert set(rows_of(tables, BACKTESTS)["model_version"]) == {first}

    tables = run_all(spark, other, "backtest")
    assert stages(tables) == {first: "archived", second: "champion"}
    metrics = rows_of(tables, MODELS).set_index("model_version")["metrics"]
    assert metrics[second]["vs_champion"] == pytest.approx(1, abs=0.05)
    assert f"model {second} serves in place of {first}: its loss is" in caplog.text
    assert set(rows_of(tables, BACKTESTS)["model_version"]) == {second}
    assert set(rows_of(tables, SELECTIONS)["model_version"]) == {first, second}


def test_a_champion_that_has_seen_the_windows_is_not_judged(
    pipeline: tuple[Config, Tables], spark: SparkSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="headroom")
    config, _ = pipeline
    changed = {**config.model_dump(mode="json"), "seed": 9}
    changed["backtest"] = {"windows": WINDOWS + 2, "selection_windows": 2}
    tables = run_all(spark, build_config(changed), "train", "backtest")
    assert "cannot be judged beside it: the model has seen the window 72 steps" in caplog.text
    (third,) = set(rows_of(tables, BACKTESTS)["model_version"])
    assert stages(tables)[third] == "champion"


def test_a_forecast_of_the_same_start_is_replaced_whole(
    pipeline: tuple[Config, Tables], spark: SparkSession
) -> None:
    config, _ = pipeline
    shorter = {**config.model_dump(mode="json"), "forecast": {"prediction_length": HORIZON // 2}}
    retired = {"series": {"retired": ["eu/latency"]}, "limits": {"max_refused_series": 0.5}}
    tables = run_all(spark, build_config(shorter | retired), "features", "score")
    found = rows_of(tables, FORECASTS)
    fine = found[found["status"] == "ok"]
    assert fine.groupby("item_id").size().eq(HORIZON // 2).all()
    assert found[found["item_id"] == "eu/latency"]["status"].tolist() == ["retired"]


def pretended(champion: float, naive: float) -> Callable[[DataFrame, DataFrame, DataFrame], float]:
    def ratio(_: DataFrame, theirs: DataFrame, __: DataFrame) -> float:
        return naive if theirs.first()["model"] == "seasonal_naive" else champion

    return ratio


def run_all(spark: SparkSession, config: Config, *names: str) -> Tables:
    """The tables after these jobs."""
    for name in names:
        job = Job(name, config, Tables(spark, config.warehouse))
        assert run_job(job, BODIES[name]) == DONE, (name, job.failure)
    return Tables(spark, config.warehouse)


def stages(tables: Tables) -> dict[str, str]:
    return dict(rows_of(tables, MODELS)[["model_version", "stage"]].to_numpy())
