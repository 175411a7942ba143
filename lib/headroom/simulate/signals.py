"""The metrics of a service in a region, as clean telemetry would have them."""

from dataclasses import dataclass

import numpy as np

from headroom.freq import DAY
from headroom.simulate.calendar import DEPLOYMENT, INCIDENT, MINUTE, Event, deployment
from headroom.simulate.draws import Floats, Integers, draw, draw_log, normals, smooth_noise
from headroom.simulate.fleet import COST_ANOMALY, EFFICIENCY_REGRESSION, HOUR, Group
from headroom.simulate.load import (
    group_events,
    near,
    noisy_requests,
    regression_at,
    trapezoid,
)
from headroom.simulate.sizing import demand_of, hosts_at, sizing

REQUESTS, CPU, HOSTS, CAPACITY = "requests", "cpu_utilisation", "hosts", "capacity_cores"
COST, LATENCY, ERRORS, COUNTER = "cost", "latency_p99", "error_rate", "requests_total"
_COUNTER_LIFE = 5 * DAY  # the counter begins again once in each such window


@dataclass(frozen=True)
class Metric:
    """A name, what kind of quantity it is, and its unit."""

    name: str
    kind: str
    unit: str


METRICS = (
    Metric(REQUESTS, "count", "requests"),
    Metric(CPU, "ratio", "1"),
    Metric(HOSTS, "gauge", "hosts"),
    Metric(CAPACITY, "capacity", "cores"),
    Metric(COST, "cost", "USD"),
    Metric(LATENCY, "latency", "ms"),
    Metric(ERRORS, "ratio", "1"),
)
CUMULATIVE = Metric(COUNTER, "counter", "requests")


def metrics_of(group: Group) -> tuple[Metric, ...]:
    """The seven metrics; one service of twelve also has its requests as a cumulative counter."""
    return (*METRICS, CUMULATIVE) if group.service.index % 12 == 1 else METRICS


def signals(group: Group, first: int, count: int) -> dict[str, Floats]:
    """Each metric at `count` steps from step `first` of the telemetry on."""
    step = group.fleet.step
    fine = int(np.gcd(step, HOUR))  # longer steps are sums and means over parts of them
    begin = group.fleet.start + first * step
    seconds = np.arange(begin, begin + count * step, fine, dtype=np.int64) + fine // 2
    per_second = noisy_requests(group, seconds)
    requests = _counts(group, seconds, per_second * fine)
    hosts = hosts_at(group, seconds)
    capacity = hosts * sizing(group).cores_per_host
    demand = demand_of(group, seconds, requests / fine)
    demand = demand * np.exp(0.01 * normals(group.key("work"), seconds))
    used = np.minimum(1.0, demand / capacity)

    def total(values: Floats) -> Floats:
        summed: Floats = values.reshape(count, -1).sum(axis=1)
        return summed

    parts = step // fine
    return {
        REQUESTS: total(requests),
        CPU: np.round(total(used * capacity) / total(capacity), 5),
        HOSTS: np.round(total(hosts) / parts, 2),
        CAPACITY: np.round(total(capacity) / parts, 2),
        COST: np.round(total(_cost(group, seconds, capacity) * fine / HOUR), 4),
        LATENCY: np.round(total(_latency(group, seconds, used)) / parts, 3),
        ERRORS: np.round(
            total(_errors(group, seconds, requests, used)) / np.maximum(1.0, total(requests)), 6
        ),
    }


def counter(group: Group, first: int, count: int) -> Floats:
    """Requests since the last reset, at the end of each step."""
    resets = counter_resets(group, first, count)
    begin = int(resets[0])
    requests = signals(group, begin, first + count - begin)[REQUESTS]
    running = np.concatenate(([0.0], np.cumsum(requests)))
    steps = np.arange(first, first + count)
    latest = resets[np.searchsorted(resets, steps, side="right") - 1]
    since: Floats = running[steps + 1 - begin] - running[latest - begin]
    return since


