"""Capacity shortfall with a date: when demand first passes the safe share of capacity, per path.

tau = first day on which a path's peak passes rho K. The dates are quantiles of tau over the paths;
where a marginal quantile crosses capacity is always later, and says nothing of tau.
"""

import math
from typing import Any

import numpy as np

from headroom.config import Recommend
from headroom.freq import DAY
from headroom.recommend.decision import AUTOSCALED, CAPACITY_SHORTFALL, RECOMMENDED, Decision, told
from headroom.recommend.evidence import chart, common_evidence, observed_peaks
from headroom.recommend.gates import is_autoscaled
from headroom.recommend.group import Group
from headroom.recommend.outlook import Outlook
from headroom.recommend.rightsize import path_prices, size_step, unit_of_size
from headroom.series.paths import (
    chance_above,
    empirical_quantile,
    excess,
    first_passage,
    needed,
)
from headroom.series.trend import Floats

EVENT_FACTOR = 1.05  # a first passage on a day that an event lifts by this much is the event's


def shortfall(group: Group, outlook: Outlook, settings: Recommend) -> Decision:
    """The date, the size that lasts to the horizon and the loss avoided, or why there is none."""
    if is_autoscaled(group):
        return Decision(CAPACITY_SHORTFALL, AUTOSCALED, "capacity follows demand by itself")
    passage = first_passage(outlook.paths, group.policy.safe_utilisation * group.capacity_now)
    evidence = {
        **common_evidence(group, outlook, settings),
        **_passage_evidence(group, outlook, settings, passage),
    }
    soon, ever = evidence["chance_soon"], float(np.mean(np.isfinite(passage)))
    if soon < group.policy.shortfall_trigger and ever < settings.outlook_probability:
        calm = _calm(outlook, ever)
        return Decision(CAPACITY_SHORTFALL, "capacity_suffices", calm, evidence=evidence)
    size = size_step(group)
    per_unit, unit = unit_of_size(group)
    proposed = lasting_capacity(group, outlook, size)
    early, likely, late = (empirical_quantile(passage, level) for level in (0.1, 0.5, 0.9))
    safe = group.policy.safe_utilisation * proposed
    after = chance_above(outlook.paths, safe, settings.horizon_days)
    return Decision(
        CAPACITY_SHORTFALL,
        RECOMMENDED,
        unit=unit,
        current=group.capacity_now / per_unit,
        proposed=proposed / per_unit,
        value=loss_avoided(group, outlook, proposed),
        risk_now=told(ever, outlook.paths.resolution),
        risk_after=told(after, outlook.paths.resolution),
        event_days=(early, likely, late),
        event_dates=tuple(_date(group, day) for day in (early, likely, late)),
        act_by=_act_by(group, early, settings.lead_days),
        confidence=outlook.confidence,
        evidence={
            **evidence,
            "proposed_capacity": proposed,
            "chance_after": after,
            "chart": chart(group, outlook),
        },
    )


def _calm(outlook: Outlook, ever: float) -> str:
    resolution, horizon = outlook.paths.resolution, outlook.draws.horizon_days
    chance = f"{math.ceil(100 * told(ever, resolution))} %"
    return f"the chance of running short within {horizon} days is {chance} or less"


def lasting_capacity(group: Group, outlook: Outlook, size: float) -> float:
    """The (1 - eps) quantile of the horizon's largest peak over rho, in whole units of `size`.

    Always at least one unit above the present capacity.
    """
    horizon = outlook.paths.values.shape[1]
    peak = needed(outlook.paths, horizon, group.policy.violation_probability)
    n_units = math.ceil(round(peak / group.policy.safe_utilisation / size, 9))
    return size * max(n_units, math.floor(round(group.capacity_now / size, 9)) + 1)


def loss_avoided(group: Group, outlook: Outlook, proposed: float) -> float:
    """Expected loss from unserved demand, present less proposed capacity, US dollars per 30 days.

    A unit-hour above the safe level costs the tier's shortage cost times the unit price.
    """
    rho, horizon = group.policy.safe_utilisation, outlook.paths.values.shape[1]
    now = excess(outlook.paths, outlook.shape, rho * group.capacity_now)
    after = excess(outlook.paths, outlook.shape, rho * proposed)
    price = group.policy.shortage_cost * path_prices(group, outlook)
    return float(np.mean((now - after) * price) * 24 * 30 / horizon)


def _passage_evidence(
    group: Group, outlook: Outlook, settings: Recommend, passage: Floats
) -> dict[str, Any]:
    first = passage[np.isfinite(passage)].astype(int) - 1
    usual = float(np.median(outlook.past_factors[-7:]))  # launches of the past stay
    lifts = outlook.future_factors[first] / usual
    marks = sorted({30, 60, settings.horizon_days})
    limit = group.policy.safe_utilisation * group.capacity_now
    soon_days = settings.lead_days + settings.review_days
    return {
        "first_passage_days": [
            _finite(empirical_quantile(passage, level)) for level in (0.1, 0.25, 0.5, 0.75, 0.9)
        ],
        "chance_within": {
            str(day): float(np.mean(passage <= day))
            for day in marks
            if day <= settings.horizon_days
        },
        "share_by_event": float(np.mean(lifts >= EVENT_FACTOR)) if len(first) else 0.0,
        "event_factor": float(np.max(lifts)) if len(first) else 1.0,
        "lead_days": settings.lead_days,
        "soon_days": soon_days,
        "chance_soon": float(np.mean(passage <= soon_days)),
        "unserved_unit_hours": float(np.mean(excess(outlook.paths, outlook.shape, limit)) * 24),
        "largest_peaks": observed_peaks(group, outlook, limit),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _date(group: Group, day: float) -> np.datetime64 | None:
    return group.date(day) if math.isfinite(day) else None


def _act_by(group: Group, first_day: float, lead_days: float) -> np.datetime64 | None:
    """The day to act: the early date of the shortfall less the lead time; never before the end."""
    if not math.isfinite(first_day):
        return None
    wanted = group.date(first_day) - np.timedelta64(round(lead_days * DAY), "s")
    return max(wanted, group.date(1))
