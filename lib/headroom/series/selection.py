"""Which method serves a series, and how wide, chosen on windows before the ones it is judged on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headroom.series.metrics import quantile_loss
from headroom.series.quantiles import widen

Floats = NDArray[np.float64]

# Intervals are only ever widened: what a few quiet windows would take off is missing later.
FACTORS = (1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5)
WHOLE = 4.0  # windows' worth of weight that the fleet's result has in a series' choice
TIE = 0.01  # a more complex method must be better by this share


@dataclass(frozen=True)
class Choice:
    """The method that serves, the factor on its spread, and the expected loss relative to 1."""

    method: str
    factor: float
    score: float


def selection_losses(targets: Floats, quantiles: Floats, levels: Sequence[float]) -> Floats:
    """Quantile loss (factor,) of one method over windows (window, step[, level]) of one series,
    per observed step, at each factor of FACTORS; NaN without a target."""
    observed = (~np.isnan(targets)).sum()
    if not observed:
        return np.full(len(FACTORS), np.nan)
    losses = [
        quantile_loss(targets, widen(quantiles, levels, factor), levels).sum() for factor in FACTORS
    ]
    return np.array(losses) / observed


def choose(methods: Sequence[str], own: Floats | None, fleet: Floats, n_windows: int) -> Choice:
    """The choice for one series.

    `own` and `fleet` are log losses (method, factor), in the order of `methods` from simple to
    complex; `own` is None where the series had no window. Each is taken relative to its mean, then
    `own` is shrunk towards `fleet` as if the fleet were WHOLE further windows.
    """
    relative = fleet - fleet.mean()
    if own is not None and np.isfinite(own).all():
        weight = n_windows / (n_windows + WHOLE)
        relative = weight * (own - own.mean()) + (1 - weight) * relative
    factors = relative.argmin(axis=1)
    best = relative[np.arange(len(methods)), factors]
    chosen = 0
    for place in range(1, len(methods)):
        if best[place] < best[chosen] + np.log(1 - TIE):
            chosen = place
    return Choice(methods[chosen], FACTORS[factors[chosen]], float(np.exp(best[chosen])))
