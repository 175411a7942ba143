"""Which method serves a series, how wide, and how far each kind of network is trusted in what all
say together: chosen on windows before the ones that judge."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headroom.series.methods import LSTM
from headroom.series.metrics import coverage, quantile_loss
from headroom.series.quantiles import at_levels, widen

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Intervals are only ever widened: what a few quiet windows would take off is missing later.
FACTORS = (1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5)
INTERVALS = (0.8, 0.9)  # that must hold what they say, on average of both
WHOLE = 24.0  # windows' worth of weight that the fleet's record has in a series' choice
BEST_BET = 2.0  # windows' worth of weight that what is known before any has in the fleet's record
TIE = 0.03  # a later method must be better by this share
ENOUGH = 0.5  # a window counts if it has this share of the judged windows' past
SHARPNESS = 30.0  # a kind of network with a loss a tenth larger has a twentieth of the say
SHARE_BOUND = 0.1  # as BOUND, of a kind of network: standing series say little of the others
BOUND = 0.5  # a method is at most so much better or worse on one series, on the logarithm


@dataclass(frozen=True)
class Record:
    """How methods did on some windows, at each factor on their spread (method, factor)."""

    losses: Floats  # log quantile loss relative to the method in the middle, within ±BOUND
    covered: Floats  # share of actuals inside their intervals, mean over INTERVALS


@dataclass(frozen=True)
class Choice:
    """The method that serves, the factor on its spread, and the expected loss relative to that of
    the method in the middle."""

    method: str
    factor: float
    score: float


def tells(lengths: Ints, backs: Sequence[int], judged: int) -> NDArray[np.bool_]:
    """Which windows (series, window), that begin `backs` steps before the end of series of these
    lengths, tell of those that judge, the first of which begins `judged` steps before it: methods
    that hardly have a past are another matter."""
    pasts = lengths[:, None] - np.asarray(backs)[None, :]
    enough: NDArray[np.bool_] = pasts >= ENOUGH * (lengths[:, None] - judged)
    return enough


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


def relative_losses(losses: Floats, size: float, bound: float = BOUND) -> Floats:
    """Losses (method, factor) of one series, whose values are of this size, on the logarithm,
    relative to the median of the methods at factor 1 and within ±bound: where one method is all but
    perfect it is so by any factor, and such a series would speak for the whole fleet. Below a
    millionth of the size all are perfect."""
    log = np.log(losses + 1e-6 * size + 1e-12)
    relative: Floats = np.clip(log - np.median(log[:, 0]), -bound, bound)
    return relative


def selection_coverage(targets: Floats, quantiles: Floats, levels: Sequence[float]) -> Floats:
    """Share (factor,) of the targets inside their intervals, mean over INTERVALS, of one method
    over windows (window, step[, level]) of one series; NaN without a target."""
    tails = [tail for share in INTERVALS for tail in ((1 - share) / 2, (1 + share) / 2)]
    shares = []
    for factor in FACTORS:
        bands = at_levels(widen(quantiles, levels, factor), levels, tails).reshape(
            targets.size, len(INTERVALS), 2
        )
        target = np.repeat(targets.reshape(-1, 1), len(INTERVALS), axis=1)
        shares.append(coverage(target.ravel(), bands[..., 0].ravel(), bands[..., 1].ravel()))
    return np.array(shares)


def record_without_windows(methods: Sequence[str]) -> Record:
    """That of a fleet too young for any window: intervals that hold, and methods that are alike but
    for the networks together, the best bet by docs/accuracy.md."""
    shape = (len(methods), len(FACTORS))
    losses = np.zeros(shape)
    losses[[name == LSTM for name in methods]] = np.log(1 - 2 * TIE)
    return Record(losses, np.ones(shape))


def with_best_bet(fleet: Record, methods: Sequence[str], n_windows: float) -> Record:
    """The fleet's record over so many windows (mean over its series), its losses shrunk towards
    those of a fleet without any: however many the series, they share a few dates."""
    weight = n_windows / (n_windows + BEST_BET)
    before = record_without_windows(methods).losses
    return Record(weight * fleet.losses + (1 - weight) * before, fleet.covered)


def shares_of(losses: Floats, n_windows: float) -> Floats:
    """What each kind of network has of the say (kind,), by its mean log loss on so many windows:
    exponential weights (Cesa-Bianchi & Lugosi 2006, Prediction, Learning, and Games, §2.2), nearer
    to equal the fewer the windows."""
    trust = SHARPNESS * n_windows / (n_windows + BEST_BET)
    say = np.exp(-trust * (losses - losses.min()))
    shares: Floats = say / say.sum()
    return shares


def choose(methods: Sequence[str], own: Record | None, fleet: Record, n_windows: int) -> Choice:
    """The choice for one series.

    `methods` are in the order in which ties are decided; `own` is None where the series had no
    window. Its record is shrunk towards the fleet's as if that were WHOLE further windows. Each
    method takes the smallest factor at which its intervals cover what they say, read off between
    FACTORS; the method with the smallest loss there serves.
    """
    losses, covered = fleet.losses, fleet.covered
    if own is not None and np.isfinite(own.losses).all():
        weight = n_windows / (n_windows + WHOLE)
        losses = weight * own.losses + (1 - weight) * losses
        covered = weight * own.covered + (1 - weight) * covered
    asked = float(np.mean(INTERVALS))
    factors = [float(np.interp(asked, share, FACTORS)) for share in covered]
    best = [float(np.interp(f, FACTORS, loss)) for f, loss in zip(factors, losses, strict=True)]
    chosen = 0
    for place in range(1, len(methods)):
        if best[place] < best[chosen] + np.log(1 - TIE):
            chosen = place
    return Choice(methods[chosen], factors[chosen], float(np.exp(best[chosen])))
