"""How much of an announced event's expected lift reaches a series.

The audience of a live event doubles requests, fills hosts a little and leaves latency where it was.
So each series has an answer of its own, the share of the lift that arrives (on the logarithm),
estimated from the events it has been through: their steps are taken out of the history before the
floor is fitted, and what they were beyond the floor is regressed on the lift that was told.
Bayesian linear regression through the origin, one normal prior for all (Bishop, PRML, §3.3).
An event of which no lift is told is expected to be as large as those told to the series before;
where none ever was, as large as those that it has been through.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headroom.series.panel import EVENT_KINDS, Events

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LIVE = EVENT_KINDS.index("live_event")
PRIOR = 0.5  # standard deviation of answers
DOUBT = 0.25  # relative error of what is told
DOUBT_UNTOLD = 0.7  # of the usual lift, where none is told: lifts differ so much among themselves
NOMINAL = 0.5  # what an event is taken for, on the logarithm, where none was ever told
CERTAIN = 2.0  # an answer is so many standard deviations from none
RUN = 3.0  # steps of an event whose errors are as one


@dataclass(frozen=True)
class Answers:
    """By series the share of a lift that arrives, and its variance; whether it is known (series,).
    Where it is not, nothing is added, and the network is told of the event instead."""

    share: Floats
    variance: Floats
    is_known: NDArray[np.bool_]


def with_usual_lifts(events: Events, until: int, longest: int) -> Events:
    """The events, with the mean of the lifts (on the logarithm) that each series was told of before
    step `until` in place of those that are not told; they stay 0 where none was told before."""
    told = is_answered(events, longest) & (events.known < until)
    total = (told * log_lift(events.lift)).sum(axis=1)
    usual = np.expm1(total / np.maximum(told.sum(axis=1), 1))
    untold = (events.kind == LIVE) & (events.lift == 0)
    return replace(events, lift=np.where(untold, usual[:, None], events.lift))


def with_nominal_lifts(events: Events, until: int, longest: int) -> Events:
    """The events, with one nominal lift for all live ones of series that were told of none before
    step `until` but have been through some: what these did is all that is known of the next."""
    past = (events.kind == LIVE) & (events.first < until) & (events.known < until)
    is_short = events.last - events.first + 1 <= longest
    told = (is_answered(events, longest) & (events.known < until)).any(axis=1)
    alone = ~told & (past & is_short).any(axis=1)
    untold = (events.kind == LIVE) & (events.lift == 0) & alone[:, None]
    return replace(events, lift=np.where(untold, np.expm1(NOMINAL), events.lift))


def is_answered(events: Events, longest: int) -> NDArray[np.bool_]:
    """The events (series, event) that are taken out and put back: live ones with a lift, of at most
    `longest` steps. What lasts longer is a level."""
    length = events.last - events.first + 1
    return (events.kind == LIVE) & (events.lift != 0) & (length <= longest)


def past_lifts(events: Events, n_steps: int, longest: int) -> Floats:
    """The logarithm of the lift told for each step (series, step), 0 outside of events and where
    the event was not known yet."""
    begin = np.maximum(np.maximum(events.first, events.known), 0)
    end = np.minimum(events.last + 1, n_steps)
    row, place = np.nonzero(is_answered(events, longest) & (begin < end))
    length = (end - begin)[row, place]
    step = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    lifts = np.zeros((len(events.kind), n_steps))
    at = (np.repeat(row, length), np.repeat(begin[row, place], length) + step)
    np.add.at(lifts, at, np.repeat(log_lift(events.lift[row, place]), length))
    return lifts


def coming_lifts(events: Events, rows: Ints, origins: Ints, horizon: int, longest: int) -> Floats:
    """The same for the `horizon` steps from each origin on (window, step), of events known before
    it."""
    chosen = is_answered(events, longest)[rows] & (events.known[rows] < origins[:, None])
    steps = (origins[:, None] + np.arange(horizon)[None, :])[:, None, :]
    inside = (steps >= events.first[rows][..., None]) & (steps <= events.last[rows][..., None])
    return (inside * (chosen * log_lift(events.lift[rows]))[..., None]).sum(axis=1)


def fit_answers(beyond: Floats, lifts: Floats, noise: Floats) -> Answers:
    """The answers of series from what their steps were beyond the floor (series, step), NaN where
    not to be measured, the lifts told for them and the variance of the floor's errors (series,).
    A share within CERTAIN standard deviations of none is none."""
    known = np.where(np.isnan(beyond), 0.0, lifts)
    weight = (known**2).sum(axis=1) / RUN + noise / PRIOR**2
    share = (known * np.nan_to_num(beyond)).sum(axis=1) / RUN / np.maximum(weight, 1e-12)
    is_known = (known != 0).any(axis=1)
    variance = noise / np.maximum(weight, 1e-12)
    # What may well be noise would only add noise: such a series does not answer.
    answers = is_known & (share**2 > CERTAIN**2 * variance)
    return Answers(np.clip(share, -1.0, 2.0) * answers, variance * answers, is_known)


def effect(answers: Answers, rows: Ints, lifts: Floats, told: Floats) -> tuple[Floats, Floats]:
    """Mean and variance (window, step) of what these lifts add, of which so much was told."""
    share, variance = answers.share[rows][:, None], answers.variance[rows][:, None]
    doubt = (DOUBT * told) ** 2 + (DOUBT_UNTOLD * (lifts - told)) ** 2
    return share * lifts, lifts**2 * variance + share**2 * doubt


def log_lift(lift: Floats) -> Floats:
    """What a relative lift adds to the logarithm."""
    return np.log1p(np.maximum(lift, -0.99))
