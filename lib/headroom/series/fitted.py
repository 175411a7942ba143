"""A panel with the floor fitted: what the windows of the network are cut from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headroom.series import floor as flr
from headroom.series.answers import (
    Answers,
    fit_answers,
    past_lifts,
    with_nominal_lifts,
    with_usual_lifts,
)
from headroom.series.panel import Events, Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """A panel with the floor fitted on its steps before `fitted_until`, and cleaned to its end."""

    panel: Panel
    floor: flr.Floor
    z: Floats  # (series, step) standardised, NaN where not observed
    usual: Floats  # (series, step) the same without what live events added
    cleaned: Floats  # (series, step)
    events: Events  # with the usual lift where none is told
    answers: Answers  # to live events
    spreads: Floats  # (series, step ahead) the floor's standard deviation
    local: Ints  # (series, step + horizon) seconds on the local clock
    horizon: int
    period: int  # steps of a patch
    seasons: tuple[int, ...]


def fit(panel: Panel, horizon: int, fitted_until: int | None = None) -> Fitted:
    """The floor of every series, fitted on the steps before `fitted_until` (default: all), and its
    answer to live events, whose steps the floor does not see."""
    seasons = panel.freq.seasons
    period = seasons[0] if seasons else max(1, min(horizon, 12))
    until = panel.n_steps if fitted_until is None else fitted_until
    sized = with_nominal_lifts(panel.events, until, period)
    events = with_usual_lifts(sized, until, period)
    lifts = past_lifts(events, panel.n_steps, period)
    ordinary = np.where(lifts != 0, np.nan, panel.values)
    floor, cleaned = flr.fit_floor(ordinary[:, :until], seasons)
    z = floor.scale.forward(panel.values)
    if until < panel.n_steps:
        cleaned = flr.clean(floor, floor.scale.forward(ordinary))
    floor = floor.reaching(z[:, :until])
    spreads = flr.spread(floor, max(horizon, period))
    told = past_lifts(sized, until, period) / floor.scale.width[:, None]
    # Before all lags of a series lie in its history the floor is no measure.
    measured = np.arange(until) >= (panel.n_steps - panel.lengths + floor.reaches)[:, None]
    beyond = np.where((told != 0) & measured, (z - cleaned)[:, :until], np.nan)
    answers = fit_answers(beyond, told, spreads[:, min(2, spreads.shape[1] - 1)] ** 2)
    usual = z - answers.share[:, None] * lifts / floor.scale.width[:, None]
    local = panel.local_seconds(horizon)
    return Fitted(
        panel, floor, z, usual, cleaned, events, answers, spreads, local, horizon, period, seasons
    )
