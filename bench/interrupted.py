"""Kill the driver at five points of the pipeline, start again, and compare with a run left alone.

    conf/environment.sh python bench/interrupted.py

Every table must hold the same rows, but for `runs` and for the times in `training_log`. Prints one
line per table; exit code 1 where any differs.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.local import local_session
from headroom.schemas import RUNS, TABLES, TRAINING_LOG
from headroom.tables import Tables

ROOT = Path(__file__).parent.parent
SMALL = (
    "simulate.services=2", "simulate.regions=2", "simulate.days=28",
    "forecast.prediction_length=24", "backtest.windows=2", "backtest.selection_windows=2",
    "training.steps=60", "training.checkpoint_every=20", "training.members=1",
    "training.hidden_size=16", "recommend.paths=50",
)  # fmt: skip

# What the log says, and the seconds after it at which the driver is killed.
POINTS = (
    (r"\d/\d ingest", 4.0),
    (r"\d/\d features", 3.0),
    (r"network 1/1 step 20/", 0.5),
    (r"\d/\d backtest", 8.0),
    (r"\d/\d recommend", 3.0),
)
TIMES = ("windows_per_second", "seconds")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        alone, disturbed = f"{folder}/alone", f"{folder}/disturbed"
        if run(alone) is None:
            return 1
        for pattern, delay in POINTS:
            run(disturbed, pattern, delay)
        if run(disturbed) is None:
            return 1
        return compare(alone, disturbed)


def run(warehouse: str, pattern: str | None = None, delay: float = 0.0) -> int | None:
    """The exit code of a pipeline that ended; None where it failed or was killed."""
    arguments = [word for setting in SMALL for word in ("--set", setting)]
    command = [str(ROOT / "spark-submit.sh"), "pipeline", "--set", f"warehouse={warehouse}"]
    process = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for line in process.stderr or ():
        if pattern and re.search(pattern, line):
            time.sleep(delay)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            print(f"killed {delay:.1f} s after: {line.strip()}", flush=True)
            return None
    code = process.wait()
    print(f"pipeline ended with {code}", flush=True)
    return code if code in (0, 3) else None


def compare(alone: str, disturbed: str) -> int:
    """0 where all tables hold the same rows."""
    spark = local_session()
    one, other = Tables(spark, alone), Tables(spark, disturbed)
    different = 0
    for table in TABLES.values():
        if table is RUNS or not one.exists(table):
            continue
        left, right = one.read(table), other.read(table)
        if table is TRAINING_LOG:
            left, right = left.drop(*TIMES), right.drop(*TIMES)
        left, right = left.selectExpr("to_json(struct(*))"), right.selectExpr("to_json(struct(*))")
        n_different = left.exceptAll(right).count() + right.exceptAll(left).count()
        different += n_different
        print(f"{table.name:20} {left.count():8,} rows, {n_different} different", flush=True)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
