"""How far known events raise demand: the calendar's word, corrected by what past events did."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headroom.freq import DAY, WEEK, Freq
from headroom.series.paths import daily_peaks, log_peaks, to_days
from headroom.series.trend import MIN_DAYS, Floats, fit_trend, without_outliers
from headroom.series.trend import WEEK as WEEK_DAYS

LASTING = ("launch",)  # kinds whose lift begins with the event and stays
USUAL_LIFT = 0.15  # of a lasting event whose lift the calendar leaves open
GROWTH_SPREAD = 0.3  # prior standard deviation of growth, log per month
RELATED_DAYS = 3.0  # so many neighbouring days tell about the same
MONTH_DAYS = 30.0
PRIOR_WEIGHT = 0.1  # what the calendar's word is worth: about one short event of +30 %
MAX_RESPONSE = 2.0


@dataclass(frozen=True)
class Event:
    """An entry of the calendar in steps of the series; `last` is inclusive."""

    kind: str
    first: int
    last: int
    lift: float  # expected share above normal, NaN where the calendar does not say
    known: int  # first step at which the entry could be read


def event_lift(
    events: Sequence[Event], demand: Floats, n_ahead: int, freq: Freq
) -> tuple[Floats, dict[str, float]]:
    """Share above normal by events known at the end of `demand`, (n_seen + n_ahead,), and by kind
    the share of its expected lift that this group has shown (1 without a past event to learn from).

    Lifts of overlapping events multiply. An entry without an expected lift takes the median of its
    kind; a passing kind without any is left to the noise, a lasting one is taken for USUAL_LIFT.
    """
    n_seen = len(demand)
    known = [event for event in events if event.known < n_seen and event.last >= 0]
    factor = np.ones(n_seen + n_ahead)
    responses: dict[str, float] = {}
    for kind in sorted({event.kind for event in known} - set(LASTING)):
        said = passing_factor([event for event in known if event.kind == kind], len(factor))
        if np.any(said > 1.0):
            responses[kind] = event_response(demand, said[:n_seen], freq)
            factor *= said ** responses[kind]
    lasting = sorted((e for e in known if e.kind in LASTING), key=lambda e: (e.first, e.last))
    ramps = lasting_ramps(lasting, len(factor))
    shown = lasting_responses(demand, ramps, freq)
    factor *= np.exp(shown @ ramps)
    for kind in sorted({event.kind for event in lasting}):
        responses[kind] = float(
            np.mean([r for r, e in zip(shown, lasting, strict=True) if e.kind == kind])
        )
    return factor - 1.0, responses


def passing_factor(events: Sequence[Event], n_steps: int) -> Floats:
    """What the calendar says of events of one kind, as a factor on demand, (n_steps,)."""
    usual = _usual_lift(events, 0.0)
    factor = np.ones(n_steps)
    for event in events:
        lift = event.lift if np.isfinite(event.lift) else usual
        factor[max(event.first, 0) : event.last + 1] *= max(1.0 + lift, 0.01)
    return factor


def lasting_ramps(events: Sequence[Event], n_steps: int) -> Floats:
    """Log of the expected factor of each event, (event, n_steps): it rises from its first step to
    its last, and stays."""
    usual = _usual_lift(events, USUAL_LIFT)
    steps = np.arange(n_steps)
    ramps = [
        np.interp(steps, (e.first - 1, max(e.last, e.first)), (0.0, 1.0))
        * np.log1p(max(e.lift if np.isfinite(e.lift) else usual, -0.9))
        for e in events
    ]
    return np.array(ramps).reshape(len(ramps), n_steps)


def lasting_responses(demand: Floats, ramps: Floats, freq: Freq) -> Floats:
    """Which share of its expected ramp demand has followed for each event, (event,), 0 to 2.

    Least squares of the log daily peaks on weekday, growth and the ramps together, drawn towards
    1; an event that lies ahead keeps 1.
    """
    n_days = len(demand) // (DAY // freq.seconds)
    if len(ramps) == 0 or n_days < MIN_DAYS:
        return np.ones(len(ramps))
    peaks = daily_peaks(to_days(demand, DAY // freq.seconds))
    logs = without_outliers(log_peaks(peaks, np.ones(n_days)))
    seen = np.flatnonzero(np.isfinite(logs))
    ends = len(demand) - 1 - (DAY // freq.seconds) * (n_days - 1 - seen)
    weekday = (seen[:, None] % WEEK_DAYS == np.arange(WEEK_DAYS)).astype(float)
    design = np.column_stack([weekday, seen / MONTH_DAYS, ramps[:, ends].T])
    noise = float(np.nanvar(fit_trend(logs).residuals)) * RELATED_DAYS + 1e-12
    prior = np.concatenate([np.full(WEEK_DAYS, np.inf), [GROWTH_SPREAD], np.full(len(ramps), 0.5)])
    centre = np.concatenate([np.zeros(WEEK_DAYS + 1), np.ones(len(ramps))])
    weight = np.diag(noise / prior**2)
    fitted = np.linalg.solve(design.T @ design + weight, design.T @ logs[seen] + weight @ centre)
    return np.asarray(np.clip(fitted[WEEK_DAYS + 1 :], 0.0, MAX_RESPONSE))


def _usual_lift(events: Sequence[Event], otherwise: float) -> float:
    given = [event.lift for event in events if np.isfinite(event.lift)]
    return float(np.median(given)) if given else otherwise


def event_response(demand: Floats, said: Floats, freq: Freq) -> float:
    """Which share of the logarithm of the expected factor demand has followed, 0 to 2.

    Each step of an event is compared with the same step of the weeks before and after; least
    squares through the origin, drawn towards 1 by PRIOR_WEIGHT.
    """
    lag = WEEK // freq.seconds
    quiet = (said <= 1.0) & (demand > 0)
    logs = np.where(quiet, np.log(np.where(demand > 0, demand, 1.0)), np.nan)
    usual = _mean_of_neighbours(logs, lag)
    moved = (said > 1.0) & (demand > 0) & np.isfinite(usual)
    expected = np.log(said[moved])
    seen = np.log(demand[moved]) - usual[moved]
    response = (expected @ seen + PRIOR_WEIGHT) / (expected @ expected + PRIOR_WEIGHT)
    return float(np.clip(response, 0.0, MAX_RESPONSE))


def _mean_of_neighbours(values: Floats, lag: int) -> NDArray[np.float64]:
    """Mean of the values `lag` steps before and after, or the one that is there."""
    before, after = np.full(len(values), np.nan), np.full(len(values), np.nan)
    if lag < len(values):
        before[lag:], after[:-lag] = values[:-lag], values[lag:]
    return np.where(
        np.isnan(before), after, np.where(np.isnan(after), before, 0.5 * (before + after))
    )
