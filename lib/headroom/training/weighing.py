"""How far each kind of network is trusted in what all say together: by their losses on windows that
none of those at hand has seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headroom.model.artifact import Member, Model
from headroom.model.network import LEVELS
from headroom.model.predict import Predictor
from headroom.series.methods import KINDS, forecast_methods, method_of
from headroom.series.metrics import nan_mean, quantile_loss
from headroom.series.panel import Panel
from headroom.series.selection import SHARE_BOUND, relative_losses, shares_of, tells
from headroom.training.communicator import Communicator

Floats = NDArray[np.float64]

SAMPLE = 1_000  # series, over all ranks: the cost does not grow with the fleet
WHOLE_WINDOW = 12  # steps; shorter windows tell less


@dataclass(frozen=True)
class Placed:
    """Series of one frequency and where they stand in the whole fleet."""

    panel: Panel
    places: NDArray[np.int64]


def weigh(
    members: Sequence[Member],
    own: Mapping[str, Placed],
    n_series: int,
    horizons: Mapping[str, tuple[int, ...]],
    between: tuple[int, int],
    comm: Communicator,
) -> dict[str, float]:
    """The share of each kind of network, the same on every rank, by their mean log loss on the
    windows that lie between the two distances from the end; {} for a single kind.

    Every rank looks at its own of the fleet's `n_series`, of large fleets at a sample. All are
    alike where there is no window with enough past.
    """
    kinds = [kind for kind in KINDS if any(member.kind == kind for member in members)]
    if len(kinds) < 2:
        return {}
    predictor = Predictor(Model(tuple(members), {}))
    losses, n_windows, n_judged = np.zeros(len(kinds)), 0.0, 0
    for freq, placed in sorted(own.items()):
        sample = placed.places % -(-n_series // SAMPLE) == 0
        panel, (horizon, *_) = placed.panel.take(np.flatnonzero(sample)), horizons[freq]
        backs = range(between[0], between[1], -horizon)
        windows = [_losses(panel, back, horizon, predictor, kinds) for back in backs]
        comm.beat()
        enough = tells(panel.lengths, backs, between[1])
        of_windows = np.where(enough[..., None], np.stack(windows, axis=1), np.nan)
        counts = np.isfinite(of_windows).all(axis=2).sum(axis=1)
        size = nan_mean(np.abs(panel.until(between[1]).values))
        for row in np.flatnonzero(counts):
            mean = np.nanmean(of_windows[row], axis=0)
            losses += relative_losses(mean[:, None], float(size[row]), SHARE_BOUND)[:, 0]
        n_windows += float(counts.sum()) * min(1.0, horizon / WHOLE_WINDOW)
        n_judged += int((counts > 0).sum())
    parts = comm.gather([*losses, n_windows, float(n_judged)])
    *total, all_windows, all_judged = np.sum(parts, axis=0)
    shares = shares_of(np.array(total) / max(all_judged, 1), all_windows / max(all_judged, 1))
    # Rounded, as sums over ranks differ in their last digits.
    return {kind: round(float(share), 6) for kind, share in zip(kinds, shares, strict=True)}


def _losses(
    panel: Panel, back: int, horizon: int, predictor: Predictor, kinds: Sequence[str]
) -> Floats:
    """Quantile loss per observed step (series, kind) in the window that begins `back` steps before
    the end; NaN without a past or a target."""
    losses = np.full((len(panel.item_ids), len(kinds)), np.nan)
    past = panel.until(back)
    begin = panel.n_steps - back
    if begin <= 0 or not len(panel.item_ids):
        return losses
    target = panel.values[:, begin : begin + horizon]
    seen = (~np.isnan(target)).sum(axis=1)
    usable = (seen > 0) & ~np.isnan(past.values).all(axis=1)
    found = forecast_methods(past, horizon, LEVELS, predictor.fair(back))
    for place, kind in enumerate(kinds):
        loss = quantile_loss(target, found[method_of(kind)], LEVELS)
        losses[:, place] = loss / np.maximum(seen, 1)
    losses[~usable] = np.nan
    return losses
