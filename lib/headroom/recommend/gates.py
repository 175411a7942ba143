"""What must hold before the size of a group is judged."""

import numpy as np

from headroom.config import Recommend
from headroom.recommend.decision import AUTOSCALED
from headroom.recommend.group import Group
from headroom.recommend.outlook import Outlook
from headroom.series.paths import to_days

CHANGE = 0.05  # relative change of capacity that counts as one
DAILY_SWING = 0.1  # of capacity within a day, from which it may be following demand
FOLLOWS = 0.7  # correlation of capacity with demand within the day
STABLE = 0.5


def is_autoscaled(group: Group) -> bool:
    """True where capacity swings within the day together with demand."""
    capacity = to_days(group.capacity, group.steps_per_day)
    demand = to_days(group.demand, group.steps_per_day)
    usual = np.median(capacity, axis=1)
    swing = np.median((capacity.max(axis=1) - capacity.min(axis=1)) / np.where(usual > 0, usual, 1))
    seen = np.isfinite(demand)
    if swing < DAILY_SWING or seen.sum() < 2:
        return False
    within = (capacity - usual[:, None])[seen]
    level = np.nanmean(np.where(seen.any(axis=1)[:, None], demand, 0.0), axis=1)
    return float(np.corrcoef(within, (demand - level[:, None])[seen])[0, 1]) >= FOLLOWS


def capacity_changed(group: Group, days: int) -> bool:
    """True where capacity was another by more than 5 % on any of the latest `days` days."""
    daily = np.median(to_days(group.capacity, group.steps_per_day)[-max(days, 1) :], axis=1)
    return bool(np.any(np.abs(daily / group.capacity_now - 1) > CHANGE))


def gate(group: Group, outlook: Outlook, settings: Recommend) -> tuple[str, str] | None:
    """Why a reduction may not be judged now, or None."""
    if is_autoscaled(group):
        return AUTOSCALED, "capacity follows demand by itself"
    if group.n_saturated:
        return "saturated", f"{group.n_saturated} steps ran at full capacity: demand is cut off"
    if capacity_changed(group, settings.dwell_days):
        return "recent_change", f"capacity changed within the last {settings.dwell_days} days"
    if outlook.stability < STABLE:
        return "recent_change", "demand left its usual range within the last week"
    return None
