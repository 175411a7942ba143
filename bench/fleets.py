"""How the networks do where it is hard: on fleets of a dozen series, on series that were kept from
training, and in live events with and without the calendar.

    conf/environment.sh python bench/fleets.py small DATA.parquet HORIZON [--draws 20] [--size 12]
    conf/environment.sh python bench/fleets.py withheld DATA.parquet HORIZON [--draws 5]
    conf/environment.sh python bench/fleets.py calendar [--draws 3] [--untold]

DATA has the columns item_id, timestamp, target. `small` draws fleets from it and holds what was
served against the log AR, on the last window. `withheld` trains without a tenth of the items and
compares their loss, relative to the seasonal naive's, with that of the others. `calendar` simulates
fleets and trains twice, with the calendar and without, and compares the loss in live events.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from bench.local import local_session
from headroom import columns as c
from headroom.cli import Job
from headroom.config import Config, build_config
from headroom.evaluation.backtest import design_of, evaluate
from headroom.evaluation.measures import SERVED
from headroom.evaluation.verdict import build_backtest_forecasts, build_backtests, fleet_record
from headroom.features.flags import without_flagged
from headroom.model.artifact import digest
from headroom.schemas import SERIES
from headroom.scoring import OK, ModelFile
from headroom.series.methods import LOG_AR, LSTM, SEASONAL_NAIVE
from headroom.series.metrics import quantile_losses
from headroom.tables import Tables
from headroom.training.ensemble import export, starting_weights, task_of, train_ensemble
from jobs import features, ingest, simulate

SHARE_WITHHELD = 0.1
NAIVE2 = (18.383, 2.395)  # sMAPE and MASE of Naive2 on M4 hourly: the weights of OWA


def main() -> None:
    options = parse()
    spark = local_session()
    spark.sparkContext.setLogLevel("ERROR")
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for row in options.question(spark, options, folder):
            rows.append(row)
            print("  ".join(f"{k} {_text(v)}" for k, v in row.items()), flush=True)
    print(table(rows))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    questions = parser.add_subparsers(required=True)
    for question, draws in ((small, 20), (withheld, 5), (calendar, 3)):
        one = questions.add_parser(question.__name__, help=question.__doc__)
        one.set_defaults(question=question)
        one.add_argument("--draws", type=int, default=draws)
        one.add_argument("--seed", type=int, default=7)
        if question is not calendar:
            one.add_argument("data")
            one.add_argument("horizon", type=int)
            one.add_argument("--freq", default="h")
        if question is small:
            one.add_argument("--size", type=int, default=12)
        if question is calendar:
            one.add_argument("--untold", action="store_true", help="no event says how large it is")
    return parser.parse_args()


def small(
    spark: SparkSession, options: argparse.Namespace, folder: str
) -> Iterator[dict[str, Any]]:
    """OWA of small fleets: served, the networks alone, and the floor."""
    config = data_config(options, folder, windows=1)
    series = made_series(spark, config, ingest.run, features.run)
    items = sorted(row[0] for row in series.select(c.ITEM_ID).collect())  # of one benchmark's data
    for draw in range(options.draws):
        chosen = np.random.default_rng([options.seed, draw]).choice(items, options.size, False)
        fleet = series.where(F.col(c.ITEM_ID).isin(chosen.tolist()))
        measured = judged(fleet, fleet, config, f"small-{draw}")
        found = {
            name: float(
                np.mean([part[c.SMAPE].mean() / NAIVE2[0], part[c.MASE].mean() / NAIVE2[1]])
            )
            for name, part in by_method(measured)
        }
        gain = 1 - found[SERVED] / found[LOG_AR]
        yield {"draw": draw, **{m: found[m] for m in (LOG_AR, LSTM, SERVED)}, "gain": gain}


def withheld(
    spark: SparkSession, options: argparse.Namespace, folder: str
) -> Iterator[dict[str, Any]]:
    """Loss of items that training never saw, relative to the others'."""
    config = data_config(options, folder, windows=4)
    series = made_series(spark, config, ingest.run, features.run)
    for draw in range(options.draws):
        place = F.pmod(F.xxhash64(F.lit(options.seed), F.lit(draw), c.ITEM_ID), F.lit(1000))
        drawn = series.withColumn("kept", place >= 1000 * SHARE_WITHHELD)
        kept = {row[0] for row in drawn.where("kept").select(c.ITEM_ID).collect()}
        measured = judged(drawn.where("kept"), series, config, f"withheld-{draw}")
        found: dict[str, Any] = {"draw": draw, "withheld": series.count() - len(kept)}
        for name in (LSTM, SERVED):
            relative = relative_losses(measured, name)
            mine = relative.index.isin(kept)
            losses = [float(np.exp(relative[part].mean())) for part in (~mine, mine)]
            found |= {f"{name}, withheld": losses[0], f"{name}, others": losses[1]}
            found[f"{name}, ratio"] = losses[0] / losses[1]
        yield found


