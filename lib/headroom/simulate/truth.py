"""What is truly the matter with each service-region and each item: the answers, for tests alone."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from headroom.simulate import dirt
from headroom.simulate.draws import Integers
from headroom.simulate.fleet import (
    COST_ANOMALY,
    EFFICIENCY_REGRESSION,
    HOUR,
    OUTLOOK,
    PLANTED,
    SHORTFALL,
    Group,
)
from headroom.simulate.load import noisy_requests, regression_at, regression_size
from headroom.simulate.signals import COUNTER, cost_anomaly, counter_resets, metrics_of
from headroom.simulate.sizing import demand_of, sizing

_CHUNK = 65_536


@dataclass(frozen=True)
class TruthRow:
    """A row of `simulated_truth`; times are UTC epoch seconds."""

    group_id: str
    kind: str
    magnitude: float
    detail: str
    starts: int | None
    ends: int | None


def group_truth(group: Group) -> list[TruthRow]:
    """What was planted in the group, if anything, and the faults of its items."""
    planted = [_planted(group)] if group.kind in PLANTED else []
    faults = [row for metric in metrics_of(group) for row in _faults(group, metric.name)]
    return [*planted, *faults]


def _planted(group: Group) -> TruthRow:
    """The magnitude of a coming shortfall and of too much capacity is needed ÷ present capacity."""
    fleet, size = group.fleet, sizing(group)
    starts: int | None = fleet.start
    ends: int | None = None
    magnitude = size.needed
    if group.kind == SHORTFALL:
        starts = size.breach
    elif group.kind == EFFICIENCY_REGRESSION:
        starts, magnitude = regression_at(group), regression_size(group)
    elif group.kind == COST_ANOMALY:
        starts, ends, magnitude = cost_anomaly(group)
    facts: dict[str, object] = {
        "hosts": size.hosts,
        "cores_per_host": size.cores_per_host,
        "safe_utilisation": group.service.safe_utilisation,
        "needed_ratio": round(size.needed, 4),
    }
    if group.kind == SHORTFALL:
        facts["first_breach_with_noise"] = _first_noisy_breach(group)
    return TruthRow(group.group_id, group.kind, magnitude, json.dumps(facts), starts, ends)


def _first_noisy_breach(group: Group) -> str | None:
    """The hour in which demand, noise included, first is above safe capacity after the end."""
    fleet, size = group.fleet, sizing(group)
    hours = np.arange(fleet.end, fleet.end + OUTLOOK, HOUR, dtype=np.int64) + HOUR // 2
    demand = demand_of(group, hours, noisy_requests(group, hours))
    over = hours[demand > size.safe_cores]
    if not len(over):
        return None
    return datetime.fromtimestamp(int(over[0]) - HOUR // 2, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _faults(group: Group, metric: str) -> list[TruthRow]:
    """One row per kind of fault that the item has; the magnitude counts steps."""
    item_id = f"{group.group_id}/{metric}"
    rows = []
    for kind, steps in _fault_steps(group, metric).items():
        first, last = (group.fleet.start + int(step) * group.fleet.step for step in steps[[0, -1]])
        rows.append(TruthRow(item_id, kind, float(len(steps)), "", first, last + group.fleet.step))
    return rows


def _fault_steps(group: Group, metric: str) -> dict[str, Integers]:
    """The steps of each kind of fault, rising; kinds without any are left out."""
    fleet = group.fleet
    if fleet.dirt == 0:
        return {}
    codes = np.concatenate(
        [
            dirt.fault_codes(group, metric, first, min(_CHUNK, fleet.n_steps - first))
            for first in range(0, fleet.n_steps, _CHUNK)
        ]
    )
    steps = {kind: np.flatnonzero(codes == code) for code, kind in dirt.KINDS.items()}
    if dirt.has_local_time(group):
        steps[dirt.LOCAL_TIME] = np.arange(fleet.n_steps)
    if metric == COUNTER:
        resets = counter_resets(group, 0, fleet.n_steps)
        steps[dirt.COUNTER_RESET] = resets[resets > 0]
    return {kind: found for kind, found in steps.items() if len(found)}
