"""Right-sizing down: the smallest capacity that the tier's promise allows, on sample paths.

C* = min c such that P(any daily peak > rho c within the window) <= eps and the expected share of
time above rho c <= 1 / shortage cost (the newsvendor's optimum). Demand is sized in absolute units,
never as utilisation of a capacity that others control, so repeated runs do not ratchet down.
"""

import math
from typing import Any

import numpy as np

from headroom.config import Recommend
from headroom.recommend.decision import RECOMMENDED, RIGHTSIZE_DOWN, Decision, told
from headroom.recommend.evidence import chart, common_evidence, observed_peaks
from headroom.recommend.gates import gate
from headroom.recommend.group import HOURS_PER_MONTH, Group
from headroom.recommend.outlook import Outlook
from headroom.series.paths import (
    chance_above,
    empirical_quantile,
    first_passage,
    needed,
    time_above,
)
from headroom.series.trend import Floats

SAVINGS_DAYS = 30
MIN_CONFIDENCE = 0.5


def rightsize(group: Group, outlook: Outlook, settings: Recommend) -> Decision:
    """The reduction that pays and keeps the tier's promise, or the reason why there is none."""
    common = common_evidence(group, outlook, settings)
    refused = _refused(group, outlook, settings)
    if refused:
        return Decision(RIGHTSIZE_DOWN, *refused, evidence=common)
    size = size_step(group)
    per_unit, unit = unit_of_size(group)
    wanted = smallest_capacity(group, outlook, size)
    kept = size * math.ceil(round((1 - settings.max_step_down) * group.capacity_now / size, 9))
    floor = group.policy.min_hosts * size if group.host_size else size
    proposed = max(wanted, kept, floor)
    savings = savings_quantiles(group, outlook, proposed)
    evidence = {
        **common,
        **_size_evidence(group, outlook, proposed),
        "smallest_capacity": wanted,
        "step_cap_binds": kept > wanted,
    }
    outcome, detail = _verdict(group, proposed, size, savings[1], settings)
    if outcome != RECOMMENDED:
        return Decision(RIGHTSIZE_DOWN, outcome, detail, evidence=evidence)
    resolution = outlook.paths.resolution
    return Decision(
        RIGHTSIZE_DOWN,
        RECOMMENDED,
        unit=unit,
        current=group.capacity_now / per_unit,
        proposed=proposed / per_unit,
        savings=savings,
        value=savings[1],
        risk_now=told(evidence["chance_now"], resolution),
        risk_after=told(evidence["chance_after"], resolution),
        confidence=outlook.confidence,
        evidence={**evidence, "chart": chart(group, outlook)},
    )


def _size_evidence(group: Group, outlook: Outlook, proposed: float) -> dict[str, Any]:
    policy, paths, horizon = group.policy, outlook.paths, outlook.draws.horizon_days
    limit = policy.safe_utilisation * proposed
    return {
        "proposed_capacity": proposed,
        "proposed_limit": limit,
        "needed_peak": needed(paths, horizon, policy.violation_probability),
        "time_above_after": time_above(paths, outlook.shape, limit, horizon),
        "time_budget": 1 / policy.shortage_cost,
        "chance_now": chance_above(paths, policy.safe_utilisation * group.capacity_now, horizon),
        "chance_after": chance_above(paths, limit, horizon),
        "largest_peaks": observed_peaks(group, outlook, limit),
    }


def size_step(group: Group) -> float:
    """The capacity that comes at once: a host, or else the second significant digit of capacity."""
    return group.host_size or 10.0 ** (math.floor(math.log10(group.capacity_now)) - 1)


def unit_of_size(group: Group) -> tuple[float, str]:
    """The capacity in one of what sizes are told in, and its name: a host, or else the unit."""
    return (group.host_size, "hosts") if group.host_size else (1.0, group.unit)


def smallest_capacity(group: Group, outlook: Outlook, size: float) -> float:
    """C*, in whole units of `size`; at least one unit. Falls as the violation probability rises."""
    policy = group.policy
    rho, budget = policy.safe_utilisation, 1 / policy.shortage_cost
    window = outlook.draws.horizon_days
    peak = needed(outlook.paths, window, policy.violation_probability)
    n_units = max(1, math.ceil(round(peak / rho / size, 9)))
    while time_above(outlook.paths, outlook.shape, rho * size * n_units, window) > budget:
        n_units += 1
    return size * n_units


def savings_quantiles(
    group: Group, outlook: Outlook, proposed: float
) -> tuple[float, float, float]:
    """P10, P50, P90 of US dollars saved in 30 days.

    Each path has a price from the latest days, and saves until it would need its capacity back.
    """
    passage = first_passage(outlook.paths, group.policy.safe_utilisation * proposed)
    days = np.minimum(passage - 1, SAVINGS_DAYS)
    prices = path_prices(group, outlook)
    saved = (group.capacity_now - proposed) * prices * HOURS_PER_MONTH * days / SAVINGS_DAYS
    low, middle, high = (empirical_quantile(saved, level) for level in (0.1, 0.5, 0.9))
    return low, middle, high


def path_prices(group: Group, outlook: Outlook) -> Floats:
    """A unit price per path, drawn from the latest days, (path,)."""
    chosen = (outlook.draws.prices * len(group.unit_prices)).astype(int)
    return group.unit_prices[chosen]


def _refused(group: Group, outlook: Outlook, settings: Recommend) -> tuple[str, str] | None:
    refused = gate(group, outlook, settings)
    if refused:
        return refused
    if outlook.confidence < MIN_CONFIDENCE:
        return "low_confidence", f"confidence is {outlook.confidence:.2f}, below {MIN_CONFIDENCE}"
    limit = group.policy.safe_utilisation * group.capacity_now
    chance = chance_above(outlook.paths, limit, settings.horizon_days)
    if chance >= group.policy.shortfall_trigger:
        return "shortfall_risk", "capacity may run short within the horizon"
    return None


def _verdict(
    group: Group, proposed: float, size: float, saving: float, settings: Recommend
) -> tuple[str, str]:
    change = 1 - proposed / group.capacity_now
    if change < settings.min_change or group.capacity_now - proposed < 0.999 * size:
        return "within_band", f"the fitting size is within {settings.min_change:.0%} of the present"
    if saving < settings.min_saving:
        return "low_value", f"a smaller size saves less than ${settings.min_saving:,.0f} in 30 days"
    return RECOMMENDED, ""
