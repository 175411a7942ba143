"""What the network is told of announced events, step by step of the horizon.

Only of events known before the origin. Those that the floor answers (`answers.py`) are in its
forecast already: of them it is told before they begin and after they end, and nothing inside.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headroom.series.answers import is_answered, log_lift
from headroom.series.fitted import Fitted
from headroom.series.panel import EVENT_KINDS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

N_EVENT = 3 * len(EVENT_KINDS) + 7


@dataclass(frozen=True)
class Near:
    """Events around the origins of windows (window, event, 1), as few as hold them all."""

    kind: Ints
    first: Ints
    last: Ints
    is_told: Mask  # known before the origin, and not answered by the floor
    lift: Floats  # what is expected to be added to the logarithm; 0 where nothing is said
    arriving: Floats  # how much of it reaches the series, as far as that is known


def event_inputs(fitted: Fitted, rows: Ints, origins: Ints, sd: Floats) -> Floats:
    """(window, step, N_EVENT). Per kind: is there an event, how near is the next, how near the last
    one. The largest lift inside, and by nearness before and after. Then whether there was an event,
    and how large, at the same phase one season of each kind before, because what was unusual then
    is in what the floor repeats now. A lift is in pairs of the floor's standard deviation `sd`."""
    horizon, period, seasons = sd.shape[1], fitted.period, fitted.seasons[:2]
    inputs = np.zeros((len(rows), horizon, N_EVENT))
    near = _near(fitted, rows, origins, max(period, *seasons, 0), horizon + period)
    if not near.kind.size:
        return inputs
    unit = 2 * fitted.floor.scale.width[rows, None] * sd
    ahead = np.arange(1, horizon + 1)
    inside = _during(near, origins, ahead)
    at = _steps(origins, ahead)
    coming, gone = _nearness(near.first - at, period), _nearness(at - near.last, period)
    columns = []
    for told in (inside, near.is_told * coming, near.is_told * gone):
        columns += [(told * (near.kind == kind)).max(axis=1) for kind in range(len(EVENT_KINDS))]
    for size in (inside * near.lift, coming * near.arriving, gone * near.arriving):
        columns.append(_strongest(size) / unit)
    for season in seasons:
        before = _during(near, origins, ahead - -(-ahead // season) * season)
        columns += [before.any(axis=1), _strongest(before * near.lift) / unit]
    inputs[..., : len(columns)] = np.stack(columns, axis=2)
    return inputs


def _near(fitted: Fitted, rows: Ints, origins: Ints, back: int, ahead: int) -> Near:
    """The events that touch the steps from `back` before each origin to `ahead` after it."""
    events = fitted.panel.events
    touches = (events.kind[rows] >= 0) & (events.last[rows] >= origins[:, None] - back)
    touches &= events.first[rows] <= origins[:, None] + ahead
    chosen = np.argsort(~touches, axis=1, kind="stable")[:, : touches.sum(axis=1).max(initial=0)]
    answered = is_answered(fitted.events, fitted.period) & fitted.answers.is_known[:, None]
    share = np.where(answered, fitted.answers.share[:, None], 1.0)
    kind, first, last, known, answered, lift, arriving = (
        np.take_along_axis(values[rows], chosen, axis=1)[..., None]
        for values in (
            events.kind,
            events.first,
            events.last,
            events.known,
            answered,
            log_lift(events.lift),
            share * log_lift(fitted.events.lift),
        )
    )
    visible = (known < origins[:, None, None]) & (kind >= 0)
    return Near(kind, first, last, visible & ~answered, lift, visible * arriving)


def _steps(origins: Ints, ahead: Ints) -> Ints:
    """(window, 1, step)"""
    return (origins[:, None] - 1 + ahead[None, :])[:, None, :]


def _during(near: Near, origins: Ints, ahead: Ints) -> Mask:
    """Whether so many steps ahead lies inside an event that is told (window, event, step)."""
    at = _steps(origins, ahead)
    return near.is_told & (at >= near.first) & (at <= near.last)


def _nearness(distance: Ints, period: int) -> Floats:
    """1 one step away, falling with the logarithm of the distance to 0 a period away; 0 inside."""
    near = 1.0 - np.log(np.maximum(distance, 1)) / np.log(period + 1.0)
    return np.where(distance > 0, np.maximum(near, 0.0), 0.0)


def _strongest(values: Floats) -> Floats:
    """Of (window, event, step) the value furthest from zero over the events."""
    largest, smallest = values.max(axis=1, initial=0.0), values.min(axis=1, initial=0.0)
    return np.where(largest >= -smallest, largest, smallest)
