"""Whether every planted defect is found at its item, and nothing else: the simulated fleet with its
own dirt, and with what it does not plant itself, through ingest and features.

    python bench/dirt.py --services 48 --regions 2 --days 42
"""

import argparse
import tempfile

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from bench.local import local_session
from headroom import columns as c
from headroom.cli import Job
from headroom.config import Config, build_config
from headroom.features.events import add_calendar
from headroom.schemas import EVENTS, ITEMS, QUALITY, SIMULATED_TRUTH, TELEMETRY
from headroom.tables import Tables
from jobs import features, ingest, simulate

# What becomes of the simulator's faults; the other faults leave no trace in a series.
ISSUES = {
    "dirt_duplicate": "duplicates",
    "dirt_conflict": "duplicates",
    "dirt_gap": "gaps",
    "dirt_gap_run": "gaps",
    "dirt_not_a_number": "gaps",  # refused
    "dirt_bad_timestamp": "gaps",
    "dirt_future": "gaps",
    "dirt_no_value": "missing_values",
    "dirt_negative": "negative_values",
    "dirt_unit_jump": "unit_jumps",
    "dirt_flat_line": "flat_line",
    "dirt_counter_reset": "counter_resets",
}
LEAST_CUT = 10  # a tenth of five requests is a quiet hour
ISSUE, STARTS, ENDS, STEPS, PLANTED = "issue", "starts", "ends", "steps", "planted"


def main() -> None:
    options = parse_arguments()
    spark = local_session()
    with tempfile.TemporaryDirectory() as folder:
        config = make_config(f"{folder}/warehouse", options)

        def run(name: str) -> None:
            body = {"simulate": simulate, "ingest": ingest, "features": features}[name].run
            body(Job(name, config, Tables(spark, config.warehouse)))

        run("simulate")
        tables = Tables(spark, config.warehouse)
        more = plant(tables, config)
        run("ingest")
        run("features")
        print(report(Tables(spark, config.warehouse), more))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=48)
    parser.add_argument("--regions", type=int, default=2)
    parser.add_argument("--days", type=int, default=42)
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def make_config(warehouse: str, options: argparse.Namespace) -> Config:
    fleet = {"services": options.services, "regions": options.regions, "days": options.days}
    return build_config({"warehouse": warehouse, "seed": options.seed, "simulate": fleet})


def plant(tables: Tables, config: Config) -> DataFrame:
    """Adds to the telemetry what the simulator does not plant; returns where."""
    telemetry = tables.read(TELEMETRY)
    start = F.lit(config.simulate.start).cast("timestamp")
    n_steps = config.simulate.days * 24
    at = F.try_to_timestamp(c.TIMESTAMP)
    step = F.floor((F.unix_seconds(at) - F.unix_seconds(start)) / 3600)
    lot = F.pmod(F.xxhash64(c.ITEM_ID), F.lit(8))
    value = F.expr(f"try_cast({c.TARGET} as double)")
    first = 200 + F.pmod(F.xxhash64(c.ITEM_ID, F.lit(1)), F.lit(n_steps - 400))
    spikes = (lot == 0) & F.col(c.METRIC).isin("cost", "requests", "latency_p99")
    zeros = (lot == 1) & F.col(c.METRIC).isin("capacity_cores", "hosts")
    cut = (lot == 2) & (F.col(c.METRIC) == "requests") & (value >= LEAST_CUT)
    plants = {  # issue: items, steps, value
        "outliers": (spikes, step == first, value * 20),
        "false_zeros": (zeros, step.between(first, first + 4), F.lit(0.0)),
        "partial_ends": (cut, step == n_steps - 1, value * 0.1),
    }
    changed = F.col(c.TARGET)
    which: Column = F.lit(None).cast("string")
    for issue, (items, steps, new) in plants.items():
        here = F.coalesce(items & steps & value.isNotNull(), F.lit(False))
        changed = F.when(here, new.cast("string")).otherwise(changed)
        which = F.when(here, F.lit(issue)).otherwise(which)
    marked = telemetry.withColumns({PLANTED: which, c.TARGET: changed, "at": at})
    marked = marked.localCheckpoint()
    tables.replace(marked, TELEMETRY)
    found = marked.where(F.col(PLANTED).isNotNull()).groupBy(c.ITEM_ID, PLANTED)
    return found.agg(
        F.min("at").alias(STARTS), F.max("at").alias(ENDS), F.countDistinct("at").alias(STEPS)
    ).withColumnRenamed(PLANTED, ISSUE)


def truth(tables: Tables, more: DataFrame) -> DataFrame:
    """One row per item and issue: item_id, issue, starts, ends, steps."""
    issues = F.create_map(*[F.lit(text) for pair in ISSUES.items() for text in pair])
    planted = (
        tables.read(SIMULATED_TRUTH)
        .where(F.col(c.KIND).isin(list(ISSUES)))
        .groupBy(F.col(c.GROUP_ID).alias(c.ITEM_ID), issues[F.col(c.KIND)].alias(ISSUE))
        .agg(
            F.min(c.STARTS_AT).alias(STARTS),
            F.max(c.ENDS_AT).alias(ENDS),
            F.sum("magnitude").alias(STEPS),
        )
    )
    return planted.unionByName(more).unionByName(incidents(tables))


