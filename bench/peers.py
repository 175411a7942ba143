"""Forecasts of others on the windows of a backtest: GluonTS's DeepAR (its MXNet version), and Theta
and ETS of statsmodels, each with its own defaults. Run by `bench/accuracy.py --peers`, in an
environment of its own (bench/requirements-peers.txt).

    python bench/peers.py SERIES.parquet FOLDER --horizon 48 --windows 1 --freq h --season 24

SERIES holds item_id, start and target (an array) of every series. Writes FOLDER/steps.parquet and
FOLDER/windows.parquet with the columns of backtest_forecasts and backtests that accuracy needs.
DeepAR is trained on what lies before the first window; the others are fitted at each origin.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

sys.path.insert(0, str(Path(__file__).parent.parent / "lib"))

from headroom.series import metrics

Floats = NDArray[np.float64]

LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
SCORES = norm.ppf(LEVELS)
SAMPLES = 200


def main() -> None:
    options = parse()
    warnings.simplefilter("ignore")
    series = pd.read_parquet(options.series).sort_values("item_id", ignore_index=True)
    series["target"] = [np.asarray(target, dtype=float) for target in series["target"]]
    steps, windows = [], []
    for name in options.models:
        begun = time.monotonic()
        for window, quantiles in MODELS[name](series, options):
            back = (options.windows - window) * options.horizon
            for row, forecast in zip(series.itertuples(), quantiles, strict=True):
                if forecast is not None:
                    windows.append(judged(row.target, back, forecast, options, name))
                    steps.append(told(row, back, forecast, options, name))
        print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    folder = Path(options.folder)
    pd.concat(steps, ignore_index=True).to_parquet(folder / "steps.parquet")
    pd.DataFrame(windows).to_parquet(folder / "windows.parquet")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("series")
    parser.add_argument("folder")
    parser.add_argument("--horizon", type=int, required=True)
    parser.add_argument("--windows", type=int, required=True)
    parser.add_argument("--freq", default="h")
    parser.add_argument("--season", type=int, default=24, help="steps of the shortest season")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--epochs", type=int, default=100, help="of DeepAR, 50 batches each")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


Window = tuple[int, list[Floats | None]]  # number, and by series quantiles (step, level)


def deepar(series: pd.DataFrame, options: argparse.Namespace) -> Iterator[Window]:
    import mxnet as mx
    from gluonts.dataset.common import ListDataset
    from gluonts.mx import DeepAREstimator, Trainer

    mx.random.seed(options.seed)
    np.random.seed(options.seed)

    def until(back: int) -> Any:
        rows = [
            {"start": pd.Period(row.start, options.freq), "target": row.target[:-back]}
            for row in series.itertuples()
        ]
        return ListDataset(rows, freq=options.freq)

    estimator = DeepAREstimator(
        freq=options.freq,
        prediction_length=options.horizon,
        trainer=Trainer(epochs=options.epochs, num_batches_per_epoch=50),
    )
    predictor = estimator.train(until(options.windows * options.horizon))
    for window in range(options.windows):
        given = until((options.windows - window) * options.horizon)
        found = predictor.predict(given, num_samples=SAMPLES)
        yield window, [np.quantile(one.samples, LEVELS, axis=0).T for one in found]


def fitted(one: Callable[[Floats, int, int], tuple[Floats, Floats]]) -> Any:
    """A method that gives means and standard deviations of (history, season, horizon)."""

    def forecast(series: pd.DataFrame, options: argparse.Namespace) -> Iterator[Window]:
        season = options.season
        for window in range(options.windows):
            back = (options.windows - window) * options.horizon
            quantiles = []
            for target in series["target"]:
                past = pd.Series(target[:-back]).ffill().bfill().to_numpy()
                if len(past) < 2 * season + 2:
                    quantiles.append(None)
                    continue
                mean, sd = one(past, season, options.horizon)
                quantiles.append(mean[:, None] + sd[:, None] * SCORES)
            yield window, quantiles

    return forecast


def theta(past: Floats, season: int, horizon: int) -> tuple[Floats, Floats]:
    from statsmodels.tsa.forecasting.theta import ThetaModel

    result = ThetaModel(past, period=season, deseasonalize=season > 1, method="additive").fit()
    band = np.asarray(result.prediction_intervals(horizon, alpha=0.1))
    return np.asarray(result.forecast(horizon)), (band[:, 1] - band[:, 0]) / (2 * norm.ppf(0.95))


def ets(past: Floats, season: int, horizon: int) -> tuple[Floats, Floats]:
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    seasonal = "add" if season > 1 else None
    model = ETSModel(
        pd.Series(past), error="add", trend="add", damped_trend=True, seasonal=seasonal,
        seasonal_periods=season if seasonal else None, initialization_method="heuristic",
    )  # fmt: skip
    found = model.fit(disp=False).get_prediction(len(past), len(past) + horizon - 1)
    return np.asarray(found.predicted_mean), np.sqrt(np.asarray(found.forecast_variance))


MODELS: dict[str, Any] = {"deepar": deepar, "theta": fitted(theta), "ets": fitted(ets)}


def judged(
    values: Floats, back: int, quantiles: Floats, options: argparse.Namespace, name: str
) -> dict[str, Any]:
    """The measures of one window, as the backtest has them."""
    target = _target(values, back, options.horizon)
    scale = metrics.seasonal_error(values[:-back], options.season)
    point = quantiles[:, LEVELS.index(0.5)]
    return {
        "model": name,
        "is_selected": False,
        "mase": float(metrics.mase(target, point, scale)),
        "smape": float(metrics.smape(target, point)),
        "msis": float(metrics.msis(target, quantiles[:, 0], quantiles[:, -1], scale, 0.05)),
    }


def told(
    row: Any, back: int, quantiles: Floats, options: argparse.Namespace, name: str
) -> pd.DataFrame:
    """The steps of one window."""
    return pd.DataFrame(
        {
            "item_id": row.item_id,
            "step": range(1, options.horizon + 1),
            "model": name,
            "is_selected": False,
            "target": _target(row.target, back, options.horizon),
            "quantile_levels": [LEVELS] * options.horizon,
            "quantiles": list(quantiles),
        }
    )


def _target(values: Floats, back: int, horizon: int) -> Floats:
    begin = len(values) - back
    return values[begin : begin + horizon]


if __name__ == "__main__":
    main()
