"""Requests and the cores they need, with and without noise, at any moment before or after the end
of the telemetry: a closed form of time, so that any block of it can be computed alone."""

from functools import lru_cache

import numpy as np

from headroom.freq import DAY
from headroom.simulate.calendar import (
    INCIDENT,
    LAUNCH,
    LIVE_EVENT,
    MINUTE,
    Event,
    fleet_events,
    holiday_days,
    service_events,
)
from headroom.simulate.draws import (
    Floats,
    Integers,
    draw,
    draw_log,
    key_of,
    normals,
    smooth_noise,
)
from headroom.simulate.fleet import (
    AUTOSCALED,
    EFFICIENCY_REGRESSION,
    HOUR,
    IDLE,
    SHORTFALL,
    Group,
)
from headroom.simulate.rhythm import EVENING, local_seconds, relative_load

MONTH = 30 * DAY
BUILD_UP = 45 * DAY  # a coming shortfall begins to grow so long before the end


def expected_requests(group: Group, seconds: Integers) -> Floats:
    """Requests per second at rising UTC epoch seconds, free of noise."""
    if group.kind == IDLE:
        return np.full(len(seconds), draw_log(2e-4, 2e-3, *group.names("idle")))
    base = peak_requests(group) * growth(group, seconds) * _rhythm(group, seconds)
    return base * _event_factor(group, seconds)


def noisy_requests(group: Group, seconds: Integers) -> Floats:
    """Requests per second as they come: shared, regional and own disturbances included."""
    expected = expected_requests(group, seconds)
    return expected if group.kind == IDLE else expected * np.exp(_disturbance(group, seconds))


def peak_requests(group: Group) -> float:
    """Requests per second at the peak of an average day at the end of the telemetry."""
    service = draw_log(60, 6000, group.fleet.seed, group.service.name, "requests")
    return service * group.region.weight * draw(0.8, 1.25, *group.names("share"))


def growth(group: Group, seconds: Integers) -> Floats:
    """Level of the load relative to the end of the telemetry, launches apart."""
    if group.kind == IDLE:
        return np.ones(len(seconds))
    fleet, service = group.fleet, group.service.name
    monthly = draw(-0.025, 0.035, fleet.seed, service, "growth")
    months = (seconds - fleet.end) / MONTH
    level: Floats = np.exp(monthly * 12.0 * np.tanh(months / 12.0))  # levels off after a year
    if group.kind == SHORTFALL:
        daily = draw(0.010, 0.018, *group.names("surge"))
        level = level * (1.0 + daily * np.maximum(0, seconds - (fleet.end - BUILD_UP)) / DAY)
    return level


def work_per_request(group: Group, seconds: Integers) -> Floats:
    """Cores per request per second, relative to before the regression that was planted, if any."""
    if group.kind != EFFICIENCY_REGRESSION:
        return np.ones(len(seconds))
    return np.where(seconds >= regression_at(group), 1.0 + regression_size(group), 1.0)


def regression_at(group: Group) -> int:
    """When the deployment that costs more cores per request was done, to the hour."""
    fleet = group.fleet
    moment = fleet.start + draw(0.55, 0.85, *group.names("regression")) * fleet.days * DAY
    return int(moment // HOUR) * HOUR


def regression_size(group: Group) -> float:
    return draw(0.10, 0.40, *group.names("regression_size"))


@lru_cache(maxsize=64)
def group_events(group: Group) -> tuple[Event, ...]:
    """The calendar's entries that touch this service in this region."""
    service, region = group.service.name, group.region.name
    events = (*fleet_events(group.fleet), *service_events(group.fleet, group.service))
    return tuple(event for event in events if event.touches(service, region))


def trapezoid(event: Event, seconds: Integers, *, before: int, after: int) -> Floats:
    """1 while the event lasts, rising for `before` seconds ahead of it, falling for `after`."""
    corners = (event.starts - before, event.starts, event.ends, event.ends + after)
    return np.interp(seconds, corners, (0.0, 1.0, 1.0, 0.0))


def near(event: Event, seconds: Integers, margin: int = 2 * HOUR) -> bool:
    """Whether the event falls among these rising times."""
    return bool(event.starts - margin <= seconds[-1] and event.ends + margin >= seconds[0])


def _rhythm(group: Group, seconds: Integers) -> Floats:
    fleet, service = group.fleet, group.service
    return relative_load(
        service.rhythm,
        local_seconds(group.region.time_zone, seconds),
        phase_hours=draw(-1.0, 1.0, fleet.seed, service.name, "phase"),
        sharpness=draw(0.8, 1.25, fleet.seed, service.name, "sharpness"),
        holidays=holiday_days(group.region, int(seconds[0]), int(seconds[-1])),
    )


def _event_factor(group: Group, seconds: Integers) -> Floats:
    """The product of what events do to the requests of this group."""
    factor = np.ones(len(seconds))
    for event in group_events(group):
        if event.kind == LIVE_EVENT and near(event, seconds):
            shape = trapezoid(event, seconds, before=HOUR // 2, after=HOUR)
            factor *= 1.0 + event.effect * _audience(group) * shape
        elif event.kind == INCIDENT and near(event, seconds):
            lost = min(0.6, max(0.0, 2.0 * event.effect - 0.1))
            factor *= 1.0 - lost * trapezoid(event, seconds, before=5 * MINUTE, after=HOUR // 2)
        elif event.kind == LAUNCH:
            ramp = np.interp(seconds, (event.starts, event.ends), (0.4, 1.0))
            factor *= np.where(seconds >= event.starts, 1.0 + event.effect * ramp, 1.0)
    return factor


def _audience(group: Group) -> float:
    """Share of a live event's audience that reaches the group. Where it is large, hosts follow."""
    live = group.service.rhythm.live
    if group.kind == AUTOSCALED:
        return live * draw(0.6, 1.0, *group.names("audience"))
    if group.kind == SHORTFALL or group.service.rhythm is not EVENING:
        return 0.0
    return live * draw(0.03, 0.15, *group.names("audience"))


def _disturbance(group: Group, seconds: Integers) -> Floats:
    """Noise of the logarithm: what the fleet, the region and the service share, and its own."""
    seed, service, region = group.fleet.seed, group.service.name, group.region.name
    shared = (
        (0.015, 6 * HOUR, key_of(seed, "noise")),
        (0.020, 3 * HOUR, key_of(seed, "noise", "region", region)),
        (0.015, 30 * HOUR, key_of(seed, "noise", "region", region, "slow")),
        (0.015, 12 * HOUR, key_of(seed, "noise", "service", service)),
        (0.015, 5 * HOUR, group.key("noise")),
        (0.020, 80 * HOUR, group.key("noise", "slow")),
    )
    total = draw(0.01, 0.03, *group.names("noise", "size")) * normals(
        group.key("noise", "each"), seconds
    )
    for size, knot, key in shared:
        total = total + size * smooth_noise(key, seconds, knot)
    return total
