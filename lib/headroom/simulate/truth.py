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
    fleet, item_id = group.fleet, f"{group.group_id}/{metric}"
    spans: dict[str, tuple[int, int, int]] = {}  # number of steps, the first and the last of them
    for begin in range(0, fleet.n_steps if fleet.dirt else 0, _CHUNK):
        count = min(_CHUNK, fleet.n_steps - begin)
        for kind, steps in _fault_steps(group, metric, begin, count).items():
            if len(steps):
                number, first, _ = spans.get(kind, (0, int(steps[0]), 0))
                spans[kind] = (number + len(steps), first, int(steps[-1]))
    return [
        TruthRow(
            group_id=item_id,
            kind=kind,
            magnitude=float(number),
            detail="",
            starts=fleet.start + first * fleet.step,
            ends=fleet.start + (last + 1) * fleet.step,
        )
        for kind, (number, first, last) in spans.items()
    ]


def _fault_steps(group: Group, metric: str, begin: int, count: int) -> dict[str, Integers]:
    """The steps of each kind of fault among `count` steps from step `begin` on, rising."""
    codes = dirt.fault_codes(group, metric, begin, count)
    steps = {kind: begin + np.flatnonzero(codes == code) for code, kind in dirt.KINDS.items()}
    if dirt.has_local_time(group):
        steps[dirt.LOCAL_TIME] = np.arange(begin, begin + count)
    if metric == COUNTER:
        resets = counter_resets(group, begin, count)
        # A chunk's first entry is the last reset up to its first step: new only on that step.
        steps[dirt.COUNTER_RESET] = resets[(resets >= max(1, begin))]
    return steps