def counter_resets(group: Group, first: int, count: int) -> Integers:
    """Steps at which the counter began anew: the last one up to `first`, and those after it."""
    life = max(2, _COUNTER_LIFE // group.fleet.step)
    windows = range(first // life - 2, (first + count) // life + 1)
    resets = np.asarray(
        [w * life + int(draw(0, life, *group.names(COUNTER, w))) for w in windows], dtype=np.int64
    )
    before = resets[resets <= first].max()
    return resets[(resets >= before) & (resets < first + count)]


def cost_anomaly(group: Group) -> tuple[int, int, float]:
    """When spend without load begins and ends, to the hour, and its share of the normal spend."""
    fleet = group.fleet
    begins = fleet.start + draw(0.70, 0.88, *group.names("anomaly")) * fleet.days * DAY
    lasts = draw(3, 8, *group.names("anomaly", "days")) * DAY
    ends = min(fleet.end, int((begins + lasts) // HOUR) * HOUR)
    return int(begins // HOUR) * HOUR, ends, draw(0.4, 1.5, *group.names("anomaly", "size"))


def regression_deployment(group: Group) -> Event:
    """The deployment that the efficiency regression came with."""
    service, region = group.service.name, group.region.name
    event_id = f"{DEPLOYMENT}-{service}-{region}-regression"
    starts = regression_at(group) - 40 * MINUTE
    return deployment(event_id, f"{service} build for {region}", starts, service, region)


def _counts(group: Group, seconds: Integers, mean: Floats) -> Floats:
    """Whole numbers with the mean and variance of a Poisson count, near enough."""
    return np.maximum(0.0, np.round(mean + np.sqrt(mean) * normals(group.key("count"), seconds)))


def _happenings(group: Group, seconds: Integers, kind: str) -> list[Event]:
    events = group_events(group)
    if group.kind == EFFICIENCY_REGRESSION:
        events = (*events, regression_deployment(group))
    return [event for event in events if event.kind == kind and near(event, seconds)]


def _cost(group: Group, seconds: Integers, capacity: Floats) -> Floats:
    """US dollars per hour: list price by kind of machine, less the month's discount."""
    machine = sizing(group).cores_per_host
    price = draw(0.034, 0.052, group.fleet.seed, "price", machine) * group.region.price
    months = seconds // (30 * DAY)
    discounts = {
        int(month): draw(0.0, 0.06, *group.names("discount", int(month)))
        for month in np.unique(months)
    }
    discount = np.asarray([discounts[int(month)] for month in months])
    credits = 0.004 * normals(group.key("credits"), seconds // HOUR)
    cost = capacity * price * (1.0 - discount) * np.exp(credits)
    if group.kind == COST_ANOMALY:
        begins, ends, share = cost_anomaly(group)
        cost = cost * np.where((seconds >= begins) & (seconds < ends), 1.0 + share, 1.0)
    return cost


def _latency(group: Group, seconds: Integers, used: Floats) -> Floats:
    """99th percentile in milliseconds: flat at first, steep where hosts saturate."""
    quiet = draw_log(15, 400, group.fleet.seed, group.service.name, "latency")
    queue = 0.3 * used + 0.5 * used**4 / (1.04 - np.minimum(used, 1.0))
    noise = 0.04 * normals(group.key(LATENCY), seconds)
    noise += 0.05 * smooth_noise(group.key(LATENCY, "slow"), seconds, 4 * HOUR)
    factor = np.ones(len(seconds))
    for event in _happenings(group, seconds, DEPLOYMENT):
        factor += event.effect * trapezoid(event, seconds, before=5 * MINUTE, after=20 * MINUTE)
    for event in _happenings(group, seconds, INCIDENT):
        factor += 8.0 * event.effect * trapezoid(event, seconds, before=300, after=20 * MINUTE)
    return quiet * (1.0 + queue) * factor * np.exp(noise)


def _errors(group: Group, seconds: Integers, requests: Floats, used: Floats) -> Floats:
    """Failed requests among those of each part of a step."""
    rate = draw_log(2e-4, 4e-3, group.fleet.seed, group.service.name, "errors")
    share = rate * np.exp(0.25 * smooth_noise(group.key(ERRORS), seconds, 2 * HOUR))
    share = share + 0.08 * np.maximum(0.0, used - 0.9)
    for event in _happenings(group, seconds, INCIDENT):
        share += event.effect * trapezoid(event, seconds, before=5 * MINUTE, after=20 * MINUTE)
    mean = np.minimum(share, 1.0) * requests
    failed = mean + np.sqrt(mean) * normals(group.key(ERRORS, "count"), seconds)
    return np.clip(np.round(failed), 0.0, requests)