def calendar(
    spark: SparkSession, options: argparse.Namespace, folder: str
) -> Iterator[dict[str, Any]]:
    """Loss of what was served in the steps of live events, by metric, with and without them."""
    for draw in range(options.draws):
        seed = options.seed + draw
        # 24 days are judged, in which there are about five events.
        sizes = {"simulate": {"days": 91}, "backtest": {"windows": 12}}
        config = build_config({"warehouse": f"{folder}/{seed}", "seed": seed, **sizes})
        series = made_series(spark, config, simulate.run, ingest.run, features.run)
        nothing = F.lit(None).cast(series.schema[c.SERIES_EVENTS].dataType)
        inside = live_steps(series)
        if options.untold:
            series = series.withColumn(c.SERIES_EVENTS, without_lifts())
        losses = {}
        for name, known in (
            ("with", series),
            ("without", series.withColumn(c.SERIES_EVENTS, nothing)),
        ):
            steps = judged(known, known, config, f"calendar-{name}-{seed}", by_step=True)
            served = steps.merge(inside, on=[c.ITEM_ID, c.TIMESTAMP])
            quantiles = np.stack(served[c.QUANTILES].to_list())
            served["loss"] = quantile_losses(
                served[c.TARGET].to_numpy(), quantiles, config.forecast.quantile_levels
            )
            served["size"] = served[c.TARGET].abs()
            sums = served.dropna(subset=["loss"]).groupby(c.METRIC)[["loss", "size"]].sum()
            losses[name] = sums["loss"] / sums["size"]
        cuts = 1 - losses["with"] / losses["without"]
        yield {"draw": draw, "steps": len(served), **{f"{m}, cut": v for m, v in cuts.items()}}


def data_config(options: argparse.Namespace, folder: str, windows: int) -> Config:
    return build_config(
        {
            "warehouse": f"{folder}/warehouse",
            "seed": options.seed,
            "source": {"format": "parquet", "path": options.data},
            "series": {"freq": options.freq},
            "forecast": {"prediction_length": options.horizon},
            "backtest": {"windows": windows},
        }
    )


def made_series(spark: SparkSession, config: Config, *bodies: Any) -> DataFrame:
    """The `ok` rows of `series`, after these jobs."""
    for body in bodies:
        body(Job(body.__module__, config, Tables(spark, config.warehouse)))
    series = Tables(spark, config.warehouse).read(SERIES)
    return series.where(F.col(c.STATUS) == OK)


def judged(
    learnt: DataFrame, series: DataFrame, config: Config, name: str, *, by_step: bool = False
) -> pd.DataFrame:
    """BACKTESTS of `series` by networks that learnt from `learnt`; with `by_step` what was served
    there, step by step."""
    start = starting_weights(config)
    manifest = export(without_flagged(learnt), config, f"shards-{name}")
    task = task_of(learnt, manifest, config, name, start)
    packed, _ = train_ensemble(learnt.sparkSession, task)
    model = ModelFile(name, packed, digest(packed))
    design = design_of(config, model)
    evaluations = evaluate(series, model, design, config.spark.series_per_task).persist()
    fleet = fleet_record(evaluations, design)
    if by_step:
        found = build_backtest_forecasts(evaluations, fleet, design).where(c.IS_SELECTED)
    else:
        found = build_backtests(evaluations, fleet, name, design)
    measured = found.toPandas()
    evaluations.unpersist()
    return measured


def by_method(measured: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    yield from measured.groupby(c.MODEL)
    yield SERVED, measured[measured[c.IS_SELECTED]]


def relative_losses(measured: pd.DataFrame, name: str) -> pd.Series:
    """By item the logarithm of its loss relative to the seasonal naive's."""
    losses = {m: part.groupby(c.ITEM_ID)[c.MEAN_WQL_LOSS].sum() for m, part in by_method(measured)}
    ratio = losses[name] / losses[SEASONAL_NAIVE]
    return np.log(ratio[(ratio > 0) & np.isfinite(ratio)])


def without_lifts() -> Column:
    """The events as most calendars have them: when, and not how large."""
    nothing = F.lit(None).cast("double")
    return F.transform(c.SERIES_EVENTS, lambda one: one.withField(c.EXPECTED_LIFT, nothing))


def live_steps(series: DataFrame) -> pd.DataFrame:
    """Item, metric and time of every step inside a live event."""
    events = series.select(c.ITEM_ID, c.METRIC, c.START, F.inline(c.SERIES_EVENTS))
    at = F.explode(F.sequence("first_step", "last_step")).alias("step")
    rows = events.where(f"{c.KIND} = 'live_event'").select(c.ITEM_ID, c.METRIC, c.START, at)
    found = rows.distinct().toPandas()
    found[c.TIMESTAMP] = found.pop(c.START) + pd.to_timedelta(found.pop("step"), unit="h")
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: median and range over the draws of every figure."""
    lines = ["| | median | range |", "|---|---|---|"]
    for name in list(rows[0])[1:]:
        values = [row[name] for row in rows]
        lines.append(
            f"| {name} | {_text(statistics.median(values))} | "
            f"{_text(min(values))} – {_text(max(values))} |"
        )
    if "gain" in rows[0]:
        lines.append(
            f"| ahead of the floor | {sum(r['gain'] > 0 for r in rows)} of {len(rows)} | |"
        )
    return "\n".join(lines)


def _text(value: float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
