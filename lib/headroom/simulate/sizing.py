"""How many hosts each service has in each region, and so who has too many and who will run short.

The demand is scaled to whole hosts, so that planted ratios and dates are exact.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from headroom.freq import DAY
from headroom.simulate.draws import Floats, Integers, draw, draw_log
from headroom.simulate.fleet import (
    AUTOSCALED,
    HOUR,
    IDLE,
    OUTLOOK,
    OVER_PROVISIONED,
    SHORTFALL,
    Group,
)
from headroom.simulate.load import expected_requests, growth, peak_requests, work_per_request

LOOK_BACK = 56 * DAY
_MACHINES = (4, 8, 16, 32, 64)  # cores per host
_REVISION = 90 * DAY  # between two revisions of a static number of hosts


@dataclass(frozen=True)
class Sizing:
    """`needed`: peak demand from the end of the telemetry on ÷ what its tier lets it use of the
    present capacity. `breach`: the first hour after that end in which demand is above it."""

    cores_per_host: int
    hosts: int
    cores_per_request: float
    idle_cores: float
    safe_cores: float
    needed: float
    breach: int | None


@lru_cache(maxsize=64)
def sizing(group: Group) -> Sizing:
    """The hosts of the group and their measure against the noise-free demand."""
    hours = _hours(group)
    nominal = draw_log(150, 3000, group.fleet.seed, group.service.name, "cores")
    nominal *= group.region.weight * (0.15 if group.kind == IDLE else 1.0)
    per_request = nominal / peak_requests(group)
    load = expected_requests(group, hours) * work_per_request(group, hours)
    demand = per_request * load + 0.02 * nominal
    capacity = nominal if group.kind == IDLE else _capacity(group, hours, demand)
    cores_per_host = _machine(group, capacity)
    hosts = max(2, int(np.ceil(capacity / cores_per_host)))
    scale = hosts * cores_per_host / capacity
    safe_cores = group.service.safe_utilisation * hosts * cores_per_host
    ahead = hours >= group.fleet.end
    over = ahead & (scale * demand > safe_cores * (1 + 1e-9))
    return Sizing(
        cores_per_host=cores_per_host,
        hosts=hosts,
        cores_per_request=scale * per_request,
        idle_cores=scale * 0.02 * nominal,
        safe_cores=safe_cores,
        needed=float(scale * demand[ahead].max() / safe_cores),
        breach=int(hours[over][0]) - HOUR // 2 if over.any() else None,
    )


def expected_demand(group: Group, seconds: Integers) -> Floats:
    """Cores in use at UTC epoch seconds, free of noise, were there no end of capacity."""
    return demand_of(group, seconds, expected_requests(group, seconds))


def demand_of(group: Group, seconds: Integers, requests: Floats) -> Floats:
    """Cores that so many requests per second take."""
    size = sizing(group)
    work = size.cores_per_request * work_per_request(group, seconds)
    return work * requests + size.idle_cores


def hosts_at(group: Group, seconds: Integers) -> Floats:
    """Hosts in service: revised each quarter with the load, or following it from hour to hour."""
    if group.kind == AUTOSCALED:
        return _following_hosts(group, seconds)
    size, fleet = sizing(group), group.fleet
    settled = fleet.end - int(draw(20, 80, *group.names("revision"))) * DAY
    revisions = -((seconds - settled) // _REVISION)
    begins = settled - revisions * _REVISION
    both = (growth(group, begins), growth(group, begins + _REVISION))
    scaled = np.maximum(2.0, np.round(size.hosts * np.maximum(*both)))
    if group.kind == SHORTFALL:
        return np.full(len(seconds), float(size.hosts))
    return np.where(revisions <= 0, float(size.hosts), scaled)


def _hours(group: Group) -> Integers:
    """Middles of the hours that sizes are decided on."""
    fleet = group.fleet
    first = max(fleet.start, fleet.end - LOOK_BACK)
    return np.arange(first, fleet.end + OUTLOOK, HOUR, dtype=np.int64) + HOUR // 2


def _machine(group: Group, capacity: float) -> int:
    """Cores of a host: the service's choice, as far as that makes 12 to 150 hosts."""
    choice = int(draw(0, len(_MACHINES), group.fleet.seed, group.service.name, "machine"))
    fitting = [m for m in _MACHINES if 12 * m <= capacity <= 150 * m]
    if not fitting:
        return _MACHINES[0] if capacity < 12 * _MACHINES[0] else _MACHINES[-1]
    return min(fitting, key=lambda m: abs(m - _MACHINES[choice]))


def _capacity(group: Group, hours: Integers, demand: Floats) -> float:
    """Cores that make the planted ratio, or the planted date, come true."""
    safe, ahead = group.service.safe_utilisation, hours >= group.fleet.end
    if group.kind == SHORTFALL:
        breach = group.fleet.end + draw(14, 62, *group.names("breach")) * DAY
        return float(demand[hours < breach].max()) / safe
    peak = float(demand[ahead].max())
    if group.kind == OVER_PROVISIONED:
        return peak / safe / draw(0.25, 0.5, *group.names("ratio"))
    past = float(demand[~ahead].max())
    return max(draw(1.22, 1.42, *group.names("ratio")) * peak, 1.08 * past) / safe


def _following_hosts(group: Group, seconds: Integers) -> Floats:
    """Whole multiples of a twentieth of the most hosts, for this hour's and the next's demand."""
    size = sizing(group)
    hour = seconds // HOUR * HOUR
    ahead = np.maximum(expected_demand(group, hour), expected_demand(group, hour + HOUR))
    wanted = ahead / (0.85 * group.service.safe_utilisation * size.cores_per_host)
    stride = max(1, size.hosts // 20)
    hosts = stride * np.ceil(wanted / stride)
    return np.clip(hosts, max(2, round(0.15 * size.hosts)), size.hosts)
