"""The accuracy of every method, of what was served, and their coverage, on series of your own.

    conf/environment.sh python bench/accuracy.py DATA.parquet HORIZON WINDOWS [--set a.b=value …]

DATA has the columns item_id, timestamp, target. Runs `pipeline --until backtest` once per seed into
a warehouse of its own and prints a table, median and range over the seeds: mean weighted quantile
loss at the levels 0.1 to 0.9 (wQL), mean of MASE and MSIS over series and windows, coverage of the
central intervals; and OWA, where `--naive2 SMAPE MASE` gives what Naive2 has on that data (for the
48 hours of M4: 18.383 2.395). With `--peers` DeepAR (GluonTS), Theta and ETS (statsmodels) forecast
the same windows of the first seed, in an environment of their own (.venv-peers, made once).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from bench.local import local_session
from headroom import columns as c
from headroom.freq import parse_freq
from headroom.schemas import BACKTEST_FORECASTS, BACKTESTS, SERIES
from headroom.scoring import OK
from headroom.series.metrics import coverage, owa, quantile_loss
from headroom.series.quantiles import at_levels
from headroom.tables import Tables

ROOT = Path(__file__).parent.parent
PEERS = ROOT / ".venv-peers"
LEVELS = tuple(level / 10 for level in range(1, 10))
SERVED = "served"


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        if options.before:
            options.data = cut(options.data, options.before, Path(folder))
        warehouses = [run(options, seed, f"{folder}/{seed}") for seed in options.seeds]
        spark = local_session()
        measured = [measure(spark, warehouse, options) for warehouse in warehouses]
    print(table(measured, options.data.stem))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("horizon", type=int)
    parser.add_argument("windows", type=int)
    parser.add_argument("--freq", default="h")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7])
    parser.add_argument("--naive2", type=float, nargs=2, metavar=("SMAPE", "MASE"))
    parser.add_argument(
        "--before",
        type=int,
        default=0,
        metavar="ROWS",
        help="leave out the last rows of every series: on what is left settings are chosen",
    )
    parser.add_argument("--peers", action="store_true", help="DeepAR, Theta and ETS beside it")
    parser.add_argument("--epochs", type=int, default=100, help="of DeepAR (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=value")
    return parser.parse_args()


def cut(data: Path, rows: int, folder: Path) -> Path:
    """The same data without the last rows of every series."""
    whole = pd.read_parquet(data).sort_values(["item_id", "timestamp"])
    kept = whole[whole.groupby("item_id").cumcount(ascending=False) >= rows]
    target = folder / data.name
    kept.to_parquet(target)
    return target


def run(options: argparse.Namespace, seed: int, warehouse: str) -> str:
    """The warehouse of a pipeline that ended with 0 or 3. It has a configuration of its own, as
    without one the settings of the demo would be those that others are compared with."""
    config = {
        "warehouse": warehouse,
        "seed": seed,
        "source": {"format": "parquet", "path": str(options.data.absolute())},
        "series": {"freq": options.freq},
        "forecast": {"prediction_length": options.horizon},
        "backtest": {"windows": options.windows},
    }
    file = Path(f"{warehouse}.yaml")
    file.write_text(json.dumps(config))
    arguments = [word for setting in options.set for word in ("--set", setting)]
    submit = [str(ROOT / "spark-submit.sh"), "pipeline", "--until", "backtest"]
    command = [*submit, "--config", str(file), *arguments]
    code = subprocess.run(command, check=False).returncode
    if code not in (0, 3):
        sys.exit(f"the pipeline ended with exit code {code}")
    return warehouse


def measure(spark: SparkSession, warehouse: str, options: argparse.Namespace) -> pd.DataFrame:
    """The measures by model and of what was served."""
    tables = Tables(spark, warehouse)
    steps = _with_served(tables.read(BACKTEST_FORECASTS).toPandas())
    windows = _with_served(tables.read(BACKTESTS).toPandas())
    if options.peers and warehouse.endswith(f"/{options.seeds[0]}"):
        folder = run_peers(tables, options)
        steps = pd.concat([steps, pd.read_parquet(folder / "steps.parquet")])
        windows = pd.concat([windows, pd.read_parquet(folder / "windows.parquet")])
    found = {name: _measures(part) for name, part in steps.groupby("model")}
    means = windows.groupby("model")[["mase", "smape", "msis"]].mean()
    measured = pd.DataFrame(found).T
    measured.insert(1, "MASE", means["mase"])
    measured.insert(2, "MSIS", means["msis"])
    if options.naive2:
        measured.insert(1, "OWA", owa(means["smape"], means["mase"], *options.naive2))
    return measured


def run_peers(tables: Tables, options: argparse.Namespace) -> Path:
    """Where the peers' forecasts of the `ok` series lie."""
    folder = Path(tables.warehouse) / "_peers"
    folder.mkdir()
    ok = tables.read(SERIES).where(F.col(c.STATUS) == OK).select(c.ITEM_ID, c.START, c.TARGET)
    ok.toPandas().to_parquet(folder / "series.parquet")
    python = PEERS / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", PEERS], check=True)
        locked = ROOT / "bench/requirements-peers.txt"
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", locked], check=True)
    season = (*parse_freq(options.freq).seasons, 1)[0]
    command = [
        str(python), str(ROOT / "bench/peers.py"), f"{folder}/series.parquet", str(folder),
        f"--horizon={options.horizon}", f"--windows={options.windows}", f"--freq={options.freq}",
        f"--season={season}", f"--epochs={options.epochs}", f"--seed={options.seeds[0]}",
    ]  # fmt: skip
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": ""})
    return folder


def _with_served(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows, rows[rows["is_selected"]].assign(model=SERVED)])


def _measures(rows: pd.DataFrame) -> dict[str, float]:
    target = rows["target"].to_numpy(dtype=float)[:, None]
    known = tuple(rows["quantile_levels"].iloc[0])
    quantiles = np.stack(rows["quantiles"].to_list())[:, None, :]
    losses = quantile_loss(target, at_levels(quantiles, known, LEVELS), LEVELS)
    measures = {"wQL": float(np.nansum(losses) / np.nansum(np.abs(target)))}
    for share in (0.5, 0.8, 0.9, 0.95):
        band = at_levels(quantiles, known, ((1 - share) / 2, (1 + share) / 2))
        measures[f"{share:.0%}"] = float(np.nanmean(coverage(target, band[..., 0], band[..., 1])))
    return measures


def table(measured: list[pd.DataFrame], name: str) -> str:
    """Markdown: median over the seeds, and the range of the loss where there are several."""
    columns = measured[0].columns
    lines = [
        f"| {name} | {' | '.join(columns)} | range of wQL |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for model in measured[0].index:
        runs = [m.loc[model] for m in measured if model in m.index]
        medians = [statistics.median(run[column] for run in runs) for column in columns]
        losses = [run["wQL"] for run in runs]
        spread = f"{min(losses):.4f} – {max(losses):.4f}" if len(losses) > 1 else "one run"
        lines.append(f"| {model} | {' | '.join(f'{m:.4f}' for m in medians)} | {spread} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