def incidents(tables: Tables) -> DataFrame:
    """The items in the scope of an incident while they were observed."""
    with_calendar = add_calendar(tables.read(ITEMS), tables.read(EVENTS))
    entries = with_calendar.select(
        c.ITEM_ID, c.FIRST_SEEN, c.LAST_SEEN, F.inline("calendar")
    ).where(
        (F.col(c.KIND) == "incident")
        & (F.col(c.STARTS_AT) <= F.col(c.LAST_SEEN))
        & (F.col(c.ENDS_AT) > F.col(c.FIRST_SEEN))
    )
    hours = (F.unix_seconds(c.ENDS_AT) - F.unix_seconds(c.STARTS_AT)) / 3600
    return entries.groupBy(c.ITEM_ID).agg(
        F.lit("incidents").alias(ISSUE),
        F.min(F.date_trunc("hour", c.STARTS_AT)).alias(STARTS),
        F.max(c.ENDS_AT).alias(ENDS),
        F.sum(F.ceil(hours)).alias(STEPS),
    )


def judged(tables: Tables, more: DataFrame) -> DataFrame:
    """One row per item and issue that was planted, found or both. A finding is right where the item
    has that defect at that time; an outlier is also where the calendar tells of an incident or a
    deployment, or where the simulator planted spend without load."""
    both = truth(tables, more).join(tables.read(QUALITY), [c.ITEM_ID, ISSUE], "full")
    known = (
        happenings(tables)
        .groupBy(c.ITEM_ID)
        .agg(F.collect_list(F.struct(STARTS, ENDS)).alias("known"))
    )
    overlap = (F.col(c.FIRST_AT) <= F.col(ENDS)) & (F.col(c.LAST_AT) >= F.col(STARTS))
    in_known = F.exists(
        "known",
        lambda span: (F.col(c.FIRST_AT) <= span[ENDS]) & (F.col(c.LAST_AT) >= span[STARTS]),
    )
    return both.join(known, c.ITEM_ID, "left").withColumns(
        {
            "right": F.coalesce(overlap, F.lit(False)),
            "explained": F.coalesce((F.col(ISSUE) == "outliers") & in_known, F.lit(False)),
        }
    )


def happenings(tables: Tables) -> DataFrame:
    """item_id, starts, ends (with the hours beside) of what happened to items."""
    entries = add_calendar(tables.read(ITEMS), tables.read(EVENTS)).select(
        c.ITEM_ID, F.inline("calendar")
    )
    happened = entries.where(F.col(c.KIND).isin("incident", "deployment"))
    anomalies = tables.read(SIMULATED_TRUTH).where(F.col(c.KIND) == "cost_anomaly")
    costs = anomalies.withColumn(c.ITEM_ID, F.concat(c.GROUP_ID, F.lit("/cost")))
    hour = F.expr("interval 1 hour")
    return (
        happened.select(c.ITEM_ID, c.STARTS_AT, c.ENDS_AT)
        .unionByName(costs.select(c.ITEM_ID, c.STARTS_AT, c.ENDS_AT))
        .select(
            c.ITEM_ID,
            (F.col(c.STARTS_AT) - hour).alias(STARTS),
            (F.col(c.ENDS_AT) + hour).alias(ENDS),
        )
    )


def report(tables: Tables, more: DataFrame) -> str:
    """The figures as Markdown, and some of what is wrong."""
    both = judged(tables, more).persist()
    rows = (
        both.groupBy(ISSUE)
        .agg(
            F.count(STARTS).alias("planted"),
            F.count(c.FIRST_AT).alias("found"),
            F.count_if("right").alias("right"),
            F.count_if(F.col("explained") & ~F.col("right")).alias("explained"),
            F.sum(STEPS).alias("steps"),
            F.sum(c.N_AFFECTED).alias("n_affected"),
        )
        .orderBy(ISSUE)
        .collect()
    )
    lines = [
        "| issue | items planted | found | of these explained | recall | precision "
        "| steps planted | found |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        recall = row.right / row.planted if row.planted else float("nan")
        precision = (row.right + row.explained) / row.found if row.found else float("nan")
        lines.append(
            f"| `{row.issue}` | {row.planted} | {row.found} | {row.explained} | {recall:.3f} "
            f"| {precision:.3f} | {row.steps or 0:.0f} | {row.n_affected or 0} |"
        )
    wrong = both.where(~F.col("right") & ~F.col("explained")).select(
        ISSUE, c.ITEM_ID, STARTS, ENDS, c.FIRST_AT, c.LAST_AT, c.N_AFFECTED
    )
    listed = [
        " ".join(str(value) for value in row)
        for row in wrong.orderBy(ISSUE, c.ITEM_ID).limit(20).collect()
    ]
    return "\n".join([*lines, "", "Wrong, at most twenty:", *listed])


if __name__ == "__main__":
    main()
